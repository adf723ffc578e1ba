"""The contract's error table at both doors: one table of situations, asked by HTTP and by gRPC."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

import grpc
import pytest
import requests
from sqlalchemy import text, update

from sandbox.server import SandboxServer
from server.accounts import schema
from server.accounts.key_format import new_key
from server.accounts.ledger import Order
from server.catalog_file import BUILT_IN
from tests.edits import Edit, Told, by_grpc, by_http, by_stream, told_by_grpc, told_by_http
from tests.paid_keys import PLENTY, new_id, paid_key
from tests.pictures import encoded, gradient
from tests.running import Gateway, eventually

REQUEST = ("INVALID_ARGUMENT", "invalid_request_error", "invalid_request_error")
UNKNOWN_KEY = new_key()
KEY = ("UNAUTHENTICATED", "invalid_request_error", "invalid_api_key")
MODEL = ("FAILED_PRECONDITION", "invalid_request_error", "model_capability_mismatch")
UPSTREAM = ("UNAVAILABLE", "upstream_error", "upstream_error")
TIMEOUT = ("DEADLINE_EXCEEDED", "upstream_error", "upstream_error")

NO_SUCH_MODEL = """
[[models]]
alias = "acme/talker"
name = "Talker"
description = "Talks."
created = 2026-01-01
features = []
pricing = { image = "0.01" }
[[models.routes]]
provider = "openai"
model = "talker-1"
mask_method = "native"
max_images = 1
parameters = "openai_1"
"""


@dataclass(frozen=True)
class Row:
    """A situation: an edit, and what each door says of it."""

    name: str
    edit: Edit
    http: int
    rest: tuple[str, str, str]
    param: str | None = None
    says: str = ""
    retry_after: int | None = None
    gateway: str = "gateway"
    # Faults are asked of every vendor, by the model that only this vendor serves.
    models: tuple[str, ...] = ("openai/gpt-image-1.5",)


def of(**fields: str) -> Edit:
    return Edit(fields=fields)


def fault(words: str) -> Edit:
    return of(prompt=f"sepia [sandbox {words}]")


BLACK = encoded(gradient(64, 48).convert("L").point(lambda _: 0), "PNG")
OTHER_SIZE = encoded(gradient(48, 64), "PNG")
RGB_MASK = encoded(gradient(64, 48), "PNG")
VENDORS = (
    "openai/gpt-image-1.5",
    "openai/gpt-image-2",
    "black-forest-labs/flux-kontext-dev",
)
DIRECT = (VENDORS[0], VENDORS[2])

ROWS = [
    Row("no key", Edit(key=""), 401, KEY, says="Authorization: Bearer"),
    Row("malformed key", Edit(key="sk-nonsense"), 401, KEY),
    Row("unknown key", Edit(key=UNKNOWN_KEY), 401, KEY),
    Row("no prompt", of(prompt=""), 400, REQUEST, "prompt", "prompt is missing"),
    Row("blank prompt", of(prompt=" \n"), 400, REQUEST, "prompt", "prompt is missing"),
    Row("long prompt", of(prompt="ü" * 32_001), 400, REQUEST, "prompt", "32001.*32000"),
    Row("no model", of(model=""), 400, REQUEST, "model", "openai/gpt-image-2"),
    Row("no picture", Edit(images=()), 400, REQUEST, "image", "image is missing"),
    Row("no picture at all", Edit(images=(b"hello",)), 400, REQUEST, "image", "PNG, JPEG or WebP"),
    Row("empty picture", Edit(images=(b"",)), 400, REQUEST, "image", "empty"),
    Row("GIF", Edit(images=(b"GIF89a" + bytes(50),)), 400, REQUEST, "image", "GIF"),
    Row(
        "cut picture",
        Edit(images=(encoded(gradient(64, 48), "PNG")[:-200],)),
        400,
        REQUEST,
        "image",
    ),
    Row(
        "second picture broken",
        Edit(images=(RGB_MASK, b"nothing")),
        400,
        REQUEST,
        "image[1]",
        r"image\[1\]",
    ),
    Row("seventeen pictures", Edit(images=(RGB_MASK,) * 17), 400, REQUEST, "image", "16"),
    Row(
        "mask of another size",
        Edit(mask=OTHER_SIZE),
        400,
        REQUEST,
        "mask",
        "48.*64.*64.*48|64.*48.*48.*64",
    ),
    Row("mask that selects nothing", Edit(mask=BLACK), 400, REQUEST, "mask", "selects nothing"),
    Row(
        "mask without alpha for OpenAI's convention",
        Edit(fields={"mask_convention": "transparent"}, mask=RGB_MASK),
        400,
        REQUEST,
        "mask",
        "alpha",
    ),
    Row("mask that is none", Edit(mask=b"%PDF-1.7"), 400, REQUEST, "mask", "PDF"),
    Row("size out of bounds", of(size="99999x1"), 400, REQUEST, "size", "16383"),
    Row(
        "transparent JPEG",
        of(background="transparent", output_format="jpeg"),
        400,
        REQUEST,
        "background",
        "png or webp",
    ),
    Row("long user", of(user="u" * 513), 400, REQUEST, "user", "512"),
    Row(
        "picture over the pixel limit",
        Edit(images=(encoded(gradient(201, 200), "PNG"),)),
        413,
        REQUEST,
        "image",
        "40,?000|40000",
        gateway="small",
    ),
    Row("unknown model", of(model="acme/unknown"), 400, MODEL, "model", "acme/unknown.*unknown"),
    Row(
        "model that cannot edit",
        of(model="acme/talker"),
        400,
        MODEL,
        "model",
        "cannot edit",
        gateway="small",
    ),
    Row(
        "model not configured here",
        of(model="qwen/qwen-image-edit"),
        400,
        MODEL,
        "model",
        "not configured",
        gateway="small",
    ),
    Row("moderation", fault("moderation"), 400, REQUEST, says="moderation", models=VENDORS[:2]),
    Row("refused size", fault("error400"), 400, REQUEST, "size", '"size"', models=VENDORS[:1]),
    Row("refused parameter", fault("error400"), 400, REQUEST, models=VENDORS[1:], says="refused"),
    Row("our own key refused", fault("error401"), 502, UPSTREAM, models=VENDORS),
    Row("our own balance used up", fault("quota"), 502, UPSTREAM, models=VENDORS),
    Row("vendor's error", fault("error500"), 502, UPSTREAM, models=VENDORS),
    Row("proxy's page", fault("html502"), 502, UPSTREAM, models=VENDORS),
    Row("proxy's time-out page", fault("html504"), 502, UPSTREAM, models=VENDORS),
    Row("not JSON", fault("garbage"), 502, UPSTREAM, models=VENDORS),
    Row("no picture in 200", fault("empty"), 502, UPSTREAM, models=VENDORS),
    Row("no picture in the picture", fault("badpicture"), 502, UPSTREAM, models=VENDORS),
    Row(
        "error in 200",
        fault("error_in_200 at=openrouter] [sandbox error500 at=openai"),
        502,
        UPSTREAM,
        models=(VENDORS[1],),
    ),
    Row("connection reset", fault("reset"), 502, UPSTREAM, models=VENDORS),
    Row("connection closed", fault("close"), 502, UPSTREAM, models=VENDORS),
    Row("connection cut", fault("cut=50"), 502, UPSTREAM, models=VENDORS),
    Row("result redirected", fault("redirect_url"), 502, UPSTREAM, models=(VENDORS[2],)),
    Row("result at a private address", fault("private_url"), 502, UPSTREAM, models=(VENDORS[2],)),
    Row("result at a stranger's", fault("wronghost_url"), 502, UPSTREAM, models=(VENDORS[2],)),
    Row("model withdrawn", fault("gone"), 502, UPSTREAM, "model", models=VENDORS),
    Row(
        "model past its date",
        Edit(fields={"model": "openai/gpt-image-1", "prompt": "sepia [sandbox gone]"}),
        400,
        MODEL,
        "model",
        "2026-10-23",
        models=("openai/gpt-image-1",),
    ),
    Row("vendor's rate limit", fault("error429"), 503, UPSTREAM, retry_after=7, models=VENDORS),
    Row("vendor overloaded", fault("error503"), 503, UPSTREAM, retry_after=10, models=DIRECT),
    Row("nobody listens", of(), 503, UPSTREAM, retry_after=10, gateway="unplugged"),
    Row("silence", fault("silent"), 504, TIMEOUT, models=VENDORS, gateway="hasty"),
    Row("dripped headers", fault("drip_headers"), 504, TIMEOUT, models=VENDORS, gateway="hasty"),
    Row("dripped body", fault("drip_body"), 504, TIMEOUT, models=VENDORS, gateway="hasty"),
    Row("dripped result", fault("slow_url"), 504, TIMEOUT, models=(VENDORS[2],), gateway="hasty"),
]
CASES = [
    pytest.param(
        row,
        Edit(row.edit.texts() | {"model": model}, row.edit.images, row.edit.mask, row.edit.key)
        if len(row.models) > 1 or "sandbox" in row.edit.texts()["prompt"]
        else row.edit,
        id=f"{row.name}-{model.partition('/')[2]}",
    )
    for row in ROWS
    for model in row.models
]


@pytest.fixture(scope="module")
def gateways(
    gateway: Gateway, sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Gateway]]:
    """Gateways by name: the usual one; a small one; one without upstream; a hasty one."""
    folder = tmp_path_factory.mktemp("gateways")
    catalog = folder / "catalog.toml"
    catalog.write_text(BUILT_IN.read_text(encoding="utf-8") + NO_SUCH_MODEL, encoding="utf-8")
    nowhere = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    openai = {name: value for name, value in sandbox.environment().items() if "OPENAI" in name}
    environments = {
        "small": openai | {"IMAGEEDIT_MAX_PIXELS": "40000", "IMAGEEDIT_CATALOG": str(catalog)},
        "unplugged": nowhere,
        "hasty": sandbox.environment() | {"IMAGEEDIT_ATTEMPT_TIMEOUT": "0.4"},
    }
    made = {"gateway": gateway}
    with ExitStack() as stack:

        def get(name: str) -> Gateway:
            if name not in made:
                place = folder / name
                place.mkdir()
                made[name] = stack.enter_context(Gateway(environments[name], place))
            return made[name]

        yield get


def check(row: Row, told: Told) -> None:
    code, kind, word = row.rest
    assert told.code == word
    if told.http is not None:
        assert (told.http, told.type) == (row.http, kind)
    else:
        assert told.grpc == code
    assert told.param == row.param
    assert told.retry_after == row.retry_after
    assert re.search(row.says, told.message, re.DOTALL), told.message
    for leak in ("127.0.0.1", "sandbox", "Traceback", "siliconflow", "openrouter", "/v1"):
        if leak not in row.edit.texts()["prompt"] or leak != "sandbox":
            assert leak not in told.message.replace("GET /v1/models", "").lower()


@pytest.mark.parametrize(("row", "edit"), CASES)
def test_http(row: Row, edit: Edit, gateways: Callable[[str], Gateway]) -> None:
    answer = by_http(gateways(row.gateway), edit)
    check(row, told_by_http(answer))
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])
    never_repeat = row.retry_after is None
    assert (answer.headers.get("x-should-retry") == "false") == never_repeat


@pytest.mark.parametrize(("row", "edit"), CASES)
def test_grpc(row: Row, edit: Edit, gateways: Callable[[str], Gateway]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        by_grpc(gateways(row.gateway), edit)
    check(row, told_by_grpc(caught.value))


@pytest.mark.parametrize(("row", "edit"), CASES)
def test_grpc_in_chunks(row: Row, edit: Edit, gateways: Callable[[str], Gateway]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        by_stream(gateways(row.gateway), edit)
    check(row, told_by_grpc(caught.value))


def test_a_revoked_key_is_refused_like_an_unknown_one(gateway: Gateway) -> None:
    made, secret = paid_key(gateway.store)
    assert by_http(gateway, Edit(key=secret)).status_code == 200
    gateway.keys.revoke(made.id)
    revoked, unknown = (by_http(gateway, Edit(key=key)) for key in (secret, new_key()))
    assert revoked.status_code == unknown.status_code == 401
    assert revoked.content == unknown.content


def test_when_full_the_next_edit_is_refused_and_health_is_not(
    sandbox: SandboxServer, tmp_path: Path
) -> None:
    environment = sandbox.environment() | {"IMAGEEDIT_MAX_EDITS": "1"}
    with Gateway(environment, tmp_path) as gateway:
        sandbox.forget_calls()
        held = Thread(target=by_http, args=(gateway, fault("delay=1.5")))
        held.start()
        assert eventually(lambda: bool(sandbox.calls))
        row = Row("full", Edit(), 503, UPSTREAM, says="as many edits", retry_after=5)
        answer = by_http(gateway, Edit())
        check(row, told_by_http(answer))
        with pytest.raises(grpc.RpcError) as caught:
            by_grpc(gateway, Edit())
        check(row, told_by_grpc(caught.value))
        held.join()
        assert by_http(gateway, Edit()).status_code == 200


def test_without_its_accounts_it_takes_no_edit(tmp_path: Path, sandbox: SandboxServer) -> None:
    with Gateway(sandbox.environment(), tmp_path) as gateway:
        with gateway.store.write() as connection:
            connection.execute(text("ALTER TABLE keys RENAME TO gone"))
        row = Row("no accounts", Edit(), 503, UPSTREAM, says="accounts", retry_after=5)
        check(row, told_by_http(by_http(gateway, Edit())))
        with pytest.raises(grpc.RpcError) as caught:
            by_grpc(gateway, Edit())
        check(row, told_by_grpc(caught.value))
        with gateway.store.write() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO keys"))
        assert by_http(gateway, Edit()).status_code == 200


CREDIT = ("FAILED_PRECONDITION", "billing_error", "insufficient_credits")
FORBIDDEN = ("PERMISSION_DENIED", "invalid_request_error", "permission_denied")
LIMITED = ("RESOURCE_EXHAUSTED", "rate_limit_error", "rate_limit_exceeded")


def poor(gateway: Gateway) -> str:
    return paid_key(gateway.store, credit=0)[1]


def nearly_poor(gateway: Gateway) -> str:
    return paid_key(gateway.store, credit=1)[1]


def used_up(gateway: Gateway) -> str:
    secret = paid_key(gateway.store, rate_limit=1)[1]
    assert by_http(gateway, Edit(key=secret)).status_code == 200
    return secret


def crowded(gateway: Gateway) -> str:
    """A key whose only place is taken, by an edit of a service that is alive."""
    key, secret = paid_key(gateway.store, concurrency=1)
    order = Order(new_id(), key.account_id, key.id, "", "m", 1, "")
    gateway.service.desk.ledger.hold(order)
    return secret


def narrow(gateway: Gateway) -> str:
    return gateway.keys.create("narrow", models=["qwen/qwen-image-edit"])[1]


def spent(gateway: Gateway) -> str:
    key = gateway.keys.create("spent", spend_limit=1)[0]
    gateway.service.desk.ledger.top_up(key.account_id, PLENTY)
    return gateway.keys.rotate(key.id, overlap_ms=0)[1]


def with_blocked_user(gateway: Gateway) -> str:
    key, secret = paid_key(gateway.store)
    gateway.service.desk.users.block(key.account_id, "mallory")
    return secret


MONEY = [
    (poor, of(), Row("no credit", of(), 402, CREDIT, says="credit")),
    (nearly_poor, of(), Row("too little credit", of(), 402, CREDIT, says=r"\$")),
    (spent, of(), Row("spending limit", of(), 402, CREDIT, says="limit")),
    (used_up, of(), Row("rate", of(), 429, LIMITED, says="1 requests a minute", retry_after=60)),
    (crowded, of(), Row("concurrency", of(), 429, LIMITED, says="at a time", retry_after=5)),
    (narrow, of(), Row("model", of(), 403, FORBIDDEN, "model", "openai/gpt-image-1.5")),
    (
        with_blocked_user,
        of(user="mallory"),
        Row("blocked user", of(), 403, FORBIDDEN, "user", "blocked"),
    ),
]


@pytest.mark.parametrize(("make", "edit", "row"), MONEY, ids=[row.name for *_, row in MONEY])
def test_what_a_key_may_not_do(
    gateway: Gateway, make: Callable[[Gateway], str], edit: Edit, row: Row
) -> None:
    edit = replace(edit, key=make(gateway))
    answer = by_http(gateway, edit)
    told = told_by_http(answer)
    check(row, replace(told, retry_after=row.retry_after))
    assert (told.retry_after is None) == (row.retry_after is None)
    assert told.retry_after is None or 1 <= told.retry_after <= 60
    assert (answer.headers.get("x-should-retry") == "false") == (row.retry_after is None)
    assert int(answer.headers["X-RateLimit-Remaining"]) <= int(answer.headers["X-RateLimit-Limit"])
    for ask in (by_grpc, by_stream):
        with pytest.raises(grpc.RpcError) as caught:
            ask(gateway, edit)
        told = told_by_grpc(caught.value)
        check(row, replace(told, retry_after=row.retry_after))


def test_an_idempotency_key_with_another_request(gateway: Gateway) -> None:
    headers = gateway.authorization | {"Idempotency-Key": new_id()}
    files = {"image": ("a.png", encoded(gradient(64, 48), "PNG"))}
    fields = {"model": "openai/gpt-image-1.5", "prompt": "sepia"}
    url = f"{gateway.url}/v1/images/edits"
    assert requests.post(url, data=fields, files=files, headers=headers, timeout=20).ok
    answer = requests.post(
        url, data=fields | {"prompt": "blur"}, files=files, headers=headers, timeout=20
    )
    reused = ("ABORTED", "invalid_request_error", "idempotency_key_reused")
    check(Row("reused", of(), 422, reused, "Idempotency-Key", "another"), told_by_http(answer))


def test_a_bug_tells_nothing_but_that_it_is_one(tmp_path: Path, sandbox: SandboxServer) -> None:
    """A row that no program of ours writes stands for any fault of our own."""
    with Gateway(sandbox.environment(), tmp_path) as gateway:
        with gateway.store.write() as connection:
            connection.execute(update(schema.keys).values(models="no JSON"))
        row = Row("bug", Edit(), 500, ("INTERNAL", "api_error", "internal_error"))
        answer = by_http(gateway, Edit())
        check(row, told_by_http(answer))
        assert answer.headers["x-should-retry"] == "false"
        with pytest.raises(grpc.RpcError) as caught:
            by_grpc(gateway, Edit())
        check(row, told_by_grpc(caught.value))
