"""Commands that are spoken of: each is held against what it names, and not run."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Callable
from itertools import pairwise

import click

from cli.__main__ import main
from server.accounts.schema import metadata
from server.settings import DEFAULT_DATABASE_URL
from tests.deployment import compose
from tests.fake_kubectl import kubectl
from tests.programs import ROOT


def make(words: list[str]) -> None:
    """Targets are in the Makefile; what is set there is a variable of it."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, equals, _ = word.partition("=")
        pattern = rf"^(?:export )?{name} \?=" if equals else rf"^{word}:"
        assert re.search(pattern, text, re.MULTILINE), word


def imageedit(words: list[str]) -> None:
    """Commands and options are there; the rest is for whom they are."""
    command: click.Command = main
    context = click.Context(main)
    for word in words:
        if word.startswith("-"):
            options = {"--help", "-h", "--version"}
            options |= {name for option in command.params for name in option.opts}
            assert word.partition("=")[0] in options, f"{command.name} {word}"
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found is not None, word
            command = found


def python(words: list[str]) -> None:
    """The module is there."""
    flag, module, *_ = words
    assert (flag, importlib.util.find_spec(module) is not None) == ("-m", True), words


def pip(words: list[str]) -> None:
    """The extra is one of the project's."""
    install, what = words
    extra = re.fullmatch(r"\.\[(\w+)\]", what)
    assert install == "install"
    assert extra is not None
    assert extra[1] in _extras()


def uv(words: list[str]) -> None:
    """Extras and files are there."""
    for name, value in pairwise(words):
        if name == "--extra":
            assert value in _extras(), value
        elif name in {"-o", "-c"}:
            assert (ROOT / value).is_file(), value


def npm(words: list[str]) -> None:
    """The folder is a package."""
    install, prefix, folder = words
    assert (install, prefix) == ("install", "--prefix")
    assert (ROOT / folder / "package.json").is_file()


def docker(words: list[str]) -> None:
    """Files and services are there; what a service runs could be typed."""
    for name, value in pairwise(words):
        if name == "-f":
            assert (ROOT / value).is_file(), value
    if "run" in words:
        service, program, *rest = (w for w in words[words.index("run") + 1 :] if w != "--rm")
        assert service in compose()["services"], service
        CHECKS[program](rest)


def sqlite3(words: list[str]) -> None:
    """The file is where the database is unless set otherwise."""
    assert words[0] == DEFAULT_DATABASE_URL.removeprefix("sqlite:///")


def pg_dump(words: list[str]) -> None:
    """Tables are there."""
    for word in words:
        option, _, value = word.partition("=")
        assert option in {"--format", "--exclude-table-data"}, word
        assert option == "--format" or value in metadata.tables, value


def _extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


CHECKS: dict[str, Callable[[list[str]], object]] = {
    "make": make,
    "imageedit": imageedit,
    "python": python,
    "pip": pip,
    "uv": uv,
    "npm": npm,
    "docker": docker,
    "kubectl": kubectl,
    "sqlite3": sqlite3,
    "pg_dump": pg_dump,
}
"""What each program's words are held against; raises where they do not fit."""
