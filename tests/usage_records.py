"""Usage records that nobody's edit made: one by one, or a month of them to look at."""

from __future__ import annotations

import random
import uuid
from typing import Any

from sqlalchemy import insert

from server.accounts.keys import Key
from server.accounts.schema import edits
from server.accounts.store import Store

DAY = 86_400_000
MODELS = {
    "openai/gpt-image-2": 210_000_000,
    "qwen/qwen-image-edit": 40_000_000,
    "black-forest-labs/flux-kontext-dev": 25_000_000,
    "openai/gpt-image-1.5": 130_000_000,
}
OUTCOMES = {"delivered": 40, "upstream_failed": 2, "bad_request": 2, "upstream_timeout": 1}


def row(key: Key, created: int, outcome: str = "delivered", **more: Any) -> dict[str, Any]:
    """Return the columns of an edit that took a second and a half."""
    return {
        "id": str(uuid.uuid4()), "account_id": key.account_id, "key_id": key.id, "user": "",
        "model": "a/b", "state": "posted", "owner": "x", "hold": 0, "cost": 0, "loss": 7,
        "created": created, "ended": created + 1500, "route": "openai:secret-name", "attempts": 1,
        "upstream_ms": 900, "input_tokens": 9, "input_text_tokens": 4, "output_tokens": 2,
        "mask_method": "", "outcome": outcome, "message": "", "fingerprint": "", "claims": 0,
        "delivered": False,
    } | more  # fmt: skip


def write(store: Store, *rows: dict[str, Any]) -> None:
    """Put edits into the store, past its books."""
    with store.write() as connection:
        connection.execute(insert(edits), rows)


def month(key: Key, now: int) -> list[dict[str, Any]]:
    """Return the edits of the 30 days before `now`, in Unix milliseconds; always the same ones."""
    dice = random.Random(3)  # noqa: S311 -- pictures, not secrets
    rows = []
    for ago in range(30):
        for _ in range(dice.randrange(2, 18)):
            (model,) = dice.choices(list(MODELS), (5, 3, 2, 1))
            (outcome,) = dice.choices(list(OUTCOMES), list(OUTCOMES.values()))
            created = now - ago * DAY - dice.randrange(DAY // 2)
            price = int(MODELS[model] * dice.uniform(0.7, 1.2))
            rows.append(
                row(
                    key,
                    created,
                    outcome,
                    id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
                    user=dice.choice(["ann", "bob", "studio-7", "", ""]),
                    model=model,
                    cost=price if outcome == "delivered" else 0,
                    ended=created + dice.randrange(4_000, 60_000),
                )
            )
    return rows
