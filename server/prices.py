"""What a model costs: whole nano-dollars, exact, by tokens and by pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.domain import Tokens
from server.sizes import Size

MEGAPIXEL = 1024 * 1024  # pixels: the square that vendors quote their figures for


@dataclass(frozen=True, slots=True)
class PicturePrice:
    """The nano-dollars of one delivered picture; `None` fits every quality or size."""

    nanos: int
    quality: str | None = None
    size: Size | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in nano-dollars: a text token in, an image token in, an image token out, a picture.

    `images` are prices of a picture by quality and size.
    """

    prompt: int = 0
    image_token: int = 0
    image_output: int = 0
    image: int = 0
    images: tuple[PicturePrice, ...] = ()

    @property
    def by_token(self) -> bool:
        """Whether a cost depends on tokens."""
        return bool(self.prompt or self.image_token or self.image_output)

    def cost(self, tokens: Tokens, quality: str | None = None, size: Size | None = None) -> int:
        """Return the price in nano-dollars of one delivered picture that used `tokens`.

        Input tokens of which the upstream does not say what they are count as image tokens.
        `quality` and `size` are the picture's own, `None` where they are not known.
        """
        text = min(tokens.input_text, tokens.input)
        return (
            self.picture(quality, size)
            + text * self.prompt
            + (tokens.input - text) * self.image_token
            + tokens.output * self.image_output
        )

    def picture(self, quality: str | None, size: Size | None) -> int:
        """Return the price in nano-dollars of one delivered picture, tokens apart.

        What is not listed costs as much as the dearest listed: of the same quality, or of all
        where that quality is not listed either. Unknown, or the quality "auto", may be any.
        """
        if not self.images:
            return self.image
        any_quality = quality in {None, "auto"}
        alike = [
            row for row in self.images if any_quality or row.quality in {None, quality}
        ] or self.images
        same = [row for row in alike if size is None or row.size in {None, size}]
        return max(row.nanos for row in same or alike)


@dataclass(frozen=True, slots=True)
class TokenBounds:
    """How many tokens an edit by a model takes at the most, with headroom.

    `picture` is for each picture in, `output` for a megapixel out by quality, `beside` for what
    comes out beside the picture. `pixels` is the largest picture where no size is asked for.
    """

    picture: int
    output: Mapping[str, int]
    beside: int
    pixels: int

    def outgoing(self, quality: str, pixels: int) -> int:
        """Return the most tokens out for a picture of `pixels`.

        A quality that is not listed takes as many as the dearest. Below a megapixel tokens are not
        known to fall with the area, so that is the least counted.
        """
        rate = self.output.get(quality) or max(self.output.values())
        return -(-rate * max(pixels, MEGAPIXEL) // MEGAPIXEL) + self.beside
