"""What is installed, and whether it is what this program needs."""

from __future__ import annotations

import platform
import re
import sqlite3
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from cli.checkup.finding import Finding, fail, ok

PROGRAM = "imageedit-gateway"
# All that pyproject.toml uses: a name, extras, and the least version.
_NEED = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9.]+)")


def check_versions(installed: Callable[[str], str] = version) -> Iterator[Finding]:
    """Compare the libraries with what the installed program asks for.

    `installed` returns a library's version, or raises `PackageNotFoundError`.
    """
    try:
        program, needs = installed(PROGRAM), requires(PROGRAM) or []
    except PackageNotFoundError:
        todo = "Install it: `make run` does, or `pip install -e .`"
        yield fail("versions", f"{PROGRAM} is not installed", todo)
        return
    wrong = [problem for need in needs if (problem := _problem(need, installed))]
    for problem in wrong:
        yield fail("versions", problem, "pip install --require-hashes -r deploy/requirements.txt")
    if not wrong:
        python, sqlite = platform.python_version(), sqlite3.sqlite_version
        yield ok(
            "versions", f"imageedit {program}, Python {python}, SQLite {sqlite}, all libraries"
        )


def _problem(need: str, installed: Callable[[str], str]) -> str | None:
    """Return what is wrong with a library; `None`: nothing, or it belongs to an extra."""
    match = _NEED.fullmatch(need)
    if match is None:
        return None
    name, least = match[1], match[2]
    try:
        found = installed(name)
    except PackageNotFoundError:
        return f"{name} is missing, {least} or later is needed"
    if _numbers(found) < _numbers(least):
        return f"{name} is {found}, {least} or later is needed"
    return None


def _numbers(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", text)]
