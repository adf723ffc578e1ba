"""The ledger in plain words: what every step must lead to, without a database."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.accounts.sweeper import DEAD_AFTER_MS, HOLD_TTL_MS


@dataclass
class Account:
    posted: int = 0


@dataclass
class Key:
    account: str
    concurrency: int
    spend_limit: int | None
    spent: int = 0
    revoked: bool = False


@dataclass
class Edit:
    account: str
    key: str
    owner: str
    hold: int
    created: int
    state: str = "held"
    cost: int = 0
    loss: int = 0


@dataclass
class Model:
    """The answers of its methods are words; what is not refused is done."""

    now: int
    accounts: dict[str, Account] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    edits: dict[str, Edit] = field(default_factory=dict)
    beats: dict[str, int] = field(default_factory=dict)

    def live(self, **of: str) -> list[Edit]:
        """Return the edits under way of an account or a key."""
        return [
            edit
            for edit in self.edits.values()
            if edit.state in {"held", "submitted"}
            and all(getattr(edit, name) == value for name, value in of.items())
        ]

    def held(self, **of: str) -> int:
        return sum(edit.hold for edit in self.live(**of))

    def free(self, account: str) -> int:
        return self.accounts[account].posted - self.held(account=account)

    def top_up(self, account: str, amount: int) -> str:
        if self.free(account) + amount < 0:
            return "refused"
        self.accounts[account].posted += amount
        return "done"

    def hold(self, edit_id: str, key_id: str, owner: str, amount: int) -> str:
        key = self.keys[key_id]
        if key.revoked:
            return "invalid_key"
        if (key.spend_limit or 10**9) < key.spent + self.held(key=key_id) + amount:
            return "no_credit"
        if len(self.live(key=key_id)) >= key.concurrency:
            return "limited"
        if self.free(key.account) < amount:
            return "no_credit"
        if edit_id in self.edits:
            return "duplicate"
        self.edits[edit_id] = Edit(key.account, key_id, owner, amount, self.now)
        return "done"

    def submit(self, edit_id: str, owner: str) -> str:
        edit = self.edits[edit_id]
        if edit.owner != owner or edit.state not in {"held", "submitted"}:
            return "lost"
        edit.state = "submitted"
        return "done"

    def end(
        self, edit_id: str, owner: str, to: str, start: set[str], cost: int = 0, loss: int = 0
    ) -> str:
        edit = self.edits[edit_id]
        if edit.owner != owner or edit.state not in start:
            return "lost"
        edit.state, edit.cost = to, min(cost, edit.hold)
        edit.loss = loss + cost - edit.cost
        self.accounts[edit.account].posted -= edit.cost
        self.keys[edit.key].spent += edit.cost
        return "done"

    def sweep(self) -> int:
        """End what the dead, and the very old, hold; return how many."""
        orphans = [
            edit
            for edit in self.live()
            if self.now - self.beats.get(edit.owner, 0) >= DEAD_AFTER_MS
            or self.now - edit.created > HOLD_TTL_MS
        ]
        for edit in orphans:
            edit.loss = edit.hold if edit.state == "submitted" else 0
            edit.state = "unknown" if edit.state == "submitted" else "voided"
        return len(orphans)
