"""`imageedit mask`: makes a mask from shapes, a colour, or the bright part of a picture."""

from __future__ import annotations

from pathlib import Path

import click

from cli.saved import save
from cli.shapes import Box, HexColour, Points

NOT_USABLE = 3
LEVEL = click.IntRange(0, 255)


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where the mask goes; a .png.",
)
@click.option("--rectangle", "rectangles", multiple=True, type=Box(), help="In pixels.")
@click.option("--ellipse", "ellipses", multiple=True, type=Box(), help="What fills that box.")
@click.option("--polygon", "polygons", multiple=True, type=Points(), help="Three points or more.")
@click.option(
    "--colour", "colours", multiple=True, type=HexColour(), help="Pixels of about this colour."
)
@click.option(
    "--tolerance",
    type=LEVEL,
    default=32,
    show_default=True,
    help="How far each of red, green and blue may be from a --colour.",
)
@click.option("--bright", type=LEVEL, help="Pixels of this luminance or more.")
@click.option("--invert", is_flag=True, help="Select all the rest.")
@click.option(
    "--feather",
    type=click.FloatRange(0, 1000),
    default=0.0,
    metavar="N",
    help="A soft edge of N pixels, for other programs: this gateway cuts a mask at the middle and"
    " blends the seam itself.",
)
def mask(
    *,
    image: Path,
    output: Path,
    rectangles: tuple[tuple[int, int, int, int], ...],
    ellipses: tuple[tuple[int, int, int, int], ...],
    polygons: tuple[tuple[tuple[int, int], ...], ...],
    colours: tuple[tuple[int, int, int], ...],
    tolerance: int,
    bright: int | None,
    invert: bool,
    feather: float,
) -> None:
    """Make a mask for IMAGE: white is what an edit may change. Selections add up.

    \b
    imageedit mask photo.jpg -o mask.png --rectangle 0,0,640,200
    imageedit mask photo.jpg -o mask.png --ellipse 50,40,200,120 --polygon "0,0 90,0 0,90"
    imageedit mask photo.jpg -o sky.png --colour "#87ceeb" --tolerance 40
    imageedit mask photo.jpg -o dark.png --bright 128 --invert
    """
    # Pillow is slow to load, and completion and --help need none of it.
    from server.imaging import draw_mask as draw  # noqa: PLC0415
    from server.imaging.bad_picture import BadPicture  # noqa: PLC0415

    if output.suffix.lower() != ".png":
        raise click.BadParameter("must end in .png", param_hint="--output")
    selections: list[draw.Selection] = [draw.Rectangle(box) for box in rectangles]
    selections += [draw.Ellipse(box) for box in ellipses]
    selections += [draw.Polygon(points) for points in polygons]
    selections += [draw.Colour(rgb, tolerance) for rgb in colours]
    selections += [] if bright is None else [draw.Bright(bright)]
    if not selections:
        raise click.UsageError(
            "Say what to select: --rectangle, --ellipse, --polygon, --colour or --bright."
        )
    try:
        drawn = draw.draw_mask(image.read_bytes(), selections, invert=invert, feather=feather)
    except BadPicture as error:
        click.echo(f"Error: {image} {error.message}", err=True)
        if isinstance(error, draw.NothingSelected):
            click.echo(_advice(error.size, looks=bool(colours) or bright is not None), err=True)
        raise click.exceptions.Exit(NOT_USABLE) from None
    save(output, drawn.data)
    size = f"{drawn.width}x{drawn.height}"
    click.echo(f"saved {output}: {size}, {drawn.share:.1%} is to be edited", err=True)


def _advice(size: tuple[int, int], *, looks: bool) -> str:
    """Return what may help where nothing is selected of a picture of `size` pixels."""
    words = f"It is {size[0]}x{size[1]} pixels, counted from its left and top."
    return f"{words} A larger --tolerance, or a lower --bright, selects more." if looks else words
