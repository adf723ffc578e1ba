"""`imageedit models --routes`: the operator's table, with breakers from the service's metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge

from server.metrics_page import MetricsPage
from server.providers.registry import PROVIDERS
from tests.test_command import command

STATES = {"openai:gpt-image-2": "open", "openrouter:openai/gpt-image-2": "half_open"}


def page() -> MetricsPage:
    """Return a page that tells breakers as the service does."""
    registry = CollectorRegistry()
    gauge = Gauge("imageedit_breaker_state", "…", ("route", "state"), registry=registry)
    for route, state in STATES.items():
        for name in ("closed", "half_open", "open"):
            gauge.labels(route, name).set(name == state)
    return MetricsPage("127.0.0.1:0", registry)


def listed(folder: Path, environment: dict[str, str]) -> list[dict[str, object]]:
    code, text = command("models", "--routes", "--json", folder=folder, environment=environment)
    assert code == 0, text
    found: list[dict[str, object]] = json.loads(text[: text.rindex("]") + 1])
    return found


def test_routes_with_their_breakers(tmp_path: Path) -> None:
    metrics = page()
    environment = {"OPENAI_API_KEY": "sk-1", "IMAGEEDIT_METRICS_ADDRESS": metrics.address}
    rows = listed(tmp_path, environment)
    code, table = command("models", "--routes", folder=tmp_path, environment=environment)
    metrics.close()
    first, second = (row for row in rows if row["alias"] == "openai/gpt-image-2")
    assert first == {
        "alias": "openai/gpt-image-2",
        "provider": "openrouter",
        "model": "openai/gpt-image-2",
        "mask_method": "second_image",
        "configured": False,
        "breaker": "half_open",
    }
    assert (second["configured"], second["breaker"]) == (True, "open")
    assert {row["provider"] for row in rows} == set(PROVIDERS)
    assert {row["breaker"] for row in rows} == {"open", "half_open", "not told"}
    assert code == 0
    head, *lines = table.splitlines()
    assert head.split() == ["alias", "provider", "model", "mask", "configured", "breaker"]
    assert len([line for line in lines if line]) == len(rows)
    assert any(
        line.split() == ["openai/gpt-image-2", "openai", "gpt-image-2", "native", "yes", "open"]
        for line in lines
    )
    assert "sk-1" not in table


def test_a_service_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    environment = {"IMAGEEDIT_METRICS_ADDRESS": "127.0.0.1:1"}
    code, table = command("models", "--routes", folder=tmp_path, environment=environment)
    assert code == 0
    assert "not reachable, there are no metrics at 127.0.0.1:1" in table
    assert {row["breaker"] for row in listed(tmp_path, environment)} == {"not reachable"}


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_catalogue_of_no_use_ends_it(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "bad.toml").write_text("nothing")
    environment = {"IMAGEEDIT_CATALOG": "bad.toml", "IMAGEEDIT_METRICS_ADDRESS": "127.0.0.1:1"}
    code, text = command("models", "--routes", *arguments, folder=tmp_path, environment=environment)
    assert code == 1
    assert "bad.toml" in text
    assert "Traceback" not in text
