"""JSON documents with pictures: what goes over the wire is what `json` would make of data URLs."""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import Picture
from server.spool import spooled
from server.upstream.bodies import Body
from server.upstream.documents import json_body

texts = st.text()
pictures = st.binary(max_size=200).map(lambda data: Picture("image/png", data, 1, 1))
documents = st.dictionaries(
    texts,
    st.recursive(
        texts | pictures | st.integers(-(2**53), 2**53) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    ),
    max_size=6,
)


def spelt_out(value: Any) -> Any:
    """Return a document with each picture as a data URL."""
    if isinstance(value, Picture):
        return f"data:{value.mime_type};base64,{base64.b64encode(value.data).decode()}"
    if isinstance(value, dict):
        return {key: spelt_out(member) for key, member in value.items()}
    if isinstance(value, list):
        return [spelt_out(member) for member in value]
    return value


def written(body: Body) -> bytes:
    """Return what is sent, which is as long as was said."""
    sent = b"".join(body)
    assert len(sent) == len(body)
    return sent


@given(documents)
def test_pictures_stand_as_data_urls(document: dict[str, Any]) -> None:
    assert json.loads(written(json_body(document))) == spelt_out(document)


@pytest.mark.parametrize("size", [1_048_575, 1_048_576, 1_048_577, 3_145_730])
def test_the_pieces_of_a_large_picture_make_one_text(size: int) -> None:
    picture = Picture("image/webp", spooled(bytes(range(256)) * (size // 256) + b"x"), 1, 1)
    document = {"first": picture, "then": "words", "again": picture}
    assert json.loads(written(json_body(document))) == spelt_out(document)


def test_a_large_picture_is_never_in_memory_whole() -> None:
    picture = Picture("image/png", spooled(bytes(24 << 20)), 1, 1)
    tracemalloc.start()
    try:
        body = json_body({"image": picture})
        size = sum(map(len, body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == len(body) > 32 << 20
    assert peak < 8 << 20


def test_what_is_neither_json_nor_a_picture_is_no_document() -> None:
    with pytest.raises(TypeError):
        json_body({"image": object()})
