"""One edit through the gateway's HTTP front: the request, and the answer, whole or as a stream."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.filepost import encode_multipart_formdata

from cli.client import Refused, Upload, call, refusal, unreachable
from cli.event_stream import documents

COPIED = ("model", "size", "output_format", "quality", "background", "usage")
PARTIAL_IMAGES = 2


@dataclass(frozen=True, slots=True)
class Edit:
    """What is asked for: where, with which key, and the form; `stream`: with partial pictures."""

    url: str
    key: str
    fields: Mapping[str, str | tuple[str, bytes]]
    stream: bool = False

    def body(self) -> tuple[bytes, str]:
        """Return the form and its type."""
        fields = dict(self.fields)
        if self.stream:
            fields |= {"stream": "true", "partial_images": str(PARTIAL_IMAGES)}
        return encode_multipart_formdata(fields)


@dataclass(frozen=True, slots=True)
class Edited:
    """A picture that came back, and what is known of it, ready for JSON."""

    picture: bytes
    facts: dict[str, Any]


def perform(
    edit: Edit, *, sent: Callable[[int, int], None], partial: Callable[[int, bytes], None]
) -> Edited:
    """Do an edit; raises `Refused`.

    `sent` hears how many bytes of how many left just now, `partial` a partial picture's number
    and file.
    """
    began = time.monotonic()
    body, content_type = edit.body()
    headers = {"Authorization": f"Bearer {edit.key}", "Content-Type": content_type}
    upload = Upload(body, lambda count: sent(count, len(body)))
    url = f"{edit.url.rstrip('/')}/v1/images/edits"
    answer = call("POST", url, headers, upload, stream=edit.stream)
    try:
        if edit.stream:
            document = _completed(answer, partial)
            encoded = document["b64_json"]
        else:
            document = answer.json()
            encoded = document["data"][0]["b64_json"]
        picture = base64.b64decode(encoded, validate=True)
        facts = {name: document[name] for name in COPIED}
        cost = facts["usage"]["cost"]
    except requests.RequestException as failure:
        raise unreachable(edit.url, failure) from None
    except (ValueError, KeyError, TypeError, LookupError, binascii.Error):
        raise Refused(f"{edit.url} does not answer as this gateway does.", 7) from None
    finally:
        answer.close()
    return Edited(
        picture,
        facts
        | {"cost": cost, "bytes": len(picture), "seconds": round(time.monotonic() - began, 3)}
        | _said(document, answer.headers),
    )


def _completed(
    answer: requests.Response, partial: Callable[[int, bytes], None]
) -> Mapping[str, Any]:
    """Return the event with the picture; tell of those before it."""
    for event in _events(answer):
        match event["type"]:
            case "image_edit.partial_image":
                partial(int(event["partial_image_index"]), base64.b64decode(event["b64_json"]))
            case "image_edit.completed":
                return event
            case "error":
                headers = dict(answer.headers)
                if "retry_after" in event:
                    headers["retry-after"] = str(event["retry_after"])
                # Names of headers come in any case, and in a plain mapping only in one.
                headers["x-request-id"] = answer.headers.get("x-request-id", "none")
                raise refusal(event["error"], int(event["status"]), headers)
    raise ValueError("the stream ended before the picture")


def _events(answer: requests.Response) -> Iterator[dict[str, Any]]:
    return documents(answer.iter_content(None))


def _said(document: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what a plain answer says in headers and a stream in its last event."""
    ignored = headers.get("x-ignored-parameters", "")
    drift = headers.get("x-mask-drift")
    return {
        "request_id": headers.get("x-request-id"),
        "ignored_parameters": document.get("ignored_parameters")
        or [name for name in ignored.split(", ") if name],
        "mask_method": document.get("mask_method") or headers.get("x-mask-method"),
        "mask_drift": document.get("mask_drift", None if drift is None else float(drift)),
        "replayed": bool(document.get("idempotent_replayed"))
        or headers.get("idempotent-replayed") == "true",
    }
