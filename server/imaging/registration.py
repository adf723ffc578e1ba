"""Finds a small shift and stretch between two pictures of one scene, to a fraction of a pixel.

Lucas and Kanade's method in its inverse compositional form (Baker and Matthews, "Lucas-Kanade 20
years on", 2004), from coarse to fine, on the structure of the grey pictures: what is left when
slow changes of brightness are taken out. The gain between the two is estimated along, so pictures
in other colours, darker or even inverted match as well.

How sure it is shows when each half of the picture, by the squares of a chessboard, is asked alone:
where there is something to see and it is the same scene, both say the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFilter, ImageMath

from server.imaging.placement import Placement
from server.sizes import Size

_LEVELS = (64, 128, 256, 512, 1024)  # longer side in pixels
_ROUNDS = 5
_SQUARE = 8  # of the chessboard, in pixels
_FEWEST = 300  # pixels of a level that are protected, in each half
_SLOW = 5  # pixels over which brightness may change without being structure

ALIKE = 0.5
"""The likeness from which on two pictures show one scene; that of unrelated ones is below 0.2."""
ONE_PLACE = 0.75
"""Pixels of the source by which two pictures may be apart without anybody seeing it."""

Vector = tuple[float, float, float, float]  # shift and stretch across, shift and stretch down


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the model put the picture, and how sure that is.

    `likeness` is the correlation of both structures there, 0 to 1; `doubt` is how far, in shares
    of the longer side, the two halves disagree on any place.
    """

    placement: Placement
    likeness: float
    doubt: float


def register(
    source: Image.Image, model: Image.Image, keep: Image.Image, *, finest: int
) -> Registration | None:
    """Return where `model` shows what `source` shows under `keep`; None: cannot be told.

    All are grey pictures; `keep` is 255 where both should show the same. The aspect ratios agree.
    Goes no finer than `finest` pixels a side, nor than it takes to be sure that both are in one
    place or that they are not alike at all.
    """
    result = None
    placement = Placement()
    for longer in _LEVELS:
        size = _scaled(source.size, longer)
        level = _Level(size, source, model, keep)
        result = level.refined(placement) if level.usable else None
        if result is None or longer >= min(finest, max(source.size)):
            return result
        placement = result.placement
        off = max(placement.offsets(source.size)) + 2 * result.doubt * max(source.size)
        in_place = result.likeness > ALIKE and off < ONE_PLACE
        if longer > _LEVELS[0] and (in_place or result.likeness < ALIKE / 2):
            return result
    return result


def structure(grey: Image.Image, size: Size) -> Image.Image:
    """Return `grey` at `size` without its slow changes, in floats around 0."""
    small = grey.resize(size, Image.Resampling.BOX)
    fine = small.filter(ImageFilter.GaussianBlur(0.8)).convert("F")
    slow = small.filter(ImageFilter.GaussianBlur(_SLOW)).convert("F")
    return _computed(lambda names: names["a"] - names["b"], a=fine, b=slow)


class _Level:
    """Both pictures at one resolution, with all that does not change from round to round."""

    def __init__(
        self, size: Size, source: Image.Image, model: Image.Image, keep: Image.Image
    ) -> None:
        self._size = size
        self._model = structure(model, size)
        self._source = structure(source, size)
        self._halves = _halves(keep, size)
        self.usable = all(_sum(half) >= _FEWEST for half in self._halves)
        if self.usable:
            across = _slope(self._source, 1, 0)
            down = _slope(self._source, 0, 1)
            x, y = _ramps(size)
            steps = [across, _product(across, x), down, _product(down, y)]
            self._steps = [[_product(half, step) for step in steps] for half in self._halves]
            self._curves = [_curves(weighted, steps) for weighted in self._steps]
            # The halves have no pixel in common, so both together are their sum.
            self._both = _plus(*self._halves)
            self._both_steps = [_plus(*pair) for pair in zip(*self._steps, strict=True)]
            self._weighed = _product(self._both, self._source)
            self._own = _sum(_product(self._weighed, self._source))

    def refined(self, start: Placement) -> Registration | None:
        """Return the best placement near `start`, None where there is none."""
        state = _to_vector(start, self._size)
        together = _added(self._curves)
        for _ in range(_ROUNDS):
            error, _ = self._compared(state)
            step = _solved(together, _pulls(self._both_steps, error))
            if step is None:
                return None
            state = _composed(state, step)
            if max(map(abs, state)) > 0.25:
                return None
            if max(map(abs, step)) * max(self._size) < 0.03:
                break
        error, likeness = self._compared(state)
        alone = [
            _solved(curves, _pulls(steps, error))
            for curves, steps in zip(self._curves, self._steps, strict=True)
        ]
        if alone[0] is None or alone[1] is None:
            return None
        difference = [a - b for a, b in zip(*alone, strict=True)]
        doubt = max(
            abs(difference[0]) + abs(difference[1]) / 2, abs(difference[2]) + abs(difference[3]) / 2
        )
        # Halves of independent errors differ by twice what their mean is off.
        return Registration(_to_placement(state, self._size), likeness, doubt / 2)

    def _compared(self, state: Vector) -> tuple[Image.Image, float]:
        """Return the differences, and the likeness, of both structures there."""
        moved = self._moved(state)
        cross = _sum(_product(self._weighed, moved))
        power = _sum(_product(_product(self._both, moved), moved))
        gain = cross / power if power else 0.0
        likeness = abs(cross) / math.sqrt(power * self._own) if power and self._own else 0.0
        error = _computed(lambda names: names["a"] * gain - names["b"], a=moved, b=self._source)
        return error, likeness

    def _moved(self, state: Vector) -> Image.Image:
        placed = _to_placement(state, self._size)
        width, height = self._size
        across = (placed.stretch_x, 0, placed.shift_x * width)
        terms = (*across, 0, placed.stretch_y, placed.shift_y * height)
        return self._model.transform(
            self._size, Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC
        )


