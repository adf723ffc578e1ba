"""The one channel to the gRPC service, and the stubs on it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import grpc
import orjson
from grpc_health.v1.health_pb2_grpc import HealthStub

from gateway_http.confirmations import Confirmations
from gateway_http.settings import Settings, names_several
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub

MEBIBYTE = 1_048_576

# Calls go to the services in turn, whatever number the address stands for.
_IN_TURN: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
# Of several services those that drain, or are ill, are passed over as soon as they say so.
_HEALTHY = _IN_TURN | {"healthCheckConfig": {"serviceName": ""}}

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", 128 * MEBIBYTE),
    ("grpc.tcp_read_chunk_size", MEBIBYTE),
    # An edit costs money: whether to repeat one is never the transport's decision.
    ("grpc.enable_retries", 0),
    # The service is a neighbour; a proxy set for the way out must not catch this call.
    ("grpc.enable_http_proxy", 0),
    # A service that hangs, or whose host is gone, is noticed during an edit, not after it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.http2.ping_timeout_ms", 15_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A service that restarts is found again within a second, not after two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # So is one that moved: names are looked up again when a connection is lost, but by default
    # only every 30 seconds.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
)


class Service:
    """The gRPC service as the front sees it: `images` and `health`, shared by all threads.

    The channel is made on first use, because one that was used before a fork loses calls after it:
    by `connect` where the service is not behind `settings.grpc_address` but in this very process.
    """

    def __init__(
        self, settings: Settings, connect: Callable[[], grpc.Channel] | None = None
    ) -> None:
        self._settings = settings
        self._connect = connect or self._build
        self.confirmations = Confirmations(lambda: self.images)
        self._lock = Lock()
        self._channel: grpc.Channel | None = None

    @property
    def images(self) -> ImageEditStub:
        """The stub of the image-edit service."""
        return ImageEditStub(self._open())

    @property
    def health(self) -> HealthStub:
        """The stub of the standard health service."""
        return HealthStub(self._open())

    def close(self) -> None:
        """End the channel and every call on it; the next use opens another."""
        self.confirmations.tell()
        with self._lock:
            if self._channel is not None:
                self._channel.close()
                self._channel = None

    def _open(self) -> grpc.Channel:
        with self._lock:
            if self._channel is None:
                self._channel = self._connect()
            return self._channel

    def _build(self) -> grpc.Channel:
        tls, address = self._settings.tls, self._settings.grpc_address
        balancing = _HEALTHY if names_several(address) else _IN_TURN
        options = (*OPTIONS, ("grpc.service_config", orjson.dumps(balancing).decode()))
        if tls is None:
            return grpc.insecure_channel(address, options)
        credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
        return grpc.secure_channel(address, credentials, options)
