"""What the programs export, what rules, dashboard and page name, and that these agree."""

from __future__ import annotations

import re

import pytest
import requests
from prometheus_client import generate_latest

from tests.deployment import dashboard, documents
from tests.programs import ROOT
from tests.running import Gateway

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
NAME = re.compile(r"\b((?:imageedit|process)_[a-z_]+)\b")
SUFFIX = re.compile(r"_(bucket|count|sum)$")


@pytest.fixture(scope="module")
def exported(gateway: Gateway) -> dict[str, str]:
    """The type of each metric that either program exports, by name."""
    front = requests.get(f"{gateway.url}/metrics", timeout=10).text
    service = generate_latest(gateway.service.metrics.registry).decode()
    found = re.findall(r"^# TYPE (\w+) (\w+)$", front + service, re.MULTILINE)
    return {name: kind for name, kind in found if not name.endswith("_created")}


def expressions() -> list[str]:
    (rules,) = documents("prometheus-rules.yaml")
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    panels = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return alerts + panels


@pytest.mark.parametrize("expression", expressions())
def test_rules_and_dashboard_name_what_is_exported(
    expression: str, exported: dict[str, str]
) -> None:
    names = NAME.findall(expression)
    assert names or expression.startswith("up{")
    for name in names:
        family = SUFFIX.sub("", name)
        assert exported.get(family if exported.get(family) == "histogram" else name), name
        if exported.get(name) == "counter":
            assert re.search(rf"(rate|increase)\({name}\b", expression), name
    assert expression.count("(") == expression.count(")")


def test_labels_of_rules_and_dashboard_are_there() -> None:
    labels = {"model", "outcome", "attempt", "route", "state", "method", "code", "reason"}
    labels |= {"direction", "by", "status", "le", "job", "instance"}
    for expression in expressions():
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        asked = {name.strip() for group in grouped for name in group.split(",")}
        asked |= set(re.findall(r"[{,](\w+)(?:=~|!=|=)\"", expression))
        assert asked <= labels, expression


def test_the_page_explains_every_metric_and_no_other(exported: dict[str, str]) -> None:
    told = set(re.findall(r"`((?:imageedit|process)_[a-z_]+)`", PAGE))
    assert told == set(exported)
    rows = {line for line in PAGE.splitlines() if line.startswith("| `imageedit_")}
    for name in exported:
        if name.startswith("imageedit_"):
            (row,) = (row for row in rows if f"`{name}`" in row.split("|")[1])
            assert all(
                cell.strip() for index, cell in enumerate(row.split("|")[1:-1]) if index != 1
            )


def test_every_alert_says_how_bad_it_is() -> None:
    (rules,) = documents("prometheus-rules.yaml")
    (group,) = rules["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names)) >= 15
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]


def test_the_dashboard_is_whole() -> None:
    panels = dashboard()["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    (source,) = dashboard()["templating"]["list"]
    for panel in panels:
        assert panel["datasource"]["uid"] == f"${{{source['name']}}}"
        assert panel["title"]
