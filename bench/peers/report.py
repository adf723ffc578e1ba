"""docs/benchmark.md and the table of the README, made from what was found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bench.peers import figures
from bench.peers.gateways import GATEWAYS
from bench.peers.installs import ROOT
from bench.peers.material import PHOTO
from bench.peers.results import Results

PAGE = ROOT / "docs" / "benchmark.md"
README = ROOT / "README.md"
MARKED = re.compile(r"(?<=<!-- benchmark -->\n).*?(?=<!-- /benchmark -->)", re.DOTALL)
NAMES = {"64KB": "64 KB", "1MB": "1 MB", "8MB": "8 MB", "25MB": "25 MB", PHOTO: "photo, 1.5 MB"}
Line = tuple[str, figures.Text]

METHOD = Path(__file__).with_name("method.md")
HEAD = """# Beside other gateways

One command makes this page, installs what it needs under `.bench/`, and takes half an hour:
`make bench`. A shorter look: `.venv/bin/python -m bench.peers --quick`."""


def write(found: Results) -> None:
    """Write the page, and the table of the README between its marks."""
    PAGE.write_text(page(found), "utf-8")
    text = README.read_text("utf-8")
    README.write_text(MARKED.sub(lambda _: summary(found), text), "utf-8")


def summary(found: Results) -> str:
    """Return the table of the README."""
    lines: list[Line] = [
        ("CPU for an edit of 1 MB, 8 at once, ms", figures.cell(found, "1MB", 8, figures.cpu)),
        ("edits/s of 1 MB, 8 at once", figures.cell(found, "1MB", 8, figures.rate)),
        ("CPU for a photo of 1.5 MB, 8 at once, ms", figures.cell(found, PHOTO, 8, figures.cpu)),
        ("added latency of 1 MB, p50, ms", figures.added(found, "1MB")),
        *(line for line in held_lines(found) if "most" not in line[0]),
        ("start until the first edit, s", figures.start_seconds(found)),
        ("memory at rest, MiB", figures.idle(found)),
        ("on disk, MB", figures.disk(found)),
    ]
    return table(found, lines)


def page(found: Results) -> str:
    """Return the whole page."""
    cells = list(dict.fromkeys((one.size, one.at_once) for one in found.measured))
    named = [(f"{NAMES[size]}, {number} at once", size, number) for size, number in cells]
    alone = [size for size, number in cells if number == 1]
    parts = [
        HEAD,
        where(found),
        "![The main figures as bars](pictures/benchmark.png)",
        "## CPU of an edit",
        "Milliseconds, over all processes of a gateway; in brackets the range of the runs.",
        table(found, [(t, figures.cell(found, s, n, figures.cpu)) for t, s, n in named]),
        "## Edits a second",
        table(found, [(t, figures.cell(found, s, n, figures.rate)) for t, s, n in named]),
        "## Added latency",
        "Milliseconds of one edit after the other, over asking the upstream in the same run.",
        table(
            found,
            [
                *((f"{NAMES[size]}, p50", figures.added(found, size)) for size in alone),
                *((f"{NAMES[size]}, p99", figures.tail(found, size)) for size in alone),
            ],
        ),
        "## Held edits",
        "The upstream answers after 20 s.",
        table(found, held_lines(found)),
        "## Starts and rest",
        table(
            found,
            [
                ("start until the first edit, s", figures.start_seconds(found)),
                ("memory at rest, MiB", figures.idle(found)),
                ("on disk, with what it needs, MB", figures.disk(found)),
            ],
        ),
        "## What a mask costs this gateway",
        masks(found),
        "## What failed",
        failures(found),
        METHOD.read_text("utf-8"),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def where(found: Results) -> str:
    """Return when, where and with which versions it was measured."""
    words = {GATEWAYS[name].title: word for name, word in found.versions.items() if name != "apart"}
    versions = ", ".join(f"{title} {word}" for title, word in words.items())
    runs = "One run" if figures.runs_of(found) == 1 else f"{figures.runs_of(found)} runs, in turn"
    missing = (f" Without {GATEWAYS[n].title}: {why}." for n, why in found.left_out.items())
    return (
        f"Measured on {found.day} on {found.machine}; its load average before was"
        f" {found.busy:.1f}. {runs}, in {found.minutes:.0f} minutes. {versions}.{''.join(missing)}"
    )


def held_lines(found: Results) -> list[Line]:
    """Return the lines of held edits."""
    lines: list[Line] = []
    for size, edits in dict.fromkeys((one.size, one.edits) for one in found.held):
        load = f"{edits:,} × {NAMES[size]}"  # noqa: RUF001 -- as people write it
        lines += [
            (f"{load} held: ended well",
             figures.held(found, size, edits, lambda one: one.good, whole=True)),
            (f"{load}: the last after the upstream's last, s",
             figures.held(found, size, edits, lambda one: one.late)),
            (f"{load}: all over after, s",
             figures.held(found, size, edits, lambda one: one.last)),
            (f"{load}: memory for each, KiB",
             figures.held(found, size, edits, figures.held_each, whole=True)),
            (f"{load}: at its most, KiB",
             figures.held(found, size, edits, figures.peak_each, whole=True)),
            (f"{load}: at the upstream at most",
             figures.held(found, size, edits, lambda one: one.at_upstream, whole=True)),
        ]  # fmt: skip
    return lines


def masks(found: Results) -> str:
    """Return the table of masks."""
    rows = ["| photo of 1.5 MB, one after the other | CPU ms | p50 ms |", "|---|--:|--:|"]
    for case in dict.fromkeys(one.case for one in found.masked):
        ones = [one for one in found.masked if one.case == case]
        bad = sum(one.edits - one.good for one in ones)
        cpu = figures.spread([one.cpu_ms for one in ones])
        p50 = figures.spread([1000 * one.p50 for one in ones])
        rows.append(f"| {case}{f' ({bad} failed)' if bad else ''} | {cpu} | {p50} |")
    return "\n".join(rows)


def failures(found: Results) -> str:
    """Return a line for everything that did not end well."""
    bad = [
        (one.gateway, f"{NAMES[one.size]}, {one.at_once} at once", one.why)
        for one in found.measured
        if one.why
    ]
    bad += [
        (one.gateway, f"{NAMES[one.size]}, {one.edits} held", one.why)
        for one in found.held
        if one.why
    ]
    return "\n".join(
        f"* {GATEWAYS[name].title if name in GATEWAYS else name}, {what}: `{why[:120]}`"
        for name, what, why in bad
    ) or "Nothing."  # fmt: skip


def table(found: Results, lines: Iterable[Line]) -> str:
    """Return a table with a column for each gateway."""
    names = list(found.versions)
    rows = [["", *(GATEWAYS[name].title for name in names)], ["---", *("--:" for _ in names)]]
    rows += [[title, *(text(name) for name in names)] for title, text in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
