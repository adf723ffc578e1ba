"""GET /v1/credits: what the key's account has, holds and spent."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from gateway_http import metadata, render
from gateway_http.asking import ask
from gateway_http.channel import Service
from imageedit.v1.image_edit_pb2 import GetCreditsRequest


def blueprint(service: Service) -> Blueprint:
    """Return the route."""
    routes = Blueprint("credits", __name__)

    @routes.get("/v1/credits")
    def get_credits() -> Response:
        outgoing = metadata.to_call(request.headers, g.request_id)
        found, headers = ask(service.images.GetCredits, GetCreditsRequest(), outgoing)
        return Response(render.balance(found), mimetype="application/json", headers=headers)

    return routes
