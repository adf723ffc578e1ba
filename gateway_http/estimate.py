"""POST /v1/images/edits/estimate: what an edit costs at the most; nothing is done or charged."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from flask import Blueprint, Request, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from gateway_http import metadata, parameters, render
from gateway_http.asking import ask
from gateway_http.channel import Service
from gateway_http.errors import refused
from gateway_http.form import MAX_IMAGES, FormError
from imageedit.v1.image_edit_pb2 import CheckKeyRequest, EstimateCostRequest

MAX_BODY = 1_048_576
"""Bytes: a prompt of 32,000 characters fits, however it is escaped."""
TEXTS = ("model", "prompt", "size", "quality")
IMAGE_SIZE = "image_size"
FIELDS = frozenset({*TEXTS, IMAGE_SIZE, "images", "mask"})
"""The names of all members of the JSON; texts mean what they mean in the form of an edit, and
`image_size` is the first picture's "WIDTHxHEIGHT"."""


def blueprint(service: Service) -> Blueprint:
    """Return the route."""
    routes = Blueprint("estimate", __name__)

    @routes.post("/v1/images/edits/estimate")
    def estimate() -> Response:
        outgoing = metadata.to_call(request.headers, g.request_id)
        try:
            question = read(_document(request))
        except FormError as error:
            # A wrong key is told before a wrong question.
            _, headers = ask(service.images.CheckKey, CheckKeyRequest(), outgoing)
            problem = refused(error.status, error.message, error.field)
            problem.headers |= headers
            raise problem from None
        answer, headers = ask(service.images.EstimateCost, question, outgoing)
        return Response(render.estimate(answer), mimetype="application/json", headers=headers)

    return routes


def read(document: Mapping[str, object]) -> EstimateCostRequest:
    """Return the question that a JSON object asks; null is "left out". Raises FormError."""
    for name in document:
        if name not in FIELDS:
            raise FormError(f"{name[:64]!r} is not a field of an estimate.", name[:64] or None)
    given = {name: value for name, value in document.items() if value is not None}
    text: dict[str, str] = {}
    for name in (*TEXTS, IMAGE_SIZE):
        value = given.get(name, "")
        if not isinstance(value, str):
            raise FormError(f"{name} must be a text.", name)
        if name in given:
            text[name] = value
    images, masked = given.get("images", 1), given.get("mask", False)
    if type(images) is not int or not 1 <= images <= MAX_IMAGES:
        raise FormError(f"images must be how many there are, 1 to {MAX_IMAGES}.", "images")
    if not isinstance(masked, bool):
        raise FormError("mask must be true or false: whether there is one.", "mask")
    image_size = text.pop(IMAGE_SIZE, None)
    edit = parameters.read(text)
    return EstimateCostRequest(
        model=edit.model,
        prompt=edit.prompt,
        size=edit.size if edit.HasField("size") else None,
        quality=edit.quality,
        image_count=images,
        masked=masked,
        image_size=image_size,
    )


def _document(request: Request) -> Mapping[str, object]:
    request.max_content_length = MAX_BODY
    try:
        document = orjson.loads(request.get_data(cache=False))
    except RequestEntityTooLarge:
        raise FormError(f"The body is larger than {MAX_BODY} bytes.", status=413) from None
    except TimeoutError:
        raise FormError("The body stopped arriving.", status=408) from None
    except (OSError, ValueError):
        raise FormError("The body must be JSON.") from None
    if not isinstance(document, dict):
        raise FormError("The body must be a JSON object.")
    return document
