"""From a stripped file to upright 8-bit RGB or RGBA pixels in sRGB."""

from __future__ import annotations

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from server.imaging.bad_picture import BadPicture
from server.imaging.colour import is_foreign, to_srgb
from server.imaging.orientation import UPRIGHT, put_upright
from server.imaging.strip import strip
from server.imaging.stripped import Stripped
from server.sizes import MAX_EDGE

DEFAULT_MAX_PIXELS = 16_777_216

# Named readers, so that no other parser of Pillow's ever sees a foreign byte.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "image/png": PngImageFile,
    "image/jpeg": JpegImageFile,
    "image/webp": WebPImageFile,
}
_PLAIN = ("RGB", "L")  # what portable files have, with or without alpha
_NAMES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP"}

# 16 bits to 8 by rounding v / 257: convert("L") would clip everything above 255 to white.
_TO_8_BITS = [(value * 255 + 32_767) // 65_535 for value in range(65_536)]


def measure(data: bytes, max_pixels: int) -> Stripped:
    """Return the stripped file of one still picture of at most `max_pixels`, nothing decoded.

    Raises BadPicture for anything else; with `limit` set where there are too many pixels.
    """
    file = strip(data)
    if file.width < 1 or file.height < 1:
        raise BadPicture(f"is {file.width}x{file.height} pixels: there is nothing in it")
    if max(file.width, file.height) > MAX_EDGE:
        raise BadPicture(
            f"is {file.width}x{file.height} pixels, more than {MAX_EDGE} a side",
            limit=f"{MAX_EDGE} pixels a side",
        )
    if file.width * file.height > max_pixels:
        raise BadPicture(
            f"is {file.width}x{file.height} pixels, more than {max_pixels} altogether",
            limit=f"{max_pixels} pixels",
        )
    if file.frames > 1:
        raise BadPicture(f"is animated ({file.frames} frames): a still picture is wanted")
    return file


def decode(file: Stripped) -> Image.Image:
    """Return the pixels, upright, RGB or RGBA in sRGB. Raises BadPicture where data are broken."""
    try:
        pixels = _load(file)
    except Exception as error:  # hostile bytes make decoders raise just anything
        name = _NAMES[file.mime_type]
        raise BadPicture(f"is a broken {name}: its picture data cannot be decoded") from error
    pixels = put_upright(pixels, file.orientation)
    pixels.info = {}  # or an encoder would write some of it again
    return pixels


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return `image` in `mode`: itself, not a copy, where it is."""
    return image if image.mode == mode else image.convert(mode)


def as_it_is(file: Stripped) -> bool:
    """Return whether every reader sees in the file itself what `decode` makes of it."""
    plain = file.portable and file.orientation == UPRIGHT
    return plain and not (file.profile and any(is_foreign(file.profile, mode) for mode in _PLAIN))


def _load(file: Stripped) -> Image.Image:
    with _READERS[file.mime_type](file.reader()) as image:
        if image.size != (file.width, file.height):
            raise ValueError("the decoder sees another size than was measured")
        image.load()
        if image.mode == "CMYK":
            return to_srgb(image, file.profile).convert("RGB")
        grey = image.mode in {"1", "L", "LA", "I;16"}
        pixels = _to_rgb(image, file.bits)
    return _in_srgb(pixels, file.profile, grey=grey) if file.profile else pixels


def _in_srgb(pixels: Image.Image, profile: bytes, *, grey: bool) -> Image.Image:
    """Return RGB or RGBA pixels in sRGB; of a `grey` picture all three bands are the same."""
    found = to_srgb(pixels.getchannel("R") if grey else pixels.convert("RGB"), profile)
    found = found.convert("RGB")
    if pixels.mode == "RGBA":
        found.putalpha(pixels.getchannel("A"))
    return found


def _to_rgb(image: Image.Image, bits: int) -> Image.Image:
    key = image.info.pop("transparency", None)
    if image.mode == "I;16":
        return _grey_16_to_rgb(image, key)
    if image.mode in {"1", "L", "RGB"} and key is not None:
        image.info["transparency"] = _key_to_8_bits(key, bits)
        return image.convert("RGBA")
    if image.mode == "P" and key is not None:
        image.info["transparency"] = key
        return image.convert("RGBA")
    return in_mode(image, "RGBA" if image.mode in {"LA", "RGBA"} else "RGB")


def _grey_16_to_rgb(image: Image.Image, key: int | None) -> Image.Image:
    wide = image.convert("I")
    grey = wide.point(_TO_8_BITS, "L")
    if key is None:
        return grey.convert("RGB")
    alpha = wide.point([0 if value == key else 255 for value in range(65_536)], "L")
    return Image.merge("RGBA", (grey, grey, grey, alpha))


def _key_to_8_bits(key: int | tuple[int, ...], bits: int) -> int | tuple[int, ...]:
    """Return the transparent colour in the scale that the pixels have once Pillow has read them.

    PNG gives it in the file's depth; Pillow takes the high byte of 16-bit colours, stretches grey
    of 2 and 4 bits, and has already stretched a 1-bit key.
    """
    if isinstance(key, tuple):
        return tuple(value >> 8 for value in key) if bits == 16 else key
    return key * 255 // (2**bits - 1) if bits in {2, 4} else key
