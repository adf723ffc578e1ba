"""Colours as their ICC profile means them, in sRGB, which is what models and browsers assume.

A profile is a stranger's data: it is measured by hand first (ICC.1:2022, section 7), and one that
is too large, broken, or of another colour space than the picture is passed over, as viewers do.
"""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageCms

MAX_BYTES = 4_000_000
"""Larger than any real one: press profiles have up to 3 MB."""
_HEADER, _TAG = 128, 12
_MOST_TAGS = 100
_CLASSES = {b"scnr", b"mntr", b"prtr", b"spac"}
_SPACES = {"RGB": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}
_BETWEEN = {b"XYZ ", b"Lab "}
_SAME = 2  # levels of 255 by which profiles of sRGB differ among themselves
_GRID = range(0, 256, 51)


def inflated(data: bytes) -> bytes:
    """Return what the zlib stream `data` holds; empty where it is broken or holds too much."""
    stream = zlib.decompressobj()
    try:
        profile = stream.decompress(data, MAX_BYTES)
    except zlib.error:
        return b""
    return profile if stream.eof else b""


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return `image` ("L", "RGB" or "CMYK") as RGB, its colours read as `profile` means them.

    Itself where the profile cannot be used; and where it is one of sRGB, so that nothing is lost.
    """
    transform = _transform(image.mode, profile)
    if transform is None:
        return image
    try:
        found = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, ValueError, OSError):
        return image
    return image if found is None else found


def is_foreign(profile: bytes, mode: str) -> bool:
    """Return whether `profile` changes the colours of a picture in `mode`."""
    return _transform(mode, profile) is not None


def _transform(mode: str, profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return what brings colours of `mode` to sRGB; None where they stay as they are."""
    if not _is_sound(profile, mode):
        return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if mode != "CMYK" and _changes_nothing(mode, transform) else transform
    except (ImageCms.PyCMSError, ValueError, OSError, TypeError):
        return None


def _changes_nothing(mode: str, transform: ImageCms.ImageCmsTransform) -> bool:
    bands = len(mode)
    count = len(_GRID) ** bands
    probe = Image.new(mode, (count, 1))
    steps = [
        tuple(_GRID[index // len(_GRID) ** band % len(_GRID)] for band in range(bands))
        for index in range(count)
    ]
    probe.putdata(steps if bands > 1 else [step[0] for step in steps])
    found = ImageCms.applyTransform(probe, transform)
    if found is None:
        return True
    wanted = probe.convert("RGB").tobytes()
    return all(abs(a - b) <= _SAME for a, b in zip(found.tobytes(), wanted, strict=True))


def _is_sound(profile: bytes, mode: str) -> bool:
    """Return whether header and tag table fit together and speak of pictures in `mode`."""
    if not _HEADER + 4 <= len(profile) <= MAX_BYTES:
        return False
    length, version = struct.unpack_from(">I", profile)[0], profile[8]
    kind, space, between, magic = (profile[at : at + 4] for at in (12, 16, 20, 36))
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    fits = length <= len(profile) and _HEADER + 4 + min(count, _MOST_TAGS + 1) * _TAG <= length
    speaks_of_it = kind in _CLASSES and space == _SPACES.get(mode) and between in _BETWEEN
    if magic != b"acsp" or version not in {2, 4} or not fits or not speaks_of_it:
        return False
    return count <= _MOST_TAGS and all(
        sum(struct.unpack_from(">II", profile, _HEADER + 8 + index * _TAG)) <= length
        for index in range(count)
    )
