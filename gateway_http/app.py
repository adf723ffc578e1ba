"""The Flask app: routes, the request id, and the one shape of every error."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID, uuid4

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from gateway_http import credits as balance
from gateway_http import edits, errors, estimate, jobs, metadata, models, operations, pages, usage
from gateway_http.asking import limits
from gateway_http.channel import Service
from gateway_http.drain import Drain
from gateway_http.journal import Journal
from gateway_http.metrics import Metrics
from gateway_http.observe import ROUTE, Observer
from gateway_http.settings import Settings


def create_app(
    settings: Settings,
    service: Service,
    journal: Journal,
    *,
    drain: Drain | None = None,
    metrics: Metrics | None = None,
    new_id: Callable[[], UUID] = uuid4,
    clock: Callable[[], float] = time.monotonic,
) -> Flask:
    """Return the front as a WSGI app that asks `service`.

    `drain` tells it to leave; `metrics` are its numbers; `new_id` makes request ids;
    `clock` gives seconds that only grow.
    """
    drain = drain or Drain()
    metrics = metrics or Metrics()
    watched = drain
    metrics.watch(
        capacity=settings.threads, held=lambda: watched.held, drains=lambda: watched.begun
    )
    app = Flask("gateway_http", static_folder=None)
    app.url_map.merge_slashes = False  # a path that is not ours is a 404, not a redirect
    app.register_blueprint(edits.blueprint(service, settings.attempt_timeout, drain, journal))
    app.register_blueprint(estimate.blueprint(service))
    app.register_blueprint(balance.blueprint(service))
    app.register_blueprint(jobs.blueprint(service))
    app.register_blueprint(models.blueprint(service))
    app.register_blueprint(usage.blueprint(service))
    app.register_blueprint(operations.blueprint(service, drain, metrics.registry))
    app.register_blueprint(pages.blueprint())
    _identify(app, new_id)
    _shape_errors(app, service, journal, metrics)
    app.wsgi_app = Observer(app.wsgi_app, journal, metrics, clock)  # type: ignore[method-assign] # Flask's documented way
    return app


def _identify(app: Flask, new_id: Callable[[], UUID]) -> None:
    @app.before_request
    def begin() -> None:
        g.request_id = str(new_id())
        if request.url_rule is not None:
            request.environ[ROUTE] = request.url_rule.rule

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["x-request-id"] = g.request_id
        return response


def _shape_errors(app: Flask, service: Service, journal: Journal, metrics: Metrics) -> None:
    @app.errorhandler(errors.HttpError)
    def known(problem: errors.HttpError) -> Response:
        if not problem.from_service:
            metrics.refused("front", problem.status)
        return _response(problem)

    @app.errorhandler(HTTPException)
    def unrouted(error: HTTPException) -> Response:
        status = error.code or 500
        if status >= 500:
            return _response(errors.bug())
        metrics.refused("front", status)
        target = f"{request.method[:20]} {request.path[:100]}"
        messages = {404: f"There is no {target}.", 405: f"{target}: the method is not allowed."}
        problem = errors.refused(status, messages.get(status, f"{error.name}."))
        outgoing = metadata.to_call(request.headers, g.request_id)
        problem.headers |= limits(service, outgoing)
        response = _response(problem)
        response.headers.extend(
            (name, value) for name, value in error.get_headers() if name == "Allow"
        )
        return response

    @app.errorhandler(Exception)
    def unknown(error: Exception) -> Response:
        journal.bug(error, g.request_id)
        return _response(errors.bug())


def _response(problem: errors.HttpError) -> Response:
    return Response(
        problem.body(), problem.status, mimetype="application/json", headers=problem.headers
    )
