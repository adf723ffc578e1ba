"""Usage reports: sums of hand-made edits, the same on both databases, as a table and as CSV."""

from __future__ import annotations

import csv
import io
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from cli.__main__ import main
from cli.usage import dollars
from server.accounts.records import Part
from server.accounts.schema import accounts, edits, keys
from server.accounts.store import Store
from server.accounts.usage import By, Line, Sums, report, total

pytest_plugins = ("tests.databases",)

DAY = 86_400_000
ONE, TWO = f"{1:036}", f"{2:036}"
HUGE = 2**53 + 1  # a float cannot hold it


def at(text: str) -> int:
    """Unix milliseconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


NIGHT = at("2026-11-21T00:00:00")
# key, user, model, created, outcome, input and output tokens, cost, loss
EDITS: Sequence[tuple[str, str, str, int, str, int, int, int, int]] = [
    (ONE, "ann", "a/b", NIGHT - 1, "delivered", 100, 10, HUGE, 0),
    (ONE, "ann", "a/b", NIGHT, "delivered", 200, 20, 227_592_000, 1),
    (ONE, "", "c/d", NIGHT + DAY - 1, "upstream_failed", 0, 0, 0, 40_000_000),
    (TWO, "ann", "c/d", NIGHT + DAY, "", 0, 0, 0, 0),
    (TWO, "bob", "a/b", NIGHT + DAY + 1, "cancelled", 5, 1, 0, 3),
]


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with two keys and the edits above."""
    with store.write() as connection:
        money = {"created": 0, "posted": 0, "held": 0}
        connection.execute(insert(accounts), [{"id": ONE} | money])
        for number, key in enumerate((ONE, TWO)):
            connection.execute(
                insert(keys),
                {
                    "id": key, "account_id": ONE, "digest": str(number), "hint": "", "created": 0,
                    "name": f"key {number + 1}", "rate_limit": 60, "concurrency": 8, "spent": 0,
                    "held": 0, "active": 0,
                },
            )  # fmt: skip
        for key, user, model, created, outcome, tokens_in, tokens_out, cost, loss in EDITS:
            connection.execute(
                insert(edits),
                {
                    "id": str(uuid.uuid4()), "account_id": ONE, "key_id": key, "user": user,
                    "model": model, "state": "posted" if cost else "voided", "owner": ONE,
                    "hold": cost, "cost": cost, "loss": loss, "created": created, "route": "",
                    "attempts": 1, "upstream_ms": 0, "input_tokens": tokens_in,
                    "input_text_tokens": 0, "output_tokens": tokens_out, "mask_method": "",
                    "outcome": outcome, "message": "", "fingerprint": "", "claims": 0,
                    "delivered": False,
                },
            )  # fmt: skip
    return store


REPORTS = [
    (By.KEY, [Line(ONE, "key 1", Sums(3, 2, 1, 300, 30, HUGE + 227_592_000, 40_000_001)),
              Line(TWO, "key 2", Sums(2, 0, 1, 5, 1, 0, 3))]),
    (By.USER, [Line("", "", Sums(1, 0, 1, 0, 0, 0, 40_000_000)),
               Line("ann", "", Sums(3, 2, 0, 300, 30, HUGE + 227_592_000, 1)),
               Line("bob", "", Sums(1, 0, 1, 5, 1, 0, 3))]),
    (By.MODEL, [Line("a/b", "", Sums(3, 2, 1, 305, 31, HUGE + 227_592_000, 4)),
                Line("c/d", "", Sums(2, 0, 1, 0, 0, 0, 40_000_000))]),
    (By.DAY, [Line("2026-11-20", "", Sums(1, 1, 0, 100, 10, HUGE, 0)),
              Line("2026-11-21", "", Sums(2, 1, 1, 200, 20, 227_592_000, 40_000_001)),
              Line("2026-11-22", "", Sums(2, 0, 1, 5, 1, 0, 3))]),
]  # fmt: skip


@pytest.mark.parametrize(("by", "lines"), REPORTS)
def test_a_report(filled: Store, by: By, lines: list[Line]) -> None:
    assert report(filled, by) == lines
    for line in lines:
        assert {type(getattr(line.sums, name)) for name in ("edits", "cost", "loss")} == {int}
    assert total(lines) == Sums(5, 2, 2, 305, 31, HUGE + 227_592_000, 40_000_004)


