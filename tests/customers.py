"""Customers with an account of their own, and what a call of theirs came to in the end."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import requests
from sqlalchemy import Row, distinct, func, select

from sandbox.calls import Call
from sandbox.server import SandboxServer
from server.accounts.key_format import new_key
from server.accounts.schema import edits, entries
from tests.paid_keys import PLENTY, paid_key
from tests.retry_cases import FILES
from tests.running import Gateway, eventually
from tests.sdk_pictures import MODEL

# Answers by which a vendor says that it did not begin; these are surely not billed.
REFUSALS = {400, 401, 402, 403, 404, 429, 503}
# OpenRouter bills no failure at all (its documentation on zero-completion insurance).
FREE_FAILURES = "/openrouter/"
RETRY = {"x-stainless-retry-count": "1"}
"""What an SDK says at its first automatic retry."""


@dataclass(frozen=True)
class Tally:
    """Of one prompt of one account: `billable` are the submissions that the vendor may bill."""

    submissions: int
    billable: int
    posted: int
    charges: int


ONE = Tally(submissions=1, billable=1, posted=1, charges=1)


@dataclass(frozen=True)
class Customer:
    """An account with one key at a gateway. No two have the same prompts."""

    gateway: Gateway
    account_id: str
    key: str
    mark: str

    def prompt(self, words: str = "") -> str:
        """Return a prompt that nobody else has; `words` are directives to the sandbox."""
        return f"invert {self.mark} {words}".strip()

    def edits(self) -> Sequence[Row[Any]]:
        """Return the account's edits, once none is under way any more."""
        assert eventually(lambda: all(row.ended for row in self._rows()), seconds=10)
        return self._rows()

    def tally(self, sandbox: SandboxServer) -> Tally:
        """Count what the upstream got, and what the account was charged for."""
        rows = self.edits()
        charged = select(func.count(distinct(entries.c.event))).where(
            entries.c.account == "revenue",
            entries.c.amount != 0,
            entries.c.edit_id.in_([row.id for row in rows]),
        )
        with self.gateway.store.read() as connection:
            charges = connection.scalar(charged)
        sent = [call for call in sandbox.calls if self.mark in json.dumps(dict(call.fields))]
        return Tally(
            submissions=len(sent),
            billable=sum(map(_may_be_billed, sent)),
            posted=sum(row.state == "posted" for row in rows),
            charges=charges or 0,
        )

    def _rows(self) -> Sequence[Row[Any]]:
        with self.gateway.store.read() as connection:
            return connection.execute(
                select(edits).where(edits.c.account_id == self.account_id)
            ).all()


def _may_be_billed(call: Call) -> bool:
    if call.path.startswith(FREE_FAILURES) and (call.faults or call.status != 200):
        return False
    return call.status not in REFUSALS


def customer(gateway: Gateway, *, credit: int = PLENTY, concurrency: int = 10_000) -> Customer:
    """Return a new customer."""
    made, secret = paid_key(gateway.store, credit=credit, concurrency=concurrency)
    return Customer(gateway, made.account_id, secret, uuid.uuid4().hex)


def customer_of(kind: str, gateway: Gateway) -> Customer:
    """Return a new customer: "paying", "poor", or "nobody", whose key is unknown."""
    who = customer(gateway, **({"credit": 0} if kind == "poor" else {}))
    return replace(who, key=new_key()) if kind == "nobody" else who


def post(
    who: Customer, words: str = "", headers: Mapping[str, str] | None = None, **fields: Any
) -> requests.Response:
    """Edit over HTTP; a field `picture` names another file."""
    data = FILES[fields.pop("picture", "photo.png")]
    return requests.post(
        f"{who.gateway.url}/v1/images/edits",
        data={"model": MODEL, "prompt": who.prompt(words), **fields},
        files={"image": ("photo.png", data)},
        headers={"authorization": f"Bearer {who.key}", **(headers or {})},
        timeout=30,
    )
