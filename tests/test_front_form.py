"""The form reader: what SDKs send goes through whole, and nothing else gets through at all."""

from __future__ import annotations

import io
import itertools
import resource
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_http.errors import HttpError
from gateway_http.form import MAX_BODY, MAX_TEXT, Form, FormError, FormReader
from gateway_http.parameters import FIELDS
from gateway_http.receive import receive
from gateway_http.spool import MAX_IN_MEMORY, Upload
from tests import whole

# Python's SDK (httpx), Node's streams, Node's fetch (undici), requests, curl, a browser.
BOUNDARIES = [
    b"a1b2c3d4e5f60718293a4b5c6d7e8f90",
    b"openai-ZzYyXx0123456789",
    b"----formdata-undici-041225096498",
    b"0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    b"------------------------d74496d66958873e",
    b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
    b"b",
    b"'()+_,-./:=?",
]

CONTENT_TYPE = "multipart/form-data; boundary=b"
Part = tuple[str, str | None, bytes]


def encode(boundary: bytes, parts: list[Part], ending: bytes = b"--\r\n") -> bytes:
    body = io.BytesIO()
    for name, filename, data in parts:
        body.write(b"--" + boundary + b"\r\n")
        body.write(f'Content-Disposition: form-data; name="{name}"'.encode())
        if filename is not None:
            body.write(f'; filename="{filename}"\r\n'.encode())
            body.write(b"Content-Type: application/octet-stream")
        body.write(b"\r\n\r\n" + data + b"\r\n")
    body.write(b"--" + boundary + ending)
    return body.getvalue()


def parse(boundary: bytes, body: bytes, cuts: list[int] | None = None) -> Form:
    reader = FormReader(boundary, FIELDS)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts or [])})
    try:
        for start, end in itertools.pairwise(places):
            reader.feed(body[start:end])
        return reader.finish()
    except BaseException:
        reader.form.close()
        raise


files = st.binary(min_size=1, max_size=300) | st.sampled_from(
    [
        b"\r\n",
        b"\r\n--",
        b"--b",
        b"\r\n--b\r",
        b"\n--b--",
        b"\r\r\r\n",
        b"a" * 70_000,
        b"\r" * 70_000,
    ]
)
cuts = st.lists(st.integers(min_value=0, max_value=200_000), max_size=12)


@st.composite
def forms(draw: st.DrawFn) -> list[Part]:
    """Draw the parts of a whole form: the pictures together, somewhere among the others."""
    filename = draw(st.sampled_from([None, "", "upload", "ü.png", 'a\\"b.png']))
    text = draw(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=60)))
    others: list[Part] = [(name, None, value.encode()) for name, value in text.items()]
    others += [("mask", filename, data) for data in draw(st.lists(files, max_size=1))]
    others = draw(st.permutations(others))
    names = st.sampled_from(["image", "image[]"])
    pictures = draw(st.lists(st.tuples(names, st.just(filename), files), min_size=1, max_size=16))
    place = draw(st.integers(min_value=0, max_value=len(others)))
    return [*others[:place], *pictures, *others[place:]]


@settings(max_examples=whole.of(300, 80), deadline=None)
@given(boundary=st.sampled_from(BOUNDARIES), parts=forms(), cuts=cuts)
def test_a_form_survives_the_way(boundary: bytes, parts: list[Part], cuts: list[int]) -> None:
    if any(b"--" + boundary in data for _, _, data in parts):
        return  # the SDKs choose another boundary then
    pictures = [data for name, _, data in parts if name.startswith("image")]
    masks = [data for name, _, data in parts if name == "mask"]
    with parse(boundary, encode(boundary, parts), cuts) as form:
        assert form.text == {n: data.decode() for n, _, data in parts if n in FIELDS}
        assert [upload.data() for upload in form.images] == pictures
        assert ([form.mask.data()] if form.mask else []) == masks
        assert form.picture_bytes == sum(map(len, pictures + masks))


NOISE = st.sampled_from(
    [
        b"--b",
        b"--b\r\n",
        b"--b--",
        b"\r\n",
        b"\r",
        b"\n",
        b"Content-Disposition: form-data",
        b'; name="image"',
        b'; name="prompt"',
        b'; name="mask"; filename="x"',
        b'; name="',
        b"; name*=utf-8''image",
        b"; name*=bad'x'%ff",
        b"; filename*0=a; filename*1=b",
        b"Content-Type: text/plain; charset=nonsense",
        b"\xff\xfe",
        b"\x00",
    ]
)


@settings(max_examples=whole.of(1_000, 250), deadline=None)
@given(body=st.lists(NOISE | st.binary(max_size=20), max_size=40).map(b"".join), cuts=cuts)
def test_any_bytes_give_a_form_or_its_own_error(body: bytes, cuts: list[int]) -> None:
    with suppress(FormError):
        parse(b"b", body, cuts).close()


@settings(max_examples=whole.of(300, 80), deadline=None)
@given(
    content_type=st.text(max_size=80) | st.text(max_size=20).map("multipart/form-data; {}".format)
)
def test_any_content_type_gives_a_form_or_its_own_error(content_type: str) -> None:
    with pytest.raises(FormError):
        receive(io.BytesIO(b""), content_type, 0, FIELDS)


