"""The gRPC server: its threads, its bounds, how it notices who is gone, and where it listens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from server.patience import Patience
from server.settings import Settings
from server.tls import Certificate

SPARE_THREADS = 64  # for health checks, lists and refusals while every place is taken
MAX_UNARY_BYTES = 16 * 1_048_576
MIN_PING_MS = 10_000  # how often a client may ask whether we live


def grpc_server(
    max_edits: int, patience: Patience, interceptors: list[grpc.ServerInterceptor]
) -> grpc.Server:
    """Return a server with room for `max_edits` edits, not listening yet."""
    return grpc.server(
        # As many uploads as edits may be here, and as many calls that wait for edits, so
        # whatever they do, some threads are left.
        ThreadPoolExecutor(3 * max_edits + SPARE_THREADS, thread_name_prefix="rpc"),
        interceptors=interceptors,
        options=[
            ("grpc.max_receive_message_length", MAX_UNARY_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.tcp_read_chunk_size", 1_048_576),
            ("grpc.so_reuseport", 0),
            # What a stream may send ahead lies in memory; measured, it was 15 MB each.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 1_048_576),
            *_keepalive(patience),
        ],
    )


def listen(server: grpc.Server, settings: Settings) -> str:
    """Bind `server`, with TLS where it is set, and return its real address; raises OSError."""
    address = settings.grpc_address
    try:
        if settings.tls_cert is None or settings.tls_key is None:
            port = server.add_insecure_port(address)
        else:
            own = Certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
            port = server.add_secure_port(address, own.credentials())
    except RuntimeError:
        raise OSError(f"IMAGEEDIT_GRPC_ADDRESS: cannot listen on {address}") from None
    return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"


def _keepalive(patience: Patience) -> tuple[tuple[str, int], ...]:
    """Return the options that notice a peer which is gone, and let clients do the same.

    By gRPC's default a server closes the connection of a client that asks more often than every 5
    minutes while nothing is said, as happens during an edit.
    """
    ping, pong = round(patience.ping * 1000), round(patience.pong * 1000)
    return (
        ("grpc.keepalive_time_ms", ping),
        # The first bounds the wait for any byte, the second for the answer: by default a minute.
        ("grpc.keepalive_timeout_ms", pong),
        ("grpc.http2.ping_timeout_ms", pong),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", min(ping, MIN_PING_MS)),
    )
