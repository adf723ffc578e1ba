"""A gateway as a running program, in a folder of its own, and how long it took to be of use."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import load, measure

START_SECONDS = 120.0
STOP_SECONDS = 15.0
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class NotStarted(Exception):
    """A program ended, or does not answer; the message has the end of what it said."""


@dataclass
class Running:
    """A running gateway; `headers` are what a request to it carries, `more` its other processes."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    headers: dict[str, str] = field(default_factory=dict)
    start_seconds: float = 0.0
    more: list[subprocess.Popen[bytes]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return ("127.0.0.1", self.port)

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes so far."""
        return sum(measure.cpu_seconds(each.pid) for each in (self.process, *self.more))

    def memory(self) -> int:
        """Return the bytes of memory of all its processes."""
        return sum(measure.memory(each.pid) for each in (self.process, *self.more))

    def wait_for(self, request: bytes, least: int) -> None:
        """Wait for the first edit that ends well; raises `NotStarted`."""
        while time.monotonic() < self.began + START_SECONDS:
            done = load.run(self.address, request, at_once=1, least=1, patience=30)
            if done.good(least):
                self.start_seconds = time.monotonic() - self.began
                return
            if any(each.poll() is not None for each in (self.process, *self.more)):
                break
            time.sleep(0.02)
        raise NotStarted(f"{self.log.parent.name}: {done.edits[-1].why}: "
                         f"{self.log.read_text('utf-8', 'replace')[-800:]}")  # fmt: skip

    def stop(self) -> None:
        """End it, and whatever it started."""
        for each in (*self.more, self.process):
            each.terminate()
        for each in (*self.more, self.process):
            with contextlib.suppress(subprocess.TimeoutExpired):
                each.wait(STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
            each.wait()


def start(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Run a command in the folder of `log`, with nothing set but `environment`."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 -- our own words
            list(command),
            cwd=log.parent,
            env=kept | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
