"""Keys: recognisable, refused offline when mistyped, stored as a digest, ended at once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from server.accounts import key_format
from server.accounts.keys import Keys
from server.accounts.store import open_store
from server.domain import EditError, Situation


UNKNOWN = "ie_" + "a" * 30 + key_format._checksum("a" * 30)


def keys_in(folder: Path) -> Keys:
    return Keys(open_store(f"sqlite:///{folder / 'var' / 'keys.db'}"), clock=lambda: 1_000.0)


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


def test_a_key_works_until_it_is_revoked(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    made, secret = keys.create("me", credit_nanos=10_000_000_000, rate_limit=5)
    assert keys.check(secret) == made
    assert keys.list() == [made]
    assert keys.revoke(made.id) is True
    assert keys.revoke(made.id) is False
    with pytest.raises(EditError):
        keys.check(secret)
    assert keys.list()[0].revoked == 1_000.0


def test_another_process_sees_a_revocation(tmp_path: Path) -> None:
    here, there = keys_in(tmp_path), keys_in(tmp_path)
    made, secret = here.create("me")
    assert there.check(secret).id == made.id
    here.revoke(made.id)
    with pytest.raises(EditError):
        there.check(secret)


@pytest.mark.parametrize("secret", [None, "", "ie_", "sk-123", UNKNOWN])
def test_every_wrong_key_gets_the_same_answer(tmp_path: Path, secret: str | None) -> None:
    with pytest.raises(EditError) as caught:
        keys_in(tmp_path).check(secret)
    assert caught.value.situation is Situation.INVALID_KEY
    assert caught.value.message == (
        "The API key is missing or not valid. Send it as `Authorization: Bearer KEY`."
    )


def test_a_malformed_key_never_reaches_the_store(tmp_path: Path) -> None:
    engine = open_store(f"sqlite:///{tmp_path / 'keys.db'}")
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *all_: statements.append(all_[2]))
    with pytest.raises(EditError):
        Keys(engine, clock=lambda: 0.0).check("ie_" + "a" * 36)
    assert statements == []


def test_the_database_holds_no_key_and_is_its_owners_alone(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    secrets = [keys.create(f"key {number}")[1] for number in range(20)]
    folder = tmp_path / "var"
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"key 7" in content
    for secret in secrets:
        assert secret.encode() not in content
        assert secret[4:20].encode() not in content
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_key_is_not_in_what_is_known_of_it(tmp_path: Path) -> None:
    made, secret = keys_in(tmp_path).create("me")
    assert secret not in repr(made)
    assert made.hint == f"{secret[:7]}…{secret[-4:]}"
