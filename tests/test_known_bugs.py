"""Bugs that other gateways had with money, each kept out of ours by a test of its own.

The numbers are those of the reports and fixes at LiteLLM, new-api, AISIX and ComfyUI; what they
had inside their books is in test_known_bugs_of_ledgers.py.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import grpc
import openai
import pytest
import requests
from PIL import Image
from sqlalchemy import Row, func, select

from sandbox.faults import FAULTS, Stage
from sandbox.server import SandboxServer
from server import catalog_file
from server.accounts.audit import audit
from server.accounts.desk import Ticket
from server.accounts.schema import accounts, entries, keys
from server.accounts.usage import By, Part, report
from server.admission import Admission
from server.catalog import Model
from server.domain import EditRequest, Tokens
from server.editor import Editor
from server.providers.registry import PROVIDERS
from server.upstream.attempts import Attempts
from server.upstream.caller import Errand
from tests import whole
from tests.customers import Customer, customer
from tests.edits import IMAGE, Edit, by_grpc, by_http, by_stream, message
from tests.fault_proxy import FaultProxy, Toxic
from tests.paid_keys import PLENTY, new_id, now
from tests.pictures import encoded
from tests.running import Gateway, eventually, stream_messages

FLAT = "black-forest-labs/flux-kontext-dev"  # at one price, so that a hold is what an edit costs
PRICE = 15_000_000
BY_TOKEN = "openai/gpt-image-1.5"
TWO_ROUTES = "openai/gpt-image-2"
VENDORS = {"openai": BY_TOKEN, "openrouter": TWO_ROUTES, "siliconflow": FLAT}
CATALOG = catalog_file.load(None, PROVIDERS, PROVIDERS)
LARGE = encoded(Image.frombytes("RGB", (620, 620), Random(1).randbytes(620 * 620 * 3)), "PNG")  # noqa: S311
UPSTREAM = "upstream_failed"


@pytest.fixture(autouse=True)
def books_that_balance(gateway: Gateway) -> Iterator[None]:
    """After every test the audit finds nothing."""
    yield
    assert audit(gateway.store) == []


@pytest.fixture(scope="module")
def strict(sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose attempts may take 0.6 seconds, and an end user 3 edits a minute."""
    limits = {"IMAGEEDIT_ATTEMPT_TIMEOUT": "0.6", "IMAGEEDIT_USER_RATE_LIMIT": "3"}
    with Gateway(sandbox.environment() | limits, tmp_path_factory.mktemp("strict")) as running:
        yield running


def asked(who: Customer, words: str = "", model: str = FLAT, **fields: str) -> Edit:
    """Return an edit of this customer; `words` are directives to the sandbox."""
    prompt = who.prompt(f"[sandbox echo {words}]")
    return Edit({"model": model, "prompt": prompt, **fields}, key=who.key)


def posted(who: Customer, edit: Edit, headers: dict[str, str]) -> requests.Response:
    """Ask for an edit with headers of one's own."""
    return requests.post(
        f"{who.gateway.url}/v1/images/edits",
        data=edit.texts(),
        files={"image": ("a.png", IMAGE)},
        headers={"authorization": f"Bearer {who.key}"} | headers,
        timeout=60,
    )


def statuses(who: Customer, edit: Edit, count: int) -> Counter[int]:
    """Ask `count` times at once; count the answers."""
    gate = threading.Barrier(count)

    def one(_: int) -> int:
        gate.wait()
        return by_http(who.gateway, edit).status_code

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(one, range(count)))


def held(who: Customer) -> tuple[int, int, int]:
    """Return what account and key hold in nano-dollars, and the key's edits under way."""
    found = (
        select(accounts.c.held, func.sum(keys.c.held), func.sum(keys.c.active))
        .where(accounts.c.id == who.account_id, keys.c.account_id == accounts.c.id)
        .group_by(accounts.c.held)
    )
    with who.gateway.store.read() as connection:
        account, of_keys, active = connection.execute(found).one()
    return account, of_keys, active


def left(who: Customer) -> int:
    """Return what the account has, in nano-dollars."""
    return who.gateway.service.desk.ledger.balance(who.account_id).posted


def spent(who: Customer) -> int:
    """Return what the account spent, in nano-dollars."""
    return who.gateway.service.desk.ledger.balance(who.account_id).spent


