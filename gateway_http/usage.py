"""GET /v1/usage: the sums over an account's edits; GET /v1/usage/edits: the edits, also as CSV."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from flask import Blueprint, Request, Response, g, request

from gateway_http import metadata, usage_query, usage_render
from gateway_http.asking import ask
from gateway_http.channel import Service
from gateway_http.errors import HttpError, refused
from gateway_http.form import FormError
from gateway_http.metadata import Metadata
from imageedit.v1 import image_edit_pb2 as pb

CSV, JSON = "text/csv", "application/json"
PARAMETERS = usage_query.FILTERS | {"page_size", "page_token", "format"}
TRIES = 5
"""How often a page of a table is asked for, where the service is busy."""


def blueprint(service: Service, pause: Callable[[float], None] = time.sleep) -> Blueprint:
    """Return the routes; `pause` waits for seconds."""
    routes = Blueprint("usage", __name__)

    @routes.get("/v1/usage")
    def summarize() -> Response:
        outgoing = metadata.to_call(request.headers, g.request_id)
        try:
            query = usage_query.single(request.args, usage_query.FILTERS)
            question = pb.SummarizeUsageRequest(filter=usage_query.selection(query))
        except FormError as error:
            raise _refusal(service, outgoing, error) from None
        found, headers = ask(service.images.SummarizeUsage, question, outgoing)
        return Response(usage_render.usage(found), mimetype=JSON, headers=headers)

    @routes.get("/v1/usage/edits")
    def list_edits() -> Response:
        outgoing = metadata.to_call(request.headers, g.request_id)
        try:
            query = usage_query.single(request.args, PARAMETERS)
            kind = _kind(query, request)
            size = usage_query.page_size(query)
            question = pb.ListEditsRequest(
                page_size=size,
                page_token=query.get("page_token", ""),
                filter=usage_query.selection(query),
            )
        except FormError as error:
            raise _refusal(service, outgoing, error) from None
        if kind == CSV and not size:
            question.page_size = usage_query.LARGEST_PAGE
        found, headers = ask(service.images.ListEdits, question, outgoing)
        if kind == JSON:
            return Response(usage_render.page(found), mimetype=JSON, headers=headers)
        headers |= {"Content-Disposition": 'attachment; filename="edits.csv"'}
        rest = _rest(service, outgoing, question, found, pause) if not size else iter(())
        return Response(_table(found, rest), mimetype=CSV, headers=headers)

    return routes


def _kind(query: usage_query.Query, request: Request) -> str:
    """Return the type of the answer; `format` is said louder than Accept. Raises FormError."""
    named = {"json": JSON, "csv": CSV}
    if (value := query.get("format")) is not None:
        if value not in named:
            raise FormError(f"format must be json or csv; got {value[:64]!r}.", "format")
        return named[value]
    return request.accept_mimetypes.best_match((JSON, CSV), JSON)


def _table(first: pb.ListEditsResponse, rest: Iterator[pb.ListEditsResponse]) -> Iterator[bytes]:
    yield usage_render.table(first.edits, head=True)
    for page in rest:
        yield usage_render.table(page.edits, head=False)


def _rest(
    service: Service,
    outgoing: Metadata,
    question: pb.ListEditsRequest,
    found: pb.ListEditsResponse,
    pause: Callable[[float], None],
) -> Iterator[pb.ListEditsResponse]:
    """Yield the pages that follow one, each read when the one before is on its way.

    Raises HttpError, which cuts the answer short: a table must not seem whole that is not.
    """
    while found.next_page_token:
        question.page_token = found.next_page_token
        for left in reversed(range(TRIES)):
            try:
                found, _ = ask(service.images.ListEdits, question, outgoing)
                break
            except HttpError as problem:
                if not left or "Retry-After" not in problem.headers:
                    raise
                pause(float(problem.headers["Retry-After"]))
        yield found


def _refusal(service: Service, outgoing: Metadata, error: FormError) -> HttpError:
    """Return the error for a bad query; a wrong key is told before it, as an HttpError."""
    _, headers = ask(service.images.CheckKey, pb.CheckKeyRequest(), outgoing)
    problem = refused(error.status, error.message, error.field)
    problem.headers |= headers
    return problem
