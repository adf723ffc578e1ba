"""The image's health check: the front or the service, whichever runs here, answers.

`python alive.py` ends with 0 when one of them does; `python alive.py front` or `service` asks that
one alone. The addresses are those that the programs themselves read.
"""

from __future__ import annotations

import os
import socket
import sys
import urllib.request
from collections.abc import Mapping

TIMEOUT = 3.0
"""Seconds."""


def front(environment: Mapping[str, str]) -> bool:
    """Tell whether the front answers GET /healthz."""
    address = _near(environment.get("IMAGEEDIT_HTTP_ADDRESS") or "127.0.0.1:8080")
    try:
        # Ours, and http.
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=TIMEOUT) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def service(environment: Mapping[str, str]) -> bool:
    """Tell whether the service listens; over TLS nothing more can be asked without a certificate.

    Without TLS it must answer the health check, with whatever it says: while it drains, it lives.
    """
    address = _near(environment.get("IMAGEEDIT_GRPC_ADDRESS") or "127.0.0.1:50051")
    return _listens(address) if environment.get("IMAGEEDIT_TLS_CERT") else _answers(address)


def _answers(address: str) -> bool:
    import grpc  # noqa: PLC0415 -- slow to load, and the front is asked first
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(address) as channel:
        try:
            health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=TIMEOUT
            )
        except grpc.RpcError:
            return False
    return True


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), TIMEOUT).close()
    except OSError:
        return False
    return True


def _near(address: str) -> str:
    """Return how a program that listens at `address`, maybe everywhere, is reached from here."""
    host, _, port = address.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 -- keys
    return f"{host}:{port}"


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Return 0 when what is asked for lives, else 1."""
    asked = {"front": front, "service": service}
    chosen = [asked[name] for name in arguments] or list(asked.values())
    return 0 if any(lives(environment) for lives in chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