def test_litellm_26672_parallel_edits_stop_at_the_balance(gateway: Gateway) -> None:
    """Requests went on after the budget was used up, for nothing was taken when they came in."""
    who = customer(gateway, credit=3 * PRICE + PRICE - 1)
    assert statuses(who, asked(who, "delay=0.3"), 12) == {200: 3, 402: 9}
    assert (left(who), held(who)) == (PRICE - 1, (0, 0, 0))


def test_litellm_34732_parallel_edits_stop_at_a_keys_limit(gateway: Gateway) -> None:
    """A budget below the account's was compared before anything under way had been recorded."""
    made, secret = gateway.keys.create(
        "capped", spend_limit=2 * PRICE + PRICE - 1, rate_limit=1000, concurrency=1000
    )
    gateway.service.desk.ledger.top_up(made.account_id, PLENTY)
    who = Customer(gateway, made.account_id, secret, new_id())
    assert statuses(who, asked(who, "delay=0.3"), 12) == {200: 2, 402: 10}
    assert (spent(who), held(who)) == (2 * PRICE, (0, 0, 0))


def test_litellm_40095_the_first_edits_of_an_unknown_user_are_limited(strict: Gateway) -> None:
    """The first parallel requests of an end user found no record yet, and no limit."""
    who = customer(strict)
    assert statuses(who, asked(who, user=new_id()), 12) == {200: 3, 429: 9}
    assert (len(who.edits()), spent(who)) == (3, 3 * PRICE)


def test_new_api_5690_however_rich_an_account_its_edits_are_held_for(gateway: Gateway) -> None:
    """Who had plenty was trusted, and nothing was held while a request was under way."""
    who = customer(gateway, credit=PLENTY)
    edit = asked(who, "delay=0.8", model=BY_TOKEN, quality="high")
    asking = threading.Thread(target=by_http, args=(gateway, edit))
    asking.start()
    assert eventually(lambda: held(who)[2] == 1)
    under_way = held(who)
    estimate = requests.post(
        f"{gateway.url}/v1/images/edits/estimate",
        json={name: edit.texts()[name] for name in ("model", "prompt", "quality")},
        headers={"authorization": f"Bearer {who.key}"},
        timeout=10,
    ).json()
    asking.join()
    (row,) = who.edits()
    assert under_way == (row.hold, row.hold, 1)
    assert 0 < row.cost <= row.hold <= round(estimate["max_cost"] * 10**9)


def test_litellm_27639_failures_do_not_use_up_the_balance(gateway: Gateway) -> None:
    """Some ways to end never gave the reservation back: a budget exhausted by nothing."""
    who = customer(gateway, credit=PRICE)  # for one edit, so one hold that stays is one too many
    for words in ("error500", "reset", "moderation", "error429", "garbage", "badpicture", "close"):
        assert by_http(gateway, asked(who, words)).status_code not in {200, 402}
        assert (left(who), held(who)) == (PRICE, (0, 0, 0))
    assert by_http(gateway, asked(who)).status_code == 200
    assert (left(who), held(who)) == (0, (0, 0, 0))


class Given(BaseException):
    """What no `except Exception` catches, as asyncio's CancelledError."""


class Breaking(Attempts):
    """Attempts that end with `error`, before or after the upstream has the request."""

    def __init__(self, error: BaseException, *, sends: bool) -> None:
        self._error = error
        self._sends = sends

    def fetch(self, routes: Any, errand: Errand, caller: Any) -> Any:
        """Raise the error."""
        del routes, caller
        if self._sends:
            errand.submit()
        raise self._error


CALLER = SimpleNamespace(remaining=lambda: None, left=lambda: False, accepted=lambda _: None)


@pytest.mark.parametrize("sends", [False, True])
@pytest.mark.parametrize("error", [Given(), GeneratorExit(), SystemExit(1), MemoryError()])
def test_litellm_30522_a_cancellation_gives_the_hold_back(
    gateway: Gateway, error: BaseException, sends: bool
) -> None:
    """A cancelled request ends by a BaseException, which the clean-up did not catch."""
    who, desk = customer(gateway), gateway.service.desk
    editor = Editor(
        CATALOG,
        Breaking(error, sends=sends),
        Admission(1, 10**9),
        desk,
        clock=now,
        max_pixels=10**6,
    )
    with pytest.raises(type(error)):
        editor.edit(
            EditRequest(model=FLAT, prompt="sepia", images=(IMAGE,)),
            Ticket(gateway.keys.check(who.key), new_id()),
            CALLER,
        )
    (row,) = who.edits()
    assert row.state == ("unknown" if sends else "voided")
    assert (left(who), held(who)) == (PLENTY, (0, 0, 0))


