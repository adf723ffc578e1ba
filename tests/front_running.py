"""The front for tests: in process on a fake service, and behind the real listener."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

from flask import Flask
from google.protobuf.timestamp_pb2 import Timestamp
from urllib3.filepost import encode_multipart_formdata

from gateway_http.app import create_app
from gateway_http.bounds import Bounds
from gateway_http.channel import Service
from gateway_http.drain import Drain
from gateway_http.journal import Journal
from gateway_http.listener import Listener
from gateway_http.settings import Settings
from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import FakeServicer

PNG = b"\x89PNG\r\n\x1a\n-- the front never looks inside --\r\n"
KEY = {"Authorization": "Bearer sk-test"}


@dataclass
class Front:
    """The app, its log so far, what tells it to leave, and its listener if it has one."""

    app: Flask
    drain: Drain
    stream: io.StringIO
    address: tuple[str, int] = ("", 0)
    listener: Listener | None = None

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.address)


@contextmanager
def in_process(fake: FakeServicer, **settings: Any) -> Iterator[Front]:
    """Yield a front that asks `fake`."""
    chosen = Settings(grpc_address=fake.address, **settings)
    stream, drain, service = io.StringIO(), Drain(), Service(chosen)
    try:
        yield Front(create_app(chosen, service, Journal(stream), drain=drain), drain, stream)
    finally:
        service.close()


@contextmanager
def listening(
    fake: FakeServicer, bounds: Bounds | None = None, threads: int = 8
) -> Iterator[Front]:
    """Yield a front behind the real listener, on a port of its own."""
    with in_process(fake) as front:
        journal = Journal(front.stream)
        listener = Listener(("127.0.0.1", 0), front.app, threads, journal, bounds=bounds)
        listener.prepare()
        front.address, front.listener = listener.bind_addr, listener
        serving = Thread(target=listener.serve)
        serving.start()
        try:
            yield front
        finally:
            listener.stop()
            serving.join()


def edited(data: bytes = PNG, **changes: Any) -> pb.EditImageResponse:
    """Return the service's answer that the contract's example comes from."""
    return pb.EditImageResponse(
        **{
            "create_time": Timestamp(seconds=1778120000, nanos=5),
            "model": "openai/gpt-image-2",
            "image": pb.Image(mime_type="image/png", data=data),
            "width": 1024,
            "height": 1024,
            "output_format": pb.OUTPUT_FORMAT_PNG,
            "quality": pb.QUALITY_HIGH,
            "background": pb.BACKGROUND_OPAQUE,
            "usage": pb.Usage(
                input_tokens=1809,
                input_text_tokens=20,
                input_image_tokens=1789,
                output_tokens=7106,
                cost_nanos=227_592_000,
            ),
        }
        | changes
    )


def streamed(data: bytes, **changes: Any) -> list[pb.StreamEditImageResponse]:
    """Return the events of a streamed edit that gives `data`."""
    facts = edited(**changes)
    facts.image.ClearField("data")
    events = [
        pb.StreamEditImageResponse(accepted=pb.EditAccepted(model=facts.model)),
        pb.StreamEditImageResponse(progress=pb.EditProgress(elapsed_seconds=1.0)),
        pb.StreamEditImageResponse(result=facts),
    ]
    for start in range(0, len(data), 1_048_576):
        piece = pb.ImageChunk(data=data[start : start + 1_048_576])
        events.append(pb.StreamEditImageResponse(result_chunk=piece))
    return events


def form(**fields: Any) -> dict[str, Any]:
    """Return what Flask's test client needs to post a whole form.

    A field is text, bytes of a file, or a list of these; `None` leaves it out.
    """
    whole: dict[str, Any] = {"model": "openai/gpt-image-2", "prompt": "make it rain", "image": PNG}
    parts = [
        (name, ("file.png", one, "application/octet-stream") if isinstance(one, bytes) else one)
        for name, value in (whole | fields).items()
        for one in (value if isinstance(value, list) else [value])
        if one is not None
    ]
    body, content_type = encode_multipart_formdata(parts)
    return {"data": body, "content_type": content_type}
