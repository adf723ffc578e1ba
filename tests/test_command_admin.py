"""The admin commands: keys, credits, users and migrations, in either database."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from cli.__main__ import main
from cli.values import MOST_DOLLARS, Dollars, show_dollars
from server.accounts.audit import audit
from server.accounts.key_format import is_well_formed
from server.accounts.keys import Keys
from server.accounts.store import connect
from server.accounts.users import Users
from server.domain import EditError
from tests.databases import Postgres
from tests.programs import program

pytest_plugins = ("tests.databases",)

DAY = 86_400_000
SECRET = "hunter2"


def clock() -> int:
    return time.time_ns() // 1_000_000


class Admin:
    """Runs commands on a database, and looks into it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = connect(url)
        self.keys = Keys(self.store, clock, lambda: str(uuid.uuid4()))

    def __call__(self, *arguments: str) -> Result:
        environment = {"IMAGEEDIT_DATABASE_URL": self.url}
        result = CliRunner().invoke(main, arguments, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    def done(self, *arguments: str) -> str:
        """Run a command that must succeed; return its standard output."""
        result = self(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def created(self, *arguments: str) -> str:
        """Make a key; return its id."""
        secret = self.done("keys", "create", "--name", "me", *arguments).strip()
        return self.keys.check(secret).id


@pytest.fixture
def admin(database_url: str) -> Iterator[Admin]:
    made = Admin(database_url)
    yield made
    assert audit(made.store) == []
    made.store.close()


def test_a_new_key_stands_alone_on_standard_output(admin: Admin) -> None:
    result = admin("keys", "create", "--name", "me")
    secret = result.stdout.removesuffix("\n")
    assert is_well_formed(secret)
    made = admin.keys.check(secret)
    assert secret not in result.stderr
    assert made.id in result.stderr
    assert (made.name, made.rate_limit, made.concurrency) == ("me", 60, 16)
    assert (made.models, made.spend_limit, made.ends, made.revoked) == (None, None, None, None)


def test_a_key_gets_what_was_asked_for(admin: Admin) -> None:
    before = clock()
    key_id = admin.created(
        *("--credits", "10.00", "--rate-limit", "7", "--concurrency", "3"),
        *("--model", "openai/gpt-image-2", "--model", "qwen/qwen-image-edit"),
        *("--spend-limit", "5.000000001", "--ends", "30d"),
    )
    made = admin.keys.find(key_id)
    assert (made.rate_limit, made.concurrency, made.spend_limit) == (7, 3, 5_000_000_001)
    assert made.models == ("openai/gpt-image-2", "qwen/qwen-image-edit")
    assert made.ends is not None
    assert before + 30 * DAY <= made.ends <= clock() + 30 * DAY
    listed = admin.done("keys", "list")
    for shown in (made.id, made.hint, "live", made.account_id, "7/min", "$5.000000001", "ends"):
        assert shown in listed
    assert "balance  $10.00\n" in admin.done("credits", "show", key_id)


def test_a_day_is_meant_to_its_end(admin: Admin) -> None:
    ends = admin.keys.find(admin.created("--ends", "2099-12-31")).ends
    assert ends == 4_102_444_800_000  # 2100-01-01T00:00:00Z


def test_keys_may_share_an_account(admin: Admin) -> None:
    first = admin.created("--credits", "1")
    account = admin.keys.find(first).account_id
    second = admin.created("--account", account, "--credits", "2")
    assert admin.keys.find(second).account_id == account
    assert "balance  $3.00\n" in admin.done("credits", "show", first)


def test_a_rotated_key_gives_way_after_the_overlap(admin: Admin) -> None:
    secret = admin.done("keys", "create", "--name", "me", "--credits", "1").strip()
    old = admin.keys.check(secret)
    result = admin("keys", "rotate", old.id)
    new = admin.keys.check(result.stdout.removesuffix("\n"))
    assert (new.account_id, new.name) == (old.account_id, "me")
    ends = admin.keys.check(secret).ends
    assert ends is not None
    assert abs(ends - clock() - DAY) < 60_000
    assert old.id in result.stderr
    last = admin.done("keys", "rotate", new.id, "--overlap", "0s")
    with pytest.raises(EditError):
        admin.keys.check(result.stdout.strip())
    admin.keys.check(last.strip())
    assert [line.split()[2] for line in admin.done("keys", "list").splitlines()] == [
        "live",
        "ended",
        "live",
    ]


def test_a_revoked_key_is_dead_and_stays_so(admin: Admin) -> None:
    secret = admin.done("keys", "create", "--name", "me").strip()
    key_id = admin.keys.check(secret).id
    admin.done("keys", "revoke", key_id)
    with pytest.raises(EditError):
        admin.keys.check(secret)
    assert "revoked" in admin.done("keys", "list")
    for command in ("revoke", "rotate"):
        again = admin("keys", command, key_id)
        assert (again.exit_code, again.stdout) == (1, "")
        assert "no live key" in again.stderr


def test_credits_are_exact_and_may_be_corrected(admin: Admin) -> None:
    key_id = admin.created()
    assert "$0.000000001" in admin.done("credits", "add", key_id, "0.000000001")
    assert "$12,345,678.900000001" in admin.done("credits", "add", key_id, "12345678.9")
    assert "added -$345,678.90" in admin.done("credits", "add", key_id, "-345678.90")
    shown = admin.done("credits", "show", key_id)
    assert "balance  $12,000,000.000000001\n" in shown
    assert "held     $0.00\n" in shown
    assert "spent    $0.00\n" in shown
    refused = admin("credits", "add", key_id, "-12000000.000000002")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "$12,000,000.000000001 that is free" in refused.stderr
    assert admin.done("credits", "show", key_id) == shown


def test_the_audit_finds_what_does_not_agree(admin: Admin) -> None:
    account = admin.keys.find(admin.created("--credits", "5")).account_id
    clean = admin("credits", "audit")
    assert (clean.exit_code, clean.stdout) == (0, "")
    tamper = text("UPDATE accounts SET posted = posted + :more")
    with admin.store.write() as connection:
        connection.execute(tamper, {"more": 1})
    found = admin("credits", "audit")
    assert found.exit_code == 1
    assert account in found.stdout
    with admin.store.write() as connection:
        connection.execute(tamper, {"more": -1})


def test_users_are_blocked_listed_and_unblocked(admin: Admin) -> None:
    key_id = admin.created()
    account = admin.keys.find(key_id).account_id
    users = Users(admin.store, clock)
    admin.done("users", "block", key_id, "mallory")
    admin.done("users", "block", key_id, "mallory")
    assert users.is_blocked(account, "mallory")
    users.block(account, "\x1b[31mred\n")
    listed = admin.done("users", "list", key_id).splitlines()
    assert [line.split("  ")[1] for line in listed] == ["�[31mred�", "mallory"]
    admin.done("users", "unblock", key_id, "mallory")
    assert not users.is_blocked(account, "mallory")
    again = admin("users", "unblock", key_id, "mallory")
    assert (again.exit_code, again.stderr) == (1, 'Error: "mallory" is not blocked.\n')


NOBODY = [
    ("keys", "revoke", "nobody"),
    ("keys", "rotate", "nobody"),
    ("credits", "add", "nobody", "1"),
    ("credits", "show", "nobody"),
    ("users", "block", "nobody", "x"),
    ("users", "unblock", "nobody", "x"),
    ("users", "list", "nobody"),
]


@pytest.mark.parametrize("arguments", NOBODY)
def test_a_key_that_is_not_there_is_said_to_be_not_there(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = Admin(f"sqlite:///{tmp_path / 'new.db'}")(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert '"nobody"' in result.stderr


CREATE = ("keys", "create", "--name", "me")
# what is typed, what the answer names
WRONG = [
    ((*CREATE, "--credits", "ten"), "--credits"),
    ((*CREATE, "--credits", "-1"), "--credits"),
    ((*CREATE, "--credits", "0.0000000001"), "such as 10.00"),
    ((*CREATE, "--credits", "1e3"), "--credits"),
    ((*CREATE, "--credits", "NaN"), "--credits"),
    ((*CREATE, "--credits", "100000001"), "--credits"),
    ((*CREATE, "--credits", "١٠"), "--credits"),
    ((*CREATE, "--spend-limit", "-0.5"), "--spend-limit"),
    ((*CREATE, "--rate-limit", "0"), "--rate-limit"),
    ((*CREATE, "--concurrency", "0"), "--concurrency"),
    ((*CREATE, "--ends", "tomorrow"), "2027-01-31"),
    ((*CREATE, "--ends", "2027-02-30"), "--ends"),
    ((*CREATE, "--ends", "2020-01-31"), "is over"),
    ((*CREATE, "--ends", "-3d"), "--ends"),
    ((*CREATE, "--model", "openai/gpt-image-9"), "openai/gpt-image-2"),
    ((*CREATE, "--account", "nobody"), "--account"),
    (("keys", "create"), "--name"),
    (("keys", "create", "--name", " "), "--name"),
    (("keys", "create", "--name", "a\nb"), "--name"),
    (("keys", "create", "--name", "n" * 201), "--name"),
    (("keys", "rotate", "x", "--overlap", "1y"), "24h"),
    (("credits", "add", "x", "1.5.0"), "AMOUNT"),
    (("credits", "add", "x"), "AMOUNT"),
    (("users", "block", "x", ""), "512"),
    (("users", "block", "x", "\udcff"), "UTF-8"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG)
def test_what_is_typed_wrong_is_explained_and_changes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    admin = Admin(f"sqlite:///{tmp_path / 'new.db'}")
    admin.store.migrate()
    result = admin(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert admin.keys.list() == []
    admin.store.close()


@given(st.integers(-MOST_DOLLARS * 10**9, MOST_DOLLARS * 10**9))
def test_what_is_shown_of_dollars_can_be_typed(nanos: int) -> None:
    shown = show_dollars(nanos).replace("$", "").replace(",", "")
    assert Dollars(negative=True).convert(shown, None, None) == nanos


GROUPS = {
    (): ("serve", "keys", "credits", "users", "usage", "migrate", "edit", "models", "demo"),
    ("keys",): ("create", "list", "revoke", "rotate", "imageedit keys create --name shop"),
    ("keys", "create"): ("--credits", "--ends", "--model", "--account", "2027-01-31", "KEY=$("),
    ("keys", "rotate"): ("--overlap", "24h", "counted from 0"),
    ("credits",): ("add", "show", "audit", "imageedit credits add KEY_ID 25.00"),
    ("credits", "add"): ("negative", "KEY_ID -5"),
    ("users",): ("block", "unblock", "list", "safety_identifier"),
    ("migrate",): ("once after an update",),
}


@pytest.mark.parametrize("command", GROUPS)
def test_help_teaches(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    for word in GROUPS[command]:
        assert word in result.stdout


def test_a_shared_database_waits_for_migrate(postgres: Postgres) -> None:
    admin = Admin(postgres())
    early = admin("keys", "list")
    assert (early.exit_code, early.stdout) == (1, "")
    assert "run `imageedit migrate`" in early.stderr
    admin.done("migrate")
    admin.done("migrate")
    assert is_well_formed(admin.done("keys", "create", "--name", "me").strip())
    admin.store.close()


def test_a_database_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "note.db").write_text("this is no database" * 100)
    for url in (f"postgresql://me:{SECRET}@127.0.0.1:1/x", f"sqlite:///{tmp_path / 'note.db'}"):
        for command in (("keys", "list"), ("migrate",), ("credits", "audit")):
            result = CliRunner().invoke(main, command, env={"IMAGEEDIT_DATABASE_URL": url})
            assert (result.exit_code, result.stdout) == (1, ""), result.exception
            assert "IMAGEEDIT_DATABASE_URL can't be used" in result.stderr
            assert len(result.stderr.splitlines()) == 1
            assert SECRET not in result.stderr


def test_settings_that_are_not_usable_are_told(tmp_path: Path) -> None:
    environment = {"IMAGEEDIT_DATABASE_URL": "nonsense"}
    for command in (("keys", "list"), ("migrate",), ("users", "list", "x")):
        result = CliRunner().invoke(main, command, env=environment)
        assert result.exit_code == 2
        assert "IMAGEEDIT_DATABASE_URL" in result.stderr


def test_a_script_gets_the_key_and_nothing_else(tmp_path: Path) -> None:
    with program(
        *("-c", "from cli.__main__ import main; import sys; sys.stderr = None; main()"),
        *("keys", "create", "--name", "me"),
        environment={"IMAGEEDIT_DATABASE_URL": f"sqlite:///{tmp_path / 'var' / 'new.db'}"},
        folder=tmp_path,
    ) as running:
        assert running.process.wait(30) == 0
        running.wait_for("ie_")
        assert is_well_formed("".join(running.lines).strip())
