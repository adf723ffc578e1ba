"""The fixed upstream as a process of its own, told what to answer and asked what it saw."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from types import TracebackType

from bench.peers.installs import ROOT
from bench.peers.upstream import Told


class FixedUpstream:
    """Runs while it is entered; `port` is where."""

    def __enter__(self) -> FixedUpstream:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.peers.upstream"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None  # noqa: S101 -- a pipe was asked for
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def set(self, answer: bytes, delay: float = 0.0) -> None:
        """Have it answer `answer` from now on, `delay` seconds after each edit."""
        self._ask("PUT", answer, {"X-Delay": str(delay)})

    def told(self) -> Told:
        """Return what it saw since then."""
        return Told(**json.loads(self._ask("GET")))

    def _ask(self, method: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, "/", body, headers or {})
            return connection.getresponse().read()
        finally:
            connection.close()
