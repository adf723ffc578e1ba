"""How much of what was protected the model changed, measured before anything is put back."""

from __future__ import annotations

import pytest
from PIL import Image

from server.domain import Picture
from tests.finishing import boxed, checked, finished
from tests.pictures import decoded, encoded


def _pixels(picture: Picture) -> bytes:
    image = decoded(picture.data)
    assert image.size == (picture.width, picture.height)
    return image.tobytes()


def _half(colour: object, mode: str = "RGB") -> Image.Image:
    """Return a picture that is black on the left and `colour` on the right, the protected side."""
    image = Image.new(mode, (40, 20), (0,) * (3 if mode == "RGB" else 4))
    image.paste(colour, (20, 0, 40, 20))
    return image


def _stripe() -> Image.Image:
    """Return a black right half whose last tenth is white."""
    image = Image.new("RGB", (20, 20))
    image.paste("white", (18, 0, 20, 20))
    return image


DRIFTS = {
    "untouched": (_half((9, 8, 7)), _half((9, 8, 7)), 0.0),
    "all of it": (_half((255, 255, 255)), _half((0, 0, 0)), 1.0),
    "one channel of three": (_half((0, 0, 0)), _half((51, 0, 0)), 0.2 / 3),
    "a tenth of the pixels": (
        _half((0, 0, 0)),
        _half(_stripe()),
        0.1,
    ),
    "opacity alone": (_half((0, 0, 0, 0), "RGBA"), _half((0, 0, 0, 255), "RGBA"), 0.25),
    "colours that no one sees": (
        _half((0, 0, 0, 0), "RGBA"),
        _half((255, 255, 255, 0), "RGBA"),
        0.0,
    ),
}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("original", "model", "wanted"), DRIFTS.values(), ids=DRIFTS)
def test_drift_is_what_the_model_did_outside(
    original: Image.Image, model: Image.Image, wanted: float, exact: bool
) -> None:
    model = model.copy()
    model.paste("lime", (0, 0, 20, 20))  # inside the mask, which does not count
    result = finished(
        encoded(model, "PNG"),
        original=checked(original),
        plane=boxed(40, 20, 0, 0, 20, 20),
        exact=exact,
    )
    assert result.drift == pytest.approx(wanted, abs=1e-9)


def test_a_mask_over_everything_leaves_nothing_to_drift() -> None:
    result = finished(
        encoded(Image.new("RGB", (8, 8), "red"), "PNG"),
        original=checked(Image.new("RGB", (8, 8), "blue")),
        plane=boxed(8, 8, 0, 0, 8, 8),
    )
    assert result.drift == 0.0
    assert _pixels(result.picture) == Image.new("RGBA", (8, 8), "red").tobytes()
