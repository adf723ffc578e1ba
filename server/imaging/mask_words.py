"""A mask in words, for models that take no mask of their own."""

from __future__ import annotations

from server.imaging.coverage import CoveragePlane

_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("left", "centre", "right")
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
    """
    left, top, right, bottom = plane.bounding_box or (0, 0, plane.width, plane.height)
    across = f"from {_percent(left, plane.width)} to {_percent(right, plane.width)} of the width"
    down = f"from {_percent(top, plane.height)} to {_percent(bottom, plane.height)} of the height"
    return (
        f"Change only {_place(plane)}: {across}, counted from the left, and {down}, counted from "
        f"the top; it is {_share(plane)} of the picture. Everything outside this region must stay "
        "exactly as it is. Keep the size and framing."
    )


def _place(plane: CoveragePlane) -> str:
    left, top, right, bottom = plane.bounding_box or (0, 0, plane.width, plane.height)
    wide = (right - left) * 3 > plane.width * 2
    high = (bottom - top) * 3 > plane.height * 2
    row = _ROWS[(top + bottom) * 3 // (2 * plane.height + 1)]
    column = _COLUMNS[(left + right) * 3 // (2 * plane.width + 1)]
    if wide and high:
        return "the marked region, which reaches over most of the picture"
    if wide:
        return f"the region across the {row} of the picture"
    if high:
        return f"the region down the {_CORNERS['middle', column]} of the picture"
    return f"the region at the {_CORNERS[row, column]} of the picture"


def _share(plane: CoveragePlane) -> str:
    percent = round(plane.share * 100)
    return f"about {percent} %" if percent else "less than 1 %"


def _percent(part: int, whole: int) -> str:
    return f"{round(100 * part / whole)} %"
