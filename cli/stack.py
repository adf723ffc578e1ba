"""The whole gateway on one machine: which programs, in which order, and when it is ready."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TextIO

import requests

from cli.children import Children
from sandbox.server import environment as sandbox_environment
from server.settings import PROVIDER_VARIABLES

GATEWAY = "cli.gateway"
START_TIMEOUT = 60.0
POLL_SECONDS = 0.1
BEST_KNOWN = "openai/gpt-image-2"
ORIGINS = "IMAGEEDIT_DOWNLOAD_ORIGINS"


class StackError(Exception):
    """A program did not start, or ended by itself."""


class Stack:
    """Sandbox (where wanted), service and front, on one machine.

    `environment` is what the programs get; `sandboxed` names the providers that are simulated.
    """

    def __init__(self, environment: Mapping[str, str], *, sandbox: bool) -> None:
        self.environment = dict(environment)
        self._log: TextIO | None = None
        self.log_path: Path | None = None
        # Log lines would bury what people read at a terminal; a pipe or a file gets them.
        if sys.stderr.isatty():
            self.log_path = Path("var") / "imageedit.log"
            self.log_path.parent.mkdir(mode=0o700, exist_ok=True)
            self._log = self.log_path.open("a", encoding="utf-8")
        configured = [
            provider
            for provider, prefix in PROVIDER_VARIABLES.items()
            if self.environment.get(f"{prefix}_API_KEY")
        ]
        wanted = sandbox or not configured
        self.sandboxed = [name for name in PROVIDER_VARIABLES if name not in configured and wanted]
        # When cut, the service ends what is under way and books it.
        self._children = Children(self._log, careful=GATEWAY)

    @property
    def url(self) -> str:
        """Where the front listens."""
        host, _, port = self._address().rpartition(":")
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 -- a key
        return f"http://{host}:{port}"

    def model(self) -> str:
        """Return the alias of a model that can edit here, the best known one if it is there."""
        listed = requests.get(f"{self.url}/v1/models", timeout=10).json()["data"]
        aliases = [model["id"] for model in listed if "image_edit" in model["capabilities"]]
        if not aliases:
            raise StackError("No model can edit here: the catalogue has none for these providers.")
        return BEST_KNOWN if BEST_KNOWN in aliases else str(aliases[0])

    def _address(self) -> str:
        return self.environment.get("IMAGEEDIT_HTTP_ADDRESS") or "127.0.0.1:8080"

    def __enter__(self) -> Stack:
        """Start everything and wait until it is ready; raises `StackError`."""
        try:
            if self.sandboxed:
                self._start_sandbox()
            gateway = self._children.start(GATEWAY, environment=self.environment, pipe=True)
            # Its first line says that it listens: before that, another's might answer for it.
            if gateway.stdout is None or not gateway.stdout.readline():
                gateway.wait()
                self._check()
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let held edits end: the front first, then the service, then the sandbox."""
        self._stop()

    def wait(self) -> None:
        """Return never; raises `StackError` when a program ends by itself."""
        while True:
            self._check()
            time.sleep(POLL_SECONDS)

    def _stop(self) -> None:
        try:
            self._children.stop()
        finally:
            if self._log:
                self._log.close()

    def _start_sandbox(self) -> None:
        arguments = ("--port", "0", "--delay", "2")
        process = self._children.start(
            "sandbox", *arguments, environment=self.environment, pipe=True
        )
        line = process.stdout.readline() if process.stdout else ""
        url = next((word for word in line.split() if word.startswith("http://")), None)
        if url is None:
            raise StackError("The sandbox did not start.")
        settings = sandbox_environment(url)
        for provider in self.sandboxed:
            for name in ("API_KEY", "BASE_URL"):
                variable = f"{PROVIDER_VARIABLES[provider]}_{name}"
                self.environment[variable] = settings[variable]
        given = self.environment.get(ORIGINS, "")
        self.environment[ORIGINS] = f"{given} {settings[ORIGINS]}".strip()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + START_TIMEOUT
        while time.monotonic() < until:
            self._check()
            try:
                if requests.get(f"{self.url}/readyz", timeout=2).ok:
                    time.sleep(POLL_SECONDS)  # a front that can't listen ends by now
                    self._check()
                    return
            except requests.RequestException:
                pass
            time.sleep(POLL_SECONDS)
        raise StackError(f"The gateway is not ready after {START_TIMEOUT:.0f} seconds.")

    def _check(self) -> None:
        ended = self._children.ended()
        if ended is not None:
            module, code = ended
            where = f" (see {self.log_path})" if self.log_path else ""
            raise StackError(f"`python -m {module}` ended by itself with exit code {code}{where}.")


def free_address() -> str:
    """Return a loopback address whose port was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def environment() -> dict[str, str]:
    """Return this process's environment."""
    return dict(os.environ)
