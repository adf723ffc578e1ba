"""The service's certificate: read anew when its files change, so that renewing needs no restart."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Lock

import grpc

logger = logging.getLogger("imageedit.service")


class Certificate:
    """Certificate and key in PEM files; with `client_ca`, callers must show one of their own.

    Raises `OSError` where a file cannot be read at the start.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert = cert
        self._key = key
        self._client_ca = client_ca
        self._lock = Lock()
        self._seen = self._state()
        self._first = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that look at the files with every new connection."""
        return grpc.dynamic_ssl_server_credentials(
            self._first,
            self._fetch,  # type: ignore[arg-type] # it may return None, by grpc's own words
            require_client_authentication=self._client_ca is not None,
        )

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files hold if they changed; `None` keeps what is used.

        gRPC also keeps it where a certificate and its key do not fit, as between two writes.
        """
        with self._lock:
            try:
                state = self._state()
                if state == self._seen:
                    return None
                fresh = self._read()
            except OSError as error:
                line = {"event": "certificate not read", "cause": type(error).__name__}
                logger.warning("certificate not read", extra={"line": line})
                return None
            self._seen = state
        logger.info("certificate changed", extra={"line": {"event": "certificate changed"}})
        return fresh

    def _state(self) -> list[tuple[int, int, int]]:
        files = [self._cert, self._key, *([self._client_ca] if self._client_ca else [])]
        return [(stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in (f.stat() for f in files)]

    def _read(self) -> grpc.ServerCertificateConfiguration:
        client_ca = self._client_ca.read_bytes() if self._client_ca else None
        pair = (self._key.read_bytes(), self._cert.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=client_ca)
