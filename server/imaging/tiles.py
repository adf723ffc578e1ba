"""The parts by which two pictures are compared: tiles that are protected as a whole."""

from __future__ import annotations

from PIL import Image, ImageFilter

from server.sizes import Size

_ALONG = 32  # tiles of the longer side, so that a few hundred stand for any picture
_SQUARE = 4  # tiles of a chessboard's square, along each side
_FEWEST = 75  # tiles in each half


class Tiles:
    """The tiles of a picture, the same at every resolution, of which some are to be compared.

    Whatever is given for each of these, `across` and `down` among them, has one list for the
    white squares of a chessboard and one for the black. `across` and `down` say where a tile's
    middle is, from the picture's own, in shares of the longer side. `finest` is the largest
    number of pixels that a tile can have along each side.
    """

    def __init__(self, keep: Image.Image, finest: int) -> None:
        """Take the tiles in which `keep` (grey) is 255 all over, but none at the rim.

        The rim may be missing in a model's picture, and edits reach a little beyond their masks.
        """
        width, height = keep.size
        longer = max(width, height)
        columns, rows = (max(1, round(_ALONG * side / longer)) for side in keep.size)
        self._grid = columns, rows
        self.finest = min(finest, longer // _ALONG)
        small = keep.resize(self.size(2), Image.Resampling.BOX).point([0] * 255 + [255])
        sure = small.filter(ImageFilter.MinFilter(3)).reduce(2).tobytes()
        inner = [
            row * columns + column
            for row in range(1, rows - 1)
            for column in range(1, columns - 1)
            if sure[row * columns + column] == 255
        ]
        self._halves = [
            [i for i in inner if (i // columns // _SQUARE + i % columns // _SQUARE) % 2 == colour]
            for colour in (0, 1)
        ]
        self.across = [
            [(i % columns + 0.5 - columns / 2) / _ALONG for i in h] for h in self._halves
        ]
        self.down = [[(i // columns + 0.5 - rows / 2) / _ALONG for i in h] for h in self._halves]

    @property
    def enough(self) -> bool:
        """Whether there are enough of them in each half to tell anything."""
        return all(len(half) >= _FEWEST for half in self._halves)

    def size(self, tile: int) -> Size:
        """Return the size of a picture whose tiles have `tile` pixels along each side."""
        return self._grid[0] * tile, self._grid[1] * tile

    def means(self, image: Image.Image) -> list[list[float]]:
        """Return the mean of each tile of `image`, in floats and of a size that `size` gives."""
        found = memoryview(image.reduce(image.width // self._grid[0]).tobytes()).cast("f")
        return [[found[index] for index in half] for half in self._halves]
