"""Nothing but pixels goes out, to the upstream or back to the caller."""

from __future__ import annotations

import pytest

from server.domain import OutputFormat, Picture
from server.imaging.inspect import read_picture
from tests.finishing import finished
from tests.pictures import (
    chunk,
    encoded,
    exif,
    extended_webp,
    gradient,
    jpeg_segments,
    one_frame_webp,
    png_chunks,
    smooth,
    webp_chunks,
    with_jpeg_segments,
    with_png_chunks,
)

CANARY = b"CaNaRy-51.4778N"
_XMP = b"<x:xmpmeta>" + CANARY + b"</x:xmpmeta>"
_IPTC = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x10" + CANARY + b"\x00"


def _png_carriers(orientation: int) -> dict[str, bytes]:
    plain = encoded(gradient(9, 5), "PNG")
    note = chunk(b"eXIf", exif(orientation, CANARY))
    bodies = {
        "text": chunk(b"tEXt", b"Comment\x00" + CANARY),
        "international text": chunk(b"iTXt", b"Comment\x00\x00\x00\x00\x00" + CANARY),
        "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + _XMP),
        "icc": chunk(b"iCCP", CANARY + b"\x00\x00x\x9c\x03\x00\x00\x00\x00\x01"),
        "time and size": chunk(b"tIME", CANARY[:7]) + chunk(b"pHYs", CANARY[:9]),
        "private": chunk(b"caNr", CANARY),
        "suggested palette": chunk(b"PLTE", CANARY),
        "gamma": chunk(b"gAMA", CANARY),
    }
    files = {name: with_png_chunks(plain, note + body) for name, body in bodies.items()}
    files["text at the end"] = with_png_chunks(plain, note, chunk(b"tEXt", b"a\x00" + CANARY))
    files["tail"] = with_png_chunks(plain, note) + CANARY
    return files


def _jpeg_carriers(orientation: int) -> dict[str, bytes]:
    plain = encoded(smooth(24, 16), "JPEG")
    note = (0xE1, b"Exif\x00\x00" + exif(orientation, CANARY))
    bodies = {
        "comment": (0xFE, CANARY),
        "xmp": (0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + _XMP),
        "iptc": (0xED, _IPTC),
        "icc": (0xE2, b"ICC_PROFILE\x00\x01\x01" + CANARY),
        "thumbnail": (0xE0, b"JFXX\x00\x10" + CANARY),
        "jfif tail": (0xE0, b"JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00" + CANARY),
        "adobe tail": (0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x01" + CANARY),
        "private": (0xE9, CANARY),
    }
    files = {name: with_jpeg_segments(plain, note, body) for name, body in bodies.items()}
    files["tail"] = with_jpeg_segments(plain, note) + CANARY
    files["second picture"] = files["comment"] + files["xmp"]
    return files


def _webp_carriers(orientation: int) -> dict[str, bytes]:
    plain = encoded(gradient(9, 5, "RGBA"), "WEBP", lossless=True)
    note = (b"EXIF", exif(orientation, CANARY))
    bodies = {"xmp": (b"XMP ", _XMP), "icc": (b"ICCP", CANARY), "private": (b"caNr", CANARY)}
    files = {name: extended_webp(plain, note, body) for name, body in bodies.items()}
    files["lossy"] = extended_webp(encoded(gradient(9, 5, "RGBA"), "WEBP"), note, bodies["xmp"])
    files["tail"] = extended_webp(plain, note, tail=CANARY)
    files["frame of an animation"] = one_frame_webp(gradient(9, 5), bodies["icc"])
    return files


CARRIERS = {
    f"{kind}: {name}, orientation {orientation}": data
    for kind, maker in (("png", _png_carriers), ("jpeg", _jpeg_carriers), ("webp", _webp_carriers))
    for orientation in (1, 6)
    for name, data in maker(orientation).items()
}


def _assert_clean(picture: Picture) -> None:
    for piece in (CANARY, CANARY[:7], b"Exif", b"xmpmeta", b"8BIM", b"ICC"):
        assert piece not in picture.data
    if picture.mime_type == "image/png":
        assert set(png_chunks(picture.data)) == {b"IHDR", b"IDAT", b"IEND"}
    elif picture.mime_type == "image/jpeg":
        assert set(jpeg_segments(picture.data)) <= {0xE0, 0xEE, 0xDB, 0xC0, 0xC4}
    else:
        assert {kind for kind, _ in webp_chunks(picture.data)} <= {
            b"VP8X",
            b"VP8 ",
            b"VP8L",
            b"ALPH",
        }


@pytest.mark.parametrize("data", CARRIERS.values(), ids=CARRIERS)
def test_nothing_but_pixels_goes_out_in_either_direction(data: bytes) -> None:
    assert CANARY[:7] in data
    _assert_clean(read_picture(data))
    for output_format in OutputFormat:
        result = finished(data, output_format=output_format)
        assert result.picture.mime_type == output_format.mime_type
        _assert_clean(result.picture)
