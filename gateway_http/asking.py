"""Short questions to the service: an answer and its headers, or the HttpError that it means."""

from __future__ import annotations

from typing import TypeVar

import grpc

from gateway_http.call_errors import from_call
from gateway_http.channel import Service
from gateway_http.errors import HttpError
from gateway_http.metadata import Metadata, has_key, to_headers
from imageedit.v1.image_edit_pb2 import CheckKeyRequest

TIMEOUT = 10.0
"""Seconds."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def ask(
    method: grpc.UnaryUnaryMultiCallable[Question, Answer], question: Question, metadata: Metadata
) -> tuple[Answer, dict[str, str]]:
    """Return the answer to `question` and the headers that it brings; raises HttpError."""
    try:
        answer, call = method.with_call(question, timeout=TIMEOUT, metadata=metadata)
    except grpc.RpcError as error:
        raise problem(error) from None
    return answer, to_headers(call.initial_metadata(), call.trailing_metadata())


def limits(service: Service, metadata: Metadata) -> dict[str, str]:
    """Return the headers of a valid key's answers, for an answer that no call made."""
    if not has_key(metadata):
        return {}
    try:
        return ask(service.images.CheckKey, CheckKeyRequest(), metadata)[1]
    except HttpError:
        return {}


def problem(error: grpc.RpcError) -> HttpError:
    """Return the answer for a failed call, with the headers that the failure brings."""
    found = from_call(error)
    if isinstance(error, grpc.Call):
        found.headers |= to_headers(error.initial_metadata(), error.trailing_metadata())
    return found
