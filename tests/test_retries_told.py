"""What every answer says of repeating (reliability 7.3), and that a repeat is safe all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.server import SandboxServer
from tests.customers import RETRY, customer_of, post
from tests.running import Gateway


@pytest.fixture(autouse=True)
def books_that_balance(gateway: Gateway) -> Iterator[None]:
    """After every test the audit finds nothing."""
    yield
    assert gateway.findings() == []


@dataclass(frozen=True)
class Told:
    """What an answer says of repeating; `billable` of what may have been paid."""

    status: int
    words: str = ""
    who: str = "paying"
    never: bool = False  # x-should-retry: false
    waits: bool = False  # Retry-After
    billable: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)
    gateway: str = "gateway"


def fault(words: str, status: int, **facts: Any) -> Told:
    return Told(status, f"[sandbox {words}]", **facts)


REFUSED, BEGUN = {"never": True}, {"never": True, "billable": 1}
TOLD = {
    "unknown key": Told(401, who="nobody", never=True),
    "no credit": Told(402, who="poor", never=True),
    "field": Told(400, never=True, fields={"n": "2"}),
    "picture": Told(400, never=True, fields={"picture": "broken.png"}),
    "model": Told(400, never=True, fields={"model": "acme/unknown"}),
    "too large": Told(413, never=True, fields={"picture": "bomb.png"}),
    "busy upstream": fault("error429", 503, waits=True),
    "overloaded upstream": fault("error503", 503, waits=True),
    "moderation": fault("moderation", 400, **REFUSED),
    "our key refused": fault("error401", 502, **REFUSED),
    "our balance used up": fault("quota", 502, **REFUSED),
    **{
        words: fault(words, 502, **BEGUN)
        for words in ("error500", "reset", "close", "cut=50", "html502", "garbage", "empty")
    },
    "silence": fault("silent", 504, **BEGUN, gateway="hasty"),
}


@pytest.fixture(scope="module")
def hasty(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose attempts may take 0.4 seconds."""
    environment = sandbox.environment() | {"IMAGEEDIT_ATTEMPT_TIMEOUT": "0.4"}
    with Gateway(environment, tmp_path_factory.mktemp("hasty")) as running:
        yield running


@pytest.mark.parametrize("name", TOLD)
def test_every_error(gateway: Gateway, hasty: Gateway, sandbox: SandboxServer, name: str) -> None:
    told = TOLD[name]
    who = customer_of(told.who, {"gateway": gateway, "hasty": hasty}[told.gateway])
    answer = post(who, told.words, **told.fields)
    assert answer.status_code == told.status
    assert (answer.headers.get("x-should-retry") == "false") == told.never
    seconds = answer.headers.get("Retry-After")
    assert (seconds is not None and 1 <= int(seconds) <= 60) == told.waits
    if told.billable:  # a client that does not know x-should-retry
        again = post(who, told.words, RETRY)
        assert again.status_code == told.status
    tally = who.tally(sandbox)
    assert (tally.billable, tally.charges) == (told.billable, 0)
