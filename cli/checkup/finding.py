"""What a check found, and the table of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import click

from cli.values import shown_text


class Level(StrEnum):
    """How good it is: fine, worth a look, or what keeps the gateway from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of `subject`, and what to do about it; no secret is in either."""

    level: Level
    subject: str
    text: str
    todo: str = ""


def ok(subject: str, text: str) -> Finding:
    """Return that something is fine."""
    return Finding(Level.OK, subject, text)


def warn(subject: str, text: str, todo: str) -> Finding:
    """Return that something is worth a look."""
    return Finding(Level.WARN, subject, text, todo)


def fail(subject: str, text: str, todo: str) -> Finding:
    """Return that something keeps the gateway from working."""
    return Finding(Level.FAIL, subject, text, todo)


def show(findings: Sequence[Finding]) -> None:
    """Print a line for each, with what to do below it."""
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        level = click.style(f"{finding.level:<4}", fg=COLOURS[finding.level])
        click.echo(f"{level}  {finding.subject:<{width}}  {shown_text(finding.text)}")
        if finding.todo:
            click.echo(f"{'':<4}  {'':<{width}}  -> {shown_text(finding.todo)}")
