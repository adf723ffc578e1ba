"""What is taken from vendors' words: for the log, the caller's field, the time to wait."""

from __future__ import annotations

import pytest

from server.providers.vendor_words import (
    caller_field,
    detail,
    retry_after,
    speaks_of_gone_model,
    speaks_of_policy,
)
from tests.fake_keys import KEYS


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Incorrect API key provided: sk-a****b.", "Incorrect API key provided: [redacted]"),
        ("xsk-0123456789abcdef.", "x[redacted]"),
        ("Authorization: bearer abc", "Authorization: [redacted]"),
        ("a" * 40, "a" * 40),
        ("a" * 41, "[redacted]"),
        ("task-force on disk-space", "task-force on disk-space"),
        ("two\nlines\x00and\u202ea trick", "two lines and a trick"),
        ("  ", ""),
    ],
)
def test_what_a_log_may_keep(said: str, kept: str) -> None:
    assert detail(400, said) == f"HTTP 400 {kept}".rstrip()


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_not_left_over_where_the_text_is_cut(key: str) -> None:
    for space in range(940, 1_000):
        assert key[:12] not in detail(400, ("- " * space)[:space] + key)


@pytest.mark.parametrize(
    ("given_headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "٣"}, None),
    ],
)
def test_how_long_to_wait(given_headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(given_headers) == seconds


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("image[0]", "image"),
        ("images[0].image_url", "image"),
        ("image2", "image"),
        ("input_image", "image"),
        ("input_references", "image"),
        ("mask", "mask"),
        ("aspect_ratio", "size"),
        ("safety_identifier", "user"),
        ("model", None),
        ("", None),
        ("[0]", None),
    ],
)
def test_whose_field_it_is(name: str, field: str | None) -> None:
    assert caller_field(name) == field


@pytest.mark.parametrize(
    ("said", "policy", "gone"),
    [
        ("Your request was rejected by the safety system.", True, False),
        ("Your request was rejected as a result of our safety system.", True, False),
        ("Request Moderated", True, False),
        ("Your chosen model requires moderation and your input was flagged", True, False),
        ("Unknown parameter: 'moderation'.", False, False),
        ("The model `gpt-image-1` does not exist or you do not have access to it.", False, True),
        ("Model does not exist. Please check it carefully.", False, True),
        ("Model disabled.", False, True),
        ("The model gpt-image-1 has been shut down.", False, True),
        ("openai/x is not a valid model ID", False, True),
        ("No endpoints found for openai/x.", False, True),
        ("Model service overloaded. Please try again later.", False, False),
        ("The file does not exist", False, False),
        ("", False, False),
    ],
)
def test_what_words_speak_of(said: str, policy: bool, gone: bool) -> None:
    assert (speaks_of_policy(said), speaks_of_gone_model(said)) == (policy, gone)
