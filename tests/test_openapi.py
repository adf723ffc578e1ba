"""The description and the running gateway agree: schemathesis asks what the one allows, and not.

IMAGEEDIT_TEST_OPENAPI_EXAMPLES is how many requests it makes up for each route, beside those that
it derives from the description's examples and bounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from imageedit.v1 import image_edit_pb2 as pb
from server.usage_reports import UsageReports
from tests import whole
from tests.paid_keys import now, paid_key
from tests.programs import ROOT
from tests.running import Gateway

EXAMPLES = os.environ.get("IMAGEEDIT_TEST_OPENAPI_EXAMPLES", whole.of("10", "3"))
DESCRIPTION = json.loads((ROOT / "gateway_http/openapi.json").read_bytes())
OPERATIONS = [
    operation
    for methods in DESCRIPTION["paths"].values()
    for name, operation in methods.items()
    if name != "parameters"
]


@pytest.mark.timeout(3600)
def test_the_gateway_does_what_its_description_says(gateway: Gateway, tmp_path: Path) -> None:
    key, secret = paid_key(gateway.store)
    command = (
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(ROOT / "tests/schemathesis.toml"), "run"),
        *(f"{gateway.url}/openapi.json", "--header", f"Authorization: Bearer {secret}"),
        *("--max-examples", EXAMPLES, "--suppress-health-check", "all"),
        *("--generation-database", "none"),
        "--no-color",
    )
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.openapi_checks",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # It proved something: its requests came as far as pictures, where their keys let them.
    reports = UsageReports(gateway.store, now)
    outcomes = reports.summarize(pb.SummarizeUsageRequest(), key).outcomes
    assert {one.outcome for one in outcomes} == {pb.EDIT_OUTCOME_DELIVERED}
    assert sum(one.edits for one in outcomes) > 1


def referred(node: Any) -> Any:
    """Return what a reference stands for."""
    while "$ref" in node:
        target: Any = DESCRIPTION
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = target
    return node


def contents() -> Iterator[tuple[str, Any]]:
    """Yield each body that a route takes or gives."""
    for operation in OPERATIONS:
        name = operation["operationId"]
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} takes {kind}", content
        for status, told in operation["responses"].items():
            for kind, content in referred(told)["content"].items():
                yield f"{name} gives {status} {kind}", content


def examples(content: Any) -> list[Any]:
    named = [example["value"] for example in content.get("examples", {}).values()]
    schema = referred(content["schema"])
    of_parts = [one for part in schema.get("oneOf", ()) for one in referred(part)["examples"]]
    return named + schema.get("examples", []) + of_parts


@pytest.mark.parametrize(("name", "content"), list(contents()))
def test_every_body_has_an_example_that_is_what_it_says(name: str, content: Any) -> None:
    if "multipart/form-data" in name or "image/" in name:
        return  # which JSON cannot show; fields have examples of their own
    assert examples(content)
    schema = {**content["schema"], "components": DESCRIPTION["components"]}
    for example in examples(content):
        jsonschema_rs.validate(schema, example)


def properties(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield from ((f"{place}/{name}", one) for name, one in node["properties"].items())
        for name, one in node.items():
            if name not in {"examples", "enum", "required"}:
                yield from properties(one, f"{place}/{name}")
    elif isinstance(node, list):
        for one in node:
            yield from properties(one, place)


def test_every_field_parameter_and_header_is_explained() -> None:
    named = dict(properties(DESCRIPTION, ""))
    for operation in OPERATIONS:
        named |= {
            f"{operation['operationId']} {one['name']}": one
            for one in map(referred, operation.get("parameters", ()))
        }
    named |= DESCRIPTION["components"]["headers"]
    assert len(named) > 100
    unexplained = [
        name
        for name, one in named.items()
        if not {"$ref", "anyOf", "description", "const"} & set(one)
    ]
    assert unexplained == []


def test_every_route_says_what_it_is() -> None:
    tags = {tag["name"] for tag in DESCRIPTION["tags"]}
    for operation in OPERATIONS:
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        for status, told in operation["responses"].items():
            headers = referred(told)["headers"]
            assert "x-request-id" in headers, (operation["operationId"], status)
