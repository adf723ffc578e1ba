"""`imageedit.client`'s jobs, at the real service."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from imageedit.client import Client, ImageEditError, connect
from sandbox.server import SandboxServer
from tests.customers import ONE, Customer, customer
from tests.running import Gateway
from tests.sdk_pictures import MASK, MODEL, PHOTO, assert_inverted_in_the_box

SLOW = "[sandbox delay=0.6]"


@pytest.fixture
def who(gateway: Gateway) -> Customer:
    return customer(gateway)


@pytest.fixture
def client(gateway: Gateway, who: Customer) -> Iterator[Client]:
    with connect(gateway.service.address, who.key) as client:
        yield client


def test_a_job_is_started_looked_at_waited_for_fetched_and_forgotten(
    gateway: Gateway, sandbox: SandboxServer, who: Customer, client: Client
) -> None:
    started = client.jobs.start(MODEL, who.prompt(SLOW), PHOTO, mask=MASK, output_format="png")
    assert (started.done, started.ended, started.error) == (False, None, None)
    assert started.state in {"queued", "in_progress"}
    assert (started.model, started.created.tzinfo is not None) == (MODEL, True)
    assert client.jobs.wait(started.id, 0.05).done is False
    assert client.jobs.forget(started.id) is False

    with connect(gateway.service.address, who.key) as other:  # from anywhere, with the account
        done = other.jobs.wait(started.id)
    assert (done.id, done.state, done.done) == (started.id, "succeeded", True)
    assert done.ended is not None
    assert done.expires is not None
    assert started.created <= done.ended < done.expires
    assert client.jobs.get(started.id) == done == client.jobs.cancel(started.id)

    result = client.jobs.result(started.id)
    assert_inverted_in_the_box(result.picture)
    assert (result.edit_id, result.mask_method) == (started.id, "native")
    assert result.usage.cost > 0
    assert result.request_id is not None
    assert who.tally(sandbox) == ONE

    assert client.jobs.forget(started.id) is True
    for ask in (client.jobs.get, client.jobs.wait, client.jobs.result, client.jobs.cancel):
        with pytest.raises(ImageEditError) as caught:
            ask(started.id)
        assert (caught.value.code, caught.value.status) == ("not_found", grpc.StatusCode.NOT_FOUND)


def test_a_repeat_returns_the_job_that_it_repeats(
    sandbox: SandboxServer, who: Customer, client: Client
) -> None:
    first, second = (
        client.jobs.start(MODEL, who.prompt(), PHOTO, idempotency_key="order-7") for _ in range(2)
    )
    assert first.id == second.id
    assert client.jobs.result(first.id).edit_id == first.id
    assert who.tally(sandbox) == ONE


def test_a_job_that_fails_has_an_error_and_no_result(who: Customer, client: Client) -> None:
    started = client.jobs.start(MODEL, who.prompt("[sandbox html502]"), PHOTO)
    with pytest.raises(ImageEditError, match="nothing was charged") as caught:
        client.jobs.result(started.id)
    assert (caught.value.code, caught.value.status) == (
        "upstream_error",
        grpc.StatusCode.UNAVAILABLE,
    )
    failed = client.jobs.get(started.id)
    assert (failed.state, str(failed.error)) == ("failed", str(caught.value))


def test_what_is_refused_at_once_is_raised_by_the_start(who: Customer, client: Client) -> None:
    with pytest.raises(ImageEditError) as caught:
        client.jobs.start(MODEL, who.prompt(), b"text")
    assert (caught.value.code, caught.value.field) == ("invalid_request_error", "image")
    with pytest.raises(ValueError, match="quality must be one of"):
        client.jobs.start(MODEL, who.prompt(), PHOTO, quality="best")
    assert who.edits() == []


def test_one_that_takes_too_long_goes_on(who: Customer, client: Client) -> None:
    started = client.jobs.start(MODEL, who.prompt(SLOW), PHOTO)
    with pytest.raises(ImageEditError) as caught:
        client.jobs.result(started.id, timeout=0.05)
    assert caught.value.code == "deadline_exceeded"
    assert client.jobs.wait(started.id).state == "succeeded"


def test_a_job_that_is_cancelled_says_so(who: Customer, client: Client) -> None:
    free = "openai/gpt-image-2"  # by way of OpenRouter, which bills no cancelled calls
    started = client.jobs.start(free, who.prompt("[sandbox silent]"), PHOTO)
    asked = client.jobs.cancel(started.id)
    assert asked.cancel_requested
    ended = client.jobs.wait(started.id, 20)
    assert (ended.state, ended.done) == ("cancelled", True)
    with pytest.raises(ImageEditError) as caught:
        client.jobs.result(started.id)
    assert caught.value.code == "cancelled", caught.value
