"""What X-RateLimit-* say: on which answers, what values, and what uses them up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from random import Random

import pytest
import requests
from PIL import Image

from server.accounts.key_format import new_key
from tests.edits import Edit, by_http
from tests.paid_keys import PLENTY, new_id, paid_key
from tests.pictures import encoded
from tests.running import Gateway

NAMES = ("X-RateLimit-Limit", "X-RateLimit-Remaining")
LIMIT = 30
MODEL = "black-forest-labs/flux-kontext-dev"
EDIT = Edit({"model": MODEL, "prompt": "sepia [sandbox echo]"})
# Over a megabyte, so that the key is asked about before the body is read.
LARGE = encoded(Image.frombytes("RGB", (620, 620), Random(1).randbytes(620 * 620 * 3)), "PNG")  # noqa: S311


@dataclass(frozen=True)
class Ask:
    """A request, the status that it comes to, and how many edits of the minute it uses up."""

    name: str
    status: int
    uses: int
    method: str = "POST"
    path: str = "/v1/images/edits"
    edit: Edit | None = None
    json: object = None
    repeated: bool = False
    credit: int = PLENTY
    models: tuple[str, ...] | None = None


def of(**fields: str) -> Edit:
    return replace(EDIT, fields={**EDIT.fields, **fields})


def get(name: str, status: int, path: str) -> Ask:
    return Ask(name, status, 0, method="GET", path=path)


ESTIMATE = "/v1/images/edits/estimate"
ASKS = [
    Ask("an edit", 200, 1, edit=EDIT),
    Ask("a large edit", 200, 1, edit=replace(EDIT, images=(LARGE,))),
    Ask("a replay", 200, 0, edit=EDIT, repeated=True),
    Ask("an upstream that fails", 502, 1, edit=of(prompt="[sandbox error500]")),
    Ask("an upstream that is busy", 503, 1, edit=of(prompt="[sandbox error429]")),
    Ask("a refused content", 400, 1, edit=of(prompt="[sandbox moderation]")),
    Ask("an unknown model", 400, 1, edit=of(model="acme/unknown")),
    Ask("no picture in the file", 400, 1, edit=replace(EDIT, images=(b"GIF89a",))),
    Ask("no credit", 402, 1, edit=EDIT, credit=0),
    Ask("no credit for a large edit", 402, 0, edit=replace(EDIT, images=(LARGE,)), credit=0),
    Ask("another model", 403, 1, edit=EDIT, models=("qwen/qwen-image-edit",)),
    Ask("a bad form: a field", 400, 0, edit=of(unknown="x")),
    Ask("a bad form: a value", 400, 0, edit=of(n="2")),
    Ask("a bad form: none", 400, 0, json={"prompt": "sepia"}),
    get("the credits", 200, "/v1/credits"),
    get("the usage", 200, "/v1/usage"),
    get("the edits", 200, "/v1/usage/edits"),
    get("the edits as a table", 200, "/v1/usage/edits?format=csv"),
    get("a bad time", 400, "/v1/usage?start_time=soon"),
    get("a time too long", 400, "/v1/usage?start_time=0"),
    get("a bad token", 400, "/v1/usage/edits?page_token=x"),
    Ask("an estimate", 200, 0, path=ESTIMATE, json={"model": MODEL, "prompt": "sepia"}),
    Ask("a bad estimate", 400, 0, path=ESTIMATE, json={"size": 1}),
    Ask("an estimate of nothing", 400, 0, path=ESTIMATE, json={"model": "a/b", "prompt": "x"}),
]
# No key is needed here, but one that comes along is looked at.
WITHOUT_KEY = [
    get("the models", 200, "/v1/models"),
    get("a model", 200, f"/v1/models/{MODEL}"),
    get("no such model", 404, "/v1/models/acme/unknown"),
    get("no such page", 404, "/v1/nowhere"),
    get("no such method", 405, "/v1/images/edits"),
]
# These tell of this process alone, to machines.
OF_THE_PROCESS = [get(path, 200, path) for path in ("/healthz", "/metrics", "/openapi.json")]


def key_for(gateway: Gateway, ask: Ask) -> str:
    """Return a fresh key with a limit that no single request uses up."""
    made, secret = gateway.keys.create("limits", rate_limit=LIMIT, models=ask.models)
    if ask.credit:
        gateway.service.desk.ledger.top_up(made.account_id, ask.credit)
    return secret


def answer(
    gateway: Gateway, ask: Ask, key: str | None, headers: dict[str, str] | None = None
) -> requests.Response:
    """Ask with a key, or with none."""
    sent = dict(headers or {})
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    form = None
    if ask.edit is not None:
        form = [(name, (None, text.encode())) for name, text in ask.edit.texts().items()]
        form += [("image", ("a.png", data)) for data in ask.edit.images]  # type: ignore[list-item]
    return requests.request(
        ask.method, f"{gateway.url}{ask.path}", files=form, json=ask.json, headers=sent, timeout=20
    )


def told(found: requests.Response) -> tuple[int, int]:
    """Return limit and remaining; checks that they are whole numbers that make sense."""
    values = [found.headers[name] for name in NAMES]
    assert all(value.isascii() and value.isdigit() for value in values)
    limit, remaining = map(int, values)
    assert 0 <= remaining <= limit
    return limit, remaining


def remaining(gateway: Gateway, key: str) -> int:
    """Ask what is left, which uses up nothing."""
    limit, left = told(answer(gateway, get("the credits", 200, "/v1/credits"), key))
    assert limit == LIMIT
    return left


@pytest.mark.parametrize("ask", ASKS + WITHOUT_KEY, ids=lambda ask: ask.name)
def test_every_answer_to_a_valid_key_tells_the_limit(gateway: Gateway, ask: Ask) -> None:
    found = answer(gateway, ask, key_for(gateway, ask))
    assert found.status_code == ask.status
    assert told(found)[0] == LIMIT


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.name)
def test_what_a_request_uses_up_is_what_the_readme_says(gateway: Gateway, ask: Ask) -> None:
    """Edits a minute; a refused one counts, a bad form does not."""
    key = key_for(gateway, ask)
    headers = {"Idempotency-Key": new_id()} if ask.repeated else {}
    if ask.repeated:
        answer(gateway, ask, key, headers)
    before = remaining(gateway, key)
    found = answer(gateway, ask, key, headers)
    assert found.status_code == ask.status
    assert ("idempotent-replayed" in found.headers) == ask.repeated
    assert before - remaining(gateway, key) == ask.uses


@pytest.mark.parametrize("make", [lambda: None, new_key, lambda: "sk-nonsense"])
@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.name)
def test_nothing_is_told_without_a_valid_key(
    gateway: Gateway, ask: Ask, make: Callable[[], str | None]
) -> None:
    found = answer(gateway, ask, make())
    assert found.status_code == 401
    assert not set(NAMES) & set(found.headers)


@pytest.mark.parametrize("make", [lambda: None, new_key, lambda: "sk-nonsense"])
@pytest.mark.parametrize("ask", WITHOUT_KEY + OF_THE_PROCESS, ids=lambda ask: ask.name)
def test_where_no_key_is_needed_a_wrong_one_is_passed_over(
    gateway: Gateway, ask: Ask, make: Callable[[], str | None]
) -> None:
    found = answer(gateway, ask, make())
    assert found.status_code == ask.status
    assert not set(NAMES) & set(found.headers)


def test_what_tells_of_the_process_looks_at_no_key(gateway: Gateway) -> None:
    for ask in OF_THE_PROCESS:
        assert not set(NAMES) & set(answer(gateway, ask, key_for(gateway, ask)).headers)


@pytest.mark.parametrize("images", [EDIT.images, (LARGE,)], ids=["small", "large"])
def test_a_stored_answer_is_given_however_little_is_left(
    gateway: Gateway, images: tuple[bytes, ...]
) -> None:
    """And a first edit under another key is refused as without one."""
    secret = paid_key(gateway.store, rate_limit=1)[1]
    edit = replace(EDIT, key=secret, images=images)
    key = {"Idempotency-Key": new_id()}
    first = by_http(gateway, edit, headers=key)
    assert first.status_code == 200
    for _ in range(3):
        again = by_http(gateway, edit, headers=key)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["idempotent-replayed"] == "true"
        assert told(again) == (1, 0)
    refused = by_http(gateway, edit, headers={"Idempotency-Key": new_id()})
    assert (refused.status_code, told(refused)) == (429, (1, 0))


def test_repeats_have_a_limit_of_their_own(gateway: Gateway) -> None:
    secret = paid_key(gateway.store, rate_limit=1)[1]
    edit, key = replace(EDIT, key=secret), {"Idempotency-Key": new_id()}
    statuses = [by_http(gateway, edit, headers=key).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2


def test_a_burst_counts_down_to_nothing_and_is_then_refused(gateway: Gateway) -> None:
    secret = paid_key(gateway.store, rate_limit=5)[1]
    answers = [by_http(gateway, replace(EDIT, key=secret)) for _ in range(8)]
    assert [found.status_code for found in answers] == [200] * 5 + [429] * 3
    assert [told(found) for found in answers] == [(5, n) for n in (4, 3, 2, 1, 0, 0, 0, 0)]
    waits = [int(found.headers["Retry-After"]) for found in answers[5:]]
    assert all(1 <= wait <= 60 for wait in waits)
    assert waits == sorted(waits, reverse=True)


def test_a_parallel_burst_never_tells_more_than_there_is(gateway: Gateway) -> None:
    key = key_for(gateway, Ask("an edit", 200, 1))
    ask = Ask("an edit", 200, 1, edit=EDIT)
    with ThreadPoolExecutor(10) as pool:
        burst = list(pool.map(lambda _: told(answer(gateway, ask, key))[1], range(20)))
    # At each moment at least as many were counted as had been answered.
    for position, left in enumerate(sorted(burst, reverse=True), start=1):
        assert LIMIT - 20 <= left <= LIMIT - position
    assert remaining(gateway, key) == LIMIT - 20


def test_a_refusal_for_the_rate_uses_up_nothing_more(gateway: Gateway) -> None:
    """So a client that waits as it is told gets through, however often it had asked before."""
    secret = paid_key(gateway.store, rate_limit=1)[1]
    assert by_http(gateway, replace(EDIT, key=secret)).status_code == 200
    waits = [
        int(by_http(gateway, replace(EDIT, key=secret)).headers["Retry-After"]) for _ in range(5)
    ]
    assert max(waits) == waits[0]
    large = by_http(gateway, replace(EDIT, key=secret, images=(LARGE,)))
    assert (large.status_code, told(large)) == (429, (1, 0))
    assert int(large.headers["Retry-After"]) <= waits[0]
