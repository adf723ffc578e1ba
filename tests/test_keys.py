"""Keys: recognisable, refused offline when mistyped, stored as a digest, ended at once."""

from __future__ import annotations

import base64
import stat
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select

from server.accounts import key_format
from server.accounts.keys import Key, Keys, invalid_key, may_use
from server.accounts.schema import accounts, metadata
from server.accounts.store import Store, connect, open_store
from server.domain import EditError, Situation
from tests import whole
from tests.account_workers import check_until_refused, use_keys, workers

pytest_plugins = ("tests.databases",)

DAY = 86_400_000
UNKNOWN = "ie_" + "a" * 30 + key_format._checksum("a" * 30)
MALFORMED = [None, "", "ie_", "sk-123", "ie_" + "a" * 36, UNKNOWN + "0", UNKNOWN.lower()]


class Clock:
    """Milliseconds that a test moves."""

    def __init__(self, now: int = 1_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def keys_in(store: Store, clock: Clock | None = None) -> Keys:
    return Keys(store, clock or Clock(), lambda: str(uuid.uuid4()))


def refusal(keys: Keys, secret: str | None) -> EditError:
    with pytest.raises(EditError) as caught:
        keys.check(secret)
    return caught.value


def everything(error: EditError) -> tuple[object, ...]:
    facts = (error.situation, error.message, error.field, error.limit, error.retry_after)
    return (*facts, error.args)


def test_a_new_key_is_recognisable_and_checks_out() -> None:
    made = {key_format.new_key() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(key.startswith("ie_") and len(key) == 39 for key in made)
    assert all(key_format.is_well_formed(key) for key in made)


@given(st.integers(3, 38), st.sampled_from("0123456789abcXYZ_- \n"))
def test_one_wrong_character_is_noticed(place: int, character: str) -> None:
    wrong = UNKNOWN[:place] + character + UNKNOWN[place + 1 :]
    assert key_format.is_well_formed(wrong) == (wrong == UNKNOWN)


@given(st.text())
def test_any_text_may_be_asked_about(text: str) -> None:
    assert key_format.is_well_formed(text) is False


def test_a_key_works_until_it_is_revoked(store: Store) -> None:
    keys = keys_in(store)
    made, secret = keys.create("me", rate_limit=5)
    assert keys.check(secret) == keys.find(made.id) == made
    assert keys.list() == [made]
    assert keys.revoke(made.id) is True
    assert keys.revoke(made.id) is False
    refusal(keys, secret)
    assert keys.list()[0].revoked == 1_000_000


def test_a_key_remembers_what_it_may(store: Store) -> None:
    keys = keys_in(store)
    made, secret = keys.create(
        "me",
        rate_limit=5,
        concurrency=2,
        models=["b/two", "a/one", "b/two"],
        spend_limit=5_000_000_000,
        ends=2_000_000,
    )
    assert keys.check(secret) == Key(
        id=made.id,
        account_id=made.account_id,
        hint=f"{secret[:7]}…{secret[-4:]}",
        name="me",
        created=1_000_000,
        ends=2_000_000,
        revoked=None,
        models=("b/two", "a/one"),
        rate_limit=5,
        concurrency=2,
        spend_limit=5_000_000_000,
    )


def test_a_key_opens_an_account_or_shares_one(store: Store) -> None:
    keys = keys_in(store)
    first, one = keys.create("one")
    second, two = keys.create("two", account_id=first.account_id)
    third, _ = keys.create("three")
    assert keys.check(one).account_id == keys.check(two).account_id == second.account_id
    assert third.account_id != first.account_id
    with pytest.raises(LookupError, match="no account.*nobody"):
        keys.create("four", account_id="nobody")
    with store.read() as connection:
        opened = connection.execute(select(accounts)).all()
    assert {row.id for row in opened} == {first.account_id, third.account_id}
    assert {(row.created, row.posted, row.held) for row in opened} == {(1_000_000, 0, 0)}
    assert len(keys.list()) == 3


def test_a_key_ends_at_its_end(store: Store) -> None:
    clock = Clock()
    keys = keys_in(store, clock)
    _, secret = keys.create("me", ends=1_000_000 + DAY)
    clock.now += DAY - 1
    keys.check(secret)
    clock.now += 1
    refusal(keys, secret)


def test_every_wrong_key_gets_the_same_answer(store: Store) -> None:
    clock = Clock()
    keys = keys_in(store, clock)
    revoked, was_revoked = keys.create("revoked")
    keys.revoke(revoked.id)
    _, has_ended = keys.create("ended", ends=clock.now)
    rotated, was_rotated = keys.create("rotated")
    keys.rotate(rotated.id, overlap_ms=0)
    wrong = [*MALFORMED, UNKNOWN, was_revoked, has_ended, was_rotated]
    answers = {everything(refusal(keys, secret)) for secret in wrong}
    assert answers == {everything(invalid_key())}
    assert invalid_key().situation is Situation.INVALID_KEY
    assert invalid_key().message == (
        "The API key is missing or not valid. Send it as `Authorization: Bearer KEY`."
    )


@pytest.mark.parametrize(
    ("secret", "reads"), [*((secret, 0) for secret in MALFORMED), (UNKNOWN, 1), ("live", 1)]
)
def test_a_check_is_one_read_by_index_and_a_malformed_key_is_none(
    store: Store, secret: str | None, reads: int
) -> None:
    keys = keys_in(store)
    live = keys.create("me")[1]
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *all_: statements.append(all_[2]))
    if secret == "live":
        keys.check(live)
    else:
        refusal(keys, secret)
    selects = [statement for statement in statements if not statement.startswith("BEGIN")]
    assert len(selects) == reads
    if not reads:
        assert statements == []


def test_the_read_is_by_index(store: Store) -> None:
    keys_in(store).create("me")
    ask = "SELECT * FROM keys WHERE digest = 'x'"
    with store.read() as connection:
        if store.embedded:
            plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + ask).all()
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")  # one row alone needs no index
            plan = connection.exec_driver_sql("EXPLAIN " + ask).all()
    assert "uq_keys_digest" in str(plan) or "autoindex" in str(plan)


