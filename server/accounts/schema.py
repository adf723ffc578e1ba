"""The tables. Money is whole nano-dollars, time is Unix milliseconds; nothing here is a float.

The entries are the truth; `posted`, `held` and `spent` are sums kept beside it, guarded by the
database itself and checked against the entries by `audit`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

ID = String(36)
# SQLite gives row numbers to INTEGER alone; everywhere else 64 bits are wanted.
ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# Who pays. `posted` is what was paid in less what was spent; `held` is the part of it in holds.
accounts = Table(
    "accounts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("posted", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    CheckConstraint("posted - held >= 0", name="covered"),
    CheckConstraint("held >= 0", name="held"),
)

# Who asks. `spent` and `held` are this key's own, `active` its edits under way.
keys = Table(
    "keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("ends", BigInteger),
    Column("revoked", BigInteger),
    Column("models", Text),  # a JSON list of aliases; NULL allows all
    Column("rate_limit", Integer, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("spend_limit", BigInteger),
    Column("spent", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("active", Integer, nullable=False),
    CheckConstraint("spend_limit IS NULL OR spent + held <= spend_limit", name="spend_limit"),
    CheckConstraint("active >= 0 AND held >= 0", name="active"),
)

# End users under an account whose edits are refused.
blocked_users = Table(
    "blocked_users",
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("user", String(512), primary_key=True),
    Column("created", BigInteger, nullable=False),
)

_LIVE = text("ended IS NULL")

# One row an edit that took a hold: its state, and its usage record. Never a prompt or a picture.
edits = Table(
    "edits",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("key_id", ID, ForeignKey("keys.id"), nullable=False),
    Column("user", String(512), nullable=False),
    Column("model", String(200), nullable=False),
    Column("state", String(10), nullable=False),  # held submitted posted voided unknown
    Column("owner", ID, nullable=False),  # the instance that carries it
    Column("hold", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),  # what the customer paid
    Column("loss", BigInteger, nullable=False),  # what the operator bears
    Column("created", BigInteger, nullable=False),
    Column("submitted", BigInteger),
    Column("ended", BigInteger),
    Column("route", String(300), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("upstream_ms", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("input_text_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("mask_method", String(20), nullable=False),
    Column("outcome", String(30), nullable=False),  # "", "delivered", or a Situation's value
    Column("message", Text, nullable=False),  # of an outcome that is an error
    Column("field", String(100)),
    Column("fingerprint", String(64), nullable=False),
    Column("claims", Integer, nullable=False),  # the highest retry number that was given this edit
    Column("delivered", Boolean, nullable=False),  # the caller has the whole answer
    Column("wish", String(10)),  # of its caller, apart from the call: NULL cancel forget
    Index(None, "account_id", "fingerprint"),
    # Of those under way alone: it stays small, and an edit's steps leave it as it is.
    Index("ix_edits_live", "owner", sqlite_where=_LIVE, postgresql_where=_LIVE),
    Index(None, "key_id", "created"),
    Index(None, "account_id", "created", "id"),
    CheckConstraint("state IN ('held', 'submitted', 'posted', 'voided', 'unknown')", name="state"),
)

# What idempotency keys stand for, an account's own.
claims = Table(
    "claims",
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("edit_id", ID, nullable=False),
    Column("created", BigInteger, nullable=False, index=True),
)

# Finished edits to be given again: the facts as JSON, the picture's file.
results = Table(
    "results",
    metadata,
    Column("edit_id", ID, ForeignKey("edits.id"), primary_key=True),
    Column("facts", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("picture", LargeBinary, nullable=False),  # last: SQLite reads a row up to what it needs
)

# The journal: append-only. The amounts of one `event` sum to 0. Ledger accounts are
# customer:<id>, held:<id>, funding, revenue, payable, loss_unknown_outcome, loss_overrun.
entries = Table(
    "entries",
    metadata,
    Column("id", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("event", ID, nullable=False),
    Column("kind", String(10), nullable=False),  # top_up hold post void unknown
    Column("edit_id", ID, index=True),
    Column("account", String(60), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
)

# The running services; one whose heartbeat stopped is dead, and its edits are resolved.
instances = Table(
    "instances",
    metadata,
    Column("id", ID, primary_key=True),
    Column("heartbeat", BigInteger, nullable=False),
)
