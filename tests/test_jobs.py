"""Jobs on the whole road: started, looked at, fetched, repeated, ended and dropped."""

from __future__ import annotations

import base64
import gc
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from sqlalchemy import select, update

from imageedit.v1 import image_edit_pb2 as pb
from sandbox.server import SandboxServer
from server.accounts.operations import Operations
from server.accounts.results import KEYED_MS, UNKEYED_MS
from server.accounts.schema import edits
from server.domain import EditRequest
from tests.customers import ONE, RETRY, Customer, customer
from tests.edits import Edit, message, told_by_http
from tests.impatient_proxy import impatient
from tests.job_calls import UNDER_WAY, Jobs
from tests.paid_keys import now
from tests.pictures import decoded
from tests.running import Gateway, eventually
from tests.sdk_pictures import MASK, MODEL, PHOTO, SIZE, assert_inverted, assert_inverted_in_the_box

DIRECT, FREE = MODEL, "openai/gpt-image-2"  # OpenAI bills what we leave, OpenRouter does not
OF_FREE = replace(ONE, billable=0)
PROXY_PATIENCE = 1.0  # seconds without a byte; SLOW is twice that
SLOW = "[sandbox delay=2]"  # still under way when the next request comes
QUICK = "[sandbox delay=0.3]"
COMMON = {"id", "object", "status", "created_at", "model", "polling_url"}
WAITING = COMMON | {"poll_after"}
OVER = COMMON | {"completed_at", "expires_at"}
FACTS = {"size", "output_format", "quality", "background", "usage", "content_url"}


@pytest.fixture
def who(gateway: Gateway) -> Customer:
    return customer(gateway)


@pytest.fixture
def jobs(who: Customer) -> Jobs:
    return Jobs(who.gateway.url, who.key)


def edit(who: Customer, words: str = "", **fields: str) -> Edit:
    return Edit({"model": DIRECT, "prompt": who.prompt(words), **fields}, (PHOTO,))


def test_the_whole_life_of_a_job(
    sandbox: SandboxServer, gateway: Gateway, who: Customer, jobs: Jobs
) -> None:
    fields = {"model": FREE, "prompt": who.prompt(SLOW), "seed": "7", "output_format": "webp"}
    wanted = Edit(fields, (PHOTO,), MASK)
    started = jobs.post(wanted, Idempotency_Key="mine")
    told = started.json()
    assert (started.status_code, told.keys()) == (202, WAITING)
    assert (told["object"], told["model"]) == ("image_edit.job", FREE)
    assert told["status"] in UNDER_WAY
    path = f"/v1/jobs/{told['id']}"
    assert (told["polling_url"], started.headers["Location"]) == (path, path)
    assert (told["poll_after"], started.headers["Retry-After"]) == (2, "2")
    assert started.headers["X-RateLimit-Limit"]
    assert started.headers["x-request-id"] == told["id"]
    looked = jobs.get(told["id"])
    assert (looked.status_code, looked.json().keys()) == (200, WAITING)
    assert eventually(lambda: jobs.get(told["id"]).json()["status"] == "in_progress")
    early = jobs.content(told["id"])
    assert (early.status_code, early.json()["error"]["code"]) == (404, "not_found")
    assert "it is in_progress" in early.json()["error"]["message"]

    done = jobs.ended(told["id"])
    assert done["status"] == "succeeded"
    plain = jobs.post(wanted, query="", Idempotency_Key="mine")
    assert plain.headers["idempotent-replayed"] == "true", "the job's own answer, as a plain one"
    document = plain.json()
    picture = base64.b64decode(document.pop("data")[0]["b64_json"])
    said = {name: done[name] for name in document if name != "created"}
    assert said == {name: value for name, value in document.items() if name != "created"}
    assert done.keys() == OVER | FACTS | {"ignored_parameters", "mask_method", "mask_drift"}
    assert done["created_at"] <= document["created"] <= done["completed_at"]
    # Whole seconds of a time that is kept in milliseconds.
    assert abs(done["expires_at"] - done["completed_at"] - KEYED_MS // 1000) <= 1

    content = requests.get(gateway.url + done["content_url"], headers=jobs.authorization, timeout=9)
    assert (content.status_code, content.content) == (200, picture)
    assert content.headers["Content-Type"] == "image/webp"
    for name in ("x-mask-method", "x-mask-drift", "x-ignored-parameters"):
        assert content.headers[name] == plain.headers[name], name
    assert "seed" in content.headers["x-ignored-parameters"]
    assert decoded(picture).size == SIZE
    assert_inverted_in_the_box(picture)
    assert who.tally(sandbox) == OF_FREE

    dropped = jobs.delete(told["id"])
    gone = {"id": told["id"], "object": "image_edit.job", "deleted": True}
    assert (dropped.status_code, dropped.json()) == (200, gone)
    assert (jobs.delete(told["id"]).status_code, jobs.get(told["id"]).status_code) == (200, 404)
    assert jobs.content(told["id"]).status_code == 404
    assert gateway.service.desk.results.load(told["id"]) is None
    again = jobs.post(wanted, Idempotency_Key="mine")
    assert (again.status_code, "done and paid" in again.text) == (400, True)
    assert who.tally(sandbox) == OF_FREE


def test_openais_sdk_behind_a_proxy_that_cuts_plain_edits(
    sandbox: SandboxServer, who: Customer, jobs: Jobs
) -> None:
    prompt = who.prompt(SLOW)
    with (
        impatient(jobs.url, PROXY_PATIENCE) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=who.key, max_retries=0) as client,
    ):
        raw = client.images.with_raw_response.edit(
            model=MODEL, image=PHOTO, prompt=prompt, extra_query={"async": "true"}
        )
        assert raw.status_code == 202
        behind = Jobs(url, who.key)
        job_id = raw.http_response.json()["id"]
        assert behind.ended(job_id)["status"] == "succeeded"
        assert_inverted(behind.content(job_id).content)
        assert who.tally(sandbox) == ONE
        with pytest.raises(openai.APIConnectionError):
            client.images.edit(model=MODEL, image=PHOTO, prompt=prompt)


