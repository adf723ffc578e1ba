"""What large uploads cost in memory, through both programs: far less than their size."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.server import environment
from server.memory import KEPT
from tests.edits import IMAGE
from tests.gateway_programs import GatewayPrograms, gateway_programs
from tests.pictures import chunk, encoded, gradient
from tests.programs import program

MEBIBYTE = 1_048_576
UPLOADS = 8
MEGABYTES = int(os.environ.get("IMAGEEDIT_TEST_UPLOAD_MB", "40"))
"""Of each upload; the promise is made for 95."""
PROMISED = min(300, 300 * MEGABYTES // 95 + 2 * KEPT // MEBIBYTE) * MEBIBYTE
"""In proportion for smaller ones, and what each program keeps to use again."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A sandbox in a process of its own, so that its memory is not ours."""
    with program("-m", "sandbox", "--port", "0", environment={}, folder=tmp_path) as sandbox:
        words = sandbox.wait_for("http://").split()
        yield next(word for word in words if word.startswith("http://"))


def padded(size: int) -> bytes:
    """Return a small picture in a PNG of `size` bytes, the rest of it text."""
    return IMAGE[:33] + chunk(b"teXt", bytes(size - len(IMAGE) - 12)) + IMAGE[33:]


def whole(size: int) -> tuple[bytes, ...]:
    """Return two pictures of `size` bytes together, all of which goes to the upstream."""
    side = int((size / 2 / 3) ** 0.5)
    picture = encoded(gradient(side, side), "PNG", compress_level=0)
    return picture, picture


# Who is asked, which takes a form or JSON, and with what.
CASES = {
    "a form, mostly text": ("openai/gpt-image-1.5", lambda size: (padded(size),)),
    "a form": ("openai/gpt-image-1.5", whole),
    "JSON": ("openai/gpt-image-2", whole),
}
# Real pictures take the sandbox a while each, so they are asked for by the knob.
CASED = list(CASES) if MEGABYTES >= 95 else ["a form, mostly text"]


def edit(programs: GatewayPrograms, model: str, pictures: tuple[bytes, ...]) -> int:
    """Upload `pictures` in pieces and return the status once the whole answer is there."""
    fields = {"model": model, "prompt": "[sandbox delay=1] sepia", "output_format": "jpeg"}
    disposition = "--edge\r\nContent-Disposition: form-data; name="
    head = "".join(f'{disposition}"{name}"\r\n\r\n{text}\r\n' for name, text in fields.items())
    image = f'{disposition}"image[]"; filename="x.png"\r\n\r\n'.encode()
    tail = b"--edge--\r\n"

    def body() -> Iterator[bytes | memoryview]:
        yield head.encode()
        for picture in pictures:
            yield image
            for start in range(0, len(picture), MEBIBYTE):
                yield memoryview(picture)[start : start + MEBIBYTE]
            yield b"\r\n"
        yield tail

    headers = {
        **programs.authorization,
        "Content-Type": "multipart/form-data; boundary=edge",
        "Content-Length": str(
            len(head) + len(tail) + sum(len(image) + len(each) + 2 for each in pictures)
        ),
    }
    connection = http.client.HTTPConnection(programs.url.removeprefix("http://"), timeout=300)
    try:
        connection.request("POST", "/v1/images/edits", body(), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        return len(answer["data"])
    finally:
        connection.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CASED)
def test_eight_large_uploads_at_once_cost_little_memory(
    url: str, tmp_path: Path, case: str
) -> None:
    settings = environment(url)
    model, make = CASES[case]
    with gateway_programs(settings, tmp_path) as programs, ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(lambda _: edit(programs, model, (IMAGE,)), range(UPLOADS)))  # warm
        processes = (programs.service, programs.front)
        before = sum(process.resident_bytes() for process in processes)
        highest, over = [before], threading.Event()

        def watch() -> None:
            while not over.wait(0.02):
                highest.append(sum(process.resident_bytes() for process in processes))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            large = make(MEGABYTES * 1_000_000)
            list(pool.map(lambda _: edit(programs, model, large), range(UPLOADS)))
        finally:
            over.set()
            watcher.join()
        print(f"{case}: grew by {(max(highest) - before) >> 20} MiB")
        assert max(highest) - before < PROMISED