@pytest.mark.parametrize("way", ["http", "grpc", "stream"])
def test_litellm_30522_a_caller_that_leaves_takes_no_hold_along(gateway: Gateway, way: str) -> None:
    """A client that hung up in the middle left its reservation behind."""
    who = customer(gateway)
    edit, metadata = asked(who, "delay=0.5"), (("authorization", f"Bearer {who.key}"),)
    if way == "http":
        address = gateway.url.removeprefix("http://").split(":")
        sent = requests.Request(
            "POST",
            f"{gateway.url}/v1/images/edits",
            data=edit.texts(),
            files={"image": ("a.png", IMAGE)},
            headers=dict(metadata),
        ).prepare()
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.headers.items())
        with closing(socket.create_connection((address[0], int(address[1])))) as wire:
            assert isinstance(sent.body, bytes)
            head = f"POST {sent.path_url} HTTP/1.1\r\nHost: x\r\n{head}\r\n"
            wire.sendall(head.encode() + sent.body)
            assert eventually(lambda: held(who)[2] == 1)
    else:
        with gateway.stub() as stub:
            call: grpc.Future
            if way == "grpc":
                call = stub.EditImage.future(message(edit, inline=True), metadata=metadata)
            else:
                messages = stream_messages(message(edit, inline=False), edit.images)
                call = stub.StreamEditImage(messages, metadata=metadata)
            assert eventually(lambda: held(who)[2] == 1)
            call.cancel()
    assert eventually(lambda: held(who) == (0, 0, 0))
    (row,) = who.edits()
    assert (row.state, spent(who)) in {("posted", PRICE), ("voided", 0)}


DOORS: dict[str, Callable[[Gateway, Edit], object]] = {
    "HTTP": by_http,
    "HTTP in chunks": lambda gateway, edit: by_http(gateway, replace(edit, images=(LARGE,))),
    "gRPC": by_grpc,
    "gRPC in chunks": by_stream,
}


@pytest.mark.parametrize("door", DOORS)
def test_litellm_36592_no_door_leaves_a_hold_behind(gateway: Gateway, door: str) -> None:
    """One route did not hand its reservation on, so what it held was never given back."""
    who = customer(gateway, credit=3 * PRICE)
    for words, outcome in (("", "delivered"), ("error500", UPSTREAM), ("garbage", UPSTREAM)):
        try:
            DOORS[door](gateway, asked(who, words))
        except grpc.RpcError:
            assert words
        assert who.edits()[-1].ended
        assert outcome in {row.outcome for row in who.edits()}
        assert held(who) == (0, 0, 0)
    assert (len(who.edits()), spent(who)) == (3, PRICE)


def faults(vendor: str) -> list[str]:
    """Return directives for every fault that a vendor plays; those without end are cut short."""
    short = {"hugebody": "hugebody=97", "huge_url": "huge_url=97", "delay": "delay=2"}
    here = [
        short.get(name, name)
        for name, fault in FAULTS.items()
        if fault.stage is not Stage.LINK or vendor == "siliconflow"
    ]
    # Where a second vendor could still help, it fails too.
    return [f"{name} at={vendor}] [sandbox error503 at=openai" if vendor == "openrouter" else name
            for name in here]  # fmt: skip


@pytest.mark.parametrize("vendor", VENDORS)
def test_litellm_38111_no_fault_leaves_a_hold_behind(strict: Gateway, vendor: str) -> None:
    """Errors on the way of some vendors alone were never reconciled."""
    who, words = customer(strict), faults(vendor)
    words = whole.of(words, words[list(VENDORS).index(vendor) :: len(VENDORS)])

    def one(directives: str) -> int:
        edit = Edit(
            {"model": VENDORS[vendor], "prompt": who.prompt(f"[sandbox {directives}]")},
            key=who.key,
        )
        return by_http(strict, edit).status_code

    with ThreadPoolExecutor(6) as pool:
        told = dict(zip(words, pool.map(one, words), strict=True))
    assert held(who) == (0, 0, 0)
    rows = who.edits()
    assert len(rows) == len(words)
    assert {row.state for row in rows} >= {"posted", "voided"}
    charged = sum(row.cost for row in rows)
    assert (left(who), spent(who)) == (PLENTY - charged, charged)
    assert sum(row.cost > 0 for row in rows) == sum(status == 200 for status in told.values())
    assert sum(status != 200 for status in told.values()) >= whole.of(15, 5)