def test_a_json_body_starts_a_job_too(who: Customer, jobs: Jobs) -> None:
    url = "data:image/png;base64," + base64.b64encode(PHOTO).decode()
    document = {"model": DIRECT, "prompt": who.prompt(), "images": [{"image_url": url}]}
    answer = requests.post(
        f"{jobs.url}/v1/images/edits?async=true",
        json=document,
        headers=jobs.authorization,
        timeout=30,
    )
    assert answer.status_code == 202
    done = jobs.ended(answer.json()["id"])
    assert (done["status"], done["size"]) == ("succeeded", "256x256")
    assert abs(done["expires_at"] - done["completed_at"] - UNKEYED_MS // 1000) <= 1


FAILURES = [
    ("[sandbox html502]", "upstream_error", "upstream_error", None, "nothing was charged"),
    ("[sandbox moderation]", "invalid_request_error", "invalid_request_error", None, "refused"),
]


@pytest.mark.parametrize(("words", "kind", "code", "param", "says"), FAILURES)
def test_a_job_that_fails(
    gateway: Gateway,
    who: Customer,
    jobs: Jobs,
    words: str,
    kind: str,
    code: str,
    param: str | None,
    says: str,
) -> None:
    started = jobs.post(edit(who, words))
    job_id = started.json()["id"]
    told = jobs.ended(job_id)
    left = [answer.headers["X-RateLimit-Remaining"] for answer in (started, jobs.get(job_id))]
    assert left[0] == left[1], "looking counts for no limit"
    assert (told["status"], told.keys()) == ("failed", OVER | {"error"})
    message = told["error"].pop("message")
    assert says in message
    assert told["error"] == {"type": kind, "param": param, "code": code}
    assert jobs.get(job_id).status_code == 200, "a failed job is a good answer about it"
    content = jobs.content(job_id)
    assert (content.status_code, "it is failed" in content.text) == (404, True)
    balance = gateway.service.desk.ledger.balance(who.account_id)
    assert (balance.held, balance.spent) == (0, 0)
    assert jobs.delete(job_id).json()["deleted"] is True
    assert jobs.get(job_id).status_code == 404


REFUSED: list[tuple[str, dict[str, Any], int, str | None]] = [
    ("a field that is none", {"fields": {"colour": "red"}}, 400, "colour"),
    ("a value out of the list", {"fields": {"quality": "best"}}, 400, "quality"),
    ("a broken picture", {"images": (b"GIF89a",)}, 400, "image"),
    ("an unknown model", {"fields": {"model": "a/b"}}, 400, "model"),
    ("a stream", {"fields": {"stream": "true"}}, 400, "stream"),
    ("partial pictures", {"fields": {"partial_images": "1"}}, 400, "partial_images"),
    ("no yes or no", {"query": "async=maybe"}, 400, "async"),
    ("yes and no", {"query": "async=true&async=false"}, 400, "async"),
    ("no key", {"key": ""}, 401, None),
    ("a wrong key", {"key": "sk-nonsense"}, 401, None),
    ("a malformed idempotency key", {"headers": {"Idempotency_Key": "ü"}}, 400, "Idempotency-Key"),
]


@pytest.mark.parametrize(
    ("options", "status", "param"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_refused_at_once_is_no_job(
    who: Customer, jobs: Jobs, options: dict[str, Any], status: int, param: str | None
) -> None:
    fields = {"model": DIRECT, "prompt": who.prompt(), **options.get("fields", {})}
    wanted = Edit(fields, options.get("images", (PHOTO,)))
    asking = Jobs(jobs.url, options.get("key", jobs.key))
    headers = {name: value.encode() for name, value in options.get("headers", {}).items()}
    answer = asking.post(wanted, options.get("query", "async=true"), **headers)
    told = told_by_http(answer)
    assert (told.http, told.param) == (status, param), told
    assert who.edits() == []


def test_who_can_pay_nothing_or_holds_too_much_starts_none(gateway: Gateway) -> None:
    poor = customer(gateway, credit=0)
    assert Jobs(gateway.url, poor.key).post(edit(poor)).status_code == 402
    busy = customer(gateway, concurrency=1)
    jobs = Jobs(gateway.url, busy.key)
    first = jobs.start(edit(busy, SLOW))
    second = jobs.post(edit(busy))
    assert (second.status_code, told_by_http(second).code) == (429, "rate_limit_exceeded")
    assert jobs.ended(first)["status"] == "succeeded"
    assert jobs.ended(jobs.start(edit(busy)))["status"] == "succeeded"


NO_IDS = ("x", "0" * 36, str(uuid.uuid4()).upper(), "%00", "é", "a" * 5_000, str(uuid.uuid4()))


@pytest.mark.parametrize("job_id", NO_IDS, ids=range(len(NO_IDS)))
def test_an_id_of_no_job_is_a_404(jobs: Jobs, job_id: str) -> None:
    for answer in (jobs.get(job_id), jobs.content(job_id), jobs.delete(job_id)):
        assert told_by_http(answer).http == 404
        assert answer.headers["X-RateLimit-Limit"]


def test_jobs_are_the_accounts_own(gateway: Gateway, who: Customer, jobs: Jobs) -> None:
    job_id = jobs.start(edit(who))
    jobs.ended(job_id)
    stranger = Jobs(gateway.url, customer(gateway).key)
    for answer in (stranger.get(job_id), stranger.content(job_id), stranger.delete(job_id)):
        assert (answer.status_code, told_by_http(answer).code) == (404, "not_found")
    assert Jobs(gateway.url, "").get(job_id).status_code == 401
    _, secret = gateway.keys.create("another of the account", account_id=who.account_id)
    assert Jobs(gateway.url, secret).content(job_id).content == jobs.content(job_id).content


def test_a_repeat_by_key_gives_the_same_job(
    sandbox: SandboxServer, who: Customer, jobs: Jobs
) -> None:
    first = jobs.start(edit(who, SLOW), Idempotency_Key="k")
    running = jobs.post(edit(who, SLOW), Idempotency_Key="k")
    assert (running.status_code, running.json()["id"]) == (202, first)
    assert running.headers["idempotent-replayed"] == "true"
    assert running.json()["status"] in UNDER_WAY, "it waited for nothing"
    other = jobs.post(edit(who), Idempotency_Key="k")
    assert (other.status_code, told_by_http(other).code) == (422, "idempotency_key_reused")
    assert jobs.ended(first)["status"] == "succeeded"
    over = jobs.post(edit(who, SLOW), Idempotency_Key="k")
    assert (over.status_code, over.json()["id"]) == (202, first)
    assert over.json()["status"] == "succeeded"
    assert who.tally(sandbox) == ONE


def test_a_plain_edit_that_a_proxy_cut_goes_on_as_a_job(
    sandbox: SandboxServer, who: Customer, jobs: Jobs
) -> None:
    cut = threading.Thread(
        target=jobs.post, args=(edit(who, QUICK), ""), kwargs={"Idempotency_Key": "k"}
    )
    cut.start()
    assert eventually(lambda: len(who._rows()) == 1)
    job_id = jobs.start(edit(who, QUICK), Idempotency_Key="k")
    assert jobs.ended(job_id)["status"] == "succeeded"
    cut.join()
    assert who.tally(sandbox) == ONE


def test_an_automatic_retry_gives_the_same_job(
    sandbox: SandboxServer, who: Customer, jobs: Jobs
) -> None:
    # Whoever was cut off before the answer has the service start it all the same.
    first = jobs.start(edit(who, QUICK))
    again = jobs.post(edit(who, QUICK), **RETRY)
    assert (again.status_code, again.json()["id"]) == (202, first)
    assert again.headers["idempotent-replayed"] == "true"
    jobs.ended(first)
    assert who.tally(sandbox) == ONE
    parallel = jobs.start(edit(who, QUICK))
    assert parallel != first, "first attempts are never merged"


def test_a_job_whose_id_arrived_is_no_original_of_a_later_retry(
    sandbox: SandboxServer, gateway: Gateway, who: Customer, jobs: Jobs
) -> None:
    job_id = jobs.start(edit(who, SLOW))
    assert eventually(lambda: who._rows()[0].delivered), "the front says so"
    with gateway.store.write() as connection:  # as if it had begun long before the retry
        of_it = update(edits).where(edits.c.id == job_id)
        connection.execute(of_it.values(created=edits.c.created - 60_000))
    later = jobs.post(edit(who, SLOW), **RETRY)
    assert later.json()["id"] != job_id
    jobs.ended(job_id)
    jobs.ended(later.json()["id"])
    assert who.tally(sandbox).submissions == 2


def test_retries_of_jobs_and_of_plain_edits_do_not_meet(
    sandbox: SandboxServer, who: Customer, jobs: Jobs
) -> None:
    job_id = jobs.start(edit(who, QUICK))
    plain = jobs.post(edit(who, QUICK), query="", **RETRY)
    assert (plain.status_code, "idempotent-replayed" in plain.headers) == (200, False)
    jobs.ended(job_id)
    assert who.tally(sandbox).submissions == 2


def test_a_repeat_of_a_failed_job(sandbox: SandboxServer, who: Customer, jobs: Jobs) -> None:
    unsure = edit(who, "[sandbox html502 first=1]")
    lost = jobs.start(unsure, Idempotency_Key="unsure")
    assert jobs.ended(lost)["status"] == "failed"
    again = jobs.post(unsure, Idempotency_Key="unsure")
    assert (again.status_code, again.json()["id"]) == (202, lost), "it may have been billed"
    assert again.json()["status"] == "failed"
    assert who.tally(sandbox).submissions == 1
    sure = edit(who, "[sandbox error400 first=1]")
    refused = jobs.start(sure, Idempotency_Key="sure")
    assert jobs.ended(refused)["status"] == "failed"
    anew = jobs.start(sure, Idempotency_Key="sure")
    assert anew != refused
    assert jobs.ended(anew)["status"] == "succeeded"


@pytest.fixture
def unsent(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose upstream never ends the TLS handshake: what is held is never sent."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        environment = {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"https://127.0.0.1:{mute.getsockname()[1]}/v1",
        }
        with Gateway(environment, tmp_path) as gateway:
            yield gateway


def test_what_is_not_sent_is_cancelled_at_once_and_costs_nothing(unsent: Gateway) -> None:
    jobs = Jobs(unsent.url, unsent.key)
    job_id = jobs.start()
    assert jobs.get(job_id).json()["status"] == "queued"
    answer = jobs.delete(job_id)
    assert (answer.status_code, answer.json()["cancel_requested"]) == (202, True)
    told = jobs.ended(job_id, 2)
    assert (told["status"], told.keys()) == ("cancelled", OVER | {"cancel_requested"})
    balance = unsent.service.desk.ledger.balance(unsent.account_id)
    assert (balance.held, balance.spent) == (0, 0)
    assert jobs.content(job_id).status_code == 404
    assert eventually(lambda: unsent.service.admission.held == 0)


def test_another_service_on_the_database_cancels_within_a_second_or_two(unsent: Gateway) -> None:
    jobs = Jobs(unsent.url, unsent.key)
    job_id = jobs.start()
    elsewhere = Operations(unsent.store, unsent.service.desk.results, now)
    assert elsewhere.cancel(unsent.account_id, job_id).cancel_requested
    assert jobs.ended(job_id, 4)["status"] == "cancelled"


def test_one_whose_id_nobody_can_be_told_ends_unless_it_is_paid(unsent: Gateway) -> None:
    wanted = message(Edit(), inline=False)
    messages = [
        pb.StartEditImageRequest(parameters=wanted),
        pb.StartEditImageRequest(image_chunk=pb.ImageChunk(data=PHOTO)),
    ]
    admission = unsent.service.admission
    with unsent.stub() as stub, unsent.store.write():  # nothing can be held meanwhile
        call = stub.StartEditImage.future(iter(messages), metadata=unsent.metadata, timeout=20)
        assert eventually(lambda: admission.held == 1)
        call.cancel()
        time.sleep(0.3)  # until the service has heard
    assert eventually(lambda: admission.held == 0)
    with unsent.store.read() as connection:
        row = connection.execute(select(edits.c.state, edits.c.outcome)).one()
    assert tuple(row) == ("voided", "cancelled")


def test_what_is_paid_by_now_is_finished_and_kept(
    sandbox: SandboxServer, who: Customer, jobs: Jobs
) -> None:
    job_id = jobs.start(edit(who, SLOW))
    assert eventually(lambda: jobs.get(job_id).json()["status"] == "in_progress")
    first, second = jobs.delete(job_id), jobs.delete(job_id)
    assert (first.status_code, second.status_code) == (202, 202)
    told = jobs.ended(job_id)
    assert (told["status"], told["cancel_requested"]) == ("succeeded", True)
    assert jobs.content(job_id).status_code == 200
    assert who.tally(sandbox) == ONE
    assert jobs.delete(job_id).json()["deleted"] is True
    assert jobs.content(job_id).status_code == 404


def test_where_the_vendor_bills_no_cancelled_call_it_is_ended(
    gateway: Gateway, who: Customer, jobs: Jobs
) -> None:
    job_id = jobs.start(edit(who, "[sandbox delay=30]", model=FREE))
    assert eventually(lambda: jobs.get(job_id).json()["status"] == "in_progress")
    jobs.delete(job_id)
    assert jobs.ended(job_id, 2)["status"] == "cancelled"
    (row,) = who.edits()
    assert (row.state, row.cost, row.loss) == ("voided", 0, 0)


def test_a_job_is_in_the_log_and_the_numbers_as_an_edit(
    gateway: Gateway, who: Customer, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "imageedit.service"):
        job_id = jobs.start(edit(who))
        jobs.ended(job_id)

        def told() -> list[dict[str, Any]]:
            lines = [getattr(record, "line", {}) for record in caplog.records]
            mine = [line for line in lines if line.get("request_id") == job_id]
            return [line for line in mine if line.get("method") != "ConfirmDelivery"]

        assert eventually(lambda: len(told()) == 2)
    by_event = {line["event"]: line for line in told()}
    assert by_event["call"]["method"] == "StartEditImage"
    assert by_event["call"]["edit_id"] == job_id
    line = by_event["operation"]
    assert (line["code"], line["model"], line["cost_nanos"] > 0) == ("OK", DIRECT, True)
    assert [attempt["outcome"] for attempt in line["attempts"]] == ["delivered"]
    labels = {"model": DIRECT, "outcome": "delivered", "attempt": "delivered"}
    count = gateway.service.metrics.registry.get_sample_value("imageedit_edits_total", labels)
    assert count


@pytest.mark.parametrize("words", ["", "[sandbox html502]"])
def test_no_picture_stays_in_memory_after_the_end(who: Customer, jobs: Jobs, words: str) -> None:
    gc.collect()
    gc.disable()  # what only a collection would free is kept too long
    try:
        jobs.ended(jobs.start(edit(who, words)))
        prompt = who.prompt(words)

        def kept() -> list[object]:
            return [
                thing
                for thing in gc.get_objects()
                if isinstance(thing, EditRequest) and thing.prompt == prompt
            ]

        assert eventually(lambda: not kept()), gc.get_referrers(*kept())
    finally:
        gc.enable()


def test_a_drain_waits_for_jobs(sandbox: SandboxServer, tmp_path: Path) -> None:
    with Gateway(sandbox.environment(), tmp_path) as gateway:
        jobs = Jobs(gateway.url, gateway.key)
        job_id = jobs.start(Edit({"prompt": "sepia [sandbox delay=1]"}))
        began = time.monotonic()
        gateway.service.drain()
        assert time.monotonic() - began > 0.4
        found = gateway.service.desk.operations.get(gateway.account_id, job_id)
        assert found.state == "succeeded"
