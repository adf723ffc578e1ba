"""A first attempt that found no place: its retry is an edit of its own, not another call's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.server import SandboxServer
from tests.customers import RETRY, customer, post
from tests.running import Gateway, eventually

PLACES = 4


@pytest.fixture(scope="module")
def small(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that is soon full."""
    environment = sandbox.environment() | {"IMAGEEDIT_MAX_EDITS": str(PLACES)}
    with Gateway(environment, tmp_path_factory.mktemp("small")) as running:
        yield running


# A large picture is refused before it is read, so nobody knows what was asked for.
@pytest.mark.parametrize("picture", ["photo.png", "large.png"])
def test_while_an_equal_edit_is_under_way(
    small: Gateway, sandbox: SandboxServer, picture: str
) -> None:
    who, admission = customer(small), small.service.admission
    with ThreadPoolExecutor(PLACES) as pool:
        first = pool.submit(post, who, "[sandbox delay=3]", picture=picture)
        others = [pool.submit(post, customer(small), "[sandbox delay=1]") for _ in range(3)]
        assert eventually(lambda: admission.held == PLACES)
        refused = post(who, "[sandbox delay=3]", picture=picture)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert {one.result().status_code for one in others} == {200}
        assert not first.done()
        again = post(who, "[sandbox delay=3]", RETRY, picture=picture)
        assert first.result().status_code == again.status_code == 200
    assert "idempotent-replayed" not in again.headers
    tally = who.tally(sandbox)
    assert (tally.submissions, tally.charges) == (2, 2)
    # It came; a later retry is one of a call whose answer was lost.
    assert "idempotent-replayed" in post(who, "[sandbox delay=3]", RETRY, picture=picture).headers


def test_after_an_equal_edit_was_answered(small: Gateway, sandbox: SandboxServer) -> None:
    who = customer(small)
    assert post(who).status_code == 200
    with ThreadPoolExecutor(PLACES) as pool:
        taken = [pool.submit(post, customer(small), "[sandbox delay=1]") for _ in range(PLACES)]
        assert eventually(lambda: small.service.admission.held == PLACES)
        assert post(who).status_code == 503
        assert {one.result().status_code for one in taken} == {200}
    again = post(who, headers=RETRY)
    assert (again.status_code, "idempotent-replayed" in again.headers) == (200, False)
    tally = who.tally(sandbox)
    assert (tally.submissions, tally.charges) == (2, 2)
