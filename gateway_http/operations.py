"""What operators and tools ask: /healthz, /readyz, /metrics, /openapi.json."""

from __future__ import annotations

from importlib.resources import files

import grpc
from flask import Blueprint, Response
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gateway_http import errors
from gateway_http.channel import Service
from gateway_http.drain import Drain

TIMEOUT = 2.0
"""Seconds the service has to say that it serves."""


def blueprint(service: Service, drain: Drain, registry: CollectorRegistry) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("operations", __name__)
    description = files("gateway_http").joinpath("openapi.json").read_bytes()

    @routes.get("/healthz")
    def healthz() -> Response:
        return Response(b'{"status":"ok"}', mimetype="application/json")

    @routes.get("/readyz")
    def readyz() -> Response:
        if drain.begun:
            raise errors.busy("The gateway is restarting; try again in a moment.")
        if not _serves(service):
            raise errors.busy("The image service is not ready; try again in a moment.")
        return Response(b'{"status":"ready"}', mimetype="application/json")

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(description, mimetype="application/json")

    return routes


def _serves(service: Service) -> bool:
    try:
        answer: HealthCheckResponse = service.health.Check(  # type: ignore[attr-defined] # its stubs lack the calls
            HealthCheckRequest(), timeout=TIMEOUT
        )
    except grpc.RpcError:
        return False
    return answer.status == HealthCheckResponse.SERVING
