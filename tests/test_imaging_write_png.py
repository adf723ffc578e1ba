"""Our own PNGs: what any reader sees in them is the picture, and they are no larger than others."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from server.imaging.inspect import read_picture
from server.imaging.write_png import write_png
from tests.pictures import decoded, encoded, gradient, png_chunks, smooth
from tests.scenes import SCENES, scene

HEIGHTS = (1, 2, 63, 64, 65, 128, 129, 200)  # around whole bands of 64 rows


@given(
    size=st.tuples(st.integers(1, 40), st.sampled_from(HEIGHTS)),
    mode=st.sampled_from(("L", "RGB", "RGBA")),
    phase=st.integers(0, 9),
)
def test_every_pixel_is_read_again(size: tuple[int, int], mode: str, phase: int) -> None:
    picture = gradient(*size, mode, phase)
    file = write_png(picture)
    assert decoded(file, mode).tobytes() == picture.tobytes()
    assert read_picture(file).data == file  # its checksums hold as well
    assert png_chunks(file) == [b"IHDR", b"IDAT", b"IEND"]


@pytest.mark.parametrize("turn", [None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_bands_alike_and_not_are_read_again(mode: str, turn: Image.Transpose | None) -> None:
    """Flat, then a little of something, then flat again, from above and from the side."""
    picture = Image.new(mode, (500, 500), "teal")
    picture.paste("red", (100, 190, 140, 200))
    picture.paste(smooth(300, 90).convert(mode), (10, 300))
    if turn is not None:
        picture = picture.transpose(turn)
    assert decoded(write_png(picture), mode).tobytes() == picture.tobytes()


def test_its_stream_is_whole() -> None:
    """Every reader of zlib streams finds the rows in it, and the checksum after them."""
    file = write_png(gradient(7, 130))
    start, end = file.index(b"IDAT") + 4, file.index(b"IEND") - 8
    unpacker = zlib.decompressobj()
    rows = unpacker.decompress(file[start:end])
    assert len(rows) == 130 * (1 + 3 * 7)
    assert unpacker.eof
    assert not unpacker.unused_data


@pytest.mark.parametrize("name", SCENES)
def test_a_picture_is_about_as_small_as_usual(name: str) -> None:
    picture = scene(name, (400, 300))
    usual = encoded(picture, "PNG", compress_level=1)
    assert len(write_png(picture)) < 1.05 * len(usual)


def test_what_is_flat_takes_next_to_nothing() -> None:
    assert len(write_png(Image.new("RGBA", (2048, 2048)))) < 25_000
