"""Pictures of stored results as files beside an SQLite database, each by the id of its edit.

A row refers to each of them, so a file is there for good before its row is, and goes after it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from server.accounts.store import Store

_NAME = re.compile(r"[0-9A-Za-z-]{1,36}")


class PictureFiles:
    """The files in `folder`, which is made with the first. Shared by all threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def beside(cls, store: Store) -> PictureFiles | None:
        """Return the files of a database, `None` for one that other machines reach."""
        database = store.engine.url.database
        if not store.embedded or database in {None, "", ":memory:"}:
            return None
        return cls(Path(f"{database}-results"))

    def write(self, edit_id: str, picture: bytes) -> None:
        """Write a picture, for its owner alone, and wait until it outlives the power.

        Raises OSError.
        """
        path = self._path(edit_id)
        try:
            file = _create(path)
        except FileNotFoundError:
            self._make_folder()
            file = _create(path)
        try:
            rest = memoryview(picture)
            while rest:
                rest = rest[os.write(file, rest) :]
            # Linux's file systems write a new file's name with it; asking again would wait again.
            os.fdatasync(file)
        finally:
            os.close(file)

    def read(self, edit_id: str) -> bytes | None:
        """Return a picture; `None` when it is gone, such as from a restored database."""
        try:
            return self._path(edit_id).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, edit_ids: Iterable[str]) -> None:
        """Delete pictures, those of them that are there; raises OSError."""
        for edit_id in edit_ids:
            with suppress(FileNotFoundError):
                self._path(edit_id).unlink()

    def all(self) -> set[str]:
        """Return the edits that have a file here, and nothing that is not ours; raises OSError."""
        try:
            names = {path.name for path in self._folder.iterdir()}
        except FileNotFoundError:
            return set()
        return {name for name in names if _NAME.fullmatch(name)}

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        above = os.open(self._folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)

    def _path(self, edit_id: str) -> Path:
        if _NAME.fullmatch(edit_id) is None:
            raise ValueError("an edit's id is no name of a file")
        return self._folder / edit_id


def _create(path: Path) -> int:
    # Written anew where a try to settle was cut off before.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
