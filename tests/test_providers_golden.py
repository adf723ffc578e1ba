"""What the providers send, and what they make of answers, case by case (tests/golden)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from server.domain import Picture
from server.providers.base import FailureKind, UpstreamEdit
from server.providers.registry import PROVIDERS
from tests.golden_cases import (
    FILE_SETS,
    PICTURES,
    ROOT,
    answer_of,
    cases,
    edit_of,
    load,
    outcome_of,
    request_of,
)


@pytest.mark.parametrize("case", cases())
def test_golden(case: str) -> None:
    provider = PROVIDERS[case.partition("/")[0]]
    files = {path.name for path in (ROOT / case).iterdir()}
    assert files in FILE_SETS
    if "edit.json" in files:
        assert request_of(provider.build(edit_of(case))) == load(case, "request.json")
    if "response.json" in files:
        assert outcome_of(provider, answer_of(case)) == load(case, "result.json")


def test_the_cases_are_there_and_show_every_meaning() -> None:
    seen = Counter(case.partition("/")[0] for case in cases())
    assert seen.keys() == PROVIDERS.keys()
    assert min(seen.values()) >= 30
    for name in PROVIDERS:
        results = [
            load(path.parent.relative_to(ROOT).as_posix(), path.name)
            for path in ROOT.glob(f"{name}/*/result.json")
        ]
        kinds = {result["failure"]["kind"] for result in results if "failure" in result}
        assert kinds == {kind.name for kind in FailureKind}
        assert any("delivery" in result for result in results)


def test_the_pictures_are_small_and_used() -> None:
    texts = [path.read_text("utf-8") for path in ROOT.glob("*/*/*.json")]
    for path in PICTURES.iterdir():
        assert path.stat().st_size < 1_024
        assert any(f'"{path.name}"' in text for text in texts)


def test_an_openai_mask_goes_out_as_a_png_of_its_own() -> None:
    (mask,) = [
        part for part in load("openai/masked", "request.json")["parts"] if part["name"] == "mask"
    ]
    assert (mask["filename"], mask["mime_type"]) == ("mask.png", "image/png")


def test_nothing_is_sent_that_a_vendor_refuses_or_that_costs_more() -> None:
    for case in cases():
        if not (ROOT / case / "request.json").exists():
            continue
        request = load(case, "request.json")
        names = (
            set(request["json"])
            if "json" in request
            else {part["name"] for part in request["parts"]}
        )
        streaming = {"stream", "partial_images"} & names
        assert bool(streaming) is ("partial_images" in load(case, "edit.json"))
        assert not names & {"response_format", "n", "batch_size"}


PICTURE = Picture("image/png", b"not decoded here", 16, 12)
ONE: dict[str, Any] = {
    "model": "m",
    "prompt": "p",
    "images": (PICTURE,),
    "image_fields": ("image",),
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(
            (name, {"fields": {reserved: 1}})
            for name in PROVIDERS
            for reserved in ("model", "prompt", "mask", "n", "stream", "response_format")
        ),
        ("openai", {"fields": {"image": "x"}}),
        ("openai", {"fields": {"image[]": "x"}}),
        ("openai", {"fields": {"partial_images": 1}}),
        ("openrouter", {"fields": {"input_references": "x"}}),
        ("siliconflow", {"fields": {"image": "x"}}),
        ("siliconflow", {"fields": {"batch_size": 1}}),
        ("openrouter", {"mask": PICTURE}),
        ("siliconflow", {"mask": PICTURE}),
        ("siliconflow", {"images": (PICTURE, PICTURE)}),
        ("siliconflow", {"image_fields": ()}),
    ],
)
def test_a_provider_refuses_to_send_what_its_vendor_cannot_take(
    name: str, change: dict[str, Any]
) -> None:
    PROVIDERS[name].build(UpstreamEdit(**ONE))
    with pytest.raises(ValueError, match=r"must not set|no .*mask field|pictures for the fields"):
        PROVIDERS[name].build(UpstreamEdit(**{**ONE, **change}))
