"""POST /v1/images/edits."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from flask import Blueprint, Request, Response, g, request

from gateway_http import form, jobs, metadata, parameters, render
from gateway_http.arrival import CONFIRM
from gateway_http.asking import limits
from gateway_http.channel import Service
from gateway_http.drain import Drain
from gateway_http.errors import HttpError, gone, refused
from gateway_http.journal import Journal
from gateway_http.leaving import LEAVING
from gateway_http.receive import receive
from gateway_http.streaming import EventStream
from gateway_http.upload import Caller
from imageedit.v1.image_edit_pb2 import EditImageRequest

LARGE = 1_048_576
"""Bytes of a body above which the key is checked before the body is read."""
_MAX_LENGTH_DIGITS = 15


def blueprint(
    service: Service, attempt_timeout: float, drain: Drain, journal: Journal
) -> Blueprint:
    """Return the route; `attempt_timeout` is in seconds."""
    routes = Blueprint("edits", __name__)

    @routes.post("/v1/images/edits")
    def edit() -> Response:
        with ExitStack() as held:
            outgoing = metadata.to_call(request.headers, g.request_id)
            leaving = request.environ.get(LEAVING)
            caller = Caller(service, outgoing, attempt_timeout, leaving)
            try:
                held.enter_context(drain.hold())
            except HttpError as leaving_too:
                leaving_too.headers |= limits(service, outgoing)
                raise
            # A wrong key is told before anything else, but a small body is cheaper read than asked.
            early = not metadata.has_key(outgoing) or _is_large(request)
            earned = caller.check_key(before_edit=True) if early else {}
            try:
                _check_idempotency_key(request)
                as_job = _wants_job(request)
                with _form(request) as filled:
                    wanted = parameters.read(filled.text)
                    if as_job:
                        return _started(caller, wanted, filled)
                    if parameters.streams(filled.text):
                        return _streamed(caller, wanted, filled, journal, held)
                    edited = caller.edit(wanted, filled)
            except form.FormError as error:
                problem = refused(error.status, error.message, error.field)
                problem.headers |= earned if early else caller.check_key()
                raise problem from None
            except HttpError as problem:
                if leaving is not None and leaving.gone:
                    raise gone() from None
                problem.headers = earned | problem.headers
                raise
            headers = edited.headers | render.edit_headers(edited.facts)
            body = render.edit(edited.facts, edited.picture)
            if edited.facts.edit_id:
                request.environ[CONFIRM] = partial(caller.confirm, edited.facts.edit_id)
            return Response(body, mimetype="application/json", headers=headers)

    return routes


def _started(caller: Caller, wanted: EditImageRequest, filled: form.Form) -> Response:
    """Return the edit as a job, which goes on by itself."""
    if parameters.streams(filled.text):
        raise form.FormError("stream: a job gives no events; leave out stream or async.", "stream")
    operation, headers = caller.start(wanted, filled)
    request.environ[CONFIRM] = partial(caller.confirm, operation.name)
    return jobs.answer(operation, 202, headers)


def _streamed(
    caller: Caller, wanted: EditImageRequest, filled: form.Form, journal: Journal, held: ExitStack
) -> Response:
    """Return the edit as events; what is `held` is let go when the last one was sent."""
    environ, request_id = request.environ, g.request_id

    def arriving(edit_id: str) -> None:
        environ[CONFIRM] = partial(caller.confirm, edit_id)

    call = caller.begin(wanted, filled)
    held.enter_context(caller.while_waiting(call.cancel))
    stream = EventStream(
        call,
        wanted,
        arriving=arriving,
        bug=lambda error: journal.bug(error, request_id),
        clock=time.time,
    )
    headers = stream.open()
    stream.closing.callback(held.pop_all().close)
    return Response(stream, mimetype="text/event-stream", headers=headers)


def _wants_job(request: Request) -> bool:
    """Tell whether the answer is to be a job; raises FormError."""
    match request.args.getlist("async"):
        case [] | ["false"]:
            return False
        case ["true"]:
            return True
        case values:
            raise form.FormError(f"async must be true or false; got {values[0][:64]!r}.", "async")


def _length(request: Request) -> int | None:
    """Return the Content-Length in bytes; `None` where the body itself tells its end."""
    if request.environ.get("wsgi.input_terminated"):
        return None
    given = str(request.environ.get("CONTENT_LENGTH") or "0")
    if not (given.isascii() and given.isdigit() and len(given) <= _MAX_LENGTH_DIGITS):
        raise form.FormError("The Content-Length header must be a number of bytes.")
    return int(given)


def _is_large(request: Request) -> bool:
    try:
        length = _length(request)
    except form.FormError:
        return False
    return length is None or length > LARGE


def _form(request: Request) -> form.Form:
    body = request.environ["wsgi.input"]
    content_type = request.headers.get("Content-Type", "")
    return receive(body, content_type, _length(request), parameters.FIELDS)


def _check_idempotency_key(request: Request) -> None:
    """Refuse a key that cannot be carried: leaving it out would lose what it promises."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if key and not metadata.can_carry(key):
        message = "The Idempotency-Key header must be 1 to 255 printable ASCII characters."
        raise form.FormError(message, "Idempotency-Key")
