"""Fixtures of the whole suite, and the rule that CI skips nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from sandbox.server import SandboxServer
from tests import whole
from tests.running import Gateway

# Reproducible: the same examples at every run; no deadline, the machine may be busy.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    print_blob=True,
    max_examples=whole.of(100, 30),
)
settings.load_profile("suite")

# A shell ignores Ctrl-C for what it starts in the background, and everything under it inherits
# that: the programs whose Ctrl-C is tested, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Modules are handed out whole, for their fixtures' sake: with the longest first, no worker is left
# alone with one in the end.
LONGEST = (
    *("docs_commands", "command", "crashes_at_random", "openapi", "programs", "upstream_fates"),
    *("playground", "drain", "crashes", "crashed_starts", "audit", "idempotency_retries"),
    *("idempotency_races", "docs_start", "ledger_races", "known_bugs", "error_table"),
    *("retries_node", "retries_python", "keys", "jobs", "overload", "secrets", "job_crashes"),
    *("edit_facts", "imaging_framing", "command_admin", "faults_between", "usage_page", "soak"),
    *("imaging_hostile", "ledger_model", "upstream_time_box", "refusals_before_the_body"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first."""
    order = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers `-n auto` means: tests wait about as long as they compute."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) * 3 // 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where IMAGEEDIT_TEST_NO_SKIP is set, turn a skip into a failure that gives its reason."""
    report = yield
    if report.skipped and os.environ.get("IMAGEEDIT_TEST_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


PICTURES = 0.25
"""The part of their sides that pictures have. Few tests need the rest: `full_size` is for them."""


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxServer]:
    """The sandbox upstream, listening; its pictures are small, being most of an edit's time."""
    with SandboxServer(share=PICTURES) as server:
        yield server


@pytest.fixture(scope="session")
def gateway(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real service and the real front, listening, with the sandbox as every upstream."""
    with Gateway(sandbox.environment(), tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="session")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway like that above, whose upstreams give pictures as large as the real ones do."""
    with (
        SandboxServer() as upstream,
        Gateway(upstream.environment(), tmp_path_factory.mktemp("full size")) as running,
    ):
        yield running