def test_litellm_38111_no_refusal_leaves_a_hold_behind(gateway: Gateway) -> None:
    """What was refused after the reservation kept it."""
    who = customer(gateway, credit=PRICE, concurrency=1)
    refused: list[tuple[Edit, int]] = [
        (asked(who, model="acme/unknown"), 400),
        (asked(who, size="1x99999"), 400),
        (asked(who, n="2"), 400),
        (replace(asked(who), images=(b"GIF89a",)), 400),
        (replace(asked(who), images=(IMAGE, b"nothing")), 400),
        (replace(asked(who), mask=b"%PDF-1.7"), 400),
        (asked(who, model=BY_TOKEN, quality="high"), 402),
        (replace(asked(who), key="sk-nonsense"), 401),
    ]
    for edit, status in refused:
        assert by_http(gateway, edit).status_code == status
        assert held(who) == (0, 0, 0)
    assert posted(who, asked(who), {"Idempotency-Key": "ü"}).status_code == 400
    asking = threading.Thread(target=by_http, args=(gateway, asked(who, "delay=0.6")))
    asking.start()
    assert eventually(lambda: held(who)[2] == 1)
    assert by_http(gateway, asked(who)).status_code == 429  # the key's one place is taken
    asking.join()
    assert (held(who), len(who.edits())) == ((0, 0, 0), 1)


