"""A table of the catalogue's file, read field by field; every complaint names its place."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


class CatalogError(ValueError):
    """The file is not a usable catalogue; the message names the row and what would be right."""


class Row:
    """A table of the file with the place where it stands, consumed field by field."""

    def __init__(self, place: str, table: object) -> None:
        if not isinstance(table, dict):
            raise CatalogError(f"{place}: must be a table")
        self.place = place
        self._left: dict[str, Any] = dict(table)

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def fail(self, problem: str) -> CatalogError:
        """Return the complaint about this row."""
        return CatalogError(f"{self.place}: {problem}")

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """Return the field `key`; raises `CatalogError` where it is missing or of another type."""
        value = self._left.pop(key, default)
        if value is None:
            raise self.fail(f'"{key}" is missing')
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.fail(f'"{key}" must be of type {kind.__name__}, not {value!r}')
        return value

    def optional(self, key: str, kind: type[T]) -> T | None:
        """Return the field `key`, `None` where it is missing."""
        return self.take(key, kind) if key in self._left else None

    def texts(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self.take(key, list, default)
        if not all(isinstance(value, str) and value for value in values):
            raise self.fail(f'"{key}" must be a list of texts')
        return tuple(values)

    def done(self) -> None:
        """Raise `CatalogError` for fields that nobody took."""
        if self._left:
            raise self.fail(f"unknown: {', '.join(sorted(self._left))}")
