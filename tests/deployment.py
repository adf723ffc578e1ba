"""The files under deploy/, parsed, in the words of what they deploy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.programs import ROOT

DEPLOY = ROOT / "deploy"
SECRETS = {
    "database-url": "postgresql://db/imageedit",
    "redis-url": "redis://redis:6379/0",
    "openai-api-key": "sk-1",
    "openrouter-api-key": "sk-2",
    "siliconflow-api-key": "sk-3",
}
_SPAN = re.compile(r"(\d+)s")


@dataclass(frozen=True)
class Deployed:
    """One program as a file deploys it; `grace` is seconds between SIGTERM and SIGKILL."""

    place: str
    program: str
    environment: Mapping[str, str]
    grace: float = 0.0
    pause: float = 0.0  # of the grace, before SIGTERM


def documents(name: str) -> list[Any]:
    """Return the documents of a YAML file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def manifests() -> list[dict[str, Any]]:
    """Return all that is applied to Kubernetes."""
    (kustomization,) = documents("kubernetes/kustomization.yaml")
    return [one for name in kustomization["resources"] for one in documents(f"kubernetes/{name}")]


def pods() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield what makes pods, and its pod's template."""
    for manifest in manifests():
        if manifest["kind"] in {"Deployment", "Job"}:
            yield manifest, manifest["spec"]["template"]


def in_kubernetes() -> Iterator[Deployed]:
    """Yield the programs of the manifests."""
    for manifest, template in pods():
        (container,) = template["spec"]["containers"]
        hook = container.get("lifecycle", {}).get("preStop", {}).get("exec", {"command": ["", "0"]})
        yield Deployed(
            f"kubernetes {manifest['metadata']['name']}",
            " ".join(container["command"]),
            {entry["name"]: _value(entry) for entry in container["env"]},
            template["spec"].get("terminationGracePeriodSeconds", 0),
            float(hook["command"][-1]),
        )


def _value(entry: dict[str, Any]) -> str:
    if "value" in entry:
        return str(entry["value"])
    reference = entry["valueFrom"]["secretKeyRef"]
    assert reference["name"] == "imageedit"
    return SECRETS[reference["key"]]


def compose() -> dict[str, Any]:
    """Return the compose file, whose variables are as good as set."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+(?::[-?][^}]*)?\}", "x", text))
    return found


def in_compose() -> Iterator[Deployed]:
    """Yield the programs of the compose file."""
    for name, service in compose()["services"].items():
        if "build" in service:
            grace = _SPAN.fullmatch(service.get("stop_grace_period", "0s"))
            assert grace is not None
            environment = {key: str(value) for key, value in service["environment"].items()}
            command = " ".join(service["command"])
            yield Deployed(f"compose {name}", command, environment, float(grace[1]))


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
    return found


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions: word and rest, lines joined."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]
