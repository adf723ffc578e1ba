"""The image: its Dockerfile, what it installs, and its health check on the real programs."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

from sandbox.server import SandboxServer
from tests.deployment import DEPLOY, in_compose, in_kubernetes, instructions
from tests.gateway_programs import gateway_programs
from tests.programs import ROOT


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


EVERYWHERE = "0.0.0.0:"
KNOWN = "FROM RUN CMD LABEL EXPOSE ENV ADD COPY ENTRYPOINT VOLUME USER WORKDIR ARG STOPSIGNAL HEALTHCHECK SHELL".split()  # fmt: skip  # noqa: E501, SIM905


def test_the_dockerfile_is_one() -> None:
    found = instructions()
    assert {word for word, _ in found} <= set(KNOWN)
    assert found[0][0] == "FROM"
    words = dict(found)  # the last of each
    assert words["USER"] not in {"root", "0"}
    exposed = set(map(int, words["EXPOSE"].split()))
    ports = {
        port_of(value)
        for one in (*in_compose(), *in_kubernetes())
        for name, value in one.environment.items()
        if name.endswith("_ADDRESS") and value.startswith(EVERYWHERE)
    }
    assert exposed == ports
    for word, rest in found:
        if word in {"CMD", "ENTRYPOINT"}:
            assert all(isinstance(one, str) for one in json.loads(rest))
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
    (install, own) = (rest for word, rest in found if word == "RUN" and "pip install" in rest)
    assert "--require-hashes -r deploy/requirements-image.txt" in install
    assert "--no-deps --no-build-isolation" in own
    check = re.search(r"CMD (\[.*\])", words["HEALTHCHECK"])
    assert check is not None
    alive = Path(json.loads(check[1])[1])
    assert f"deploy/{alive.name} {alive}" in [rest for word, rest in found if word == "COPY"]
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for word, rest in found:
        if word == "COPY" and not rest.startswith("--from"):
            assert {f"!{source}" for source in rest.split()[:-1]} <= set(kept)


def test_the_image_has_what_runs_and_traces_and_nothing_to_develop_with() -> None:
    def pins(name: str) -> set[str]:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([\w.-]+==[^\s;]+)", text, re.MULTILINE))

    image = pins("requirements-image.txt")
    assert pins("requirements.txt") < image
    assert {name.partition("==")[0] for name in image - pins("requirements.txt")} >= {
        "opentelemetry-api",
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-http",
    }
    assert not any(name.startswith("pytest==") for name in image)


def test_the_health_check_tells_who_lives(sandbox: SandboxServer, tmp_path: Path) -> None:
    path = DEPLOY / "alive.py"
    main = runpy.run_path(str(path))["main"]

    def alive(*arguments: str, **addresses: str) -> int:
        dead = {"IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:1", "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:1"}
        return main(list(arguments), dead | addresses)

    with gateway_programs(sandbox.environment(), tmp_path) as gateway:
        http = {"IMAGEEDIT_HTTP_ADDRESS": f"0.0.0.0:{port_of(gateway.url)}"}
        grpc = {"IMAGEEDIT_GRPC_ADDRESS": f"0.0.0.0:{port_of(gateway.address)}"}
        assert subprocess.run([sys.executable, path], env=grpc, check=False).returncode == 0
        assert alive("front", **http) == alive("service", **grpc) == alive(**http) == 0
        assert alive("service", **grpc, IMAGEEDIT_TLS_CERT="x.pem") == 0
    assert alive("front", **http) == alive("service", **grpc) == alive() == 1
    assert alive("service", **grpc, IMAGEEDIT_TLS_CERT="x.pem") == 1
