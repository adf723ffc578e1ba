"""The three vendors as raw sockets that play what they are told, and gateways in front of them."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import requests
from sqlalchemy import select

from server import catalog_file
from server.accounts.schema import edits
from server.catalog import Route
from server.providers.base import UpstreamEdit
from server.providers.registry import PROVIDERS
from server.upstream.attempts import AttemptRecord, Attempts
from server.upstream.delivery import Vendor as Upstream
from server.upstream.session import Endpoint
from server.upstream.watchdog import Watchdog
from tests.edits import IMAGE, Edit, by_http
from tests.fault_upstream import KEY, Behaviour, Connection, FaultUpstream, answering, response
from tests.golden_cases import answer_of, picture
from tests.running import Gateway

VENDORS = ("openai", "openrouter", "siliconflow")
# The model that the vendor alone serves, or that it is asked for first.
MODELS = {
    "openai": "openai/gpt-image-1.5",
    "openrouter": "openai/gpt-image-2",
    "siliconflow": "black-forest-labs/flux-kontext-dev",
}


class Vendor(FaultUpstream):
    """Plays `play` on every connection."""

    def __init__(self) -> None:
        super().__init__(self._perform)
        self.play: Behaviour = answering()

    def _perform(self, upstream: FaultUpstream, connection: Connection) -> None:
        self.play(upstream, connection)

    @property
    def submissions(self) -> int:
        """How many edits came, whole."""
        return sum(request.line.startswith("POST") for request in self.requests)


def golden(case: str, *headers: str) -> Behaviour:
    """Answer as the golden case "provider/case" does, with `headers` for a waiting time."""
    answer = answer_of(case)
    kept = [f"{name}: {value}" for name, value in answer.headers.items() if "retry" not in name]
    return answering(response(answer.body, f"{answer.status} So", (*kept, *headers)))


def delivering(vendor: str) -> Behaviour:
    """Deliver the picture, by URL where the vendor does."""
    inline = orjson.dumps({"data": [{"b64_json": base64.b64encode(IMAGE).decode()}]})

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        request = upstream.read(connection)
        if request.line.startswith("GET"):
            connection.write(response(IMAGE))
        elif vendor == "siliconflow":
            connection.write(response(linking(upstream.origin)))
        else:
            connection.write(response(inline))

    return behave


def linking(origin: str) -> bytes:
    """Return SiliconFlow's answer with a result at `origin`."""
    return orjson.dumps({"images": [{"url": f"{origin}/result.png"}]})


def result(play: Behaviour) -> Behaviour:
    """Link to a result that is at this vendor too, where `play` is what its download meets."""

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        if connection.peek(4) == b"POST":
            answering(response(linking(upstream.origin)))(upstream, connection)
        else:
            play(upstream, connection)

    return behave


@dataclass
class Stage:
    """The vendors, and gateways in front of them by what is special about each."""

    folder: Path
    stack: ExitStack
    vendors: dict[str, Vendor]
    _made: dict[tuple[str, ...], Gateway] = field(default_factory=dict)

    def gateway(self, *providers: str, scheme: str = "http", **settings: str) -> Gateway:
        """Return a gateway with keys for `providers`; `scheme` "nobody": where nobody listens."""
        name = (*providers, scheme, *settings, *settings.values())
        if name not in self._made:
            environment = {**settings}
            for provider in providers:
                port = 1 if scheme == "nobody" else self.vendors[provider].port
                scheme_ = "http" if scheme == "nobody" else scheme
                environment[f"{provider.upper()}_API_KEY"] = KEY
                environment[f"{provider.upper()}_BASE_URL"] = f"{scheme_}://127.0.0.1:{port}/v1"
            environment["IMAGEEDIT_DOWNLOAD_ORIGINS"] = self.vendors["siliconflow"].origin
            place = self.folder / str(len(self._made))
            place.mkdir()
            self._made[name] = self.stack.enter_context(Gateway(environment, place))
        return self._made[name]

    def attempts(
        self, watchdog: Watchdog, *providers: str, **options: Any
    ) -> tuple[Attempts, tuple[Route, ...]]:
        """Return the way to `providers` without a gateway, and the routes of the first's model."""
        origins = {name: self.vendors[name].origin for name in providers}
        return attempts_at(origins, watchdog, **options)

    def play(self, **plays: Behaviour) -> None:
        """Set what vendors play from now on, and forget what came before."""
        for name, play in plays.items():
            self.vendors[name].play = play
        for vendor in self.vendors.values():
            vendor.requests.clear()
            vendor.reached.clear()
            vendor.connections = 0

    def submissions(self) -> dict[str, int]:
        """Return how many edits each vendor had, where it had any."""
        counted = {name: vendor.submissions for name, vendor in self.vendors.items()}
        return {name: count for name, count in counted.items() if count}


