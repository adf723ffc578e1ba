"""How the service is reached: in the clear on this machine, by TLS from another."""

from __future__ import annotations

import ipaddress

import grpc

from imageedit.client.calls import Client
from imageedit.client.request import Picture, content

CHANNEL: tuple[tuple[str, int], ...] = (
    # An edit costs money: whether to repeat one is never the transport's decision.
    ("grpc.enable_retries", 0),
    # A service that hangs, or whose host is gone, is noticed during an edit.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 15_000),
)


def connect(
    address: str,
    key: str,
    *,
    tls: bool = False,
    ca: Picture | None = None,
    certificate: Picture | None = None,
    private_key: Picture | None = None,
    insecure: bool = False,
) -> Client:
    """Return a client of the service at `address`, "HOST:PORT" or "unix:PATH"; no call is made yet.

    `tls` encrypts, and trusts whom this machine trusts; `ca` (PEM, as bytes or a path) trusts that
    authority alone; `certificate` and `private_key` (PEM) identify this side. Without any of them
    the key travels in the clear: a `ValueError` beyond this machine, unless `insecure` says that
    the network itself is private.
    """
    if tls or ca is not None or certificate is not None:
        pems = [None if pem is None else content(pem) for pem in (ca, private_key, certificate)]
        credentials = grpc.ssl_channel_credentials(*pems)
        return Client(grpc.secure_channel(address, credentials, CHANNEL), key)
    if not insecure and not _is_local(address):
        raise ValueError(
            f"{address} is another host, and the key would travel in the clear: use tls=True or"
            " ca=…, or insecure=True where the network itself is private"
        )
    return Client(grpc.insecure_channel(address, CHANNEL), key)


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith("unix:") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
