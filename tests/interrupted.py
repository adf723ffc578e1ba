"""Edits that are brought to a named point of their way and left there, each by its own caller."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from hashlib import shake_128

import grpc
import requests
from PIL import Image

from imageedit.v1 import image_edit_pb2 as pb
from imageedit.v1.image_edit_pb2_grpc import ImageEditStub
from tests.edits import Edit, message
from tests.pictures import encoded
from tests.running import CHUNK, stream_messages

# Noise that no encoder shrinks, so that no buffer on the way has room for the answer.
LARGE = encoded(
    Image.frombytes("RGB", (1440, 1000), shake_128(b"noise").digest(1440 * 1000 * 3)),
    "PNG",
    compress_level=0,
)
WAYS = ("by number", "by key")  # how a repeat says which original it repeats


@dataclass(frozen=True)
class Point:
    """A point of an edit's way, and what the crash matrix says of an edit left there.

    `before` is the state that shows it is there, "" for no row; `after` what the state must become;
    `calls` the requests that the upstream has had of it. `replayed`: a repeat gets a stored result.
    """

    name: str
    before: str
    after: str
    calls: int
    prompt: str = "[sandbox echo]"
    model: str = "openai/gpt-image-2.6-sunburst"
    large: bool = False

    @property
    def replayed(self) -> bool:
        return self.after == "posted"


POINTS = (
    Point("uploading", "", "", 0, large=True),
    Point("held", "held", "voided", 0, model="black-forest-labs/flux-kontext-dev"),
    Point("submitted", "submitted", "unknown", 1, prompt="[sandbox echo delay=60 first=1]"),
    Point("answered", "submitted", "unknown", 1, prompt="[sandbox echo delay=1 first=1]"),
    Point("unread", "posted", "posted", 1, large=True),
    Point("unread by the front", "posted", "posted", 1, large=True),
    Point("half read", "posted", "posted", 1, large=True),
    Point("half read from the front", "posted", "posted", 1, large=True),
)


@dataclass(frozen=True)
class Interrupted:
    """One caller's edit at a point."""

    point: Point
    way: str

    @property
    def label(self) -> str:
        return f"{self.point.name}, {self.way}"

    @property
    def edit(self) -> Edit:
        """The edit; its `user` is the label, by which its rows are known."""
        fields = {
            "model": self.point.model,
            "prompt": f"{self.label} {self.point.prompt}",
            "user": self.label,
        }
        return Edit(fields, (LARGE,)) if self.point.large else Edit(fields)

    @property
    def headers(self) -> dict[str, str]:
        """What the first attempt says beside its key."""
        return {"idempotency-key": self.label} if self.way == "by key" else {}

    @property
    def repeated(self) -> dict[str, str]:
        """What its repeat says."""
        return self.headers or {"x-stainless-retry-count": "1"}


def prepared(url: str, edit: Edit, headers: dict[str, str]) -> requests.PreparedRequest:
    """Return an edit as an HTTP client sends it."""
    files: list[tuple[str, tuple[str | None, str | bytes]]] = [
        (name, (None, text)) for name, text in edit.texts().items()
    ]
    files += [("image", ("image.png", data)) for data in edit.images]
    if edit.mask is not None:
        files.append(("mask", ("mask.png", edit.mask)))
    request = requests.Request("POST", f"{url}/v1/images/edits", files=files, headers=headers)
    return request.prepare()


class Callers:
    """Callers of one service and one front who stop in the middle; leaving lets all of them go."""

    def __init__(self, address: str, url: str, authorization: dict[str, str]) -> None:
        self._url = url
        self._authorization = authorization
        self._stack = ExitStack()
        self._stub = ImageEditStub(self._stack.enter_context(grpc.insecure_channel(address)))
        self._gone = threading.Event()
        self._stack.callback(self._gone.set)

    def __enter__(self) -> Callers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def call(self, interrupted: Interrupted) -> None:
        """Take an edit to its point, as far as this depends on its caller."""
        match interrupted.point.name:
            case "unread by the front":
                self._by_http(interrupted)
            case "half read from the front":
                self._by_http(interrupted, read_half=True)
            case "uploading":
                self._upload_half(interrupted)
            case "half read":
                self._by_grpc(interrupted, read_half=True)
            case _:
                self._by_grpc(interrupted)

    def _stream(
        self, interrupted: Interrupted, messages: Iterator[pb.StreamEditImageRequest]
    ) -> Iterator[pb.StreamEditImageResponse]:
        metadata = tuple({**self._authorization, **interrupted.headers}.items())
        call = self._stub.StreamEditImage(messages, metadata=metadata)
        self._stack.callback(call.cancel)
        return call

    def _by_grpc(self, interrupted: Interrupted, *, read_half: bool = False) -> None:
        edit = interrupted.edit
        call = self._stream(interrupted, stream_messages(message(edit, inline=False), edit.images))
        assert next(call).HasField("accepted")
        received = 0
        while read_half and received < len(LARGE) // 2:
            received += len(next(call).result_chunk.data)

    def _upload_half(self, interrupted: Interrupted) -> None:
        parameters, sent = message(interrupted.edit, inline=False), threading.Event()

        def half() -> Iterator[pb.StreamEditImageRequest]:
            yield from stream_messages(parameters, [LARGE[: 2 * CHUNK]])
            sent.set()  # asked for more, so what was given is on its way
            self._gone.wait()

        self._stream(interrupted, half())
        assert sent.wait(10)

    def _by_http(self, interrupted: Interrupted, *, read_half: bool = False) -> None:
        headers = {**self._authorization, **interrupted.headers, "connection": "close"}
        request = prepared(self._url, interrupted.edit, headers)
        host, _, port = self._url.removeprefix("http://").partition(":")
        wire = self._stack.enter_context(closing(socket.socket()))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        wire.connect((host, int(port)))
        lines = [f"{request.method} {request.path_url} HTTP/1.1", f"Host: {host}:{port}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        assert isinstance(request.body, bytes)
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + request.body)
        received = 0
        while read_half and received < len(LARGE) // 2:
            piece = wire.recv(65_536)
            assert piece
            received += len(piece)
