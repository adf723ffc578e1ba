"""The real programs as child processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOTS = (ROOT, ROOT / "generated", ROOT / "proto")
"""Where modules are imported from."""


class Program:
    """A running program whose output is collected; `lines` are standard output and error."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._arrived = threading.Condition()
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._arrived:
                self.lines.append(line)
                self._arrived.notify_all()
        self.process.stdout.close()
        with self._arrived:
            self.lines.append("")
            self._arrived.notify_all()

    def wait_for(self, text: str, seconds: float = 30.0) -> str:
        """Return the first line that holds `text`; fails when none comes."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self._arrived:
            self._arrived.wait_for(lambda: found() or self.lines[-1:] == [""], seconds)
            line = found()
        assert line is not None, f"no line with {text!r}:\n{''.join(self.lines)}"
        return line

    def event(self, name: str) -> dict[str, object]:
        """Return the JSON log line of the event `name`."""
        return json.loads(self.wait_for(f'"event": "{name}"'))

    def end(self, number: int, seconds: float = 30.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def program(*arguments: str, environment: Mapping[str, str], folder: Path) -> Iterator[Program]:
    """Run `python ARGUMENTS` in `folder` with nothing set but `environment`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))} | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.wait()
