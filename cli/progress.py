"""Progress on standard error: a bar while pictures leave, then the seconds that models take."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import click

BAR = 20
WIDTH = 48


class Progress:
    """One line that is written anew, on a terminal alone; `edits` is how many are under way."""

    def __init__(self, edits: int, *, shown: bool) -> None:
        self._edits = edits
        self._done = 0
        self._sent: dict[str, tuple[int, int]] = {}
        self._shown = shown and sys.stderr.isatty()
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def sent(self, name: str, count: int, total: int) -> None:
        """Count bytes of an edit that left."""
        before = self._sent.get(name, (0, total))[0]
        self._sent[name] = min(before + count, total), total
        self.show()

    def done(self) -> None:
        """Count an edit that is over."""
        self._done += 1

    def show(self) -> None:
        """Write the line."""
        self._write(self._line())

    def clear(self) -> None:
        """Take the line away, so that another may be written."""
        self._write("")

    def _line(self) -> str:
        sent = sum(count for count, _ in self._sent.values())
        total = sum(whole for _, whole in self._sent.values())
        if sent < total:
            filled = sent * BAR // total
            return f"uploading [{'#' * filled}{'-' * (BAR - filled)}] {sent * 100 // total:3} %"
        seconds = f"{time.monotonic() - self._began:.0f} s"
        if self._edits == 1:
            return f"waiting for the model, {seconds}"
        return f"{self._done} of {self._edits} models done, {seconds}"

    def _write(self, text: str) -> None:
        if self._shown:
            click.echo(f"\r{text:<{WIDTH}}\r{text}", nl=False, err=True)