def test_another_process_sees_a_revocation_at_once(database_url: str) -> None:
    store = connect(database_url)
    keys = keys_in(store)
    made, secret = keys.create("me")
    with workers(3, check_until_refused, database_url, secret) as running:
        revoked = time.monotonic()
        assert keys.revoke(made.id)
        answers = [worker.answer(5) for worker in running]
    store.close()
    assert {message for _, message in answers} == {invalid_key().message}
    assert max(at for at, _ in answers) - revoked < 1.0


def test_rotation_under_load_refuses_nobody(database_url: str) -> None:
    store = connect(database_url)
    keys = Keys(store, lambda: time.time_ns() // 1_000_000, lambda: str(uuid.uuid4()))
    made, secret = keys.create("me")
    with workers(3, use_keys, database_url) as running:
        for worker in running:
            worker.order(secret)
        for _ in range(5):
            made, secret = keys.rotate(made.id, overlap_ms=DAY)
            for worker in running:
                worker.order(secret)
                assert worker.answer() == "changed"
        for worker in running:
            worker.order(None)
        answers = [worker.answer() for worker in running]
    store.close()
    assert all(uses > 0 for uses, _ in answers)
    assert [refusals for _, refusals in answers] == [0, 0, 0]


def test_rotation_keeps_the_limits_and_ends_the_old_key_after_the_overlap(store: Store) -> None:
    clock = Clock()
    keys = keys_in(store, clock)
    old, old_secret = keys.create(
        "me", rate_limit=5, concurrency=2, models=["a/one"], spend_limit=9, ends=clock.now + 2 * DAY
    )
    clock.now += 10
    new, new_secret = keys.rotate(old.id, overlap_ms=DAY)
    assert new.id != old.id
    kept = ("account_id", "name", "ends", "models", "rate_limit", "concurrency", "spend_limit")
    assert [getattr(new, name) for name in kept] == [getattr(old, name) for name in kept]
    assert new.created == clock.now
    assert new.hint == f"{new_secret[:7]}…{new_secret[-4:]}"
    clock.now += DAY - 1
    assert keys.check(old_secret).id == old.id
    assert keys.check(new_secret) == new
    clock.now += 1
    refusal(keys, old_secret)
    assert keys.check(new_secret) == new


def test_rotation_never_lengthens_a_key(store: Store) -> None:
    keys = keys_in(store)
    old, _ = keys.create("me", ends=1_000_000 + 5)
    keys.rotate(old.id, overlap_ms=DAY)
    assert keys.find(old.id).ends == 1_000_000 + 5


@pytest.mark.parametrize("state", ["unknown", "revoked", "ended"])
def test_only_a_live_key_can_be_rotated(store: Store, state: str) -> None:
    keys = keys_in(store)
    made, _ = keys.create("me", ends=1_000_000 if state == "ended" else None)
    if state == "revoked":
        keys.revoke(made.id)
    with pytest.raises(LookupError, match="There is no"):
        keys.rotate("nobody" if state == "unknown" else made.id, overlap_ms=DAY)
    assert len(keys.list()) == 1


# what the key allows, what is asked, whether it may
ALLOWED = [
    (None, "openai/gpt-image-2", True),
    (("openai/gpt-image-2",), "openai/gpt-image-2", True),
    (("a/one", "b/two"), "b/two", True),
    (("openai/gpt-image-2",), "openai/gpt-image-1", False),
    (("openai/gpt-image-2",), "OpenAI/GPT-image-2", False),
    (("a/one",), "", False),
    ((), "openai/gpt-image-2", False),
]


@pytest.mark.parametrize(("models", "model", "allowed"), ALLOWED)
def test_a_key_may_use_the_models_of_its_list(
    store: Store, models: tuple[str, ...] | None, model: str, allowed: bool
) -> None:
    keys = keys_in(store)
    checked = keys.check(keys.create("me", models=models)[1])
    if allowed:
        may_use(checked, model)
        return
    with pytest.raises(EditError) as caught:
        may_use(checked, model)
    assert (caught.value.situation, caught.value.field) == (Situation.FORBIDDEN, "model")
    assert all(alias in caught.value.message for alias in models or ())


def spellings(secret: str) -> list[bytes]:
    """Return what a key would look like; quoted for a URL it is as it was."""
    raw = secret.encode()
    return [raw[7:-6], base64.b64encode(raw)[8:-8], raw.hex().encode()[16:-16]]


def test_the_database_holds_none_of_many_keys(store: Store, tmp_path: Path) -> None:
    keys = keys_in(store)
    account = keys.create("first")[0].account_id
    secrets = [keys.create(f"key {n}", account_id=account)[1] for n in range(whole.of(1_000, 150))]
    for secret in secrets:
        keys.check(secret)
    with store.read() as connection:
        rows = [connection.execute(select(table)).all() for table in metadata.sorted_tables]
    content = repr(rows).encode() + repr(keys.list()).encode()
    store.close()  # which folds SQLite's journal into its file
    content += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"key 77" in content
    found = [secret for secret in secrets if any(form in content for form in spellings(secret))]
    assert found == []


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'var' / 'keys.db'}")
    keys_in(store).create("me")
    files = list((tmp_path / "var").iterdir())
    assert files
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    store.close()


def test_a_key_is_not_in_what_is_known_of_it(store: Store) -> None:
    made, secret = keys_in(store).create("me")
    assert secret not in repr(made)
    assert made.hint == f"{secret[:7]}…{secret[-4:]}"
