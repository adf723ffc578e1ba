"""Pictures that nobody needs the pixels of: what is broken is found, and what is not passes."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from server.imaging.decode import decode, measure
from server.imaging.inspect import BadPicture, read_picture
from server.imaging.sniff import PNG_SIGNATURE
from server.imaging.soundness import prove
from tests.pictures import chunk, encoded, gradient

MOST = 1 << 24


def png(
    width: int, height: int, rows: bytes, *, colour: int = 2, packed: bytes | None = None
) -> bytes:
    """Return a PNG whose checksums hold, whatever its `rows` are."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, colour, 0, 0, 0])
    data = zlib.compress(rows) if packed is None else packed
    return (
        PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", data[:7]) + chunk(b"IDAT", data[7:])
        + chunk(b"IEND", b"")
    )  # fmt: skip


def webp_cut_by(count: int) -> bytes:
    data = encoded(gradient(64, 64), "WEBP", lossless=True)
    return data[:4] + (len(data) - 8 - count).to_bytes(4, "little") + data[8:-count]


SMALL = (b"\x00" + b"\x07" * 24) * 8  # 8 x 8
LARGE = (b"\x01" + os.urandom(1_800)) * 600  # 600 x 600, over what is looked at

BROKEN = {
    "a byte is missing": png(8, 8, SMALL[:-1]),
    "no filter has this number": png(8, 8, SMALL[:-25] + b"\x05" + SMALL[-24:]),
    "it is not packed": png(8, 8, b"", packed=b"this is no zlib stream"),
    "it does not end": png(8, 8, b"", packed=zlib.compress(SMALL)[:-5]),
    "nothing is in it": png(8, 8, b"", packed=b""),
    "much less than it says": png(600, 600, LARGE[:200_000]),
    "not packed, and large": png(600, 600, b"", packed=os.urandom(1_000_000)),
    "a large one's first filter is none": png(600, 600, b"\x09" + LARGE[1:]),
    "a WebP cut short": webp_cut_by(200),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused(name: str) -> None:
    with pytest.raises(BadPicture):
        read_picture(BROKEN[name], pixels=False)


@pytest.mark.parametrize("data", [png(8, 8, SMALL), png(600, 600, LARGE)])
def test_what_is_whole_passes_and_is_left_alone(data: bytes) -> None:
    assert read_picture(data, pixels=False).data == data
    assert read_picture(data).data == data


@given(
    mode=st.sampled_from(["L", "LA", "RGB", "RGBA", "P", "1", "I;16", "CMYK", "YCbCr"]),
    kind=st.sampled_from(["PNG", "JPEG", "WEBP"]),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cut=st.one_of(st.none(), st.floats(0, 1)),
    seed=st.integers(0, 255),
)
def test_a_short_look_finds_what_decoding_finds(
    mode: str, kind: str, size: tuple[int, int], cut: float | None, seed: int
) -> None:
    try:
        data = encoded(Image.new(mode, size, seed if mode != "1" else 1), kind)
    except (OSError, TypeError, ValueError):  # no such file can be
        return
    data = data if cut is None else data[: int(len(data) * cut)]
    verdicts = []
    for look in (decode, prove):
        try:
            look(measure(data, MOST))
            verdicts.append("sound")
        except BadPicture:
            verdicts.append("broken")
    assert verdicts[0] == verdicts[1]
