"""What is tried in what order, for how long, and which failure the caller hears of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from server.catalog import Route
from server.domain import EditError, Situation
from server.upstream.attempt import Attempt, TimedOut
from server.upstream.attempts import Attempts
from server.upstream.delivery import judged
from server.upstream.fates import AttemptFailed
from server.upstream.watchdog import Watchdog
from tests.fault_upstream import Connection, FaultUpstream
from tests.staged_vendors import Errand, Stage, delivering, golden, staged

BOTH = ("openrouter", "openai")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


def failing(attempts: Attempts, routes: tuple[Route, ...], errand: Errand) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        attempts.fetch(routes, errand, errand)
    return caught.value


@dataclass(frozen=True)
class Way:
    """What two routes answer, all that is tried, and what the caller is told."""

    first: str
    second: str
    tried: str
    told: Situation
    retry_after: float | None = None


BUSY, FAILED = Situation.UPSTREAM_BUSY, Situation.UPSTREAM_FAILED
REFUSED = Situation.BAD_REQUEST
OVERLOADED, LIMITED, KEY = "503-no-provider", "429-rate-limit", "401-no-user"
WAYS = [
    Way(KEY, "401-invalid-key", "misconfigured misconfigured", FAILED),
    Way(KEY, "503-overloaded", "misconfigured overloaded overloaded", BUSY, 10),
    # The last that may be worth it, which is the first here.
    Way(OVERLOADED, "401-invalid-key", "overloaded misconfigured overloaded", BUSY, 10),
    Way(OVERLOADED, "500-server-error", "overloaded failed overloaded", BUSY, 10),
    Way("500-error", "500-server-error", "failed failed", FAILED),
    Way(OVERLOADED, "400-moderation-blocked", "overloaded refused", REFUSED),
    Way("403-moderation", "503-overloaded", "refused", REFUSED),
    Way(OVERLOADED, "502-proxy-page", "overloaded foreign", FAILED),
    Way("404-no-endpoints", "404-model-not-found", "model_gone model_gone", FAILED),
]


@pytest.mark.parametrize("way", WAYS, ids=[f"{way.first}, {way.second}" for way in WAYS])
def test_two_routes(stage: Stage, watchdog: Watchdog, way: Way) -> None:
    attempts, routes = stage.attempts(watchdog, *BOTH, backoff=0.0)
    stage.play(openrouter=golden(f"openrouter/{way.first}"), openai=golden(f"openai/{way.second}"))
    errand = Errand()
    failure = failing(attempts, routes, errand)
    assert errand.fates == way.tried.split()
    assert (failure.error.situation, failure.error.retry_after) == (way.told, way.retry_after)
    assert errand.submitted == len(errand.fates)
    assert errand.clear == errand.submitted - failure.billable


def test_of_two_that_may_help_later_the_sooner_is_told(stage: Stage, watchdog: Watchdog) -> None:
    attempts, routes = stage.attempts(watchdog, *BOTH)
    stage.play(
        openrouter=golden("openrouter/429-rate-limit", "Retry-After: 50"),
        openai=golden("openai/429-rate-limit", "Retry-After: 7"),
    )
    assert failing(attempts, routes, Errand()).error.retry_after == 7


@pytest.mark.parametrize(("elapsed", "tried"), [(9.9, 2), (10.1, 1)])
@pytest.mark.parametrize("deadline", [None, 1000.0, 21.0], ids=["none", "late", "as the cap"])
def test_another_try_begins_in_the_first_half_of_the_time(
    stage: Stage, watchdog: Watchdog, elapsed: float, tried: int, deadline: float | None
) -> None:
    now = [0.0]
    attempts, routes = stage.attempts(watchdog, *BOTH, clock=lambda: now[0])

    def slowly(upstream: FaultUpstream, connection: Connection) -> None:
        now[0] += elapsed
        golden("openrouter/500-error")(upstream, connection)

    stage.play(openrouter=slowly, openai=golden("openai/500-server-error"))
    errand = Errand(seconds=deadline)
    failing(attempts, routes, errand)
    assert len(errand.records) == tried


def test_a_pause_that_ends_in_the_second_half_is_not_made(stage: Stage, watchdog: Watchdog) -> None:
    attempts, routes = stage.attempts(watchdog, "openrouter", timeout=2.0)
    stage.play(openrouter=golden("openrouter/503-no-provider", "Retry-After: 1.5"))
    errand = Errand()
    assert failing(attempts, routes, errand).error.retry_after == 1.5
    assert errand.fates == ["overloaded"]


def test_what_is_ours_ends_the_edit_with_nothing_sent(stage: Stage, watchdog: Watchdog) -> None:
    class Poor(Errand):
        def submit(self) -> None:
            raise EditError(Situation.UPSTREAM_BUSY, "The hold is gone.")

    attempts, routes = stage.attempts(watchdog, *BOTH)
    stage.play(openrouter=delivering("openrouter"), openai=delivering("openai"))
    errand = Poor()
    with pytest.raises(EditError, match="hold is gone"):
        attempts.fetch(routes, errand, errand)
    assert errand.fates == ["withheld"]
    assert stage.submissions() == {}
    assert set(attempts.states().values()) == {"closed"}


def test_after_the_cut_nothing_begins(stage: Stage, watchdog: Watchdog) -> None:
    attempts, routes = stage.attempts(watchdog, *BOTH)
    stage.play(openrouter=delivering("openrouter"), openai=delivering("openai"))
    attempts.cut()
    errand = Errand()
    assert failing(attempts, routes, errand).error.situation is Situation.CANCELLED
    assert (errand.fates, stage.submissions()) == (["cancelled"], {})


def test_a_cut_ends_what_was_sent_as_an_unknown_outcome(stage: Stage, watchdog: Watchdog) -> None:
    attempts, routes = stage.attempts(watchdog, "openai")

    def cutting(upstream: FaultUpstream, connection: Connection) -> None:
        upstream.read(connection)
        attempts.cut()

    stage.play(openai=cutting)
    failure = failing(attempts, routes, Errand())
    assert (failure.fate.name, failure.billable) == ("cancelled", True)


@pytest.mark.parametrize("made", [False, True], ids=["waiting", "fetching the result"])
def test_a_picture_that_is_made_is_billed_however_late(
    stage: Stage, watchdog: Watchdog, made: bool
) -> None:
    """A vendor that stops billing at a cancel does not once the picture is there."""
    attempts, _ = stage.attempts(watchdog, "openrouter")
    facts = attempts._vendors["openrouter"].facts
    assert facts.cancel_stops_billing
    with Attempt(20, watchdog) as attempt:
        attempt.begin_sending()
        if made:
            attempt.keep()
        with pytest.raises(AttemptFailed) as caught, judged(attempt, facts, late="timed_out"):
            raise TimedOut("late", sent=True)
    assert caught.value.billable == made
