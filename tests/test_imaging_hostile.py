"""Bombs, cut files and flipped bits: a picture or a refusal, cheap, and nothing else."""

from __future__ import annotations

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from server.domain import MaskConvention, Picture
from server.imaging.inspect import BadPicture, read_picture
from server.imaging.masks import read_mask
from tests.pictures import (
    bomb_jpeg,
    bomb_png,
    bomb_webp,
    encoded,
    gradient,
)

_ROOT = Path(__file__).parent.parent

BOMBS = {
    "png": bomb_png(),
    "webp extended": bomb_webp("VP8X"),
    "webp lossy": bomb_webp("VP8"),
    "webp lossless": bomb_webp("VP8L"),
    "jpeg": bomb_jpeg(),
}

_WEIGH = """
import resource, sys, time
from server.domain import MaskConvention
from server.imaging.inspect import BadPicture, read_picture
from server.imaging.masks import read_mask
data = sys.stdin.buffer.read()
gates = {
    "image": read_picture, "mask": lambda data: read_mask(data, MaskConvention.OPAQUE, 8, 8)
}
peak, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    gates[sys.argv[1]](data)
except BadPicture as refusal:
    cpu = time.process_time() - cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    print(cpu, grown, refusal.limit, sep="|")
"""


@pytest.mark.parametrize("gate", ["image", "mask"])
@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_before_they_cost_anything(kind: str, gate: str) -> None:
    data = BOMBS[kind]
    assert len(data) < 25_000
    done = subprocess.run(
        [sys.executable, "-c", _WEIGH, gate], input=data, cwd=_ROOT, capture_output=True, check=True
    )
    cpu, grown_kib, limit = done.stdout.decode().strip().split("|")
    assert limit in {"16777216 pixels", "16383 pixels a side"}
    assert float(cpu) <= 0.1
    assert int(grown_kib) <= 16 * 1024


def test_the_pixel_limit_is_exact() -> None:
    data = encoded(gradient(8, 4), "PNG")
    assert read_picture(data, max_pixels=32).width == 8
    with pytest.raises(BadPicture) as refusal:
        read_picture(data, max_pixels=31)
    assert refusal.value.limit == "31 pixels"
    assert refusal.value.message == "is 8x4 pixels, more than 31 altogether"


def test_a_single_pixel_is_a_picture() -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        picture = read_picture(encoded(Image.new("RGB", (1, 1)), kind))
        assert (picture.width, picture.height) == (1, 1)


WHOLE = {
    "png": encoded(gradient(24, 16), "PNG"),
    "png with palette": encoded(gradient(24, 16).quantize(16), "PNG", transparency=3),
    "png of 16 bits": encoded(Image.new("I;16", (24, 16), 40_000), "PNG"),
    "jpeg": encoded(gradient(24, 16), "JPEG"),
    "jpeg progressive": encoded(gradient(24, 16), "JPEG", progressive=True),
    "jpeg cmyk": encoded(gradient(24, 16, "CMYK"), "JPEG"),
    "webp lossy": encoded(gradient(24, 16, "RGBA"), "WEBP", quality=70),
    "webp lossless": encoded(gradient(24, 16, "RGBA"), "WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_anywhere_is_refused(kind: str) -> None:
    data = WHOLE[kind]
    read_picture(data)
    for percent in range(100):
        with pytest.raises(BadPicture):
            read_picture(data[: len(data) * percent // 100])
    with pytest.raises(BadPicture):
        read_picture(data[:-1])


@pytest.mark.parametrize("kind", WHOLE)
def test_flipped_bits_give_a_picture_or_a_refusal_and_nothing_else(kind: str) -> None:
    dice = random.Random(kind)  # noqa: S311 - it must repeat itself
    refused = 0
    for _ in range(1000):
        data = bytearray(WHOLE[kind])
        for _ in range(dice.choice((1, 1, 4))):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        try:
            assert isinstance(read_picture(bytes(data)), Picture)
        except BadPicture:
            refused += 1
        try:
            read_mask(bytes(data), MaskConvention.LUMINANCE, 24, 16)
        except BadPicture:
            continue
    assert refused > 50


def test_threads_do_not_disturb_each_other() -> None:
    files = [*WHOLE.values(), BOMBS["png"], b"GIF89a"] * 20

    def outcome(data: bytes) -> Picture | str:
        try:
            return read_picture(data)
        except BadPicture as refusal:
            return refusal.message

    alone = [outcome(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, files)) == alone
