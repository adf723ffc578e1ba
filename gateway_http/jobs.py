"""GET and DELETE /v1/jobs/{id}, GET /v1/jobs/{id}/content: edits that were asked for as jobs.

A job is one of the service's operations: it goes on whatever becomes of this program.
"""

from __future__ import annotations

import grpc
import orjson
from flask import Blueprint, Response, g, request

from gateway_http import errors, metadata, render
from gateway_http.asking import ask, problem
from gateway_http.channel import Service
from imageedit.v1 import image_edit_pb2 as pb

READ_TIMEOUT = 60.0
"""Seconds in which the service gives a picture."""


def blueprint(service: Service) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("jobs", __name__)

    def outgoing() -> metadata.Metadata:
        return metadata.to_call(request.headers, g.request_id)

    @routes.get("/v1/jobs/<job_id>")
    def get_job(job_id: str) -> Response:
        wanted = pb.GetOperationRequest(name=job_id)
        found, headers = ask(service.images.GetOperation, wanted, outgoing())
        return answer(found.operation, 200, headers)

    @routes.get("/v1/jobs/<job_id>/content")
    def get_content(job_id: str) -> Response:
        wanted = pb.ReadOperationResultRequest(name=job_id)
        call = service.images.ReadOperationResult(wanted, timeout=READ_TIMEOUT, metadata=outgoing())
        facts, pieces = pb.EditImageResponse(), []
        try:
            for message in call:
                if message.HasField("result"):
                    facts = message.result
                pieces.append(message.result_chunk.data)
        except grpc.RpcError as error:
            raise problem(error) from None
        headers = metadata.to_headers(call.initial_metadata()) | render.edit_headers(facts)
        return Response(pieces, mimetype=facts.image.mime_type, headers=headers)

    @routes.delete("/v1/jobs/<job_id>")
    def delete_job(job_id: str) -> Response:
        forget = pb.DeleteOperationRequest(name=job_id)
        left, headers = ask(service.images.DeleteOperation, forget, outgoing())
        if left.HasField("operation"):
            cancel = pb.CancelOperationRequest(name=job_id)
            cancelled, headers = ask(service.images.CancelOperation, cancel, outgoing())
            if not cancelled.operation.done:
                return answer(cancelled.operation, 202, headers)
            # It ended in between: what is left to be wanted is that it goes.
            _, headers = ask(service.images.DeleteOperation, forget, outgoing())
        said = orjson.dumps({"id": job_id, "object": render.JOB, "deleted": True})
        return Response(said, mimetype="application/json", headers=headers)

    return routes


def answer(operation: pb.Operation, status: int, headers: dict[str, str]) -> Response:
    """Return the answer that tells of a job, and when to ask again."""
    if not operation.done:
        headers = headers | {"Retry-After": str(render.POLL_AFTER)}
    if status == 202:
        headers = headers | {"Location": render.job_url(operation)}
    said = orjson.dumps(render.job(operation) | _error(operation))
    return Response(said, status, mimetype="application/json", headers=headers)


def _error(operation: pb.Operation) -> dict[str, object]:
    """Return the error object of a job that failed."""
    if operation.metadata.state != pb.OPERATION_STATE_FAILED:
        return {}
    error = operation.error
    return errors.described(error.reason, error.message, error.field or None).document()
