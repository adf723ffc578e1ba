"""The database and Redis: reachable, of this version, writable; and whether anybody has a key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from cli.checkup.finding import Finding, fail, ok, warn
from cli.database import clock, keys_of
from server.accounts.store import SchemaError, Store, connect
from server.domain import EditError

REDIS_SECONDS = 3.0


def check_database(url: str) -> Iterator[Finding]:
    """Look at the database; a file that is not there is not made."""
    file = database_file(url)
    if file is not None and not file.exists():
        yield _not_there(file)
        return
    store = connect(url)
    try:
        yield from _look(store)
    except (DBAPIError, EditError) as error:
        yield fail("database", f"can't be used: {_reason(error)}", _remedy(file))
    finally:
        store.close()


def database_file(url: str) -> Path | None:
    """Return the file of an embedded database; `None` for a shared one, and one in memory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in {None, "", ":memory:"}:
        return None
    return Path(str(parsed.database))


def check_redis(url: str | None) -> Finding:
    """Look at Redis, where one is named."""
    if url is None:
        return ok("redis", "not set: limits are counted in process, which is right for one service")
    from redis import Redis, RedisError  # noqa: PLC0415 -- few have it, and it takes a while

    try:
        client = Redis.from_url(
            url.replace("redis+unix://", "unix://"),
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
        )
        try:
            client.ping()
        finally:
            client.close()
    except (RedisError, OSError) as error:
        return fail(
            "redis",
            f"does not answer ({type(error).__name__})",
            "Start it, correct IMAGEEDIT_REDIS_URL, or unset it where there is one service.",
        )
    return ok("redis", "answers")


def _not_there(file: Path) -> Finding:
    folder = next(folder for folder in file.absolute().parents if folder.exists())
    if folder.is_dir() and os.access(folder, os.W_OK):
        return ok("database", f"{file} is not there yet; `imageedit serve` makes it")
    problem = f"{file} is not there, and can't be made in {folder}"
    return fail("database", problem, "Let this user write there, or set IMAGEEDIT_DATABASE_URL.")


def _look(store: Store) -> Iterator[Finding]:
    kind = "SQLite" if store.embedded else "PostgreSQL"
    try:
        store.check()
    except SchemaError as error:
        if not store.embedded:
            yield fail("database", str(error), "Run `imageedit migrate` once, then start.")
            return
        older = "is of another version; `imageedit serve` brings it to this one"
        yield warn("database", older, "Keep a copy of the file before.")
        return
    with store.write() as connection:  # what is there, written once more
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    yield ok("database", f"{kind}, of this version, writable")
    live = sum(key.lives(clock()) for key in keys_of(store).list())
    if live:
        yield ok("callers' keys", f"{live} live")
    else:
        todo = "`imageedit keys create --name me --credits 10.00` makes one."
        yield warn("callers' keys", "nobody has one, so that nobody can edit", todo)


def _reason(error: Exception) -> str:
    failure = error if isinstance(error, DBAPIError) else error.__cause__ or error
    reason = failure.orig if isinstance(failure, DBAPIError) else failure
    return (str(reason).strip().splitlines() or [type(reason).__name__])[0]


def _remedy(file: Path | None) -> str:
    if file is not None:
        return f"See that {file} is a database of this gateway and writable for this user."
    return "See that PostgreSQL runs, and that IMAGEEDIT_DATABASE_URL has its host, name and user."
