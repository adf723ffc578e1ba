"""Edits that go on by themselves: started by one call, looked at and fetched by others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Unpack, cast

import grpc

from imageedit.client import answers
from imageedit.client.answers import Result
from imageedit.client.caller import ASK_SECONDS, Caller, request_id_of, told
from imageedit.client.errors import ImageEditError
from imageedit.client.request import EDIT_SECONDS, Options, Picture, messages, parameters
from imageedit.v1 import image_edit_pb2 as pb

State = Literal["queued", "in_progress", "succeeded", "failed", "cancelled"]
UPLOAD_SECONDS = 330.0  # a little longer than the service waits for an upload
WAIT_SECONDS = 60.0  # of one call: what stands between may end one that is silent for longer


@dataclass(frozen=True, slots=True)
class Job:
    """An edit that goes on by itself, as it was when it was asked about.

    `id` is its edit's, too. `state` is "queued" (no upstream has it), "in_progress", "succeeded",
    "failed" or "cancelled"; `done` means one of the last three. `ended` and `expires` (until when
    it is kept at the most) are there once it is done, `error` where it has no picture.
    """

    id: str
    state: State
    done: bool
    model: str
    created: datetime
    ended: datetime | None
    expires: datetime | None
    cancel_requested: bool
    error: ImageEditError | None


class Jobs:
    """The jobs of the key's account; every method raises `ImageEditError`, as `Client` does.

    One that is not there, or not any more, is "not_found".
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def start(
        self,
        model: str,
        prompt: str,
        images: Picture | Sequence[Picture],
        *,
        mask: Picture | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> Job:
        """Start an edit, as `Client.edit` takes it, and return as soon as its cost is held.

        What is refused before that is raised here; what goes wrong later is the job's `error`. A
        repeat with the same `idempotency_key` returns the job that it repeats.
        """
        request = parameters(model, prompt, options)
        requests = messages(pb.StartEditImageRequest, request, images, mask)
        start = self._caller.stub.StartEditImage
        answer = self._caller.send(start, requests, idempotency_key, UPLOAD_SECONDS)
        return _job(answer.operation)

    def get(self, job_id: str) -> Job:
        """Return a job as it is now."""
        request = pb.GetOperationRequest(name=job_id)
        return _job(self._caller.ask(self._caller.stub.GetOperation, request).operation)

    def wait(self, job_id: str, timeout: float = EDIT_SECONDS) -> Job:
        """Return a job once it is done, or as it is after `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            request = pb.WaitOperationRequest(name=job_id)
            request.timeout.FromMilliseconds(round(min(max(left, 0), WAIT_SECONDS) * 1000))
            method, seconds = self._caller.stub.WaitOperation, WAIT_SECONDS + ASK_SECONDS
            job = _job(self._caller.ask(method, request, seconds).operation)
            if job.done or left <= WAIT_SECONDS:
                return job

    def result(self, job_id: str, timeout: float = EDIT_SECONDS) -> Result:
        """Wait for a job and return its result; raises its `error` where it has none.

        One that is not done after `timeout` seconds is "deadline_exceeded", and goes on.
        """
        job = self.wait(job_id, timeout)
        if job.error is not None:
            raise job.error
        if not job.done:
            status, words = grpc.StatusCode.DEADLINE_EXCEEDED, "The job is still under way."
            raise ImageEditError(words, status.name.lower(), status=status)
        request = pb.ReadOperationResultRequest(name=job_id)
        call = self._caller.ask(self._caller.stub.ReadOperationResult, request, EDIT_SECONDS)
        facts, picture = pb.EditImageResponse(), bytearray()
        with told():
            for message in call:
                if message.HasField("result"):
                    facts = message.result
                picture += message.result_chunk.data
        return answers.result(facts, bytes(picture), request_id_of(call), replayed=False)

    def cancel(self, job_id: str) -> Job:
        """Ask for the end of a job, and return it as it is then.

        One that no upstream has is cancelled within about a second, at no cost; one that an
        upstream has is finished and kept, but where the vendor bills no cancelled calls.
        """
        request = pb.CancelOperationRequest(name=job_id)
        return _job(self._caller.ask(self._caller.stub.CancelOperation, request).operation)

    def forget(self, job_id: str) -> bool:
        """Drop a job that is done, with its picture; tell whether it is gone."""
        request = pb.DeleteOperationRequest(name=job_id)
        answer = self._caller.ask(self._caller.stub.DeleteOperation, request)
        return not answer.HasField("operation")


def _job(message: pb.Operation) -> Job:
    about = message.metadata
    return Job(
        id=message.name,
        state=cast("State", answers.word(pb.OperationState.Name(about.state), "OPERATION_STATE_")),
        done=message.done,
        model=about.model,
        created=about.create_time.ToDatetime(UTC),
        ended=about.end_time.ToDatetime(UTC) if about.HasField("end_time") else None,
        expires=about.expire_time.ToDatetime(UTC) if about.HasField("expire_time") else None,
        cancel_requested=about.cancel_requested,
        error=_error(message.error) if message.HasField("error") else None,
    )


def _error(told_of: pb.OperationError) -> ImageEditError:
    statuses = {status.value[0]: status for status in grpc.StatusCode}
    status = statuses.get(told_of.code, grpc.StatusCode.UNKNOWN)
    cancelled = status is grpc.StatusCode.CANCELLED
    code = "cancelled" if cancelled else told_of.reason.lower()
    return ImageEditError(told_of.message, code, status=status, field=told_of.field or None)
