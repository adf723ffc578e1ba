"""Where a model put the picture that it was given: a shift and a stretch in each direction."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from server.sizes import Size

Box = tuple[int, int, int, int]  # left, top, right, bottom, the last two exclusive


@dataclass(frozen=True, slots=True)
class Placement:
    """What is at (x, y) on the canvas is at (x * stretch_x + shift_x, …) in the model's picture.

    Both pictures are taken to fill the unit square, so that a placement fits any resolution:
    x and y run from 0 to 1.
    """

    stretch_x: float = 1.0
    shift_x: float = 0.0
    stretch_y: float = 1.0
    shift_y: float = 0.0

    def offsets(self, size: Size) -> tuple[float, float]:
        """Return how far a canvas of `size` is off at the most, across and down, in pixels."""
        across = max(abs(self.shift_x), abs(self.shift_x + self.stretch_x - 1)) * size[0]
        down = max(abs(self.shift_y), abs(self.shift_y + self.stretch_y - 1)) * size[1]
        return across, down

    def middle(self, size: Size) -> tuple[float, float]:
        """Return how far the middle of a canvas of `size` is off, across and down, in pixels."""
        across = self.shift_x + (self.stretch_x - 1) / 2
        down = self.shift_y + (self.stretch_y - 1) / 2
        return across * size[0], down * size[1]

    def undo(self, model: Image.Image, canvas: Image.Image, box: Box) -> None:
        """Bring the model's picture to `canvas`, of the same mode, its content where it belongs.

        That is done in `box` of the canvas alone. At the rim, which the model's picture may not
        reach, the canvas stays as it is. `canvas` may be `model` itself.
        """
        left, right = _reached(self.stretch_x, self.shift_x, canvas.width, box[0::2])
        top, bottom = _reached(self.stretch_y, self.shift_y, canvas.height, box[1::2])
        if left < right and top < bottom:
            seen = (
                (left / canvas.width * self.stretch_x + self.shift_x) * model.width,
                (top / canvas.height * self.stretch_y + self.shift_y) * model.height,
                (right / canvas.width * self.stretch_x + self.shift_x) * model.width,
                (bottom / canvas.height * self.stretch_y + self.shift_y) * model.height,
            )
            size = (right - left, bottom - top)
            canvas.paste(model.resize(size, Image.Resampling.LANCZOS, box=seen), (left, top))


def _reached(stretch: float, shift: float, side: int, wanted: tuple[int, ...]) -> tuple[int, int]:
    """Return the first and the last (exclusive) of the `wanted` pixels that the model's covers."""
    first = -(-max(0.0, -shift / stretch) * side // 1)
    last = min(1.0, (1 - shift) / stretch) * side // 1
    return max(int(first), wanted[0]), min(int(last), wanted[1])
