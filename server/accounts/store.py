"""The database: SQLite under `var/` by default, PostgreSQL by URL, the same statements for both."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from server.accounts.tally import Tally
from server.accounts.writers import NotCommitted, Writers
from server.domain import EditError, Situation

RETRY_AFTER = 5
MIGRATIONS = Path(__file__).with_name("migrations")
# The newest of them: their files are named by number.
VERSION = max(path.name for path in MIGRATIONS.glob("versions/*.py")).partition("_")[0]
POOL = 16  # connections to a shared database; an edit holds none while its upstream works
# An error's text would quote what was written, end users among it.
_COMMON: dict[str, Any] = {"hide_parameters": True, "pool_size": POOL, "max_overflow": POOL}
# So would the library's own log, whatever level the root has; and migrations speak of nothing new.
logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)


# The driver's own is of a transaction's begin.
_UNREACHABLE = (
    OperationalError,
    InterfaceError,
    PoolTimeoutError,
    NotCommitted,
    sqlite3.OperationalError,
)


class SchemaError(Exception):
    """The database is none, or not of this version; the message says why, or what to do."""


class Store:
    """The database, read and written in transactions. Shared by all threads.

    `tally` is what this process did to it.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.tally = Tally()
        self._writers = Writers(engine) if self.embedded else None

    @property
    def embedded(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that only reads.

        Raises `EditError` (UPSTREAM_BUSY) when the database can't be used: without it no edit is
        taken, money fails closed.
        """
        with _unreachable(self.tally), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """Yield a connection in a transaction that commits at the end, or rolls back.

        What is not `durable` outlives this process, and the power once something durable was
        written after it. Raises `EditError` (UPSTREAM_BUSY) when the database can't be used.
        """
        with _unreachable(self.tally), self._transaction(durable) as connection:
            yield connection

    def _transaction(self, durable: bool) -> AbstractContextManager[Connection]:
        # A server makes commits last for many at once, in its own time.
        return self._writers.write(durable=durable) if self._writers else self.engine.begin()

    def open(self) -> None:
        """Migrate an embedded database; raise `SchemaError` for a shared one of another version."""
        if not self.embedded:
            self.check()
        elif self._version() != VERSION:
            self.migrate()

    def migrate(self) -> None:
        """Bring the database to this version; several processes may try at once."""
        from server.accounts.migration import upgrade  # noqa: PLC0415 -- see there

        with self.write() as connection:
            if not self.embedded:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7310271)")
            upgrade(connection)

    def check(self) -> None:
        """Raise `SchemaError` unless the database is of this version."""
        found = self._version()
        if found != VERSION:
            raise SchemaError(
                f"The database is at version {found or 'none'}, this program needs {VERSION}:"
                " run `imageedit migrate`."
            )

    def _version(self) -> str | None:
        """Return the last migration that the database has seen."""
        with self.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


@contextmanager
def _unreachable(tally: Tally) -> Iterator[None]:
    try:
        yield
    except _UNREACHABLE as error:
        tally.add(unreachable=1)
        raise EditError(
            Situation.UPSTREAM_BUSY,
            "This gateway's accounts can't be reached; nothing was charged. Try again in a moment.",
            retry_after=RETRY_AFTER,
        ) from error


def open_store(url: str) -> Store:
    """Return the store at a database URL, migrated where it is embedded.

    An SQLite file is readable by its owner alone. Raises `SchemaError` for a database that can't be
    used, and for a shared one that is not of this version.
    """
    store = connect(url)
    try:
        store.open()
    except (DBAPIError, EditError) as error:
        store.close()
        raise SchemaError(unusable(error)) from error
    except BaseException:
        store.close()
        raise
    return store


def unusable(error: DBAPIError | EditError) -> str:
    """Return in a line why the database can't be used, for who runs it."""
    failure = error if isinstance(error, DBAPIError) else error.__cause__ or error
    reason = failure.orig if isinstance(failure, DBAPIError) else failure
    lines = str(reason).strip().splitlines() or [type(reason).__name__]
    return f"The database of IMAGEEDIT_DATABASE_URL can't be used: {lines[0]}"


def connect(url: str) -> Store:
    """Return the store at a database URL, whatever its version."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Store(_sqlite(parsed))
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return Store(create_engine(parsed, pool_pre_ping=True, **_COMMON))


def _sqlite(url: URL) -> Engine:
    if url.database not in {None, "", ":memory:"}:
        path = Path(str(url.database))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    engine = create_engine(url, connect_args={"timeout": 30}, **_COMMON)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    """WAL lets readers pass writers; FULL keeps every commit through a power loss."""
    connection.isolation_level = None  # transactions begin where we say, see `_begin`
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin a transaction, in the driver itself: this is done for every read, too."""
    wanted = connection.get_execution_options()
    raw: Any = connection.connection.dbapi_connection
    synchronous = wanted.get("synchronous")
    if synchronous is not None and connection.info.get("synchronous") != synchronous:
        raw.execute(f"PRAGMA synchronous={synchronous}")
        connection.info["synchronous"] = synchronous
    raw.execute("BEGIN IMMEDIATE" if wanted.get("immediate") else "BEGIN")
