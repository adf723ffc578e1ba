"""GET /v1/models and /v1/models/{brand}/{model}; no key is needed."""

from __future__ import annotations

from typing import NoReturn

import grpc
from flask import Blueprint, Response, g

from gateway_http import errors, render
from gateway_http.channel import Service
from gateway_http.metadata import Metadata
from imageedit.v1.image_edit_pb2 import GetModelRequest, ListModelsRequest

TIMEOUT = 10.0
"""Seconds."""


def blueprint(service: Service) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("models", __name__)

    @routes.get("/v1/models")
    def list_models() -> Response:
        try:
            listed = service.images.ListModels(
                ListModelsRequest(), timeout=TIMEOUT, metadata=_metadata()
            )
        except grpc.RpcError as error:
            raise errors.from_call(error) from None
        return Response(render.models(listed.models), mimetype="application/json")

    # "path", because SDKs send the alias with its slash escaped, and servers differ in undoing it.
    @routes.get("/v1/models/<path:alias>")
    def get_model(alias: str) -> Response:
        wanted = GetModelRequest(model=alias.replace("%2F", "/").replace("%2f", "/"))
        try:
            found = service.images.GetModel(wanted, timeout=TIMEOUT, metadata=_metadata())
        except grpc.RpcError as error:
            _raise_not_found(errors.from_call(error))
        return Response(render.model(found.model), mimetype="application/json")

    return routes


def _raise_not_found(problem: errors.HttpError) -> NoReturn:
    """Raise `problem`; a model that an edit may not name is a 400 there, but a 404 here."""
    if problem.code == "model_capability_mismatch":
        problem.status = 404
    raise problem from None


def _metadata() -> Metadata:
    return (("x-request-id", g.request_id),)
