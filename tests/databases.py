"""Both databases for tests: SQLite files, and a private PostgreSQL.

A test module gets the fixtures by `pytest_plugins = ("tests.databases",)`; it may import from
here before that, hence PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import functools
import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from server.accounts.schema import metadata
from server.accounts.store import Store, connect

# A test database need not outlive its machine.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "timezone": "UTC",
    "autovacuum": "off",  # `empty` does it
    "jit": "off",
}


def sqlite_url(folder: Path) -> str:
    """Return the URL of an SQLite database in `folder`, which need not be there yet."""
    return f"sqlite:///{folder / 'imageedit.db'}"


def migrated_sqlite(folder: Path) -> str:
    """Return the URL of a new SQLite database of this version in `folder`."""
    (folder / "imageedit.db").write_bytes(_migrated())
    return sqlite_url(folder)


@functools.cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        store = connect(sqlite_url(Path(folder)))
        store.migrate()
        store.close()  # the last one out puts everything into the one file
        return (Path(folder) / "imageedit.db").read_bytes()


class Postgres:
    """A PostgreSQL of one's own, reached by a Unix socket; call it for a fresh database's URL."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._made = 0
        self._template = ""
        self._shared = ""
        self._emptying: dict[str, psycopg.Connection] = {}

    def __enter__(self) -> Postgres:
        self._folder = Path(tempfile.mkdtemp(prefix="imageedit-pg-"))
        # PostgreSQL refuses to run as root.
        self._user = _unprivileged() if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._superuser = self._user or getpass.getuser()
        data = self._folder / "data"
        options = ("--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C")
        self._start("initdb", *options, "-D", str(data)).wait()
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        self._process = self._start("postgres", "-D", str(data), "-k", str(self._folder), *settings)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._emptying.values():
            connection.close()
        self._process.send_signal(signal.SIGINT)  # a fast shutdown: sessions are cut off
        self._process.wait(30)
        shutil.rmtree(self._folder)

    def __call__(self) -> str:
        """Return the URL of a new, empty database."""
        return self._create()

    def migrated(self) -> str:
        """Return the URL of a new database of this version, copied from one that was migrated."""
        if not self._template:
            self._template = self._create()
            store = connect(self._template)
            store.migrate()
            store.close()
        return self._create(_name(self._template))

    def emptied(self) -> str:
        """Return the URL of the one database of this version that tests share, with no rows.

        Much cheaper than a new one; only for tests that leave the tables as they are.
        """
        if not self._shared:
            self._shared = self.migrated()
        self.empty(self._shared)
        return self._shared

    def empty(self, url: str) -> None:
        """Remove all rows of a database of this version."""
        if url not in self._emptying:
            self._emptying[url] = self._connect(_name(url))
        connection = self._emptying[url]
        names = [Identifier(table.name) for table in reversed(metadata.sorted_tables)]
        used = [
            name
            for name in names
            if connection.execute(SQL("DELETE FROM {}").format(name)).rowcount
        ]
        # What was deleted is still in the pages, and every later test would read over it.
        if used:
            connection.execute(SQL("VACUUM {}").format(SQL(", ").join(used)))

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._run(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def _create(self, template: str = "template1") -> str:
        self._made += 1
        name = f"test_{self._made}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql://{self._superuser}@/{name}?host={self._folder}"

    def _run(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self, name: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._folder), user=self._superuser, dbname=name, autocommit=True
        )

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{program}.log").open("wb") as log:
            return subprocess.Popen(
                [self._programs / program, *arguments],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._user and pwd.getpwnam(self._user).pw_gid,
                extra_groups=None if self._user is None else (),
                start_new_session=True,  # Ctrl-C is for the tests, which then shut it down
            )

    def _wait(self) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    logs = [log.read_text() for log in self._folder.glob("*.log")]
                    raise RuntimeError("PostgreSQL did not start:\n" + "\n".join(logs)) from None
                time.sleep(0.02)
            else:
                return


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


def _unprivileged() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: int(path.parent.parent.name), default=None)
    return newest and newest.parent


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL: call it for the URL of a fresh, empty database."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's programs are not on this machine (initdb, postgres)")
    with Postgres(programs) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty database, of either kind in turn."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.emptied()
    return migrated_sqlite(tmp_path)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A migrated, empty store, of either kind in turn."""
    opened = connect(database_url)
    yield opened
    opened.close()