class Errand:
    """An edit, and its caller, who leaves when `leave` is called, and has `seconds`."""

    cancels = False

    def __init__(self, seconds: float | None = None) -> None:
        self.records: list[AttemptRecord] = []
        self.submitted = self.clear = 0
        self.leave: Callable[[], None] = lambda: None
        self._seconds = seconds

    @property
    def fates(self) -> list[str]:
        """How the attempts ended."""
        return [record.fate for record in self.records]

    def edit_for(self, _: object) -> UpstreamEdit:
        return UpstreamEdit("m", "sepia", (picture("photo.png"),))

    def submit(self) -> None:
        self.submitted += 1

    def cleared(self) -> None:
        self.clear += 1

    def partial(self, file: bytes) -> None: ...

    def waits_for(self, edit_id: str) -> None: ...

    def accepted(self, model: str) -> None: ...

    def attempted(self, record: AttemptRecord) -> None:
        self.records.append(record)

    def remaining(self) -> float | None:
        return self._seconds

    def left(self) -> bool:
        return False

    def on_leave(self, callback: Callable[[], None]) -> None:
        self.leave = callback


def attempts_at(
    origins: Mapping[str, str], watchdog: Watchdog, **options: Any
) -> tuple[Attempts, tuple[Route, ...]]:
    """Return the way to the vendors at `origins`, and the routes of the first one's model there."""
    catalog = catalog_file.load(None, PROVIDERS, origins)
    vendors = {
        name: Upstream(PROVIDERS[name], Endpoint(name, f"{origin}/v1", "k"), facts)
        for name, origin in origins.items()
        if (facts := catalog.providers[name])
    }
    routes = catalog.routes(catalog.find(MODELS[next(iter(origins))]))
    settings: dict[str, Any] = {"timeout": 20, "download_origins": (), **options}
    return Attempts(vendors, routes, watchdog=watchdog, **settings), routes


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Give the stage; the gateways end before the vendors."""
    with ExitStack() as outer:
        vendors = {name: outer.enter_context(Vendor()) for name in VENDORS}
        with ExitStack() as stack:
            yield Stage(folder, stack, vendors)


def ask(gateway: Gateway, vendor: str, prompt: str = "sepia") -> requests.Response:
    """Ask the front for an edit by the vendor's model."""
    return by_http(gateway, Edit({"model": MODELS[vendor], "prompt": prompt}))


def state_of(gateway: Gateway, edit_id: str) -> tuple[str, int]:
    """Return how the edit's money ended, and what was booked as a loss."""
    with gateway.store.read() as connection:
        row = connection.execute(
            select(edits.c.state, edits.c.loss).where(edits.c.id == edit_id)
        ).one()
    return row.state, row.loss


def attempts_of(records: list[logging.LogRecord], edit_id: str) -> list[dict[str, Any]]:
    """Return the attempts that the service's log tells of an edit."""
    lines = [getattr(record, "line", {}) for record in records]
    calls = [line for line in lines if line.get("request_id") == edit_id and "attempts" in line]
    return calls[0]["attempts"] if calls else []
