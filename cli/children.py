"""Python programs as child processes: started, watched, stopped in order."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TextIO

LOOK_SECONDS = 0.1
CUT_SECONDS = 10.0
PR_SET_PDEATHSIG = 1  # prctl(2)


class Children:
    """Modules that run as programs, by name; they write to `log`, or where this process does.

    `careful` is the one that has work to resolve when it is cut.
    """

    def __init__(self, log: TextIO | None, careful: str) -> None:
        self._log = log
        self._careful = careful
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def start(
        self, module: str, *arguments: str, environment: Mapping[str, str], pipe: bool = False
    ) -> subprocess.Popen[str]:
        """Start `python -m module`; with `pipe`, its output is for the caller to read."""
        # Ctrl-C reaches the whole terminal group; the children ignore it, we pass it on in order.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process = subprocess.Popen(  # noqa: S603 -- our own modules
                [sys.executable, "-m", module, *arguments],
                env=environment,
                stdout=subprocess.PIPE if pipe else self._log,
                stderr=self._log,
                text=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 -- this process has one thread
            )
        finally:
            signal.signal(signal.SIGINT, previous)
        self._processes[module] = process
        return process

    def ended(self) -> tuple[str, int] | None:
        """Return the module that ended by itself and its exit code, None while all run."""
        for module, process in self._processes.items():
            code = process.poll()
            if code is not None:
                return module, code
        return None

    def stop(self) -> None:
        """Let each end in its own time, the last to start first; a second Ctrl-C cuts them."""
        try:
            for process in reversed(self._processes.values()):
                if process.poll() is None:
                    process.terminate()
                process.wait()
                if process.stdout:
                    process.stdout.close()
        except KeyboardInterrupt:
            self._cut()
            raise

    def _cut(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a third changes nothing
        for module, process in self._processes.items():
            if module != self._careful:
                process.kill()
        careful = self._processes.get(self._careful)
        until = time.monotonic() + CUT_SECONDS
        # The first signal it gets may be the one to drain; signals that wait are one.
        while careful and careful.poll() is None and time.monotonic() < until:
            careful.terminate()
            with suppress(subprocess.TimeoutExpired):
                careful.wait(LOOK_SECONDS)
        for process in self._processes.values():
            process.kill()
            process.wait()


def _linux_prctl() -> Callable[[int, int], int] | None:
    return ctypes.CDLL(None).prctl if sys.platform == "linux" else None


_prctl = _linux_prctl()


def end_with_parent() -> None:
    """Have this process get SIGTERM, and so drain, when its parent is killed; Linux alone can.

    Runs between fork and exec, where no module may be imported any more.
    """
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
