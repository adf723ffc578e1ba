"""Cut and flipped pictures through the real front: never a 5xx, always the error's shape."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.customers import Customer, customer
from tests.pictures import encoded, gradient
from tests.running import Gateway

# A sample: tests/test_imaging_hostile.py does all percents and a thousand flips without the wire.
WHOLE = {
    "png": encoded(gradient(24, 16), "PNG"),
    "png with palette": encoded(gradient(24, 16).quantize(16), "PNG", transparency=3),
    "jpeg progressive": encoded(gradient(24, 16), "JPEG", progressive=True),
    "webp lossy": encoded(gradient(24, 16, "RGBA"), "WEBP", quality=70),
    "webp lossless": encoded(gradient(24, 16, "RGBA"), "WEBP", lossless=True),
}
FLIPPED = 16


def spoilt(kind: str) -> list[bytes]:
    """Return the picture cut at every tenth, and with a bit flipped at random places."""
    data, dice = WHOLE[kind], random.Random(kind)  # noqa: S311 -- it must repeat itself
    files = [data[: len(data) * tenth // 10] for tenth in range(10)]
    for _ in range(FLIPPED):
        flipped = bytearray(data)
        flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        files.append(bytes(flipped))
    return files


def edit(who: Customer, image: bytes, mask: bytes | None) -> requests.Response:
    files = {"image": ("a.png", image)} | ({"mask": ("m.png", mask)} if mask is not None else {})
    return requests.post(
        f"{who.gateway.url}/v1/images/edits",
        data={"model": "openai/gpt-image-1.5", "prompt": f"[sandbox echo] {who.mark}"},
        files=files,
        headers={"authorization": f"Bearer {who.key}"},
        timeout=30,
    )


@pytest.mark.parametrize("field", ["image", "mask"])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_spoilt_picture_is_edited_or_refused(gateway: Gateway, kind: str, field: str) -> None:
    who = customer(gateway)

    def one(data: bytes) -> requests.Response:
        return edit(who, data, None) if field == "image" else edit(who, WHOLE["png"], data)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(one, spoilt(kind)))
    for answer in answers:
        assert answer.status_code in {200, 400, 413}, answer.text
        if answer.status_code != 200:
            error = answer.json()["error"]
            assert error["param"] == field
            assert error["message"].startswith(f"{field} ")
    assert Counter(answer.status_code for answer in answers[:10]) == {400: 10}
    refused = [row for row in who.edits() if row.state != "posted"]
    assert refused == []
