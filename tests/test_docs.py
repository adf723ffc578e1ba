"""The pages of the project: lengths, links, and what their words and tables say of the code.

tests/test_docs_commands.py and tests/test_docs_start.py run their blocks.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway_http import errors as front
from server.catalog_file import load
from server.providers import base
from server.providers.registry import PROVIDERS
from tests import model_table
from tests.documents import PAGES, blocks, spoken_commands
from tests.fake_kubectl import NotThere
from tests.programs import ROOT
from tests.spoken import CHECKS

DOCS = ROOT / "docs"
GUIDES = [page for page in PAGES if re.fullmatch(r"docs/[\w-]+\.md", page)]
OF_ANY_LENGTH = {"docs/masks.md", "docs/operations.md"}
VARIABLE = re.compile(r"\b(?:IMAGEEDIT|OPENAI|OPENROUTER|SILICONFLOW)_[A-Z_]*[A-Z]\b")


@pytest.mark.parametrize("page", sorted({*GUIDES} - OF_ANY_LENGTH))
def test_a_guide_is_short(page: str) -> None:
    assert 20 <= len(PAGES[page].splitlines()) <= 160


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_well_formed(page: str) -> None:
    for block in blocks(page):
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            yaml.safe_load(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_a_sentence_could_be_typed(page: str) -> None:
    for words in spoken_commands(page, CHECKS):
        CHECKS[words[0]](words[1:])


@pytest.mark.parametrize("page", PAGES)
def test_what_a_comment_beside_a_command_names_is_there(page: str) -> None:
    for block in blocks(page):
        for command, comment in re.findall(
            r"^imageedit ([^#\n]*)# (.*)$", block.text, re.MULTILINE
        ):
            for option in re.findall(r"--[a-z-]+", comment):
                CHECKS["imageedit"]([*shlex.split(command), option])
            told = re.search(r"^and: (.*)$", comment)
            for other in told[1].split(", ") if told else ():
                CHECKS["imageedit"](other.split())


def test_commands_in_comments_of_what_is_deployed_could_be_typed() -> None:
    found = []
    for path in sorted((ROOT / "deploy").rglob("*")):
        if path.is_file() and path.suffix != ".txt":
            for line in path.read_text(encoding="utf-8").splitlines():
                found += re.findall(r"^#(?: +[A-Z_]+=\S+)* +((?:docker|kubectl) [^;]+)", line)
    assert len(found) >= 4
    for words in map(str.split, found):
        CHECKS[words[0]](words[1:])


WRONG = [
    "make walk",
    "make test WORDS=x",
    "imageedit paint",
    "imageedit keys melt",
    "imageedit edit --fast",
    "python -m server.nothing",
    "pip install .[nothing]",
    "uv pip compile --extra nothing",
    "uv pip compile -o deploy/nothing.txt",
    "npm install --prefix docs",
    "docker compose -f deploy/nothing.yaml up",
    "docker compose -f deploy/compose.yaml run nobody imageedit migrate",
    "docker compose -f deploy/compose.yaml run migrate imageedit emigrate",
    "kubectl apply -k deploy",
    "kubectl create namespace other",
    "kubectl -n other create secret generic imageedit",
    "kubectl -n imageedit create secret generic imageedit --from-literal=password=x",
    "kubectl -n imageedit create secret generic other --from-literal=redis-url=x",
    "kubectl -n imageedit exec deploy/nobody -- true",
    "kubectl delete namespace imageedit",
    "sqlite3 imageedit.db .backup",
    "pg_dump --exclude-table-data=pictures",
]


@pytest.mark.parametrize("command", WRONG)
def test_a_command_that_could_not_be_typed_is_found(command: str) -> None:
    program, *words = command.split()
    with pytest.raises((AssertionError, NotThere, ImportError)):
        CHECKS[program](words)


@pytest.mark.parametrize("page", sorted({*PAGES} - {"README.md"}))
def test_every_variable_of_a_page_is_in_the_readme(page: str) -> None:
    told = set(VARIABLE.findall(PAGES["README.md"]))
    for name in set(VARIABLE.findall(PAGES[page])) - told:
        assert "_TEST_" in name, name
        assert any(name in path.read_text("utf-8") for path in (ROOT / "tests").glob("*.py"))


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the fragment of every link inside the project."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("http"):
            path, _, fragment = target.partition("#")
            yield path, fragment


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for path, fragment in links(PAGES[page]):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        if fragment:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in heads}


def test_the_contents_name_every_page_and_the_readme_names_the_contents() -> None:
    told = {path for path, _ in links(PAGES["docs/README.md"])}
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= told
    assert "](docs/README.md)" in PAGES["README.md"]


def test_the_models_and_prices_are_those_of_the_catalogue() -> None:
    shown = model_table.TABLE.search(PAGES["docs/models-and-prices.md"])
    assert shown is not None
    assert shown[0] == model_table.table(), "run `python -m tests.model_table`"


def test_the_errors_are_those_of_the_front() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| `(\w+)` \|", PAGES["docs/errors.md"], re.MULTILINE)
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
    page = "docs/adding-a-provider.md"
    for text in (block.text for block in blocks(page) if block.language == "python"):
        for statement in ast.walk(ast.parse(text)):
            if isinstance(statement, ast.ImportFrom) and statement.module == base.__name__:
                assert {name.name for name in statement.names} <= vars(base).keys()
        if "def build" in text:
            assert all(f"\ndef {name}(" in text for name in ("build", "read", "explain"))
    kinds = re.findall(r"^\| `([A-Z_]+)` \|", PAGES[page], re.MULTILINE)
    assert set(kinds) == {kind.name for kind in base.FailureKind}
    catalogue = tmp_path / "catalog.toml"
    rows = [block.text for block in blocks(page) if block.language == "toml"]
    catalogue.write_text("\n".join(rows), encoding="utf-8")
    catalog = load(catalogue, {*PROVIDERS, "acme"}, {"acme"})
    assert [route.name for route in catalog.routes(catalog.find("acme/retouch-2"))]
