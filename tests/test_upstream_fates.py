"""Every kind of upstream fault at every vendor: submissions, money, and what the caller is told."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from server.upstream.fates import TABLE
from tests.fault_upstream import (
    CHUNKED,
    OK,
    Behaviour,
    Connection,
    answering,
    deaf,
    dripping,
    forever,
    in_turn,
    response,
)
from tests.staged_vendors import (
    VENDORS,
    Stage,
    ask,
    attempts_of,
    delivering,
    golden,
    linking,
    result,
    staged,
    state_of,
)

HASTY = {"IMAGEEDIT_ATTEMPT_TIMEOUT": "0.5"}
# OpenRouter bills pictures alone; of the others nobody knows.
FREE = {"openai": "unknown", "openrouter": "voided", "siliconflow": "unknown"}
PAID = dict.fromkeys(VENDORS, "unknown")
UNBILLED = dict.fromkeys(VENDORS, "voided")
GIVEN = dict.fromkeys(VENDORS, "posted")


@dataclass(frozen=True)
class Fault:
    """A fault as each vendor plays it, and all that must come of it where it stands alone.

    `fates` are those of the attempts; `sent` how many of them the vendor gets. `moves`: with a
    second route, the edit goes there.
    """

    plays: Mapping[str, Behaviour]
    fates: str
    http: int
    money: Mapping[str, str]
    sent: int = 1
    retry_after: int | None = None
    moves: bool = False
    scheme: str = "http"
    settings: Mapping[str, str] = field(default_factory=dict)
    param: str | None = None


def every(play: Behaviour) -> dict[str, Behaviour]:
    return dict.fromkeys(VENDORS, play)


def cases(openai: str, openrouter: str, siliconflow: str, *headers: str) -> dict[str, Behaviour]:
    given = {"openai": openai, "openrouter": openrouter, "siliconflow": siliconflow}
    return {vendor: golden(f"{vendor}/{case}", *headers) for vendor, case in given.items()}


def once(plays: Mapping[str, Behaviour]) -> dict[str, Behaviour]:
    return {vendor: in_turn(play, delivering(vendor)) for vendor, play in plays.items()}


def cut(*pieces: bytes, reset: bool = False) -> Fault:
    play = answering(*pieces, then=Connection.reset if reset else None)
    return Fault(every(play), "cut", 502, FREE, moves=True)


def unsent(play: Behaviour, scheme: str) -> Fault:
    fates = "unsent unsent"
    return Fault(every(play), fates, 503, UNBILLED, sent=0, retry_after=10, scheme=scheme)


def nonsense(answer: bytes) -> Fault:
    return Fault(every(answering(answer)), "nonsense", 502, PAID)


LIMITED = ("429-rate-limit", "429-rate-limit", "429-without-code")
OVERLOADED = ("503-overloaded", "503-no-provider", "503-overloaded")
BOMB = response(
    gzip.compress(bytes(97 << 20), compresslevel=1), headers=("Content-Encoding: gzip",)
)
LATE = {"http": 504, "money": FREE, "settings": HASTY}

FAULTS: dict[str, Fault] = {
    "closed without a word": cut(),
    "reset without a word": cut(reset=True),
    "closed in the headers": cut(OK + b"Content-Le"),
    "cut in the body": cut(response(b"{", length=1000)),
    "reset in the body": cut(response(b"{", length=1000), reset=True),
    "cut between chunks": cut(CHUNKED + b"1\r\n{\r\n"),
    "not HTTP": cut(b"hello\r\n\r\n"),
    "two lengths": cut(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "other protocol": cut(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "interim without end": Fault(
        every(answering(then=forever(b"HTTP/1.1 102 Processing\r\n\r\n"))),
        "cut",
        502,
        FREE,
        moves=True,
    ),
    "no JSON in 200": nonsense(response(b"<html>")),
    "no picture in 200": nonsense(response(b"{}")),
    "nothing at all in 204": nonsense(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "a body without end": Fault(every(answering(BOMB)), "too_large", 502, PAID),
    "a proxy's page": Fault(
        cases("502-proxy-page", "502-page", "502-page"), "foreign", 502, FREE, moves=True
    ),
    "a proxy's time-out": Fault(
        cases("504-empty", "524-page", "504-empty"), "foreign", 502, FREE, moves=True
    ),
    "a redirect": Fault(
        every(answering(response(b"", "302 Found", ("Location: /x",)))),
        "foreign",
        502,
        FREE,
        moves=True,
    ),
    "the vendor's own failure": Fault(
        cases("500-server-error", "500-error", "500-object"), "failed", 502, UNBILLED, moves=True
    ),
    "overloaded": Fault(
        cases(*OVERLOADED),
        "overloaded overloaded",
        503,
        UNBILLED,
        sent=2,
        retry_after=10,
        moves=True,
    ),
    "overloaded once": Fault(
        once(cases(*OVERLOADED)), "overloaded delivered", 200, GIVEN, sent=2, moves=True
    ),
    "overloaded for long": Fault(
        cases(*OVERLOADED, "Retry-After: 30"),
        "overloaded",
        503,
        UNBILLED,
        retry_after=30,
        moves=True,
    ),
    "limited for a moment": Fault(
        once(cases(*LIMITED, "Retry-After: 0.2")),
        "limited delivered",
        200,
        GIVEN,
        sent=2,
        moves=True,
    ),
    "limited for long": Fault(
        cases(*LIMITED, "Retry-After: 30"), "limited", 503, UNBILLED, retry_after=30, moves=True
    ),
    "limited, nobody knows for how long": Fault(
        cases(*LIMITED), "limited", 503, UNBILLED, retry_after=10, moves=True
    ),
    "our key refused": Fault(
        cases("401-invalid-key", "401-no-user", "401-object"),
        "misconfigured",
        502,
        UNBILLED,
        moves=True,
    ),
    "our credit used up": Fault(
        cases("429-insufficient-quota", "402-credits", "402-balance"),
        "misconfigured",
        502,
        UNBILLED,
        moves=True,
    ),
    "the model withdrawn": Fault(
        cases("404-model-not-found", "404-no-endpoints", "403-model-disabled"),
        "model_gone",
        502,
        UNBILLED,
        moves=True,
        param="model",
    ),
    "the content refused": Fault(
        cases("400-moderation-blocked", "403-moderation", "451-refusal"), "refused", 400, UNBILLED
    ),
    "silence": Fault(every(deaf), "timed_out", **LATE),
    "headers dripping": Fault(every(dripping(OK, b"X: " + b"y" * 99)), "timed_out", **LATE),
    "a body dripping": Fault(
        every(dripping(OK + b"Content-Length: 99\r\n\r\n", b"y" * 99)), "timed_out", **LATE
    ),
    "nobody there": unsent(answering(), scheme="nobody"),
    "no TLS": unsent(lambda _, connection: connection.write(response()), scheme="https"),
    "a handshake that stops": Fault(
        every(lambda _, connection: connection.hang()),
        "timed_out",
        504,
        UNBILLED,
        sent=0,
        scheme="https",
        settings=HASTY,
    ),
}
LINKED = {
    "the result is not there": Fault(
        {"siliconflow": result(answering(response(b"", "404 Not Found")))}, "undelivered", 502, PAID
    ),
    "the result is a stranger's": Fault(
        {"siliconflow": answering(response(linking("http://10.0.0.1")))}, "undelivered", 502, PAID
    ),
    "the result is cut": Fault(
        {"siliconflow": result(answering(response(b"x", length=99)))}, "undelivered", 502, PAID
    ),
    "the result drips": Fault(
        {"siliconflow": result(dripping(OK + b"Content-Length: 99\r\n\r\n", b"y" * 99))},
        "timed_out",
        504,
        PAID,
        settings=HASTY,
    ),
}
ALONE = [
    *((name, fault, vendor) for name, fault in FAULTS.items() for vendor in VENDORS),
    *((name, fault, "siliconflow") for name, fault in LINKED.items()),
]
# OpenRouter explains each page that is not its own as a failure that it does not bill.
KNOWN_TO_OPENROUTER = {"foreign": "failed"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.mark.parametrize(
    ("name", "fault", "vendor"), ALONE, ids=[f"{name}, {vendor}" for name, _, vendor in ALONE]
)
def test_a_fault_where_there_is_no_other_route(
    stage: Stage, name: str, fault: Fault, vendor: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "imageedit.service")
    alone = ("openrouter",) if vendor == "openrouter" else ("openai", "siliconflow")
    gateway = stage.gateway(*alone, scheme=fault.scheme, **fault.settings)
    stage.play(**{vendor: fault.plays.get(vendor, answering())})
    answer = ask(gateway, vendor, name)
    assert answer.status_code == fault.http, answer.text
    edit_id = answer.headers["x-request-id"]
    assert stage.submissions() == ({vendor: fault.sent} if fault.sent else {})
    told = attempts_of(caplog.records, edit_id)
    fates = fault.fates.split()
    if vendor == "openrouter":
        fates = [KNOWN_TO_OPENROUTER.get(fate, fate) for fate in fates]
    assert [attempt["fate"] for attempt in told] == fates
    assert {attempt["provider"] for attempt in told} == {vendor}
    state, loss = state_of(gateway, edit_id)
    assert (state, loss > 0) == (fault.money[vendor], fault.money[vendor] == "unknown")
    retry_after = answer.headers.get("Retry-After")
    assert (int(retry_after) if retry_after else None) == fault.retry_after
    never = fault.http >= 400 and fault.retry_after is None
    assert answer.headers.get("x-should-retry") == ("false" if never else None)
    if fault.http >= 400:
        error = answer.json()["error"]
        kind = "upstream_error" if fault.http >= 500 else "invalid_request_error"
        assert (error["type"], error["code"], error["param"]) == (kind, kind, fault.param)


SENT = {
    name: fault
    for name, fault in FAULTS.items()
    if fault.scheme == "http" and fault.http != 200  # those are played once only
}


@pytest.mark.parametrize(("name", "fault"), SENT.items(), ids=SENT.keys())
def test_a_fault_at_the_first_of_two_routes(stage: Stage, name: str, fault: Fault) -> None:
    """OpenRouter fails, OpenAI would deliver: it is asked where nothing can have been billed."""
    gateway = stage.gateway("openrouter", "openai", **fault.settings)
    stage.play(openrouter=fault.plays["openrouter"], openai=delivering("openai"))
    answer = ask(gateway, "openrouter", name)
    assert answer.status_code == (200 if fault.moves else fault.http)
    asked = {"openrouter": 1, "openai": 1} if fault.moves else {"openrouter": 1}
    assert stage.submissions() == asked
    state, loss = state_of(gateway, answer.headers["x-request-id"])
    assert state == ("posted" if fault.moves else fault.money["openrouter"])
    assert bool(loss) == (state == "unknown")


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.money is FREE])
def test_an_unknown_outcome_at_the_second_route_ends_the_edit(stage: Stage, name: str) -> None:
    fault = FAULTS[name]
    gateway = stage.gateway("openrouter", "openai", **fault.settings)
    overloaded = golden("openrouter/503-no-provider", "Retry-After: 1")
    stage.play(openrouter=overloaded, openai=fault.plays["openai"])
    answer = ask(gateway, "openrouter", name)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (fault.http, "false")
    assert stage.submissions() == {"openrouter": 1, "openai": 1}
    assert state_of(gateway, answer.headers["x-request-id"])[0] == "unknown"


def test_every_fate_is_played_here_or_where_it_belongs() -> None:
    played = {fate for fault in (FAULTS | LINKED).values() for fate in fault.fates.split()}
    elsewhere = {"circuit_open", "deadline", "cancelled"}  # tests of the breaker and of leaving
    assert played - {"delivered"} | elsewhere == {fate.name for fate in TABLE}
    assert len(FAULTS) >= 20
