"""A fresh connection for one exchange, which an attempt can cut at any moment."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from server.upstream.addresses import Address
from server.upstream.attempt import Attempt

CONNECT_SECONDS = 10.0

# A peer that vanished during minutes of silence is noticed, and address translators stay awake.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)

Connect = Callable[[socket.socket, tuple[object, ...]], None]
"""`socket.socket.connect`, or a test's own."""


class Unsent(Exception):
    """Nothing of the request was written (name, connection or TLS failed): surely unbilled."""


@cache
def verified_tls() -> ssl.SSLContext:
    """Return the TLS settings of every https upstream: TLS 1.2 on, names and chains verified.

    The authorities are those that `requests` ships. Made once: reading them takes milliseconds.
    """
    context = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def opened(
    host: str,
    addresses: Sequence[Address],
    attempt: Attempt,
    *,
    tls: ssl.SSLContext | None,
    connect: Connect = socket.socket.connect,
    patience: float = CONNECT_SECONDS,
) -> Iterator[socket.socket]:
    """Give a connection to the first of `addresses` that answers, ready for the first byte.

    With `tls` it is encrypted and the peer has proved to be `host`. When the attempt ends inside
    the block the connection is shut down, so that whatever blocks on it returns. `patience` is how
    many seconds an address may take to connect, and TLS to shake hands: one that swallows packets
    must not use up the attempt. Raises Unsent, TimedOut and Cancelled.
    """
    with ExitStack() as stack:
        wire = _dial(host, addresses, attempt, stack, connect=connect, patience=patience)
        if tls is not None:
            wire = stack.enter_context(_secured(wire, host, attempt, tls))
        # The attempt's end cuts the connection first; this holds even if that should fail.
        wire.settimeout(attempt.remaining() + 1)
        yield wire


def _dial(
    host: str,
    addresses: Sequence[Address],
    attempt: Attempt,
    stack: ExitStack,
    *,
    connect: Connect,
    patience: float,
) -> socket.socket:
    reason = "no address"
    for family, sockaddr in addresses:
        with ExitStack() as trial:
            try:
                wire = trial.enter_context(socket.socket(family, socket.SOCK_STREAM))
                for option in _KEEPALIVE:
                    wire.setsockopt(*option)
                # TLS takes the socket's descriptor away; a second one stays to shut it down.
                twin = trial.enter_context(wire.dup())
                trial.enter_context(attempt.guard(partial(_shut, twin)))
                wire.settimeout(patience)
                connect(wire, sockaddr)
            except OSError as error:
                reason = explained(error)
                attempt.check()
                continue
            stack.push(trial.pop_all())
            return wire
    raise Unsent(f"{host}: cannot connect: {reason}")


def _secured(
    wire: socket.socket, host: str, attempt: Attempt, tls: ssl.SSLContext
) -> ssl.SSLSocket:
    try:
        secured = tls.wrap_socket(wire, server_hostname=host)
    except (OSError, ValueError) as error:
        attempt.check()
        raise Unsent(f"{host}: TLS failed: {explained(error)}") from None
    return secured


def _shut(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def explained(error: Exception) -> str:
    """Return why a connection failed, without addresses, URLs or anything that was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    if isinstance(error, OSError) and error.errno and error.strerror:
        return error.strerror
    return type(error).__name__
