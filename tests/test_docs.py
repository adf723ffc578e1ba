"""The pages of docs/: every block of them is run here, and every table compared with the code.

Blocks `sh` run in bash, `python` in one namespace a page, from top to bottom, in a folder that
looks like the project. "# prints: WORDS" beside a command is checked. Other fences only show.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from PIL import Image

from gateway_http import errors as front
from server.catalog_file import load
from server.providers import base
from server.providers.registry import PROVIDERS
from tests import model_table
from tests.programs import ROOT, ROOTS
from tests.running import Gateway

DOCS = ROOT / "docs"
# masks.md and operations.md have tests of their own: of pictures, and of clusters.
OF_THEIR_OWN = {"masks.md", "operations.md"}
PAGES = {
    page.name: page.read_text(encoding="utf-8")
    for page in sorted(DOCS.glob("*.md"))
    if page.name not in OF_THEIR_OWN
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTS = re.compile(r"# prints: (.*)$", re.MULTILINE)
RUN, SHOWN = {"sh", "python"}, {"toml", "json", "yaml", "text"}


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and text of each block of a page."""
    return FENCE.findall(PAGES[page])


@pytest.fixture
def folder(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small samples, entered, and an environment with gateway, key and command."""
    samples = tmp_path / "docs" / "samples"
    samples.mkdir(parents=True)
    for path in (DOCS / "samples").glob("*.png"):
        with Image.open(path) as picture:
            small = picture.resize((picture.width // 8, picture.height // 8), Image.Resampling.BOX)
            small.save(samples / path.name)
    commands = tmp_path / ".venv" / "bin"
    commands.parent.symlink_to(sys.prefix)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "IMAGEEDIT_KEY": gateway.key,
        "IMAGEEDIT_URL": gateway.url,
        "IMAGEEDIT_DATABASE_URL": gateway.environment["IMAGEEDIT_DATABASE_URL"],
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, ROOTS)),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def run(language: str, text: str, names: dict[str, object]) -> str:
    """Run a block; return what it printed. Fails where it does."""
    if language == "sh":
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr
    exec(compile(text, "a page", "exec"), names)  # noqa: S102 - our own pages
    return ""


@pytest.mark.parametrize(
    "page", [page for page in PAGES if RUN & {kind for kind, _ in blocks(page)}]
)
def test_every_command_of_a_page_works(
    gateway: Gateway, folder: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for tool in ("curl", "jq"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    names: dict[str, object] = {"__name__": page}
    for language, written in blocks(page):
        if language not in RUN:
            continue
        text = written.replace("http://127.0.0.1:8080", gateway.url)
        text = text.replace("127.0.0.1:50051", gateway.service.address)
        printed = run(language, text, names) + capsys.readouterr().out
        for words in PRINTS.findall(written):
            assert words in printed, f"{written}\n{printed}"
    for client in names.values():
        if isinstance(client, openai.OpenAI):
            client.close()  # or its connections warn in another test


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short_and_its_fences_are_known(page: str) -> None:
    assert 20 <= len(PAGES[page].splitlines()) <= 160
    assert len(re.findall("^```", PAGES[page], re.MULTILINE)) == 2 * len(blocks(page))
    assert {language for language, _ in blocks(page)} <= RUN | SHOWN
    for language, text in blocks(page):
        if language == "toml":
            tomllib.loads(text)
        elif language == "json":
            json.loads(text)


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the fragment of every link inside the project."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("http"):
            path, _, fragment = target.partition("#")
            yield path, fragment


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for path, fragment in links(PAGES[page]):
        target = (DOCS / path) if path else DOCS / page
        assert target.exists(), path
        if fragment:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in heads}


def test_the_contents_name_every_page_and_the_readme_names_the_contents() -> None:
    told = {path for path, _ in links(PAGES["README.md"])}
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= told
    assert "](docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_models_and_prices_are_those_of_the_catalogue() -> None:
    shown = model_table.TABLE.search(PAGES["models-and-prices.md"])
    assert shown is not None
    assert shown[0] == model_table.table(), "run `python -m tests.model_table`"


def test_the_errors_are_those_of_the_front() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| `(\w+)` \|", PAGES["errors.md"], re.MULTILINE)
    told = {(int(status), code, kind) for status, code, kind in rows}
    assert len(rows) == len(told)
    known = {(status, code, kind) for status, kind, code in front.REASONS.values()}
    own = [front.refused(status, "") for status in (404, 405, 408, 413)]
    own += [front.busy("")]
    known |= {(error.status, error.code, error.kind) for error in own}
    known |= {(504, "upstream_error", "upstream_error")}
    assert told == known
    paths = json.loads((ROOT / "gateway_http/openapi.json").read_text(encoding="utf-8"))["paths"]
    operations = [call for path in paths.values() for call in path.values() if "responses" in call]
    statuses = {int(status) for call in operations for status in call["responses"]}
    assert {status for status in statuses if status >= 400} <= {status for status, _, _ in told}


def test_the_example_of_a_provider_fits_what_a_provider_is(tmp_path: Path) -> None:
    page = PAGES["adding-a-provider.md"]
    for block in (text for kind, text in blocks("adding-a-provider.md") if kind == "python"):
        for statement in ast.walk(ast.parse(block)):
            if isinstance(statement, ast.ImportFrom) and statement.module == base.__name__:
                assert {name.name for name in statement.names} <= vars(base).keys()
        if "def build" in block:
            assert all(f"\ndef {name}(" in block for name in ("build", "read", "explain"))
    kinds = re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)
    assert set(kinds) == {kind.name for kind in base.FailureKind}
    catalogue = tmp_path / "catalog.toml"
    rows = [text for kind, text in blocks("adding-a-provider.md") if kind == "toml"]
    catalogue.write_text("\n".join(rows), encoding="utf-8")
    catalog = load(catalogue, {*PROVIDERS, "acme"}, {"acme"})
    assert [route.name for route in catalog.routes(catalog.find("acme/retouch-2"))]