def _scaled(size: Size, longer: int) -> Size:
    factor = min(1.0, longer / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _halves(keep: Image.Image, size: Size) -> list[Image.Image]:
    """Return the weights of the white squares and of the black ones, 0 or 1."""
    small = keep.resize(size, Image.Resampling.BOX)
    # Edits reach a little beyond their masks, and the rim may be missing in the model's picture.
    sure = small.filter(ImageFilter.MinFilter(3)).point([0] * 255 + [255])
    rim = max(2, max(size) // 24)
    inner = Image.new("L", size)
    inner.paste(255, (rim, rim, max(rim, size[0] - rim), max(rim, size[1] - rim)))
    halves = []
    for first in (255, 0):
        board = Image.new("L", (size[0] // _SQUARE + 1, size[1] // _SQUARE + 1))
        squares = range(board.width * board.height)
        board.putdata(
            [first if (i % board.width + i // board.width) % 2 else 255 - first for i in squares]
        )
        full = (board.width * _SQUARE, board.height * _SQUARE)
        field = board.resize(full, Image.Resampling.NEAREST).crop((0, 0, *size))
        weight = Image.new("L", size)
        weight.paste(Image.composite(sure, weight, inner), mask=field)
        halves.append(weight.point([0] * 128 + [1] * 128).convert("F"))
    return halves


def _ramps(size: Size) -> tuple[Image.Image, Image.Image]:
    """Return x and y of every pixel from the middle, in shares of the longer side."""
    longer = max(size)
    across = [(index + 0.5 - size[0] / 2) / longer for index in range(size[0])]
    down = [(index + 0.5 - size[1] / 2) / longer for index in range(size[1])]
    row, column = Image.new("F", (size[0], 1)), Image.new("F", (1, size[1]))
    row.putdata(across)
    column.putdata(down)
    nearest = Image.Resampling.NEAREST
    return row.resize(size, nearest), column.resize(size, nearest)


def _slope(image: Image.Image, across: int, down: int) -> Image.Image:
    """Return the change for each longer side's length."""
    after = image.transform(image.size, Image.Transform.AFFINE, (1, 0, across, 0, 1, down))
    before = image.transform(image.size, Image.Transform.AFFINE, (1, 0, -across, 0, 1, -down))
    half = max(image.size) / 2
    return _computed(lambda names: (names["a"] - names["b"]) * half, a=after, b=before)


def _computed(formula: Callable[[dict[str, Any]], Any], **images: Image.Image) -> Image.Image:
    result: Image.Image = ImageMath.lambda_eval(formula, **images)
    return result


def _product(one: Image.Image, other: Image.Image) -> Image.Image:
    return _computed(lambda names: names["a"] * names["b"], a=one, b=other)


def _plus(one: Image.Image, other: Image.Image) -> Image.Image:
    return _computed(lambda names: names["a"] + names["b"], a=one, b=other)


def _curves(weighted: Sequence[Image.Image], steps: Sequence[Image.Image]) -> list[list[float]]:
    """Return the sums of all products of two steps, a symmetric matrix."""
    matrix = [[0.0] * len(steps) for _ in steps]
    for row, step in enumerate(weighted):
        for column in range(row + 1):
            matrix[row][column] = matrix[column][row] = _sum(_product(step, steps[column]))
    return matrix


def _pulls(steps: Sequence[Image.Image], error: Image.Image) -> list[float]:
    """Return what the differences pull at each parameter."""
    return [_sum(_product(step, error)) for step in steps]


def _sum(image: Image.Image) -> float:
    mean = image.reduce(image.size).getpixel((0, 0))
    return float(mean) * image.width * image.height  # type: ignore[arg-type]


def _added(matrices: Sequence[list[list[float]]]) -> list[list[float]]:
    return [[sum(cell) for cell in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]


def _solved(matrix: list[list[float]], right: list[float]) -> Vector | None:
    """Return the solution of a symmetric system by Gauss's elimination; None: it has none."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    scale = [rows[index][index] for index in range(4)]
    for index in range(4):
        pivot = rows[index][index]
        if pivot <= 1e-3 * scale[index] or not pivot > 0:  # this parameter cannot be told
            return None
        rows[index] = [cell / pivot for cell in rows[index]]
        for other in range(4):
            if other != index:
                factor = rows[other][index]
                pairs = zip(rows[other], rows[index], strict=True)
                rows[other] = [cell - factor * part for cell, part in pairs]
    return rows[0][4], rows[1][4], rows[2][4], rows[3][4]


def _composed(state: Vector, step: Vector) -> Vector:
    """Return `state` after the inverse of `step`."""
    across = (1 + state[1]) / (1 + step[1])
    down = (1 + state[3]) / (1 + step[3])
    return state[0] - step[0] * across, across - 1, state[2] - step[2] * down, down - 1


def _to_placement(state: Vector, size: Size) -> Placement:
    """Return what `state`, about the middle and in shares of the longer side, means."""
    across, down = (max(size) / side for side in size)
    return Placement(
        1 + state[1], state[0] * across - state[1] / 2, 1 + state[3], state[2] * down - state[3] / 2
    )


def _to_vector(placement: Placement, size: Size) -> Vector:
    across, down = (side / max(size) for side in size)
    return (
        (placement.shift_x + (placement.stretch_x - 1) / 2) * across,
        placement.stretch_x - 1,
        (placement.shift_y + (placement.stretch_y - 1) / 2) * down,
        placement.stretch_y - 1,
    )
