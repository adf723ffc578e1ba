"""The blocks of the pages that start a gateway, started as they stand, in a checkout.

What is printed then is pasted into a shell, as its reader is told to.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from PIL import Image, ImageChops

from cli.samples import sample
from cli.stack import free_address
from sandbox.server import SandboxServer
from tests import whole
from tests.databases import Postgres
from tests.documents import PAGES, STARTS, blocks
from tests.programs import Program
from tests.reader import check_out, environment, type_in

pytest_plugins = ("tests.databases",)

STARTING = {
    re.sub(r"\s*#.*", "", block.text): block.text  # the same commands once
    for page in PAGES
    for block in blocks(page)
    if block.starts_a_gateway
}
PART = [text for text in STARTING if re.search("^make run|postgresql:", text)]
SECONDS = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return check_out(tmp_path)


@pytest.fixture
def settings(sandbox: SandboxServer, folder: Path) -> dict[str, str]:
    """A reader's environment: no vendor's key, but where the vendors are, and free ports."""
    vendors = {name: url for name, url in sandbox.environment().items() if "KEY" not in name}
    free = (f"IMAGEEDIT_{name}_ADDRESS" for name in ("HTTP", "GRPC", "METRICS"))
    return environment(folder, vendors | {name: free_address() for name in free})


@contextmanager
def typed(text: str, folder: Path, settings: Mapping[str, str]) -> Iterator[Program]:
    """Type a block into a terminal of its own."""
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("commands", whole.of(list(STARTING), PART))
def test_a_block_starts_a_gateway_that_edits(
    commands: str, folder: Path, settings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    text = STARTING[commands]
    if "postgresql://…" in text:
        postgres: Postgres = request.getfixturevalue("postgres")
        text = text.replace("postgresql://…", postgres())
    text = text.replace("/var/lib/imageedit", str(folder)).replace("_KEY=…", "_KEY=sk-reader")
    # What runs this is not run by it, but make must know it.
    text = re.sub("^make test", "make --dry-run test", text, flags=re.MULTILINE)
    if "make demo" in text:
        assert re.search(r"saved edited.png: .*\$0\.\d+", type_in(text, folder, settings))
        assert_edited_under_the_mask(folder / "edited.png")
        return
    with typed(text, folder, settings) as running:
        if "make run" in text:
            running.wait_for("Ctrl-C lets held edits end", SECONDS)
            said = "".join(running.lines)
            assert ("SANDBOX" in said) == ("_KEY=" not in text)
            assert re.search(r"^key +ie_\w{36}$", said, re.MULTILINE)
            edit, picture = re.findall(r"^(?:curl|  \| jq) .*$", said, re.MULTILINE)
            type_in(edit + picture, folder, settings)
            assert_edited_under_the_mask(folder / "edited.png")
        else:
            key = running.wait_for("A key: ", SECONDS).removeprefix("A key: ")
            exported = STARTS.split(text)[0]
            url = f"http://{settings['IMAGEEDIT_HTTP_ADDRESS']}"
            edit = f'imageedit edit photo.jpg "make it snow" -o snow.png --url {url}'
            type_in(f"{exported}\nexport IMAGEEDIT_KEY=$({key})\n{edit}", folder, settings)
            assert (folder / "snow.png").is_file()
            # A key is there for one vendor, and nothing stands in for the others.
            assert "SANDBOX" not in "".join(running.lines)
            listed = requests.get(f"{url}/v1/models", timeout=10).json()["data"]
            assert {model["id"].partition("/")[0] for model in listed} == {"openai"}
        os.killpg(running.process.pid, signal.SIGINT)
        running.wait_for("stopped", SECONDS)
        running.process.wait(SECONDS)
        assert running.process.returncode in {0, -signal.SIGINT}  # the latter is make's own
        assert "Traceback" not in "".join(running.lines)


def assert_edited_under_the_mask(path: Path) -> None:
    with Image.open(sample().image) as before, Image.open(path) as after:
        changed = ImageChops.difference(before.convert("RGB"), after.convert("RGB"))
    with Image.open(sample().mask) as mask:
        plane = mask.convert("RGBA").getchannel("A")
    assert changed.getbbox() is not None
    changed.paste(0, mask=plane)
    assert changed.getbbox() is None