PARTS = [
    ({"since": NIGHT}, 4),
    ({"until": NIGHT}, 1),
    ({"since": NIGHT, "until": NIGHT + DAY}, 2),
    ({"since": NIGHT + DAY + 2}, 0),
    ({"key_id": TWO}, 2),
    ({"key_id": TWO, "since": NIGHT + DAY + 1}, 1),
    ({"key_id": "nobody"}, 0),
    ({}, 5),
]


@pytest.mark.parametrize("by", By)
def test_a_report_of_a_part(filled: Store, by: By) -> None:
    for part, number in PARTS:
        assert total(report(filled, by, Part(**part))).edits == number


def test_nothing_sums_up_to_nothing(store: Store) -> None:
    assert [report(store, by) for by in By] == [[]] * len(By)
    assert total([]) == Sums()


def run(url: str, *arguments: str) -> Result:
    environment = {"IMAGEEDIT_DATABASE_URL": url}
    return CliRunner().invoke(main, ["usage", *arguments], env=environment)


def test_the_table_ends_with_its_total(filled: Store, database_url: str) -> None:
    result = run(database_url, "--by", "day", "--since", "2026-11-21", "--until", "2026-11-21")
    assert result.exit_code == 0, result.output
    head, *lines = (line.split() for line in result.stdout.splitlines())
    assert head == ["day", "edits", "delivered", "failed", "input", "output", "cost", "loss"]
    figures = ["2", "1", "1", "200", "20", "0.227592000", "0.040000001"]
    assert lines == [["2026-11-21", *figures], ["total", *figures]]
    assert len({len(line) for line in result.stdout.splitlines()}) == 1


@pytest.mark.parametrize(("by", "lines"), REPORTS)
def test_csv_has_every_figure_exactly(
    filled: Store, database_url: str, by: By, lines: list[Line]
) -> None:
    result = run(database_url, "--by", by.value, "--csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row[by.value] for row in rows] == [line.of for line in lines]
    assert [row.get("name", "") for row in rows] == [line.name for line in lines]
    for row, line in zip(rows, lines, strict=True):
        for column in ("edits", "delivered", "failed", "input_tokens", "output_tokens"):
            assert int(row[column]) == getattr(line.sums, column)
        assert Fraction(row["cost"]) * 10**9 == line.sums.cost
        assert Fraction(row["loss"]) * 10**9 == line.sums.loss


def test_one_key_alone(filled: Store, database_url: str) -> None:
    result = run(database_url, "--by", "key", "--key", TWO, "--csv")
    assert re.findall(r"^\d+,key \d", result.stdout, re.MULTILINE) == [f"{TWO},key 2"]


def test_a_users_own_text_cannot_write_on_the_terminal(filled: Store, database_url: str) -> None:
    with filled.write() as connection:
        connection.execute(edits.update().values(user="\x1b[2J\n" + "x" * 500))
    result = run(database_url, "--by", "user")
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 3
    assert max(map(len, result.stdout.splitlines())) < 200


WRONG: list[tuple[dict[str, str], list[str], str]] = [
    ({}, ["--since", "yesterday"], "does not match"),
    ({}, ["--by", "colour"], "key"),
    ({"IMAGEEDIT_DATABASE_URL": "nonsense"}, [], ""),
]


@pytest.mark.parametrize(("environment", "arguments", "says"), WRONG, ids=range(len(WRONG)))
def test_wrong_usage_is_told(
    tmp_path: Any, environment: dict[str, str], arguments: list[str], says: str
) -> None:
    given = {"IMAGEEDIT_DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"} | environment
    result = CliRunner().invoke(main, ["usage", *arguments], env=given)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("nanos", [0, 1, -1, 10**9, 2**63 - 1, -(2**63), 10**30])
def test_dollars_are_exact(nanos: int) -> None:
    assert Fraction(dollars(nanos)) * 10**9 == nanos
    assert re.fullmatch(r"-?\d+\.\d{9}", dollars(nanos))
    assert Decimal(dollars(nanos)).as_tuple().exponent == -9
