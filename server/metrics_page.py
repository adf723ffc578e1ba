"""The page that Prometheus scrapes, on an address of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, start_http_server


class MetricsPage:
    """Serves `registry` at `address`, HOST:PORT, a thread for each scrape, until closed.

    `address` is where it really listens. Raises OSError when it cannot.
    """

    def __init__(self, address: str, registry: CollectorRegistry) -> None:
        host, _, port = address.rpartition(":")
        try:
            # The scrapes' threads are daemons: one that hangs holds nothing up.
            self._server, self._thread = start_http_server(
                int(port), host.strip("[]"), registry=registry
            )
        except OSError:
            raise OSError(f"IMAGEEDIT_METRICS_ADDRESS: cannot listen on {address}") from None
        self.address = f"{host}:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening; scrapes that are under way may end or not."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
