"""All that a whole benchmark found, kept as JSON so that tables and chart can be made again."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.peers.held import Held
from bench.peers.masks import Masked
from bench.peers.rounds import Measured
from bench.peers.stand import Start, Tail

FILE = Path(__file__).parent / "results.json"


@dataclass
class Results:
    """What was found, where, when, and by which versions.

    `disk` in bytes, `left_out` says why a gateway is missing; both by gateway, as `versions`.
    """

    machine: str = ""
    day: str = ""
    minutes: float = 0.0
    busy: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    tails: list[Tail] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    masked: list[Masked] = field(default_factory=list)

    def save(self, path: Path = FILE) -> None:
        """Write them."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path = FILE) -> Results:
        """Return what was written."""
        kept = json.loads(path.read_text("utf-8"))
        kinds = {"starts": Start, "measured": Measured, "tails": Tail, "held": Held,
                 "masked": Masked}  # fmt: skip
        for name, kind in kinds.items():
            kept[name] = [kind(**row) for row in kept[name]]
        return cls(**kept)


def here() -> Results:
    """Return results that have the machine, the day and how busy the machine was before."""
    cpu = re.search(
        r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    machine = (
        f"{os.cpu_count()} cores ({cpu[1] if cpu else platform.machine()}), {memory:.0f} GiB,"
        f" Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )
    return Results(machine, datetime.now(UTC).strftime("%Y-%m-%d"), busy=os.getloadavg()[0])
