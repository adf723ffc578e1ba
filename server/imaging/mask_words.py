"""A mask in words, for models that take no mask of their own."""

from __future__ import annotations

from server.imaging.coverage import CoveragePlane
from server.imaging.regions import Region, parts

_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("left", "centre", "right")
_MOST = 0.5  # of the picture
_MOST_OF_SIDE = 2 / 3
_CORNERS = {
    ("top", "left"): "upper left",
    ("top", "centre"): "top",
    ("top", "right"): "upper right",
    ("middle", "left"): "left side",
    ("middle", "centre"): "centre",
    ("middle", "right"): "right side",
    ("bottom", "left"): "lower left",
    ("bottom", "centre"): "bottom",
    ("bottom", "right"): "lower right",
}


def second_image_instruction(image_count: int) -> str:
    """Return what goes before the prompt when the mask follows `image_count` pictures."""
    if image_count == 1:
        pictures = "You get two images. Image 1 is the picture to edit. Image 2 is its mask: "
    else:
        others = (
            "Image 2 is a reference"
            if image_count == 2
            else f"Images 2 to {image_count} are references"
        )
        pictures = (
            f"You get {image_count + 1} images. Image 1 is the picture to edit. {others}. "
            f"Image {image_count + 1}, the last one, is the mask for image 1: "
        )
    return (
        f"{pictures}white marks the region to change, everything under black must stay exactly as "
        "it is in image 1. Do not draw the mask itself. Keep the size and framing of image 1."
    )


def region_instruction(plane: CoveragePlane) -> str:
    """Return what goes before the prompt to say where the edit belongs.

    `plane` selects something: what selects nothing has no place, and a mask like that is refused.
    Where it selects most of the picture around one thing, that thing is told instead.
    """
    kept = parts(plane.inverted()) if plane.share > _MOST else []
    if len(kept) == 1 and not _reaches_over_most(kept[0]):
        return (
            f"Change everything but {_described(kept[0])}. That region must stay exactly as it is. "
            "Keep the size and framing."
        )
    regions = parts(plane)
    if len(regions) > 1:
        numbered = enumerate(regions, 1)
        listed = " ".join(f"({number}) {_briefly(region)}." for number, region in numbered)
        return (
            f"Change only these {len(regions)} regions, counted from the left and from the top: "
            f"{listed} Everything outside them must stay exactly as it is. Keep the size and "
            "framing."
        )
    return (
        f"Change only {_described(regions[0])}. Everything outside this region must stay exactly "
        "as it is. Keep the size and framing."
    )


def _described(region: Region) -> str:
    across, down = _across(region), _down(region)
    return (
        f"{_place(region)}: {across}, counted from the left, and {down}, counted from the top; it "
        f"is {_share(region)} of the picture"
    )


def _briefly(region: Region) -> str:
    return f"{_place(region)}: {_across(region)} and {_down(region)}, {_share(region)} of it"


def _across(region: Region) -> str:
    return f"from {_percent(region.left)} to {_percent(region.right)} of the width"


def _down(region: Region) -> str:
    return f"from {_percent(region.top)} to {_percent(region.bottom)} of the height"


def _place(region: Region) -> str:
    row = _ROWS[_third(region.top, region.bottom)]
    column = _COLUMNS[_third(region.left, region.right)]
    wide, high = (
        region.right - region.left > _MOST_OF_SIDE,
        region.bottom - region.top > _MOST_OF_SIDE,
    )
    if wide and high:
        return f"the {region.shape} region that reaches over most of the picture"
    if wide:
        return f"the {region.shape} region across the {row} of the picture"
    if high:
        return f"the {region.shape} region down the {_CORNERS['middle', column]} of the picture"
    return f"the {region.shape} region at the {_CORNERS[row, column]} of the picture"


def _reaches_over_most(region: Region) -> bool:
    return min(region.right - region.left, region.bottom - region.top) > _MOST_OF_SIDE


def _third(start: float, end: float) -> int:
    return min(2, int((start + end) * 1.5))


def _share(region: Region) -> str:
    percent = round(region.share * 100)
    return f"about {percent} %" if percent else "less than 1 %"


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
