"""The gRPC service alone, in this process, with a patience of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from sandbox.server import SandboxServer
from server.accounts.audit import audit
from server.accounts.store import open_store
from server.admission import Admission
from server.patience import Patience
from server.serve import Service
from server.settings import read_settings
from tests.edits import Edit, message
from tests.paid_keys import paid_secret

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LoneService:
    """A running service: a stub, its admission, and keys."""

    service: Service
    stub: ImageEditStub
    database: str
    channel: grpc.Channel

    @property
    def admission(self) -> Admission:
        """What is held now."""
        return self.service.admission

    def metadata(self) -> Metadata:
        """Return a new key as metadata."""
        return (("authorization", f"Bearer {paid_secret(self.database)}"),)


@contextmanager
def lone_service(
    sandbox: SandboxServer, folder: Path, patience: Patience | None = None, **settings: str
) -> Iterator[LoneService]:
    """Run the service; `settings` are IMAGEEDIT variables without that prefix."""
    database = f"sqlite:///{folder / 'imageedit.db'}"
    environment = sandbox.environment() | {
        "IMAGEEDIT_DATABASE_URL": database,
        "IMAGEEDIT_GRPC_ADDRESS": "127.0.0.1:0",
        **{f"IMAGEEDIT_{name}": value for name, value in settings.items()},
    }
    service = Service(read_settings(environment), patience)
    service.start()
    try:
        with grpc.insecure_channel(service.address) as channel:
            yield LoneService(service, ImageEditStub(channel), database, channel)
    finally:
        service.stop()
    store = open_store(database)
    assert audit(store) == []
    store.close()


@dataclass
class Stalling:
    """An upload that sends its parameters and `chunks` KiB, then nothing until `go` is set."""

    chunks: int = 1
    pause: float = 0.0
    sent: int = 0
    go: threading.Event = field(default_factory=threading.Event)

    def __iter__(self) -> Iterator[pb.StreamEditImageRequest]:
        yield pb.StreamEditImageRequest(parameters=message(Edit(), inline=False))
        for _ in range(self.chunks):
            self.sent += 1
            yield pb.StreamEditImageRequest(image_chunk=pb.ImageChunk(data=bytes(1024)))
            self.go.wait(self.pause)
        self.go.wait(30)
