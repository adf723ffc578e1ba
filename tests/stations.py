"""A service and its front as processes on one database; either dies and comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from tests.programs import Program, program
from tests.running import eventually


class Station:
    """`python -m server` and `python -m gateway_http`, each of which outlives the other.

    `address` is the service's, the same after every start; `url` is that of the front now.
    """

    def __init__(self, database: str, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = {
            "IMAGEEDIT_DATABASE_URL": database,
            "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
            "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0",
            **environment,
        }
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.spawn()
        self.address = str(self.service.event("listening")["address"])
        self.environment["IMAGEEDIT_GRPC_ADDRESS"] = self.address
        self.start_front()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def spawn(self, **change: str) -> None:
        """Begin to start the service, with other settings than before if need be."""
        self.environment |= change
        self.service = self._run("server")

    def wait(self) -> None:
        """Return once the service listens and the front has found it."""
        self.service.event("listening")
        assert eventually(lambda: requests.get(f"{self.url}/readyz", timeout=5).ok, seconds=10)

    def kill(self) -> None:
        """End the service by SIGKILL, whatever it does; returns once it is gone."""
        self.service.process.kill()
        self.service.process.wait()

    def start_front(self) -> str:
        """Start a front, and return where it listens."""
        self.front = self._run("gateway_http")
        port = json.loads(self.front.wait_for('"event":"listening"'))["port"]
        self.url = f"http://127.0.0.1:{port}"
        return self.url

    def kill_front(self) -> None:
        """End the front by SIGKILL."""
        self.front.process.kill()
        self.front.process.wait()

    def _run(self, name: str) -> Program:
        return self._stack.enter_context(
            program("-m", name, environment=self.environment, folder=self._folder)
        )
