"""What an edit's row says of its operation, on both databases, without any service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from server.accounts import answers
from server.accounts.ledger import Ending
from server.accounts.operations import Operations, State
from server.accounts.results import KEYED_MS, UNKEYED_MS
from server.accounts.schema import edits, results
from server.accounts.store import Store
from server.accounts.sweeper import sweep
from server.domain import EditError, EditResult, Picture, Situation, Tokens
from tests.idempotent_calls import COST, NOW, Calls, Clock, new_id, open_account

pytest_plugins = ("tests.databases",)

PICTURE = Picture("image/png", b"the file", 4, 3)
RESULT = EditResult("", NOW, "a/b", PICTURE, False, "high", Tokens(9, 2, 7, 5), COST, (), None)


class Books(Calls):
    """The edits of one account, ended in every way, and its operations."""

    def __init__(self, store: Store) -> None:
        self.clock = Clock()
        super().__init__(store, clock=self.clock)
        self.operations = Operations(store, self.results, self.clock)

    def deliver(self, key: str | None = None) -> str:
        edit_id = self.submit(key)
        result = replace(RESULT, id=edit_id)
        facts, data = answers.facts(result), result.picture.data
        keep = self.results.keep(edit_id, facts, data, self.idempotency.keep_ms(key))
        self.ledger.post(edit_id, COST, Ending("delivered"), also=keep)
        return edit_id

    def void(self, outcome: str, key: str | None = None, message: str = "") -> str:
        edit_id = self.hold(key)
        self.ledger.void(edit_id, Ending(outcome, message, "mask" if message else None))
        return edit_id

    def unsure(self, outcome: str) -> str:
        edit_id = self.submit()
        self.ledger.unknown(edit_id, COST, Ending(outcome, "The upstream failed."))
        return edit_id

    def swept(self, *, sent: bool) -> str:
        edit_id = self.submit() if sent else self.hold()
        assert sweep(self._store, self.clock, new_id) == 1
        return edit_id

    def get(self, edit_id: str) -> object:
        return self.operations.get(self.account_id, edit_id)


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)


ROWS: list[tuple[str, Callable[[Books], str], State, Situation | None, str]] = [
    ("held", lambda books: books.hold(), State.QUEUED, None, ""),
    ("submitted", lambda books: books.submit(), State.IN_PROGRESS, None, ""),
    ("posted", lambda books: books.deliver(), State.SUCCEEDED, None, ""),
    (
        "refused",
        lambda books: books.void("bad_request", message="The model refused the mask."),
        State.FAILED,
        Situation.BAD_REQUEST,
        "The model refused the mask.",
    ),
    (
        "a bug",
        lambda books: books.void("bug"),
        State.FAILED,
        Situation.BUG,
        "The edit failed; nothing was charged.",
    ),
    (
        "unknown",
        lambda books: books.unsure("upstream_timeout"),
        State.FAILED,
        Situation.UPSTREAM_TIMEOUT,
        "The upstream failed.",
    ),
    (
        "killed before it was sent",
        lambda books: books.swept(sent=False),
        State.FAILED,
        Situation.UPSTREAM_FAILED,
        "The service stopped before the edit was sent; nothing was charged. Send it again.",
    ),
    (
        "killed after it was sent",
        lambda books: books.swept(sent=True),
        State.FAILED,
        Situation.UPSTREAM_FAILED,
        "The service stopped while the edit was under way; nothing was charged. Send it again.",
    ),
    (
        "cancelled",
        lambda books: books.void("cancelled"),
        State.CANCELLED,
        Situation.CANCELLED,
        "The edit failed; nothing was charged.",
    ),
]


@pytest.mark.parametrize(
    ("make", "state", "situation", "message"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_every_state_of_an_edit_is_one_of_its_operation(
    books: Books,
    make: Callable[[Books], str],
    state: State,
    situation: Situation | None,
    message: str,
) -> None:
    edit_id = make(books)
    found = books.operations.get(books.account_id, edit_id)
    assert (found.id, found.state, found.model, found.created) == (edit_id, state, "a/b", NOW)
    over = state not in {State.QUEUED, State.IN_PROGRESS}
    assert (found.ended is not None, found.expires is not None) == (over, over)
    assert (found.result is not None) == (state is State.SUCCEEDED)
    assert (found.error and found.error.situation) == situation
    assert (found.error.message if found.error else "") == message
    assert not found.cancel_requested


def test_a_result_is_told_without_its_picture_and_given_with_it(books: Books) -> None:
    edit_id = books.deliver()
    found = books.operations.get(books.account_id, edit_id)
    bare = replace(PICTURE, file=b"")
    assert found.result == replace(RESULT, id=edit_id, picture=bare, replayed=True)
    whole = books.operations.picture(books.account_id, edit_id)
    assert whole == replace(RESULT, id=edit_id, replayed=True)


@pytest.mark.parametrize("key", [None, "a key"])
@pytest.mark.parametrize("make", ["deliver", "void"])
def test_what_ended_is_kept_as_long_as_a_result(books: Books, make: str, key: str | None) -> None:
    kept = UNKEYED_MS if key is None else KEYED_MS
    edit_id = books.deliver(key) if make == "deliver" else books.void("upstream_failed", key)
    assert books.operations.get(books.account_id, edit_id).expires == NOW + kept
    books.clock.now += kept - 1
    assert books.get(edit_id)
    books.clock.now += 1
    assert_not_found(lambda: books.get(edit_id))
    assert_not_found(lambda: books.operations.picture(books.account_id, edit_id))


def test_a_result_that_made_room_is_not_there(books: Books, store: Store) -> None:
    edit_id = books.deliver("a key")
    with store.write() as connection:
        connection.execute(results.delete().where(results.c.edit_id == edit_id))
    assert_not_found(lambda: books.get(edit_id))


def test_a_wish_for_the_end_is_kept_while_it_can_be_granted(books: Books) -> None:
    waiting, sent, done = books.hold(), books.submit(), books.deliver()
    for edit_id in (waiting, sent, done, waiting):
        found = books.operations.cancel(books.account_id, edit_id)
        assert found.cancel_requested == (edit_id != done)
    every = [waiting, sent, done]
    assert sorted(books.operations.cancelled(every)) == sorted([waiting, sent])
    assert books.operations.cancelled([]) == []
    assert books.operations.cancelled([waiting]) == [waiting]
    books.ledger.void(waiting, Ending("cancelled"))
    assert books.operations.cancelled(every) == [sent]
    assert books.operations.get(books.account_id, waiting).state is State.CANCELLED


def test_only_what_ended_is_forgotten_with_its_picture_and_its_money_stays(
    books: Books, store: Store
) -> None:
    under_way, ended = books.submit(), [books.deliver(), books.void("cancelled")]
    assert books.operations.forget(books.account_id, under_way) is False
    assert books.get(under_way)
    for edit_id in ended * 2:
        assert books.operations.forget(books.account_id, edit_id) is True
        assert_not_found(lambda edit_id=edit_id: books.get(edit_id))  # type: ignore[misc]
        assert books.results.load(edit_id) is None
    with store.read() as connection:
        cost = connection.scalar(select(edits.c.cost).where(edits.c.id == ended[0]))
    assert cost == COST


def test_an_operation_is_its_accounts_own(books: Books, store: Store) -> None:
    edit_id, stranger = books.deliver(), open_account(store)
    operations = books.operations
    for ask in (operations.get, operations.picture, operations.cancel, operations.forget):
        assert_not_found(lambda ask=ask: ask(stranger, edit_id))  # type: ignore[misc]
    assert books.get(edit_id)


NO_IDS = ("", "x", "\x00", "ü" * 40, "0" * 36, new_id().upper())


@pytest.mark.parametrize("name", NO_IDS, ids=range(len(NO_IDS)))
def test_what_is_no_id_is_not_found(books: Books, name: str) -> None:
    operations = books.operations
    for ask in (operations.get, operations.picture, operations.cancel, operations.forget):
        assert_not_found(lambda ask=ask: ask(books.account_id, name))  # type: ignore[misc]


def assert_not_found(ask: Callable[[], object]) -> None:
    with pytest.raises(EditError) as caught:
        ask()
    assert caught.value.situation is Situation.NOT_FOUND
