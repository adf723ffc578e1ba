"""ICC profiles made by the letter of ICC.1:2001-04 (version 2), and pictures that carry them."""

from __future__ import annotations

import io
import itertools
import struct

from PIL import Image, ImageCms

# Primaries as XYZ of D50, column by column: what these colour spaces' own profiles hold.
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
_D50 = (0.9642, 1.0, 0.8249)


def rgb_profile(primaries: tuple[tuple[float, ...], ...], gamma: float = 563 / 256) -> bytes:
    """Return a profile of three primaries and one gamma."""
    tags = {b"wtpt": _xyz(_D50)}
    for name, colour in zip("rgb", primaries, strict=True):
        tags[f"{name}XYZ".encode()] = _xyz(colour)
        tags[f"{name}TRC".encode()] = _curve(gamma)
    return _profile(b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    """Return a profile for grey pictures."""
    return _profile(b"GRAY", b"XYZ ", {b"wtpt": _xyz(_D50), b"kTRC": _curve(gamma)})


def ink_profile() -> bytes:
    """Return a CMYK profile whose inks all give Lab greys: lightness falls with the first alone."""
    identity = bytes(range(256))
    grid = b"".join(
        bytes((0 if cyan else 255, 128, 128)) for cyan, *_ in itertools.product((0, 1), repeat=4)
    )
    matrix = struct.pack(
        ">9i", *(65_536 * (row == column) for row in range(3) for column in range(3))
    )
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + identity * 4 + grid + identity * 3
    return _profile(b"CMYK", b"Lab ", {b"wtpt": _xyz(_D50), b"A2B0": table}, b"prtr")


def srgb_profile() -> bytes:
    """Return sRGB's own."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded_with(image: Image.Image, kind: str, profile: bytes, **options: object) -> bytes:
    """Return `image` as a file of `kind` that carries `profile`."""
    file = io.BytesIO()
    image.save(file, kind, icc_profile=profile, **options)
    return file.getvalue()


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65_536) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def _profile(
    space: bytes, between: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr"
) -> bytes:
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        padded = data + b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += padded
    header = struct.pack(">I4sI4s4s4s12x4s", offset + len(body), b"\0" * 4, 0x02400000, kind, space,
                         between, b"acsp")  # fmt: skip
    header = header.ljust(68, b"\0") + struct.pack(">3i", *(round(v * 65_536) for v in _D50))
    return header.ljust(128, b"\0") + table + body
