"""Pictures are taken out of JSON before it is parsed, and nobody can tell."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.providers import long_strings
from server.providers.base64_pictures import decoded
from server.providers.json_reading import MAX_VALUES, document, text
from server.providers.long_strings import Encoded, NotApart, parsed_apart

FILE = bytes(range(256)) * 300
LONG = base64.b64encode(FILE).decode()
URL = f"data:image/png;base64,{LONG}"

# Strings are long from 8 characters on here, and made of what could be taken for something else.
SHORT_LONG = 8
words = st.sampled_from(
    ["", "QUJD" * 3, "QUJD" * 3 + "QQ==", "QUJD" * 3 + "Q", "data:,QUJDQUJD", 'a"QUJDQUJDQUJD', ","]
    + ["QUJDQUJD\\", "\\QUJDQUJD", "data:é,QUJDQUJD", "QUJDQUJDé", "QUJD\nQUJDQUJD", "b64_json"]
) | st.text(max_size=12)
values = st.recursive(
    words | st.integers(-9, 9) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(words, inner), max_size=4),
    max_leaves=12,
)
SPACES = st.sampled_from(["", " ", "\n" * 9])


def written(value: Any, space: str) -> str:
    """Return JSON in which pairs are an object, also those of one key."""
    if isinstance(value, list):
        pairs = bool(value) and all(isinstance(one, tuple) for one in value)
        inner = ("," + space).join(written(one, space) for one in value)
        return f"{{{inner}}}" if pairs else f"[{inner}]"
    if isinstance(value, tuple):
        return f"{written(value[0], space)}:{space}{written(value[1], space)}"
    return orjson.dumps(value).decode()


def spelt_out(value: Any) -> Any:
    """Return a document with its strings as strings."""
    if isinstance(value, Encoded):
        assert decoded(value) == decoded(text(value))
        return text(value)
    if isinstance(value, dict):
        return {key: spelt_out(member) for key, member in value.items()}
    return [spelt_out(member) for member in value] if isinstance(value, list) else value


@given(values, SPACES, st.binary(max_size=3), st.integers(0, 400))
def test_a_document_is_what_a_parser_makes_of_it(
    value: Any, space: str, put: bytes, where: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_strings, "LONG", SHORT_LONG)
        whole = written(value, space).encode()
        for body in (whole, whole[:where] + put + whole[where:]):
            try:
                apart = parsed_apart(body, MAX_VALUES)
            except NotApart:
                continue
            assert spelt_out(apart) == orjson.loads(body)


@pytest.mark.parametrize("string", [LONG, URL], ids=["base64", "data URL"])
def test_a_picture_is_decoded_and_never_a_string(string: str) -> None:
    body = orjson.dumps({"data": [{"b64_json": string}, {"b64_json": string}], "created": 1})
    found: Any = document(body)
    assert all(isinstance(one["b64_json"], Encoded) for one in found["data"])
    assert [decoded(one["b64_json"]) for one in found["data"]] == [FILE, FILE]
    assert text(found["data"][0]["b64_json"]) == string
    assert found["created"] == 1


LEFT = {
    "no base64": f'{{"a": "{LONG}!"}}',
    "an escape": f'{{"a": "{LONG}\\n"}}',
    "in a longer string": f'{{"a": "x\\"{LONG}"}}',
    "a key": f'{{"{LONG}": 1}}',
    "between strings": f'["a",{" " * 70_000}"b"]',
    "no comma": f'{{"a": "data:{LONG}"}}',
    "short": f'{{"a": "{LONG[:400]}"}}',
}


@pytest.mark.parametrize("body", LEFT.values(), ids=LEFT)
def test_what_is_no_picture_is_parsed_as_it_is(body: str) -> None:
    with pytest.raises(NotApart):
        parsed_apart(body.encode(), MAX_VALUES)
    assert document(body.encode()) == orjson.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"a": "{LONG}"',
        f'{{"a": "{LONG}" "b"}}',
        f'{{"a": "{LONG}", "b": [{"1," * MAX_VALUES}1]}}',
        f'{{"a": "{LONG}", "b": {"[" * 2_000}{"]" * 2_000}}}',
        f'["{LONG}"' + ',"a"' * (MAX_VALUES + 1) + "]",
    ],
    ids=["cut", "two values", "too many values", "too deep", "too many strings"],
)  # fmt: skip
def test_what_is_no_answer_is_none_with_a_picture_in_it(body: str) -> None:
    assert document(body.encode()) is None
