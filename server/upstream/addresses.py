"""Host names to addresses, inside an attempt's time; and which addresses are public."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import SimpleQueue
from typing import Any, NamedTuple

from server.upstream.attempt import Attempt

Lookup = Callable[..., Sequence[tuple[Any, Any, Any, Any, tuple[Any, ...]]]]
"""`socket.getaddrinfo`, or something that answers like it."""


class Address(NamedTuple):
    """Where to connect to: the socket's family and the address as `connect` takes it."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]


class Unresolved(Exception):
    """The host has no address, or the name service failed."""


def addresses_of(
    host: str, port: int, attempt: Attempt, lookup: Lookup = socket.getaddrinfo
) -> list[Address]:
    """Return the addresses of `host`, in the order to try.

    The lookup runs in a thread of its own, as nothing can interrupt `getaddrinfo`: when the attempt
    ends first, the thread is left to the resolver's own time-out. An address is no name and needs
    no lookup. Raises Unresolved, TimedOut and Cancelled.
    """
    if (numeric := _numeric(host, port)) is not None:
        return [numeric]
    answers: SimpleQueue[list[Address] | Exception | None] = SimpleQueue()

    def ask() -> None:
        try:
            rows = lookup(host, port, type=socket.SOCK_STREAM)
            answers.put([Address(row[0], row[4]) for row in rows])
        except Exception as error:  # noqa: BLE001 -- handed to the waiting thread
            answers.put(error)

    with attempt.guard(lambda: answers.put(None)):
        threading.Thread(target=ask, name="resolve", daemon=True).start()
        found = answers.get()
    attempt.check()
    if isinstance(found, socket.gaierror):
        raise Unresolved(f"{host}: {found.strerror}")
    if isinstance(found, OSError | UnicodeError):
        raise Unresolved(f"{host}: {type(found).__name__}")
    if isinstance(found, Exception):
        raise found
    if not found:
        raise Unresolved(f"{host}: no address")
    return found


def _numeric(host: str, port: int) -> Address | None:
    """Return where `host` is if it is an address itself, else `None`."""
    try:
        ip = ip_address(host)
    except ValueError:
        return None
    if isinstance(ip, IPv4Address):
        return Address(socket.AF_INET, (host, port))
    return None if ip.scope_id else Address(socket.AF_INET6, (host, port, 0, 0))


# What `is_global` lets through and no public host has. 192.0.0.0/24 and 168.63.129.16 are where two
# clouds keep their metadata service; 192.88.99.0/24 and 2002::/16 are 6to4 (RFC 7526).
_REFUSED_V4 = tuple(
    map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "224.0.0.0/4"))
)
_REFUSED_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291; mapped, compatible and site-local are outside
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address reached


def is_public(address: str) -> bool:
    """Tell whether a numeric address belongs to a host on the public internet.

    Stricter than `ipaddress.is_global`, which takes multicast, 6to4, IPv4-mapped and NAT64
    addresses for global, whatever private host they lead to.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip in _NAT64:
        ip = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if isinstance(ip, IPv4Address):
        return ip.is_global and not any(ip in network for network in _REFUSED_V4)
    return (
        ip.is_global and ip in _GLOBAL_UNICAST and not any(ip in network for network in _REFUSED_V6)
    )
