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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from server.imaging.normal_equations import Vector, added, dot, matrix, solved
from server.imaging.placement import Placement
from server.imaging.structure import product, slopes, structure
from server.imaging.tiles import Tiles
from server.sizes import Size

_COARSEST = 2  # pixels of a tile; at every further level there are twice as many
_ROUNDS = 5
_SETTLED = 0.03  # pixels; what a step leaves undone is a small part of it
_MARGIN = 8  # the part of a side by which a picture may be off
_FARTHEST = 0.25  # shift or stretch

ALIKE = 0.5
"""The likeness from which on two pictures show one scene; that of unrelated ones is below 0.2."""


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
    source: Image.Image, model: Image.Image, tiles: Tiles, *, one_place: float
) -> Registration | None:
    """Return where `model` shows what `source` shows in `tiles`; None: cannot be told.

    Both are grey pictures of the tiles' finest size. Goes no finer than it takes to be sure that
    they are within `one_place` (shares of the longer side) of each other, or not alike at all.
    """
    if not tiles.enough:
        return None
    placement, tile = Placement(), _COARSEST
    while True:
        result = _Level(tiles, tile, source, model).refined(placement)
        if result is None or tile >= tiles.finest:
            return result
        placement = result.placement
        off = max(placement.offsets((1, 1))) + 2 * result.doubt
        in_place = result.likeness > ALIKE and off < one_place
        if tile > _COARSEST and (in_place or result.likeness < ALIKE / 2):
            return result
        tile = min(2 * tile, tiles.finest)


class _Level:
    """Both pictures at one resolution, with all that does not change from round to round."""

    def __init__(self, tiles: Tiles, tile: int, source: Image.Image, model: Image.Image) -> None:
        self._tiles = tiles
        self._size = width, height = tiles.size(tile)
        self._margin = max(self._size) // _MARGIN
        far = (-self._margin, -self._margin, width + self._margin, height + self._margin)
        self._model = structure(model, self._size).crop(far)
        self._source = structure(source, self._size)
        self._slopes = across, down = slopes(self._source)
        self._own = _both(self._means(self._source, self._source))
        self._still = [self._means(slope, self._source) for slope in self._slopes]
        pairs = ((across, across), (across, down), (down, down))
        self._curves = [
            matrix(products, places)
            for *products, places in zip(
                *(self._means(*pair) for pair in pairs), self._places(), strict=True
            )
        ]

    def refined(self, start: Placement) -> Registration | None:
        """Return the best placement near `start`, None where there is none."""
        state = _to_vector(start, self._size)
        together = added(self._curves)
        for _ in range(_ROUNDS):
            moved = self._moved(state)
            if moved is None:
                return None
            pulls, likeness = self._compared(moved)
            step = solved(together, [sum(pair) for pair in zip(*pulls, strict=True)])
            if step is None:
                return None
            state = _composed(state, step)
            if max(map(abs, state)) > _FARTHEST:
                return None
            if max(map(abs, step)) * max(self._size) < _SETTLED:
                break
        one, other = (solved(*half) for half in zip(self._curves, pulls, strict=True))
        if one is None or other is None:
            return None
        apart = [abs(a - b) for a, b in zip(one, other, strict=True)]
        # Halves of independent errors differ by twice what their mean is off.
        doubt = max(apart[0] + apart[1] / 2, apart[2] + apart[3] / 2) / 2
        return Registration(_to_placement(state, self._size), likeness, doubt)

    def _compared(self, moved: Image.Image) -> tuple[list[list[float]], float]:
        """Return how the differences pull at each parameter, by halves, and the likeness."""
        cross, power = (_both(self._means(moved, other)) for other in (self._source, moved))
        gain = cross / power if power else 0.0
        likeness = abs(cross) / math.sqrt(power * self._own) if power and self._own else 0.0
        wrong = [
            [
                [gain * now - then for now, then in zip(*half, strict=True)]
                for half in zip(self._means(slope, moved), still, strict=True)
            ]
            for slope, still in zip(self._slopes, self._still, strict=True)
        ]
        pulls = [
            [sum(across), dot(across, x), sum(down), dot(down, y)]
            for across, down, (x, y) in zip(*wrong, self._places(), strict=True)
        ]
        return pulls, likeness

    def _moved(self, state: Vector) -> Image.Image | None:
        """Return the model's structure where it belongs by `state`; None: too far off."""
        placed = _to_placement(state, self._size)
        (width, height), margin = self._size, self._margin
        left, top = placed.shift_x * width + margin, placed.shift_y * height + margin
        box = (left, top, left + placed.stretch_x * width, top + placed.stretch_y * height)
        if min(box) < 0 or box[2] > self._model.width or box[3] > self._model.height:
            return None
        return self._model.resize(self._size, Image.Resampling.BICUBIC, box=box)

    def _means(self, one: Image.Image, other: Image.Image) -> list[list[float]]:
        return self._tiles.means(product(one, other))

    def _places(self) -> Iterable[tuple[list[float], list[float]]]:
        return zip(self._tiles.across, self._tiles.down, strict=True)


def _both(halves: Sequence[Sequence[float]]) -> float:
    return sum(sum(half) for half in halves)


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