def test_litellm_36926_spending_is_the_same_after_a_restart(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    """A counter was filled from the database and then given the same costs again: doubled."""
    with Gateway(sandbox.environment(), tmp_path) as first:
        before = customer(first)
        costs = [by_http(first, asked(before)).json()["usage"]["cost"] for _ in range(3)]
        assert spent(before) == 3 * PRICE == round(sum(costs) * 10**9)
    with Gateway(sandbox.environment(), tmp_path) as second:
        after = replace(before, gateway=second)
        assert spent(after) == 3 * PRICE
        assert by_http(second, asked(after)).status_code == 200
        assert (spent(after), left(after)) == (4 * PRICE, PLENTY - 4 * PRICE)
        (told,) = (line.sums.cost for line in report(second.store, By.KEY) if line.sums.edits)
        assert told == 4 * PRICE


def due(model: Model, row: Row[Any]) -> int:
    """Return what the tokens of a recorded edit cost, in nano-dollars."""
    return model.prices.cost(Tokens(row.input_tokens, row.input_text_tokens, 0, row.output_tokens))


SIZES = (None, "1024x1024", "1536x1024", "1024x1536")
QUALITIES = (None, "low", "medium", "high")


@pytest.mark.parametrize("model", CATALOG.models, ids=lambda model: model.alias)
def test_litellm_40002_every_quality_and_size_is_held_for(gateway: Gateway, model: Model) -> None:
    """Reservations knew one price where the bill knew several, and were too small for the dear."""
    who = customer(gateway)
    asks = [
        {name: value for name, value in (("size", size), ("quality", quality)) if value}
        for size in SIZES
        for quality in QUALITIES
    ]
    asks = whole.of(asks, asks[::3])  # the first and the last, and every size and quality
    with ThreadPoolExecutor(4) as pool:
        edits = [asked(who, model=model.alias, **ask) for ask in asks]
        answers = list(pool.map(lambda edit: by_http(gateway, edit), edits))
    assert {answer.status_code for answer in answers} == {200}
    rows = who.edits()
    assert len(rows) == len(asks)
    for row in rows:
        assert 0 < due(model, row) == row.cost <= row.hold
        assert row.loss == 0


def test_litellm_40002_what_is_beyond_a_hold_is_booked_and_not_forgotten(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    """A reservation that proves too small is the operator's loss, which the books must show."""
    catalog, narrow = tmp_path / "catalog.toml", "output_tokens_per_megapixel = { low = 10 }"
    rows = catalog_file.BUILT_IN.read_text(encoding="utf-8")
    catalog.write_text(re.sub(r"output_tokens_per_megapixel = {.*}", narrow, rows), "utf-8")
    environment = sandbox.environment() | {"IMAGEEDIT_CATALOG": str(catalog)}
    with Gateway(environment, tmp_path) as gateway:
        who = customer(gateway)
        edit = asked(who, model=BY_TOKEN, size="1024x1024", quality="high")
        assert by_http(gateway, edit).status_code == 200
        (row,) = who.edits()
        beyond = due(CATALOG.find(BY_TOKEN), row) - row.hold
        assert beyond > 0
        assert (row.cost, row.loss) == (row.hold, beyond)


@pytest.mark.parametrize("model", VENDORS.values())
def test_litellm_15740_an_edit_is_recorded_once(gateway: Gateway, model: str) -> None:
    """Requests translated for a vendor were logged, and paid, by the outer and the inner call."""
    who = customer(gateway)
    assert by_http(gateway, asked(who, model=model)).status_code == 200
    (row,) = who.edits()
    events = (
        select(entries.c.kind, func.count(entries.c.event.distinct()))
        .where(entries.c.edit_id == row.id)
        .group_by(entries.c.kind)
    )
    with gateway.store.read() as connection:
        assert dict(connection.execute(events).all()) == {"hold": 1, "post": 1}


def test_litellm_39455_a_failover_and_a_replay_are_no_further_edits(gateway: Gateway) -> None:
    """Every attempt was a row of its own, so the log counted three requests where one was made."""
    who = customer(gateway)
    edit = asked(who, "error500 at=openrouter", model=TWO_ROUTES)
    assert posted(who, edit, {}).status_code == 200
    for number in ("1", "2"):
        again = posted(who, edit, {"x-stainless-retry-count": number})
        assert again.headers["idempotent-replayed"] == "true"
    (row,) = who.edits()
    assert (row.state, row.attempts, row.route) == ("posted", 2, "openai:gpt-image-2")
    (line,) = (line for line in report(gateway.store, By.KEY, Part(key_id=row.key_id)))
    assert (line.sums.edits, line.sums.delivered, line.sums.failed) == (1, 1, 0)
    assert (line.sums.cost, line.sums.output_tokens) == (row.cost, row.output_tokens)


def test_litellm_25015_asking_again_costs_nothing(gateway: Gateway) -> None:
    """Every poll for a finished answer was billed as the request that had made it."""
    who, name = customer(gateway), {"Idempotency-Key": new_id()}
    first = posted(who, asked(who), name)
    assert (left(who), spent(who)) == (PLENTY - PRICE, PRICE)
    for _ in range(5):
        again = posted(who, asked(who), name)
        assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
        told = requests.get(
            f"{gateway.url}/v1/credits",
            headers={"authorization": f"Bearer {who.key}"},
            timeout=10,
        ).json()
        assert (told["spent"], told["held"]) == (0.015, 0)
    assert (left(who), spent(who), len(who.edits())) == (PLENTY - PRICE, PRICE, 1)


@pytest.mark.parametrize("model", CATALOG.models, ids=lambda model: model.alias)
def test_litellm_26863_no_model_is_free(gateway: Gateway, model: Model) -> None:
    """A model whose price was not found by its name was accounted for with 0."""
    who = customer(gateway)
    edit = asked(who, model=model.alias, size="1024x1024", quality="high")
    usage = by_http(gateway, edit).json()["usage"]
    (row,) = who.edits()
    assert due(model, row) > 0
    assert round(usage["cost"] * 10**9) == due(model, row) == spent(who)


@pytest.mark.parametrize("words", ["garbage", "badpicture", "empty", "cut=50"])
@pytest.mark.parametrize("model", [BY_TOKEN, FLAT])
def test_aisix_1101_an_answer_that_cannot_be_read_is_not_asked_for_again(
    gateway: Gateway, sandbox: SandboxServer, model: str, words: str
) -> None:
    """Each unreadable answer to a paid request was retried: one edit, N+1 bills, and a 502."""
    who = customer(gateway)
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=who.key)
    with client, pytest.raises(openai.InternalServerError) as failed:
        client.images.edit(model=model, image=IMAGE, prompt=who.prompt(f"[sandbox {words}]"))
    assert failed.value.status_code == 502
    tally = who.tally(sandbox)
    assert (tally.submissions, tally.charges, spent(who)) == (1, 0, 0)


def test_comfyui_16204_one_click_is_one_submission(
    gateway: Gateway, sandbox: SandboxServer
) -> None:
    """Each connection broke before the edit was done, and each retry was a further paid edit."""
    who = customer(gateway)
    broken = dict.fromkeys(range(3), Toxic(after=0.2))
    with FaultProxy(gateway.url, broken) as proxy:
        client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=who.key, max_retries=3)
        with client:
            raw = client.images.with_raw_response.edit(
                model=BY_TOKEN, image=IMAGE, prompt=who.prompt("[sandbox delay=2.5]")
            )
        assert (proxy.requests, len(proxy.spoilt)) == (4, 3)
    assert raw.headers["idempotent-replayed"] == "true"
    tally = who.tally(sandbox)
    assert (tally.submissions, tally.posted, tally.charges) == (1, 1, 1)
