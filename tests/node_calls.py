"""Calls made together by one process of Node (tests/node/retries.mjs), each through a proxy."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.customers import Customer
from tests.fault_proxy import FaultProxy
from tests.retry_cases import Case


@dataclass
class Made:
    """A call as the script gets it, and what came of it."""

    who: Customer
    proxy: FaultProxy
    call: dict[str, Any]
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def picture(self) -> bytes:
        return base64.b64decode(self.outcome["picture"], validate=True)


class Calls:
    """Calls to be made; `length` is that of a whole answer in bytes, `folder` has the script."""

    def __init__(self, folder: Path, length: int) -> None:
        self._folder = folder
        self._length = length
        self._stack = ExitStack()
        self.made: dict[str, Made] = {}

    def add(self, name: str, who: Customer, case: Case, **options: object) -> None:
        """Add the call of a case; `options` are the script's own."""
        proxy = FaultProxy(who.gateway.url, case.toxics(self._length))
        self._stack.enter_context(proxy)
        call = {
            "baseURL": f"{proxy.url}/v1",
            "apiKey": who.key,
            "path": case.image,
            "params": {"model": case.model, "prompt": who.prompt(case.words), **case.params},
            **options,
        }
        self.made[name] = Made(who, proxy, call)

    def run(self) -> dict[str, Made]:
        """Make the calls, and return what came of them."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with self._stack:
            done = subprocess.run(
                ["node", "retries.mjs"],
                cwd=self._folder,
                env=environment,
                input=json.dumps({name: made.call for name, made in self.made.items()}),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        for name, outcome in json.loads(done.stdout).items():
            self.made[name].outcome = outcome
        return self.made
