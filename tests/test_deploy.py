"""What deploy/ sets is what the programs read, and its times are longer than theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.__main__ import COMMANDS
from gateway_http import settings as front_settings
from gateway_http.front import UPLOAD_ALLOWANCE
from gateway_http.upload import MARGIN
from server import application, serve
from server.settings import read_settings
from tests.deployment import (
    DEPLOY,
    SECRETS,
    Deployed,
    compose,
    documents,
    in_compose,
    in_kubernetes,
    manifests,
    pods,
)
from tests.programs import ROOT

SERVICE, FRONT, MIGRATE = "python -m server", "python -m gateway_http", "imageedit migrate"
PROGRAMS = [*in_compose(), *in_kubernetes()]
FRONT_DRAIN = MARGIN + UPLOAD_ALLOWANCE
SERVICE_DRAIN = application.DRAIN_MARGIN + application.LAST_BYTES + application.CUT_SECONDS + 1


class Recorded(dict[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def names_of(program: str) -> set[str]:
    """Return the variables that a program reads."""
    if program == FRONT:
        source = Path(front_settings.__file__).read_text(encoding="utf-8")
        return set(re.findall(r'"(IMAGEEDIT_\w+)"', source))
    environment = Recorded()
    read_settings(environment)
    return environment.asked


@pytest.mark.parametrize("deployed", PROGRAMS, ids=lambda one: one.place)
def test_every_variable_is_one_that_the_program_reads_with_a_value_that_it_takes(
    deployed: Deployed,
) -> None:
    ours = {name for name in deployed.environment if not name.startswith("OTEL_")}
    assert ours <= names_of(deployed.program)
    reader = front_settings.read if deployed.program == FRONT else read_settings
    reader(deployed.environment)


@pytest.mark.parametrize("program", [SERVICE, FRONT, MIGRATE])
@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_each_deployment_has_all_of_the_gateway(where: str, program: str) -> None:
    assert [one.program for one in PROGRAMS if one.place.startswith(where)].count(program) == 1


def test_commands_are_there() -> None:
    assert "migrate" in COMMANDS
    for module in ("server", "gateway_http"):
        assert (ROOT / module / "__main__.py").is_file()


@pytest.mark.parametrize(
    "deployed", [one for one in PROGRAMS if one.program != MIGRATE], ids=lambda one: one.place
)
def test_nothing_is_killed_in_the_middle_of_its_drain(deployed: Deployed) -> None:
    margins = FRONT_DRAIN if deployed.program == FRONT else SERVICE_DRAIN
    needed = float(deployed.environment["IMAGEEDIT_ATTEMPT_TIMEOUT"]) + margins
    assert needed < deployed.grace - deployed.pause < needed + 60


def test_the_pages_drain_times_are_the_programs() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    told = re.findall(r"`IMAGEEDIT_ATTEMPT_TIMEOUT` \+ (\d+) s \|", page)
    front, service = map(float, told)
    assert front == FRONT_DRAIN
    assert SERVICE_DRAIN <= service < SERVICE_DRAIN + 15


def test_proxies_wait_longer_than_an_edit_lasts() -> None:
    longest = front_settings.Settings().attempt_timeout + MARGIN
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    told = [int(seconds) for seconds in re.findall(r"proxy_(?:read|send)_timeout (\d+)s;", page)]
    assert len(told) == 2
    assert min(told) > longest
    assert int(re.search(r"client_max_body_size (\d+)m", page)[1]) * 2**20 > 100_000_000  # type: ignore[index]
    for manager in connection_managers():
        assert int(manager["stream_idle_timeout"].removesuffix("s")) > longest
        (host,) = manager["route_config"]["virtual_hosts"]
        for route in host["routes"]:
            assert route["route"]["timeout"] == "0s"
            assert "retry_policy" not in route["route"]


def envoy() -> dict[str, Any]:
    (found,) = documents("envoy.yaml")
    return found["static_resources"]


def connection_managers() -> Iterator[dict[str, Any]]:
    for listener in envoy()["listeners"]:
        ((network,),) = (chain["filters"] for chain in listener["filter_chains"])
        yield network["typed_config"]


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def environment(place: str) -> Mapping[str, str]:
    (found,) = (one.environment for one in PROGRAMS if one.place == place)
    return found


def test_envoy_leads_to_the_containers_and_the_fronts_to_envoy() -> None:
    clusters = {cluster["name"]: cluster for cluster in envoy()["clusters"]}
    ends = {}
    for name, cluster in clusters.items():
        (group,) = cluster["load_assignment"]["endpoints"]
        (end,) = group["lb_endpoints"]
        address = end["endpoint"]["address"]["socket_address"]
        ends[name] = (address["address"], address["port_value"])
    service, front = environment("compose service"), environment("compose front")
    assert ends == {
        "services": ("service", port_of(service["IMAGEEDIT_GRPC_ADDRESS"])),
        "fronts": ("front", port_of(front["IMAGEEDIT_HTTP_ADDRESS"])),
    }
    assert {name for name, _ in ends.values()} <= set(compose()["services"])
    assert clusters["services"]["lb_policy"] == "ROUND_ROBIN"
    for cluster in clusters.values():
        assert cluster["common_lb_config"]["healthy_panic_threshold"]["value"] == 0
        assert cluster["health_checks"][0]["interval"] in {"1s", "2s"}
    (check,) = clusters["services"]["health_checks"]
    assert check["grpc_health_check"]["service_name"] == serve.SERVICE
    listening = {
        listener["name"]: listener["address"]["socket_address"]["port_value"]
        for listener in envoy()["listeners"]
    }
    assert front["IMAGEEDIT_GRPC_ADDRESS"] == f"balancer:{listening['grpc']}"
    published = compose()["services"]["balancer"]["ports"]
    assert [port_of(entry) for entry in published] == [listening["http"]]
    (grpc,) = (one for one in connection_managers() if one["stat_prefix"] == "grpc")
    assert grpc["generate_request_id"] is False
    assert grpc["request_id_extension"]["typed_config"]["pack_trace_reason"] is False


def test_there_are_several_of_each() -> None:
    for name in ("front", "service"):
        assert compose()["services"][name]["deploy"]["replicas"] >= 2
    for manifest, _ in pods():
        if manifest["kind"] == "Deployment":
            assert manifest["spec"]["replicas"] >= 2


def test_the_database_is_migrated_before_a_service_starts() -> None:
    services = compose()["services"]
    waits = services["service"]["depends_on"]["migrate"]["condition"]
    assert waits == "service_completed_successfully"
    assert services["migrate"]["restart"] == "no"
    assert services["migrate"]["environment"].items() <= services["service"]["environment"].items()


def test_manifests_fit_together() -> None:
    labels = [template["metadata"]["labels"] for _, template in pods()]

    def selects(selector: Mapping[str, str]) -> bool:
        return any(selector.items() <= label.items() for label in labels)

    kinds = {}
    for manifest in manifests():
        kinds.setdefault(manifest["kind"], []).append(manifest)
        assert re.match(r"(v1|\w+(\.k8s\.io)?/v1)$", manifest["apiVersion"].replace(".k8s.io", ""))
    for service in kinds["Service"]:
        assert selects(service["spec"]["selector"])
    for budget in kinds["PodDisruptionBudget"]:
        assert selects(budget["spec"]["selector"]["matchLabels"])
        assert budget["spec"]["maxUnavailable"] == 1
    for policy in kinds["NetworkPolicy"]:
        assert selects(policy["spec"]["podSelector"]["matchLabels"])
        assert selects(policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"])
    for deployment in kinds["Deployment"]:
        spec = deployment["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    named = {kind: {one["metadata"]["name"] for one in found} for kind, found in kinds.items()}
    assert named["Deployment"] == named["PodDisruptionBudget"] == named["Service"]
    headless = {
        one["metadata"]["name"]
        for one in kinds["Service"]
        if one["spec"].get("clusterIP") == "None"
    }
    asked = environment("kubernetes imageedit-front")["IMAGEEDIT_GRPC_ADDRESS"]
    assert asked.startswith("dns:///")
    assert asked.removeprefix("dns:///").partition(":")[0] in headless
    (kustomization,) = documents("kubernetes/kustomization.yaml")
    there = {path.name for path in (DEPLOY / "kubernetes").iterdir()}
    assert there == {*kustomization["resources"], "kustomization.yaml"}


@pytest.mark.parametrize("name", ["imageedit-service", "imageedit-front"])
def test_ports_probes_and_limits_of_pods(name: str) -> None:
    template = next(one for manifest, one in pods() if manifest["metadata"]["name"] == name)
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    variables = {"grpc": "GRPC", "metrics": "METRICS", "http": "HTTP"}
    own = environment(f"kubernetes {name}")
    assert ports == {
        port: port_of(own[f"IMAGEEDIT_{variable}_ADDRESS"])
        for port, variable in variables.items()
        if port in ports
    }
    scraped = int(template["metadata"]["annotations"]["prometheus.io/port"])
    assert scraped == ports.get("metrics", ports.get("http"))
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        ((how, what),) = (pair for pair in container[kind].items() if isinstance(pair[1], dict))
        assert ports.get(what["port"], what["port"]) in ports.values()
        if how == "httpGet":
            assert what["path"] == ("/readyz" if kind == "readinessProbe" else "/healthz")
    # A service that drains says that it is not serving: that must not get it killed.
    assert "grpc" not in container["livenessProbe"]
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True


def test_the_page_makes_the_secret_that_the_manifests_want() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    wanted = {
        entry["valueFrom"]["secretKeyRef"]["key"]: entry["valueFrom"]["secretKeyRef"]
        for _, template in pods()
        for container in template["spec"]["containers"]
        for entry in container["env"]
        if "valueFrom" in entry
    }
    assert set(wanted) == set(SECRETS)
    made = set(re.findall(r"--from-literal=([\w-]+)=", page))
    needed = {key for key, reference in wanted.items() if not reference.get("optional")}
    assert needed <= made <= set(wanted)


def test_every_yaml_file_is_one() -> None:
    files = [*DEPLOY.rglob("*.yaml")]
    assert len(files) >= 9
    for path in files:
        assert list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
