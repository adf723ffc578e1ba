"""GET /v1/models and /v1/models/{brand}/{model}; no key is needed."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from gateway_http import metadata, render
from gateway_http.asking import ask
from gateway_http.channel import Service
from gateway_http.errors import HttpError
from imageedit.v1.image_edit_pb2 import GetModelRequest, ListModelsRequest


def blueprint(service: Service) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("models", __name__)

    @routes.get("/v1/models")
    def list_models() -> Response:
        outgoing = metadata.to_call(request.headers, g.request_id)
        listed, headers = ask(service.images.ListModels, ListModelsRequest(), outgoing)
        return Response(render.models(listed.models), mimetype="application/json", headers=headers)

    # "path", because SDKs send the alias with its slash escaped, and servers differ in undoing it.
    @routes.get("/v1/models/<path:alias>")
    def get_model(alias: str) -> Response:
        wanted = GetModelRequest(model=alias.replace("%2F", "/").replace("%2f", "/"))
        outgoing = metadata.to_call(request.headers, g.request_id)
        try:
            found, headers = ask(service.images.GetModel, wanted, outgoing)
        except HttpError as problem:
            # A model that an edit may not name is a 400 there, but a 404 here.
            if problem.code == "model_capability_mismatch":
                problem.status = 404
            raise
        return Response(render.model(found.model), mimetype="application/json", headers=headers)

    return routes
