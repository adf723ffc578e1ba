"""The fingerprint of a request: equal requests and only they have the same."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts.fingerprint import fingerprint
from server.domain import EditRequest, MaskConvention, MaskFidelity, OutputFormat

REQUEST = EditRequest(model="a/b", prompt="A red hat", images=(b"one", b"two"))

CHANGES = {
    "model": "a/c",
    "prompt": "A red hat ",
    "images": (b"two", b"one"),
    "mask": b"mask",
    "mask_convention": MaskConvention.LUMINANCE,
    "mask_fidelity": MaskFidelity.HINT,
    "size": "auto",
    "quality": "high",
    "background": "opaque",
    "output_format": OutputFormat.WEBP,
    "output_compression": 0,
    "input_fidelity": "low",
    "moderation": "low",
    "seed": 0,
    "user": "someone",
}
DELIVERY = {"partial_images": 1}


def test_a_fingerprint_is_64_hexadecimal_digits_and_does_not_change_between_processes() -> None:
    assert (
        fingerprint(REQUEST) == "497d869155656a225c97da62aa9f2ffd2000ff62b57ba6f6096be67efd0466d5"
    )


def test_the_table_changes_every_field() -> None:
    assert set(CHANGES) | set(DELIVERY) == {field.name for field in fields(EditRequest)}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_counts(name: str) -> None:
    assert fingerprint(replace(REQUEST, **{name: CHANGES[name]})) != fingerprint(REQUEST)


@pytest.mark.parametrize("name", DELIVERY)
def test_how_the_answer_comes_does_not_count(name: str) -> None:
    assert fingerprint(replace(REQUEST, **{name: DELIVERY[name]})) == fingerprint(REQUEST)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"images": (b"ab", b"c")}, {"images": (b"a", b"bc")}),
        ({"images": (b"ab",)}, {"images": (b"a", b"b")}),
        ({"images": (b"a", b"b")}, {"images": (b"a",), "mask": b"b"}),
        ({"mask": b""}, {"mask": None}),
        ({"prompt": 'x", "size": "auto'}, {"prompt": "x", "size": "auto"}),
        ({"quality": "low", "moderation": None}, {"quality": None, "moderation": "low"}),
        ({"size": None}, {"size": "null"}),
        ({"seed": None}, {"seed": 0}),
    ],
)
def test_neighbours_do_not_run_into_each_other(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assert fingerprint(replace(REQUEST, **one)) != fingerprint(replace(REQUEST, **other))


REQUESTS = st.builds(
    EditRequest,
    model=st.sampled_from(["a/b", "a/c"]),
    prompt=st.text(max_size=4),
    images=st.lists(st.binary(max_size=2), max_size=2).map(tuple),
    mask=st.none() | st.binary(max_size=2),
    seed=st.none() | st.integers(0, 3),
    user=st.text(max_size=2),
)


@given(REQUESTS, REQUESTS)
def test_requests_are_equal_where_their_fingerprints_are(
    one: EditRequest, other: EditRequest
) -> None:
    assert fingerprint(replace(one)) == fingerprint(one)
    assert (fingerprint(one) == fingerprint(other)) == (one == other)
