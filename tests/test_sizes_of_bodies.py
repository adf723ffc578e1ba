"""How much the gateway takes: bodies to the byte, a 50 MB picture, and a bomb of 20 KB."""

from __future__ import annotations

import base64
import functools
import http.client
import json
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from PIL import Image, ImageChops

from sandbox.server import SandboxServer
from tests import whole
from tests.edits import Edit, by_http, by_stream
from tests.gateway_programs import GatewayPrograms, gateway_programs
from tests.pictures import (
    PNG_SIGNATURE,
    bomb_jpeg,
    bomb_png,
    bomb_webp,
    chunk,
    decoded,
    encoded,
    smooth,
)
from tests.running import Gateway

LIMIT = 100_000_000
MEBIBYTE = 1_048_576
BLOCK = bytes(MEBIBYTE)
BOUNDARY = b"edge"


@pytest.fixture(scope="module")
def programs(
    sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayPrograms]:
    """The gateway in processes of its own, so that what they use can be told."""
    with gateway_programs(sandbox.environment(), tmp_path_factory.mktemp("sizes")) as running:
        yield running


def form(total: int) -> Iterator[bytes]:
    """Yield a form of `total` bytes: an edit of a picture that is nothing but zeros."""
    parts = (b'name="model"\r\n\r\nopenai/gpt-image-1.5', b'name="prompt"\r\n\r\nsepia')
    lines = [b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; " + part for part in parts]
    picture = b'name="image"; filename="zeros"\r\nContent-Type: image/png\r\n\r\n'
    lines.append(b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; " + picture)
    head, tail = b"\r\n".join(lines), b"\r\n--" + BOUNDARY + b"--\r\n"
    left = total - len(head) - len(tail)
    yield head
    for start in range(0, left, MEBIBYTE):
        yield BLOCK[: left - start]
    yield tail


def post(
    programs: GatewayPrograms, total: int, framing: dict[str, str], body: Iterator[bytes]
) -> tuple[int, dict[str, Any]]:
    """Send a form of `total` bytes; return the status and the error that the answer holds."""
    connection = http.client.HTTPConnection(programs.url.removeprefix("http://"), timeout=30)
    headers = {
        **programs.authorization,
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}",
        **framing,
    }
    try:
        connection.request(
            "POST",
            "/v1/images/edits",
            body,
            headers,
            encode_chunked="Content-Length" not in framing,
        )
        response = connection.getresponse()
        return response.status, json.loads(response.read())["error"]
    finally:
        connection.close()


def framing_of(total: int, framing: str) -> dict[str, str]:
    chunked = framing == "chunked"
    return {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(total)}


FRAMINGS = ("sized", "chunked")


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_body_of_the_limit_is_read(programs: GatewayPrograms, framing: str) -> None:
    assert sum(map(len, form(LIMIT))) == LIMIT
    status, error = post(programs, LIMIT, framing_of(LIMIT, framing), form(LIMIT))
    assert (status, error["param"]) == (400, "image")
    assert "not a PNG, JPEG or WebP" in error["message"]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_one_byte_more_is_refused(programs: GatewayPrograms, framing: str) -> None:
    total = LIMIT + 1
    status, error = post(programs, total, framing_of(total, framing), form(total))
    assert status == 413
    assert error["type"] == error["code"] == "invalid_request_error"
    assert error["param"] is None
    assert "100,000,000" in error["message"] or "100000000" in error["message"]


def test_a_length_over_the_limit_is_refused_before_it_is_sent(programs: GatewayPrograms) -> None:
    total = LIMIT + 1
    assert post(programs, total, framing_of(total, "sized"), iter(()))[0] == 413


SIDE = whole.of(2_600, 1_300)
BOX = (500, 500, 800, 800)
DISTINCT_ROWS = 100


@functools.cache
def noise() -> tuple[bytes, ...]:
    """Return rows of 16-bit RGBA, opaque, that no encoder makes smaller."""
    chance = random.Random(1)  # noqa: S311 - reproducible noise, no secret
    return tuple(chance.randbytes(SIDE * 8) for _ in range(DISTINCT_ROWS))


@functools.cache
def huge_png() -> bytes:
    """Return a 16-bit RGBA PNG of 54 MB, or a quarter of it, stored without compression."""
    pixels = b"".join(b"\x00" + row for row in noise()) * (SIDE // DISTINCT_ROWS)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 6, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels, 0)), chunk(b"IEND"))
    return PNG_SIGNATURE + b"".join(chunks)


def masked_edit() -> Edit:
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, BOX)
    return Edit({"prompt": "[sandbox unchanged] sepia"}, (huge_png(),), encoded(mask, "PNG"))


def assert_kept_outside_the_box(picture: bytes) -> None:
    """Check the size and the rows above the box: their upper bytes are the input's own."""
    after = decoded(picture)
    assert after.size == (SIDE, SIDE)
    rows = b"".join(row[::2] for row in noise())
    before = Image.frombytes("RGBA", (SIDE, DISTINCT_ROWS), rows)
    kept = after.crop((0, 0, SIDE, DISTINCT_ROWS))
    assert ImageChops.difference(before, kept).getbbox(alpha_only=False) is None


def test_a_large_picture_in_chunks(gateway: Gateway) -> None:
    """The stub has gRPC's default limits: no message over 4 MiB comes through it."""
    assert whole.of(50_000_000, 12_000_000) < len(huge_png()) < LIMIT
    facts, picture, kinds = by_stream(gateway, masked_edit())
    assert (facts.width, facts.height) == (SIDE, SIDE)
    assert kinds.count("result_chunk") > len(picture) // (4 * MEBIBYTE) > whole.of(2, 0)
    assert_kept_outside_the_box(picture)


def test_a_large_picture_over_http(gateway: Gateway) -> None:
    response = by_http(gateway, masked_edit())
    assert response.status_code == 200, response.text
    assert_kept_outside_the_box(base64.b64decode(response.json()["data"][0]["b64_json"]))


BOMBS = {
    "one-bit PNG": bomb_png(),
    "JPEG": bomb_jpeg(),
    **{f"WebP {kind}": bomb_webp(kind) for kind in ("VP8 ", "VP8L", "VP8X")},
}


@pytest.mark.parametrize("field", ["image", "mask"])
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_by_its_header(programs: GatewayPrograms, kind: str, field: str) -> None:
    assert len(BOMBS[kind]) < 25_000
    small = encoded(smooth(64, 64), "PNG")

    def edit(**pictures: bytes) -> requests.Response:
        return requests.post(
            f"{programs.url}/v1/images/edits",
            data={"model": "openai/gpt-image-1.5", "prompt": "sepia"},
            files={"image": small, **pictures},
            headers=programs.authorization,
            timeout=30,
        )

    warm_up = edit()
    assert warm_up.status_code == 200, warm_up.text
    service = programs.service
    service.forget_peak()
    held, used = service.resident_bytes(), service.cpu_seconds()
    refused = edit(**{field: BOMBS[kind]})
    assert service.cpu_seconds() - used < 0.1
    assert service.peak_bytes() - held < 16 * MEBIBYTE
    assert (refused.status_code, refused.json()["error"]["param"]) == (413, field)
