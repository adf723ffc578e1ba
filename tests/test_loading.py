"""What a start loads, and what it leaves until somebody needs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from cli.__main__ import COMMANDS, main
from server.accounts.store import MIGRATIONS, VERSION
from tests.programs import program

# What starts, and the libraries that it has no need of, each of which takes a while to load.
SPARED = {
    "server.__main__": {"alembic", "mako", "redis"},
    "cli.edit": {"sqlalchemy", "server", "sandbox"},
    "cli.models": {"sqlalchemy", "server", "sandbox", "prometheus_client"},
    "cli.mask": {"PIL", "requests", "sqlalchemy", "sandbox"},
    "cli.keys": {"alembic", "requests", "sandbox"},
}


def test_only_what_a_start_needs_is_loaded(tmp_path: Path) -> None:
    for start, spared in SPARED.items():
        code = f"import json, sys, {start}; print(json.dumps(sorted(sys.modules)))"
        with program("-c", code, environment={}, folder=tmp_path) as running:
            loaded = set(json.loads(running.wait_for("[")))
        assert start in loaded
        assert spared & loaded == set(), start


def test_the_version_of_this_program_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == VERSION


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_name_that_it_is_asked_for_by(name: str) -> None:
    command = main.get_command(main.make_context("imageedit", ["x"]), name)
    assert command is not None
    assert command.name == name
