"""One edit through either door, and what came of it in the words of the error table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc
import requests
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway_http.parameters import read
from imageedit.v1 import image_edit_pb2 as pb
from tests.pictures import encoded, gradient
from tests.running import Gateway, stream_edit

IMAGE = encoded(gradient(64, 48), "PNG")


@dataclass(frozen=True)
class Edit:
    """An edit to ask for; `fields` are the contract's text fields."""

    fields: Mapping[str, str] = field(default_factory=dict)
    images: Sequence[bytes] = (IMAGE,)
    mask: bytes | None = None
    key: str | None = None  # None: the gateway's own

    def texts(self) -> dict[str, str]:
        """Return the text fields with the required ones filled in."""
        return {"model": "openai/gpt-image-1.5", "prompt": "sepia", **self.fields}


@dataclass(frozen=True)
class Told:
    """What a caller was told; `param` and `retry_after` are None where nothing was said."""

    http: int | None
    grpc: str | None
    type: str | None
    code: str
    param: str | None
    retry_after: int | None
    message: str


def by_http(
    gateway: Gateway, edit: Edit, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """Ask the front, with `headers` beside those of every edit."""
    name = "image" if len(edit.images) == 1 else "image[]"
    # Text fields among the files keep the form multipart when there is no picture.
    files: list[tuple[str, tuple[str | None, str | bytes]]] = [
        (field, (None, text)) for field, text in edit.texts().items()
    ]
    files += [(name, (f"{index}.png", data)) for index, data in enumerate(edit.images)]
    if edit.mask is not None:
        files.append(("mask", ("mask.png", edit.mask)))
    key = gateway.key if edit.key is None else edit.key
    return requests.post(
        f"{gateway.url}/v1/images/edits",
        files=files,
        headers={**({"authorization": f"Bearer {key}"} if key else {}), **(headers or {})},
        timeout=60,
    )


def message(edit: Edit, *, inline: bool) -> pb.EditImageRequest:
    """Return the edit as a message, with or without its pictures."""
    parameters = read(edit.texts())
    if inline:
        parameters.images.extend(pb.Image(data=data) for data in edit.images)
        if edit.mask is not None:
            parameters.mask.data = edit.mask
    return parameters


def by_grpc(gateway: Gateway, edit: Edit) -> pb.EditImageResponse:
    """Ask the service, unary."""
    metadata = _metadata(gateway, edit)
    with gateway.stub(("grpc.max_receive_message_length", -1)) as stub:
        return stub.EditImage(message(edit, inline=True), metadata=metadata, timeout=60)


def by_stream(gateway: Gateway, edit: Edit) -> tuple[pb.EditImageResponse, bytes, list[str]]:
    """Ask the service, in chunks."""
    parameters, metadata = message(edit, inline=False), _metadata(gateway, edit)
    return stream_edit(gateway, parameters, edit.images, edit.mask, metadata)


def _metadata(gateway: Gateway, edit: Edit) -> tuple[tuple[str, str], ...]:
    key = gateway.key if edit.key is None else edit.key
    return (("authorization", f"Bearer {key}"),) if key else ()


def told_by_http(answer: requests.Response) -> Told:
    """Return what an error answer says; checks the shape."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    retry = answer.headers.get("Retry-After")
    return Told(
        http=answer.status_code,
        grpc=None,
        type=error["type"],
        code=error["code"],
        param=error["param"],
        retry_after=int(retry) if retry else None,
        message=error["message"],
    )


def told_by_grpc(error: grpc.RpcError) -> Told:
    """Return what an RPC's error says; checks the shape."""
    status = rpc_status.from_call(error)
    assert status is not None
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    found = [
        detail.DESCRIPTOR.name
        for packed in status.details
        for detail in (info, bad, retry)
        if packed.Unpack(detail)
    ]
    assert len(found) == len(set(found)) == len(status.details)
    assert info.domain == "imageedit.v1"
    assert len(status.SerializeToString()) < 8_192
    return Told(
        http=None,
        grpc=error.code().name,
        type=None,
        code=info.reason.lower(),
        param=bad.field_violations[0].field if bad.field_violations else None,
        retry_after=retry.retry_delay.seconds if "RetryInfo" in found else None,
        message=status.message,
    )
