"""Faults on both sides of the gateway: one table for both SDKs."""

from __future__ import annotations

from tests import whole
from tests.fault_proxy import End, Toxic
from tests.retry_cases import NO_ANSWER, Case, Variant, at, first, upstream

PLACES = 10
TWO_ROUTES, LINKED = "openai/gpt-image-2", "qwen/qwen-image-edit"

# Reliability 7.3, after submission: an error that says not to repeat, and nothing charged.
FAILURES = {
    words: upstream(words, ends=502)
    for words in (
        *("error500", "reset", "close", "cut=0", "cut=50", "cut=5000", "html502", "html504"),
        *("garbage", "empty", "badpicture", "error401", "quota", "gone", "hugebody=97"),
        *("delay=0.3 fault=reset", "reset first=1", "cut=5000 first=1", "error500 first=1"),
    )
} | {
    f"{words} of a link": upstream(words, model=LINKED, ends=502)
    for words in ("redirect_url", "private_url", "wronghost_url", "notfound_url", "huge_url=97")
}
REFUSALS = {
    "moderation": upstream("moderation", ends=400),
    "refused parameter": upstream("error400", ends=400),
    "bad picture": Case(image="broken.png", ends=400, submissions=0),
    "two pictures wanted": Case(params={"n": 2}, ends=400, submissions=0),
    "unknown model": Case(model="acme/unknown", ends=400, submissions=0),
    "over the pixel limit": Case(image="bomb.png", ends=413, submissions=0),
    "unknown key": Case(customer="nobody", ends=401, submissions=0),
    "no credit": Case(customer="poor", ends=402, submissions=0),
}
TIME_OUTS = {
    words: upstream(words, ends=504, gateway="hasty")
    for words in ("silent", "drip_headers", "drip_body", "delay=3")
} | {"slow_url": upstream("slow_url", model=LINKED, ends=504, gateway="hasty")}
# A limit is repeated by the SDK after Retry-After, the rest here, at the same upstream or another.
SAFE = {
    "busy once": upstream("error429 first=1", requests=2, submissions=2),
    "overloaded once": upstream("error503 first=1", submissions=2),
    "always busy": upstream("error429", ends=503, requests=3, submissions=3),
    "first route busy": upstream("error429 at=openrouter", model=TWO_ROUTES, submissions=2),
    "first route broken": upstream("error500 at=openrouter", model=TWO_ROUTES, submissions=2),
    "first route reset": upstream("reset at=openrouter", model=TWO_ROUTES, submissions=2),
    "first route cut": upstream("cut=5000 at=openrouter", model=TWO_ROUTES, submissions=2),
    "first route withdrawn": upstream("gone at=openrouter", model=TWO_ROUTES, submissions=2),
    "second route reset": upstream(
        "error429 at=openrouter] [sandbox reset at=openai",
        model=TWO_ROUTES,
        ends=502,
        submissions=2,
    ),
}
ODD_PICTURES = {words: upstream(words) for words in ("jpeg", "square", "delay=0.5")}

CUT = {
    f"{end.name} at {place} of {PLACES}": Case(
        toxics=at(place / PLACES, end=end, window=(0, 8192)[place % 2]),
        requests=2,
        cuts_body=place > 0,
    )
    for end in (End.CLOSE, End.RESET)
    for place in whole.of(range(PLACES + 1), (0, 1, 5, PLACES))
}
BEFORE = {
    "in the headers": Case(toxics=first(Toxic(answer_at=100)), requests=2),
    "while under way": upstream("delay=12", toxics=first(Toxic(after=10)), requests=2),
    "reset while under way": upstream(
        "delay=12", toxics=first(Toxic(End.RESET, after=10)), requests=2
    ),
    "before the request": Case(toxics=first(Toxic(request_at=0)), requests=2, begun=False),
    "in the request": Case(toxics=first(Toxic(request_at=2000)), requests=2, begun=False),
    "reset in the request": Case(
        toxics=first(Toxic(End.RESET, request_at=2000)), requests=2, begun=False
    ),
    "twice before the answer": Case(toxics=at(0, 2), requests=3),
    "always before the answer": Case(toxics=at(0, 3), requests=3, ends=NO_ANSWER),
    "always reset before the answer": Case(
        toxics=at(0, 3, end=End.RESET), requests=3, ends=NO_ANSWER
    ),
    "behind a proxy that took all": Case(toxics=at(0, buffers=True), requests=2),
    "twice behind such a proxy": Case(toxics=at(0, 2, buffers=True), requests=3),
    "a large picture, before the answer": upstream(
        "echo", image="large.png", toxics=at(0), requests=2
    ),
    "a large picture, while under way": upstream(
        "echo delay=12", image="large.png", toxics=first(Toxic(after=10)), requests=2
    ),
}
INSIDE = {
    "twice in the body": Case(toxics=at(0.5, 2), requests=3, cuts_body=True),
    "always in the body": Case(toxics=at(0.5, 3), requests=3, ends=NO_ANSWER, cuts_body=True),
    "the body behind a proxy that took all": Case(
        toxics=at(0.5, buffers=True), requests=2, cuts_body=True
    ),
    "a large picture, in the body": upstream(
        "echo",
        image="large.png",
        toxics=first(Toxic(answer_at=300_000)),
        requests=2,
        cuts_body=True,
    ),
}
SLOW = {
    "latency": Case(toxics=first(Toxic(latency=0.05))),
    "little bandwidth": Case(toxics=first(Toxic(bandwidth=200_000, window=8192))),
    "slow close": Case(toxics=first(Toxic(slow_close=1.0))),
}
CASES: dict[str, Case] = {
    **SAFE,
    **BEFORE,
    **TIME_OUTS,
    **SLOW,
    **FAILURES,
    **REFUSALS,
    **ODD_PICTURES,
    **INSIDE,
    **CUT,
}
"""The longest come first: all are made at once."""

# With a client that waits for a second.
HANGS = {
    "the edit takes longer": upstream("delay=2"),
    "half-open before the answer": Case(toxics=at(0, end=End.HANG)),
    "half-open in the headers": Case(toxics=first(Toxic(End.HANG, answer_at=100))),
    "half-open in the body": Case(toxics=at(0.5, end=End.HANG), cuts_body=True),
    "half-open at the last byte": Case(toxics=at(1, end=End.HANG), cuts_body=True),
    "half-open behind a proxy that took all": Case(toxics=at(0, end=End.HANG, buffers=True)),
}
VARIANTS = {
    "busy for one of them": Variant(upstream("error429 first=1")),
    "undisturbed": Variant(),
    "slow": Variant(upstream("delay=1")),
    "cut before the answer": Variant(Case(toxics=at(0))),
    "reset before the answer": Variant(Case(toxics=at(0, end=End.RESET))),
    "cut in the headers": Variant(Case(toxics=first(Toxic(answer_at=100)))),
    **{
        f"cut at {place}": Variant(Case(toxics=at(place), cuts_body=True))
        for place in (0.3, 0.7, 1)
    },
    "reset in the body": Variant(Case(toxics=at(0.5, end=End.RESET), cuts_body=True)),
    "cut twice before the answer": Variant(Case(toxics=at(0, 2))),
    "cut twice in the body": Variant(Case(toxics=at(0.5, 2), cuts_body=True)),
    "cut while under way": Variant(upstream("delay=4", toxics=first(Toxic(after=2)))),
    "cut behind a proxy that took all": Variant(Case(toxics=at(0, buffers=True))),
    "cut in the request": Variant(Case(toxics=first(Toxic(request_at=2000)), begun=False)),
}
