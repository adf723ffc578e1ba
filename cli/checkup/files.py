"""Who else on this machine may read what is not theirs: the database, logs, private keys."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from cli.checkup.finding import Finding, fail, ok, warn
from cli.checkup.stores import database_file
from server.settings import Settings

VAR = Path("var")
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_files(settings: Settings) -> Iterator[Finding]:
    """Look at the permissions of the files that are there."""
    open_ones = [path for path in _private(settings) if path.exists() and _is_open(path)]
    for path in open_ones:
        mode = "700" if path.is_dir() else "600"
        look = fail if path == settings.tls_key else warn
        yield look("files", f"{path} is open to others", f"chmod {mode} {path}")
    if not open_ones:
        yield ok("files", "what is private is this user's alone")


def _private(settings: Settings) -> Iterator[Path]:
    yield VAR
    yield VAR / "imageedit.log"
    if (file := database_file(settings.database_url)) is not None:
        for ending in ("", "-wal", "-shm"):
            yield file.with_name(file.name + ending)
    if settings.tls_key is not None:
        yield settings.tls_key


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & OTHERS)
