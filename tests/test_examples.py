"""The examples of docs/examples, run as their page says, in a checkout of small pictures.

Those in Go take a minute to compile. `make examples` runs them too, and each with a wrong key; CI
does so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ImageChops

from server.accounts.key_format import new_key
from tests.node_scripts import NODE_FOLDER, NotThere, node_modules
from tests.pictures import decoded
from tests.programs import ROOT, ROOTS
from tests.running import Gateway
from tests.sdk_pictures import BOX, MASK, PHOTO, SIZE

EXAMPLES = ROOT / "docs" / "examples"
PAGE = (EXAMPLES / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:\.venv/bin/python|node|cd) .*edited\.png$", PAGE, re.MULTILINE)
# Left out where they are not asked for, not skipped: CI asks.
ALL = bool(os.environ.get("IMAGEEDIT_TEST_EXAMPLES"))
RUN = COMMANDS if ALL else [line for line in COMMANDS if "/go/" not in line]
NO_NETWORK = re.compile(r"dial tcp|no such host|i/o timeout|connection refused.*proxy")


def name(command: str) -> str:
    """Return what a command runs, such as "python/http_openai.py" or "go/http"."""
    found = re.search(r"docs/examples/(\S+)", command)
    assert found is not None
    return found[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the commands need, each where it is in the project."""
    samples = tmp_path / "docs" / "samples"
    samples.mkdir(parents=True)
    (samples / "landscape.png").write_bytes(PHOTO)
    (samples / "landscape-mask.png").write_bytes(MASK)
    made = shutil.ignore_patterns("node_modules", "bin", "v1")
    shutil.copytree(EXAMPLES, tmp_path / "docs" / "examples", ignore=made)
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def run(command: str, checkout: Path, gateway: Gateway, key: str) -> subprocess.CompletedProcess:
    if name(command).startswith("node/"):
        try:
            packages = node_modules()
        except NotThere as missing:
            pytest.skip(str(missing))
        (checkout / "docs" / "examples" / "node" / "node_modules").symlink_to(packages)
    elif name(command).startswith("go/") and shutil.which("go") is None:
        pytest.skip("Go is not installed")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=checkout,
        env=kept
        | {
            "IMAGEEDIT_KEY": key,
            "IMAGEEDIT_URL": gateway.url,
            "IMAGEEDIT_GRPC_ADDRESS": gateway.service.address,
            "CGO_ENABLED": "0",  # or older Go wants a C compiler
            "PYTHONPATH": os.pathsep.join(map(str, ROOTS)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if name(command).startswith("go/") and (problem := NO_NETWORK.search(done.stderr)):
        pytest.skip(f"Go does not reach its modules: {problem[0]}")
    return done


def test_the_page_has_a_command_for_every_example() -> None:
    programs = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.*py")}
    programs |= {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("node/*.mjs")}
    programs |= {str(path.parent.relative_to(EXAMPLES)) for path in EXAMPLES.glob("go/*/main.go")}
    assert {name(command) for command in COMMANDS} == programs
    assert len(programs) == 8


@pytest.mark.timeout(400)
@pytest.mark.parametrize("command", RUN, ids=name)
def test_an_example_edits_under_the_mask(gateway: Gateway, checkout: Path, command: str) -> None:
    done = run(command, checkout, gateway, gateway.key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"edited\.png: 120x120, \$0\.\d+$", done.stdout.rstrip()), done.stdout
    before = decoded(PHOTO, "RGB")
    after = decoded((checkout / "edited.png").read_bytes(), "RGB")
    changed = ImageChops.difference(before, after)
    assert after.size == SIZE
    assert changed.crop(BOX).getbbox() is not None
    changed.paste(0, BOX)
    assert changed.getbbox() is None


@pytest.mark.timeout(400)
@pytest.mark.parametrize("command", COMMANDS if ALL else COMMANDS[:1], ids=name)
def test_an_example_tells_what_is_wrong(gateway: Gateway, checkout: Path, command: str) -> None:
    done = run(command, checkout, gateway, new_key())
    assert done.returncode == 1
    assert re.search(r"invalid_api_key|unauthenticated", done.stderr, re.IGNORECASE), done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / "edited.png").exists()


def test_the_packages_for_node_are_those_that_are_tested() -> None:
    ours, tested = (
        json.loads((folder / "package.json").read_text())["dependencies"]
        for folder in (EXAMPLES / "node", NODE_FOLDER)
    )
    assert ours.items() <= tested.items()
