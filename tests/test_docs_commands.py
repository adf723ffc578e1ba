"""Every block of the pages is run, as a reader would, with the sandbox as every vendor.

Blocks `sh` run in bash, `python` in one namespace a page, from top to bottom. "# prints: WORDS"
beside a command is checked. tests/test_docs_start.py runs the blocks that start a gateway.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path

import openai
import pytest
import requests

from cli.stack import free_address
from tests.documents import PAGES, blocks
from tests.paid_keys import paid_key
from tests.reader import check_out, environment, type_in
from tests.running import Gateway
from tests.test_examples import COMMANDS

RUN, ONLY_SHOWN = {"sh", "python"}, {"", "toml", "json", "yaml", "nginx"}
PRINTS = re.compile(r"# prints: (.*)$", re.MULTILINE)
EXAMPLES = "docs/examples/README.md"  # tests/test_examples.py runs its lines
RUN_HERE = [
    page
    for page in PAGES
    if page != EXAMPLES and any(block.language in RUN for block in blocks(page))
]
COMMAND = re.compile(r"^(?:\$ |make |imageedit |curl |export |kubectl |docker )", re.MULTILINE)
DATA_URL = "data:image/png;base64,…"


@pytest.fixture
def folder(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, entered, and an environment with gateway, key and command."""
    for tool in ("curl", "jq"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    settings = gateway.environment | {
        "KEY": gateway.key,
        "IMAGEEDIT_KEY": gateway.key,
        "IMAGEEDIT_URL": gateway.url,
        "IMAGEEDIT_HTTP_ADDRESS": gateway.url.removeprefix("http://"),
        "IMAGEEDIT_GRPC_ADDRESS": gateway.service.address,
        "IMAGEEDIT_METRICS_ADDRESS": free_address(),
    }
    monkeypatch.chdir(check_out(tmp_path))
    for name, value in environment(tmp_path, settings).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.parametrize("page", RUN_HERE)
def test_every_command_of_a_page_works(
    gateway: Gateway, folder: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key_id = paid_key(gateway.store)[0].id
    names: dict[str, object] = {"__name__": page, "KEY": gateway.key}
    for block in blocks(page):
        if block.language not in RUN or block.starts_a_gateway:
            continue
        text = block.text.replace("http://127.0.0.1:8080", gateway.url)
        text = text.replace("127.0.0.1:50051", gateway.service.address)
        if block.language == "sh":
            printed = type_in(text.replace("KEY_ID", key_id), folder)
        else:
            exec(compile(text, page, "exec"), names)  # noqa: S102 - our own pages
            printed = capsys.readouterr().out
        for words in PRINTS.findall(block.text):
            assert words in printed, f"{block.text}\n{printed}"
    for client in names.values():
        if isinstance(client, openai.OpenAI):
            client.close()  # or its connections warn in another test


def test_no_block_is_left_out() -> None:
    for page, text in PAGES.items():
        assert len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)) == 2 * len(blocks(page))
        for block in blocks(page):
            assert block.language in RUN | ONLY_SHOWN, block
            if block.language in ONLY_SHOWN:
                assert COMMAND.search(block.text) is None, block
    lines = [line for block in blocks(EXAMPLES) for line in block.text.splitlines()]
    assert set(lines) - set(COMMANDS) == {line for line in lines if line.startswith("export ")}
    assert set(COMMANDS) <= set(lines)


def test_the_json_of_an_edit_is_one(gateway: Gateway, folder: Path) -> None:
    (block,) = (one for one in blocks("README.md") if one.language == "json")
    photo, mask = (
        f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
        for path in (folder / f"docs/samples/landscape{part}.png" for part in ("", "-mask"))
    )
    edit = json.loads(block.text.replace(DATA_URL, photo, 1).replace(DATA_URL, mask, 1))
    answer = requests.post(
        f"{gateway.url}/v1/images/edits", json=edit, headers=gateway.authorization, timeout=30
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-mask-method"]
