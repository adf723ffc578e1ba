"""Three times as many edits as there are places: those that fit go well, the rest hear it at once.

`IMAGEEDIT_TEST_OVERLOAD_SECONDS=60` runs the long form, whose bounds are the promise's own. The
short one bears a machine that is busy with other tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.server import environment
from tests.gateway_programs import gateway_programs
from tests.overload import health_watched, offer, percentile
from tests.paid_keys import paid_secret
from tests.programs import program

SECONDS = float(os.environ.get("IMAGEEDIT_TEST_OVERLOAD_SECONDS", "4"))
LONG = SECONDS >= 30
PLACES = 6
DELAY = 1.5
PROMPT = f"sepia [sandbox delay={DELAY}]"
MEBIBYTE = 1_048_576


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A sandbox in a process of its own, so that its work does not delay the asking."""
    with program("-m", "sandbox", "--port", "0", environment={}, folder=tmp_path) as sandbox:
        words = sandbox.wait_for("http://").split()
        yield next(word for word in words if word.startswith("http://"))


@pytest.mark.timeout(300)
def test_overload_hurts_only_what_is_too_much(url: str, tmp_path: Path) -> None:
    settings = environment(url) | {"IMAGEEDIT_MAX_EDITS": str(PLACES)}
    database = f"sqlite:///{tmp_path / 'imageedit.db'}"
    with gateway_programs(settings, tmp_path) as programs:
        keys = [paid_secret(database) for _ in range(4)]
        processes = (programs.service, programs.front)
        # As much as there are places: what that costs in memory is the cap's own.
        fitting = offer(
            programs,
            keys,
            PROMPT,
            rate=PLACES / DELAY,
            seconds=min(SECONDS, 20),
            at_once=PLACES,
        )
        peak = sum(process.peak_bytes() for process in processes)
        with health_watched(programs) as health:
            run = offer(
                programs,
                keys,
                PROMPT,
                rate=3 * PLACES / DELAY,
                seconds=SECONDS,
                at_once=10 * PLACES,
                settle=DELAY,
            )
        grown = sum(process.peak_bytes() for process in processes) - peak
    went, refused = run.of(200), run.of(503)
    refusals = [one.seconds for one in refused]
    figures = {
        "busy": run.busy(PLACES),
        "edits": len(went),
        "edit mean": sum(one.seconds for one in went) / len(went),
        "fitting mean": sum(one.seconds for one in fitting.of(200)) / len(fitting.of(200)),
        "refusals": len(refused),
        "refusals p50": percentile(refusals, 0.5),
        "refusals p99": percentile(refusals, 0.99),
        "health p50": percentile(health, 0.5),
        "health p99": percentile(health, 0.99),
        "grown MiB": grown / MEBIBYTE,
    }
    print({name: round(value, 3) for name, value in figures.items()})
    assert len(went) + len(refused) == len(run.came)
    assert {one.retry_after for one in refused} == {"5"}
    assert figures["busy"] >= 0.9
    part = "p99" if LONG else "p50"
    assert figures[f"refusals {part}"] < 0.2
    assert figures[f"health {part}"] < 0.1
    assert grown < 32 * MEBIBYTE
