"""The pages for people: files of `playground/`, which speak to nobody but this front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Blueprint, Response, abort, request

PAGES: Mapping[str, str] = {"/": "index.html", "/usage": "usage.html", "/docs": "docs.html"}
"""The page at each route; whatever else it needs is under /playground/."""

TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
}
"""The Content-Type by a file's ending; a file of another is not served."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""No script or style in the page itself, nothing of another host, no frame around it."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked again each time, and answered by a 304: a new release shows at once.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A file as it is sent."""

    body: bytes
    content_type: str
    etag: str


def blueprint() -> Blueprint:
    """Return the routes; the files are read once, here."""
    routes = Blueprint("pages", __name__)
    found = dict(_read(files("gateway_http").joinpath("playground")))

    for rule, name in PAGES.items():
        routes.add_url_rule(rule, name.partition(".")[0], lambda name=name: _send(found[name]))

    # Names are looked up, never joined to a path: nothing outside the folder can be meant.
    @routes.get("/playground/<path:name>")
    def part(name: str) -> Response:
        if name not in found:
            abort(404)
        return _send(found[name])

    return routes


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Page]]:
    for one in folder.iterdir():
        if one.is_dir():
            yield from _read(one, f"{prefix}{one.name}/")
        elif (kind := TYPES.get(one.name.rpartition(".")[2])) is not None:
            body = one.read_bytes()
            yield f"{prefix}{one.name}", Page(body, kind, sha256(body).hexdigest()[:32])


def _send(page: Page) -> Response:
    response = Response(page.body, content_type=page.content_type, headers=HEADERS)
    response.set_etag(page.etag)
    response.make_conditional(request)
    return response
