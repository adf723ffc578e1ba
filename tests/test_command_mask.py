"""`imageedit mask`: what each selection selects, pixel by pixel, and that an edit keeps to it."""

from __future__ import annotations

import re
import shlex
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageChops

from cli.__main__ import main
from server.domain import MaskConvention
from server.imaging.masks import read_mask
from tests.pictures import decoded, encoded, exif
from tests.programs import ROOT
from tests.running import Gateway

WIDTH, HEIGHT = 40, 20


def scene() -> Image.Image:
    """A picture of blue left of the middle, and grey that gets brighter right of it."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (0, 0, 200))
    for x in range(20, WIDTH):
        image.paste((x * 6,) * 3, (x, 0, x + 1, HEIGHT))
    return image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photo.png").write_bytes(encoded(scene(), "PNG"))
    (tmp_path / "note.txt").write_text("hello")
    return tmp_path


def mask(folder: Path, *options: str, image: str = "photo.png") -> Result:
    given = ("mask", str(folder / image), "-o", str(folder / "mask.png"))
    return CliRunner().invoke(main, [*given, *options])


def selected(folder: Path) -> set[tuple[int, int]]:
    """Return the pixels that are white; the others must be black."""
    with Image.open(folder / "mask.png") as drawn:
        assert (drawn.format, drawn.mode, drawn.size) == ("PNG", "L", (WIDTH, HEIGHT))
        assert {level for _, level in drawn.getcolors()} <= {0, 255}
        return {(x, y) for x in range(WIDTH) for y in range(HEIGHT) if drawn.getpixel((x, y))}


def pixels(left: int, top: int, right: int, bottom: int) -> set[tuple[int, int]]:
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


ALL = pixels(0, 0, WIDTH, HEIGHT)
# what is asked, what is selected of it
SELECTIONS = [
    (("--rectangle", "5,3,10,4"), pixels(5, 3, 15, 7)),
    (("--rectangle", "-5,-5,10,10"), pixels(0, 0, 5, 5)),
    (("--rectangle", "0,0,2,2", "--rectangle", "9,9,1,1"), pixels(0, 0, 2, 2) | {(9, 9)}),
    (("--rectangle", "5,3,10,4", "--invert"), ALL - pixels(5, 3, 15, 7)),
    (("--polygon", "0,0 9,0 9,9 0,9"), pixels(0, 0, 10, 10)),
    (("--colour", "#0000c8"), pixels(0, 0, 20, HEIGHT)),
    (("--colour", "0000c8", "--bright", "228"), pixels(0, 0, 20, 20) | pixels(38, 0, 40, 20)),
    (("--colour", "#787878", "--tolerance", "6"), pixels(20, 0, 22, HEIGHT)),
    (("--colour", "#0a0ac8", "--tolerance", "10"), pixels(0, 0, 20, HEIGHT)),
    (("--bright", "0"), ALL),
]


@pytest.mark.parametrize(("options", "expected"), SELECTIONS)
def test_a_selection(
    folder: Path, options: tuple[str, ...], expected: set[tuple[int, int]]
) -> None:
    result = mask(folder, *options)
    assert result.exit_code == 0, result.output
    assert selected(folder) == expected
    assert f"40x20, {len(expected) / len(ALL):.1%} is to be edited" in result.stderr


def test_an_ellipse_fills_its_box(folder: Path) -> None:
    assert mask(folder, "--ellipse", "4,2,20,12").exit_code == 0
    found = selected(folder)
    assert found <= pixels(4, 2, 24, 14)
    assert {(14, 2), (14, 13), (4, 8), (23, 8)} <= found
    assert not {(4, 2), (23, 2), (4, 13), (23, 13)} & found
    assert abs(len(found) - 3.1416 * 10 * 6) < 12


def test_a_feather_is_soft_and_cut_where_the_edge_was(folder: Path) -> None:
    assert mask(folder, "--rectangle", "10,0,20,20", "--feather", "2").exit_code == 0
    data = (folder / "mask.png").read_bytes()
    row = [decoded(data, "L").getpixel((x, 10)) for x in range(WIDTH)]
    assert row[5:16] == sorted(row[5:16])
    assert len(set(row)) > 8
    plane = read_mask(data, MaskConvention.OPAQUE, WIDTH, HEIGHT)
    assert plane.bounding_box == (10, 0, 30, 20)


def test_a_photo_that_lies_on_its_side_gets_an_upright_mask(folder: Path) -> None:
    turned = encoded(scene(), "JPEG", exif=b"Exif\0\0" + exif(6))
    (folder / "turned.jpg").write_bytes(turned)
    assert mask(folder, "--rectangle", "0,0,3,3", image="turned.jpg").exit_code == 0
    with Image.open(folder / "mask.png") as drawn:
        assert drawn.size == (HEIGHT, WIDTH)


# what is asked, the exit code, what is said
WRONG = [
    ((), 2, "--rectangle, --ellipse, --polygon, --colour or --bright"),
    (("--rectangle", "1,2,3"), 2, "left,top,width,height"),
    (("--rectangle", "1,2,0,4"), 2, "left,top,width,height"),
    (("--rectangle", "1,2,99999999,4"), 2, "left,top,width,height"),
    (("--polygon", "1,2 3,4"), 2, "three points"),
    (("--polygon", "1,2 3,4 5,6 seven"), 2, "three points"),
    (("--colour", "blue"), 2, "#87ceeb"),
    (("--bright", "256"), 2, "--bright"),
    (("--colour", "#ff0000", "--tolerance", "0"), 3, "nothing where the mask selects"),
    (("--rectangle", "50,50,9,9"), 3, "nothing where the mask selects"),
    (("--colour", "#ff0000", "--tolerance", "0"), 3, "A larger --tolerance"),
    (("--rectangle", "50,50,9,9"), 3, "pixels, counted from its left"),
]


@pytest.mark.parametrize(("options", "exit_code", "says"), WRONG)
def test_what_is_no_mask_is_said(
    folder: Path, options: tuple[str, ...], exit_code: int, says: str
) -> None:
    result = mask(folder, *options)
    assert (result.exit_code, (folder / "mask.png").exists()) == (exit_code, False)
    assert says in result.stderr


def test_a_file_that_is_no_picture_is_said(folder: Path) -> None:
    result = mask(folder, "--bright", "1", image="note.txt")
    assert result.exit_code == 3
    assert "note.txt" in result.stderr
    assert "PNG, JPEG or WebP" in result.stderr


def test_an_edit_keeps_to_the_mask_that_was_made(gateway: Gateway, folder: Path) -> None:
    assert mask(folder, "--rectangle", "10,5,20,10").exit_code == 0
    given = ("edit", str(folder / "photo.png"), "invert", "--mask", str(folder / "mask.png"))
    rest = ("-o", str(folder / "out.png"), "--url", gateway.url, "--key", gateway.key)
    result = CliRunner().invoke(main, [*given, *rest, "--model", "qwen/qwen-image-edit"])
    assert result.exit_code == 0, result.output
    after = decoded((folder / "out.png").read_bytes(), "RGB")
    changed = ImageChops.difference(scene(), after).getbbox()
    assert changed == (10, 5, 30, 15)


def test_the_pages_commands_make_masks(tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    page = (ROOT / "docs" / "masks.md").read_text(encoding="utf-8")
    commands = re.findall(r"^imageedit (mask .*)$", page, re.MULTILINE)
    assert len(commands) == 4
    with chdir(tmp_path):
        for command in commands:
            result = CliRunner().invoke(main, shlex.split(command))
            assert result.exit_code == 0, result.output
            share = re.search(r"saved mask.png: 1536x1024, ([0-9.]+)% is", result.stderr)
            assert share is not None
            assert 1 < float(share[1]) < 99
