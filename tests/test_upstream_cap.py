"""An attempt's cap is a wall clock, seen from the caller: whatever drips or hangs, a 504 in time.

IMAGEEDIT_TEST_CAP is the cap in seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.edits import told_by_http
from tests.fault_upstream import (
    CHUNKED,
    OK,
    Behaviour,
    Connection,
    FaultUpstream,
    answering,
    deaf,
    dripping,
    response,
    silent,
)
from tests.staged_vendors import Stage, ask, result, staged, state_of

CAP = float(os.environ.get("IMAGEEDIT_TEST_CAP", "0.6"))
SLACK = 0.5


def slow_handshake(_: FaultUpstream, connection: Connection) -> None:
    """Answer the client's hello with a record of 16 KB, a byte at a time."""
    connection.sock.recv(1 << 16)
    connection.drip(b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + bytes(9999), every=0.05)


def half_result(_: FaultUpstream, connection: Connection) -> None:
    connection.read_request()
    connection.write(response(b"x" * 100, length=200))
    connection.hang()


SLOW: dict[str, tuple[Behaviour, str, str]] = {
    "silent": (silent, "openai", "http"),
    "deaf": (deaf, "openrouter", "http"),
    "headers drip": (dripping(OK, b"X: " + b"y" * 999), "openai", "http"),
    "headers, then silence": (answering(OK, then=Connection.hang), "siliconflow", "http"),
    "body drips": (dripping(CHUNKED, b"1\r\ny\r\n" * 99), "openai", "http"),
    "no handshake": (silent, "openai", "https"),
    "slow handshake": (slow_handshake, "openrouter", "https"),
    "result drips": (
        result(dripping(OK + b"Content-Length: 999\r\n\r\n", b"y" * 999)),
        "siliconflow",
        "http",
    ),
    "result stops": (result(half_result), "siliconflow", "http"),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.mark.parametrize("name", SLOW)
def test_it_ends_with_the_cap(stage: Stage, name: str) -> None:
    play, vendor, scheme = SLOW[name]
    settings = {"IMAGEEDIT_ATTEMPT_TIMEOUT": str(CAP)}
    gateway = stage.gateway("openai", "openrouter", "siliconflow", scheme=scheme, **settings)
    stage.play(**{vendor: play})
    started = time.monotonic()
    answer = ask(gateway, vendor, name)
    took = time.monotonic() - started
    assert CAP <= took < CAP + SLACK
    told = told_by_http(answer)
    assert (told.http, told.type, told.code) == (504, "upstream_error", "upstream_error")
    assert (told.retry_after, answer.headers["x-should-retry"]) == (None, "false")
    free = scheme == "https" or vendor == "openrouter"
    state, _ = state_of(gateway, answer.headers["x-request-id"])
    assert state == ("voided" if free else "unknown")