def test_a_form_arrives_whole_wherever_it_is_split() -> None:
    body = encode(b"b", [("n", None, b"1"), ("image", "x", b"picture\r"), ("mask", None, b"-- ")])
    for cut, more in itertools.product(range(len(body)), range(8)):
        with parse(b"b", body, [cut, cut + more]) as form:
            assert form.text == {"n": "1"}
            assert [upload.data() for upload in form.images] == [b"picture\r"]
            assert form.mask is not None
            assert form.mask.data() == b"-- "


def test_a_form_cut_anywhere_is_refused() -> None:
    whole = encode(b"b", [("model", None, b"a/b"), ("image", "x", b"picture")], ending=b"--")
    parse(b"b", whole).close()
    for end in range(len(whole)):
        with pytest.raises(FormError):
            parse(b"b", whole[:end])


@pytest.mark.parametrize(
    "ending", [b"--", b"--\r\n", b"-- \r\nan epilogue\r\n--b\r\n", b"--\r\n" * 9]
)
def test_what_follows_the_closing_boundary_means_nothing(ending: bytes) -> None:
    with parse(b"b", encode(b"b", [("image", None, b"x")], ending), [30]) as form:
        assert len(form.images) == 1


@pytest.mark.parametrize(
    ("parts", "field", "says"),
    [
        ([("image", None, b"x"), ("prompt", None, b"\xff")], "prompt", "UTF-8"),
        ([("prompt", None, b"x" * (MAX_TEXT + 1))], "prompt", "longer"),
        ([("model", None, b"x"), ("model", None, b"x")], "model", "more than once"),
        ([("mask", None, b"x"), ("mask", "m", b"x")], "mask", "more than once"),
        ([("size", "s.txt", b"x")], "size", "sent as a file"),
        ([("n" * 100, None, b"x")], "n" * 64, "not a field"),
        ([("", None, b"x")], None, "not a field"),
        ([("mask", None, b"x")], "image", "missing"),
        ([("image", None, b"x"), ("image[]", None, b"")], "image", "empty"),
        ([("image", None, b"x")] * 17, "image", "no more than 16"),
    ],
    ids=range(10),
)
def test_a_bad_form_names_the_field(parts: list[Part], field: str | None, says: str) -> None:
    with pytest.raises(FormError) as raised:
        parse(b"b", encode(b"b", parts))
    assert raised.value.field == field
    assert says in raised.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 1_000_000,
        b"--b\r\nX: " + b"x" * 1_000_000,
        b"--b\r\n" + b"X: y\r\n" * 200_000,
        b"\r\n--" * 300_000,
    ],
    ids=["preamble", "header", "headers", "almost a boundary"],
)
def test_what_never_becomes_a_part_is_dropped_soon(body: bytes) -> None:
    stream = io.BytesIO(body)
    with pytest.raises(FormError):
        receive(stream, CONTENT_TYPE, None, FIELDS)
    assert stream.tell() <= 262_144


def sized(size: int) -> tuple[io.BytesIO, int]:
    """Return a form of `size` bytes in all, and the size of its only picture."""
    rest = len(encode(b"b", [("image", None, b"")]))
    return io.BytesIO(encode(b"b", [("image", None, bytes(size - rest))])), size - rest


@pytest.mark.parametrize("known", [True, False], ids=["Content-Length", "chunked"])
def test_the_largest_body_passes_and_one_byte_more_does_not(known: bool) -> None:
    body, picture = sized(MAX_BODY)
    with receive(body, CONTENT_TYPE, MAX_BODY if known else None, FIELDS) as form:
        assert form.picture_bytes == picture
    body, _ = sized(MAX_BODY + 1)
    with pytest.raises(FormError) as raised:
        receive(body, CONTENT_TYPE, MAX_BODY + 1 if known else None, FIELDS)
    assert raised.value.status == 413
    assert body.tell() == (0 if known else MAX_BODY + 1)


class Broken:
    """A body whose reading fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, size: int, /) -> bytes:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"), [(TimeoutError(), 408), (ConnectionResetError(), 400), (ValueError(), 400)]
)
def test_a_body_that_breaks_off(error: Exception, status: int) -> None:
    with pytest.raises(FormError) as raised:
        receive(Broken(error), CONTENT_TYPE, 10, FIELDS)
    assert raised.value.status == status


def test_no_more_than_the_length_is_read() -> None:
    body = encode(b"b", [("image", None, b"x")])
    stream = io.BytesIO(body + b"GET / HTTP/1.1\r\n")
    receive(stream, CONTENT_TYPE, len(body), FIELDS).close()
    assert stream.read() == b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize("size", [0, 1, MAX_IN_MEMORY, MAX_IN_MEMORY + 1])
def test_an_upload_gives_back_what_it_took(size: int) -> None:
    upload, data = Upload(), bytes(range(251)) * (size // 251 + 1)
    for start in range(0, size, 65_536):
        upload.write(data[start : min(size, start + 65_536)])
    assert upload.size == size
    assert upload.data() == data[:size]
    pieces = list(upload.pieces(1_000_000))
    assert b"".join(pieces) == data[:size]
    assert len(pieces) == max(1, -(-size // 1_000_000))
    upload.close()
    upload.close()
    assert list(upload.pieces(1_000_000)) == [b""] * len(pieces)


def test_where_no_disk_is_left_the_client_may_try_again() -> None:
    body = encode(b"b", [("image", "a.png", bytes(2 * MAX_IN_MEMORY))])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_IN_MEMORY, limits[1]))
    try:
        with pytest.raises(HttpError) as caught:
            receive(io.BytesIO(body), CONTENT_TYPE, len(body), FIELDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
