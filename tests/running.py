"""The whole gateway for tests: the real service and the real front, listening on free ports."""

from __future__ import annotations

import io
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import grpc

from gateway_http.app import create_app
from gateway_http.channel import Service as Channel
from gateway_http.journal import Journal
from gateway_http.listener import Listener
from gateway_http.settings import read
from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from server.accounts.audit import audit
from server.accounts.store import open_store
from server.serve import Service
from server.settings import read_settings
from tests.paid_keys import keys_in, paid_key

CHUNK = 1_048_576


class Gateway:
    """Service and front in this process, talking over real sockets; `key` is a live key.

    `reach` returns where the front finds the service that listens at an address.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        reach: Callable[[str], str] = lambda address: address,
        *,
        progress_seconds: float = 5.0,
    ) -> None:
        self._reach = reach
        self._progress_seconds = progress_seconds
        database = f"sqlite:///{folder / 'imageedit.db'}"
        self.environment = {
            "IMAGEEDIT_DATABASE_URL": database,
            "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
            "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0",
            # Tests play one fault after another; those of the breaker set what it needs.
            "IMAGEEDIT_BREAKER_FAULTS": "0",
            **environment,
        }
        self.store = open_store(self.environment["IMAGEEDIT_DATABASE_URL"])
        self._audited: tuple[int, list[str]] | None = None
        self.keys = keys_in(self.store)
        made, self.key = paid_key(self.store)
        self.key_id, self.account_id = made.id, made.account_id
        self.log = io.StringIO()

    def __enter__(self) -> Gateway:
        self._watch = sqlite3.connect(str(self.store.engine.url.database))
        settings = read_settings(self.environment)
        self.service = Service(settings, progress_seconds=self._progress_seconds)
        self.service.start()
        address = self._reach(self.service.address)
        front = read(self.environment | {"IMAGEEDIT_GRPC_ADDRESS": address})
        journal = Journal(self.log)
        self._channel = Channel(front)
        self._listener = Listener(
            front.http_address, create_app(front, self._channel, journal), 32, journal
        )
        self._listener.prepare()
        self._thread = threading.Thread(target=self._listener.serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listener.bind_addr[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.stop()
        self._thread.join()
        self._channel.close()
        self.service.stop()
        findings = self.findings()
        self._watch.close()
        self.store.close()
        assert findings == []

    def findings(self) -> list[str]:
        """Return what the audit finds; nothing is read anew where nobody wrote since."""
        version = self._watch.execute("PRAGMA data_version").fetchone()[0]
        if self._audited is None or self._audited[0] != version:
            self._audited = version, audit(self.store)
        return self._audited[1]

    @property
    def authorization(self) -> dict[str, str]:
        """The header (and metadata) that carries the key."""
        return {"authorization": f"Bearer {self.key}"}

    @contextmanager
    def stub(self, *options: tuple[str, int]) -> Iterator[ImageEditStub]:
        """Yield a stub whose channel has gRPC's default limits unless `options` say otherwise."""
        with grpc.insecure_channel(self.service.address, options) as channel:
            yield ImageEditStub(channel)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The key as gRPC metadata."""
        return tuple(self.authorization.items())


def eventually(condition: Callable[[], bool], seconds: float = 2.0) -> bool:
    """Tell whether `condition` holds within `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def stream_messages(
    parameters: pb.EditImageRequest, images: Sequence[bytes], mask: bytes | None = None
) -> Iterator[pb.StreamEditImageRequest]:
    """Yield the messages of a streamed edit."""
    yield pb.StreamEditImageRequest(parameters=parameters)
    for index, data in enumerate(images):
        for start in range(0, len(data) or 1, CHUNK):
            chunk = pb.ImageChunk(index=index, data=data[start : start + CHUNK])
            yield pb.StreamEditImageRequest(image_chunk=chunk)
    for start in range(0, len(mask or b""), CHUNK):
        chunk = pb.ImageChunk(data=(mask or b"")[start : start + CHUNK])
        yield pb.StreamEditImageRequest(mask_chunk=chunk)


def stream_edit(
    gateway: Gateway,
    parameters: pb.EditImageRequest,
    images: Sequence[bytes],
    mask: bytes | None = None,
    metadata: tuple[tuple[str, str], ...] | None = None,
) -> tuple[pb.EditImageResponse, bytes, list[str]]:
    """Edit over StreamEditImage; return the facts, the picture and the kinds of the events."""
    kinds, data = [], []
    facts = pb.EditImageResponse()
    with gateway.stub() as stub:
        call = stub.StreamEditImage(
            stream_messages(parameters, images, mask),
            metadata=gateway.metadata if metadata is None else metadata,
            timeout=60,
        )
        for event in call:
            kind = event.WhichOneof("event")
            kinds.append(kind)
            if kind == "result":
                facts = event.result
            elif kind == "result_chunk":
                data.append(event.result_chunk.data)
    return facts, b"".join(data), kinds
