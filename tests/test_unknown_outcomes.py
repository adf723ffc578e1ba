"""An attempt that may be billed is the last one, although another route stands by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.server import SandboxServer
from server.catalog_file import BUILT_IN
from tests.customers import customer, post
from tests.running import Gateway

MODEL = "openai/gpt-image-2"


@pytest.fixture(scope="module")
def swapped(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that asks OpenAI, which bills its failures, before OpenRouter, which does not."""
    folder = tmp_path_factory.mktemp("swapped")
    head, *models = BUILT_IN.read_text("utf-8").split("[[models]]\n")
    place = next(index for index, text in enumerate(models) if f'"{MODEL}"' in text)
    facts, first, second = models[place].split("[[models.routes]]\n")
    models[place] = "[[models.routes]]\n".join((facts, f"{second.rstrip()}\n\n", f"{first}"))
    catalog = folder / "catalog.toml"
    catalog.write_text("[[models]]\n".join((head, *models)), "utf-8")
    settings = sandbox.environment() | {"IMAGEEDIT_CATALOG": str(catalog)}
    with Gateway(settings, folder) as running:
        yield running


@pytest.mark.parametrize("words", ["reset", "close", "cut=50", "html502", "garbage", "empty"])
def test_no_other_route_is_asked(swapped: Gateway, sandbox: SandboxServer, words: str) -> None:
    who = customer(swapped)
    answer = post(who, f"[sandbox {words} at=openai]", model=MODEL)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    assert who.tally(sandbox).submissions == 1


@pytest.mark.parametrize("words", ["error429", "error503", "error500", "gone", "error401"])
def test_the_other_route_is_asked_where_nothing_was_billed(
    swapped: Gateway, sandbox: SandboxServer, words: str
) -> None:
    who = customer(swapped)
    assert post(who, f"[sandbox {words} at=openai]", model=MODEL).status_code == 200
    assert who.tally(sandbox).submissions == 2
