"""The addresses to listen on: free, taken by this gateway, or taken by somebody else."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

from cli.checkup.finding import Finding, fail, ok, warn
from gateway_http.settings import Settings as FrontSettings
from gateway_http.settings import names_several
from server.settings import Settings

TIMEOUT = 3.0
# RFC 9113, section 3.4: how a client begins, and an empty SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS = 4


def check_ports(settings: Settings, front: FrontSettings) -> Iterator[Finding]:
    """Look at all addresses that the programs will listen on."""
    host, port = front.http_address
    yield _check("HTTP port", "IMAGEEDIT_HTTP_ADDRESS", host, port, is_front)
    address = settings.grpc_address
    if address.startswith("unix:"):
        yield _socket_file(Path(address.removeprefix("unix:")))
    elif not names_several(address):
        host, port = _split(address)
        speaks = is_listening if settings.tls_cert else speaks_http2
        yield _check("gRPC port", "IMAGEEDIT_GRPC_ADDRESS", host, port, speaks)
    if settings.metrics_address:
        host, port = _split(settings.metrics_address)
        yield _check("metrics port", "IMAGEEDIT_METRICS_ADDRESS", host, port, is_metrics)


def _check(
    subject: str, variable: str, host: str, port: int, ours: Callable[[str, int], bool]
) -> Finding:
    if port == 0:
        return ok(subject, "any that is free")
    error = _cannot_listen(host, port)
    if error is None:
        return ok(subject, f"{host}:{port} is free")
    if ours(_near(host), port):
        return ok(subject, f"{host}:{port} is taken, by this gateway as it seems")
    return fail(
        subject,
        f"{host}:{port} can't be had ({error}), and no gateway answers there",
        f"Stop what listens there, or set {variable} to another address.",
    )


def _cannot_listen(host: str, port: int) -> str | None:
    """Return why nobody could listen there now; `None`: one could."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def is_front(host: str, port: int) -> bool:
    """Tell whether a front of this gateway answers at an address."""
    answer = _get(f"http://{_in_url(host)}:{port}/healthz")
    return answer is not None and answer.ok and "x-request-id" in answer.headers


def is_metrics(host: str, port: int) -> bool:
    """Tell whether the metrics of this gateway's service are at an address."""
    answer = _get(f"http://{_in_url(host)}:{port}/metrics")
    return answer is not None and "imageedit_" in answer.text


def speaks_http2(host: str, port: int) -> bool:
    """Tell whether HTTP/2 without TLS, as gRPC is, is spoken at an address."""
    try:
        with socket.create_connection((host, port), TIMEOUT) as connection:
            connection.settimeout(TIMEOUT)
            connection.sendall(_PREFACE)
            frame = connection.recv(9, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(frame) == 9 and frame[3] == _SETTINGS


def is_listening(host: str, port: int) -> bool:
    """Tell whether anybody takes connections: all that is known of TLS without a certificate."""
    try:
        socket.create_connection((host, port), TIMEOUT).close()
    except OSError:
        return False
    return True


def _socket_file(path: Path) -> Finding:
    if path.parent.is_dir():
        return ok("gRPC socket", f"{path}")
    todo = f"mkdir -p {path.parent}"
    return warn("gRPC socket", f"there is no folder {path.parent}", todo)


def _get(url: str) -> requests.Response | None:
    try:
        return requests.get(url, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException:
        return None


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _near(host: str) -> str:
    """Return where a program that listens at `host`, maybe everywhere, is reached from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- a key


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
