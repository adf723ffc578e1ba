"""docs/pictures/benchmark.png: the main figures as bars, a panel each."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

from bench.peers import figures
from bench.peers.gateways import GATEWAYS
from bench.peers.installs import ROOT
from bench.peers.results import Results

FILE = ROOT / "docs" / "pictures" / "benchmark.png"
WIDTH, PANEL, ROW, TOP, EDGE = 1600, 780, 46, 96, 20
NAMES_WIDTH, FIGURES_WIDTH = 250, 120
INK, PALE, PAPER = "#1f2328", "#656d76", "#ffffff"
COLOURS = {"ours": "#1a7f5a", "apart": "#5fb592", "nginx": "#c4c9cf"}
OTHERS = "#8a94a3"
Figure = Callable[[str], list[float]]


def write(found: Results) -> None:
    """Draw the chart and write it."""
    draw(found).save(FILE, optimize=True)


def draw(found: Results) -> Image.Image:
    """Return the chart: two panels beside each other, as many rows of them as it takes."""
    panels = panels_of(found)
    height = TOP + ROW * len(found.versions) + 2 * EDGE
    image = Image.new("RGB", (WIDTH, height * ((len(panels) + 1) // 2) + EDGE), PAPER)
    for place, panel in enumerate(panels):
        left = EDGE + (place % 2) * (WIDTH - 2 * EDGE - PANEL)
        _panel(image, (left, EDGE + (place // 2) * height), panel, found)
    return image


def panels_of(found: Results) -> list[tuple[str, str, Figure]]:
    """Return title, hint and figures of each panel."""
    return [
        ("CPU for an edit of 1 MB", "ms over all processes, 8 at once; less is better",
         lambda name: figures.values(found, name, "1MB", 8, figures.cpu)),
        ("Edits of 1 MB a second", "8 at once, load on the same machine; more is better",
         lambda name: figures.values(found, name, "1MB", 8, figures.rate)),
        ("Added latency of 1 MB", "ms, p50, one after the other; less is better",
         lambda name: figures.added_values(found, name, "1MB")),
        ("Memory of a held edit of 1 MB", "KiB over all processes, 300 held; less is better",
         lambda name: [figures.held_each(one) for one in found.held
                       if (one.gateway, one.size) == (name, "1MB")]),
    ]  # fmt: skip


def _panel(
    image: Image.Image,
    corner: tuple[int, int],
    panel: tuple[str, str, Figure],
    found: Results,
) -> None:
    (left, top), (title, hint, figure) = corner, panel
    pen = ImageDraw.Draw(image)
    pen.text((left, top), title, INK, ImageFont.load_default(30))
    pen.text((left, top + 40), hint, PALE, ImageFont.load_default(20))
    bars = {name: figure(name) for name in found.versions}
    most = max((max(runs) for runs in bars.values() if runs), default=1.0)
    room = PANEL - NAMES_WIDTH - FIGURES_WIDTH
    font = ImageFont.load_default(22)
    for place, (name, runs) in enumerate(bars.items()):
        y = top + TOP - EDGE + place * ROW
        pen.text((left, y + 6), GATEWAYS[name].title, INK, font)
        if not runs:
            pen.text((left + NAMES_WIDTH, y + 6), "no figure", PALE, font)
            continue
        middle = statistics.median(runs)
        start = left + NAMES_WIDTH
        end = start + max(2, round(room * max(0.0, middle) / most))
        pen.rectangle((start, y + 4, end, y + ROW - 12), COLOURS.get(name, OTHERS))
        low, high = (start + round(room * max(0.0, each) / most) for each in (min(runs), max(runs)))
        pen.line((low, y + ROW // 2 - 4, high, y + ROW // 2 - 4), INK, 2)
        pen.text((max(end, high) + 10, y + 6), figures.number(middle), INK, font)
