"""The whole gateway as it really runs: two processes, whose time and memory can be told."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.paid_keys import paid_secret
from tests.programs import Program, program

TICK = 1 / os.sysconf("SC_CLK_TCK")


class Usage:
    """What the process `pid` uses, as proc(5) tells it."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far, in steps of a hundredth of a second."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK

    def resident_bytes(self) -> int:
        """Return the memory held now."""
        return self._status("VmRSS")

    def peak_bytes(self) -> int:
        """Return the most memory held since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begin a new measurement of the peak."""
        (self._folder / "clear_refs").write_text("5")

    def _status(self, name: str) -> int:
        text = (self._folder / "status").read_text()
        match = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
        assert match is not None
        return int(match[1]) * 1024


@dataclass(frozen=True)
class GatewayPrograms:
    """A running gateway: where front and service listen, a live key, and what its processes use.

    `front_program` is the front's process itself.
    """

    url: str
    address: str
    key: str
    service: Usage
    front: Usage
    front_program: Program

    @property
    def authorization(self) -> dict[str, str]:
        """The header that carries the key."""
        return {"authorization": f"Bearer {self.key}"}


@contextmanager
def gateway_programs(environment: Mapping[str, str], folder: Path) -> Iterator[GatewayPrograms]:
    """Run `python -m server` and `python -m gateway_http` on free ports."""
    database = f"sqlite:///{folder / 'imageedit.db'}"
    settings = {
        "IMAGEEDIT_DATABASE_URL": database,
        "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
        "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0",
        **environment,
    }
    key = paid_secret(database)
    with program("-m", "server", environment=settings, folder=folder) as service:
        address = str(service.event("listening")["address"])
        settings["IMAGEEDIT_GRPC_ADDRESS"] = address
        with program("-m", "gateway_http", environment=settings, folder=folder) as front:
            port = json.loads(front.wait_for('"event":"listening"'))["port"]
            service_usage, front_usage = Usage(service.process.pid), Usage(front.process.pid)
            url = f"http://127.0.0.1:{port}"
            yield GatewayPrograms(url, address, key, service_usage, front_usage, front)
