"""The simulator's multipart parser: what a form writer writes is read back, nothing else is."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import multipart

TYPE = "multipart/form-data; boundary=b"


def written(*parts: tuple[str, bytes]) -> bytes:
    pieces = [b"--b\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts]
    return b"".join(pieces) + b"--b--\r\n"


@given(st.lists(st.binary().filter(lambda data: b"\r\n--b" not in data), max_size=5))
def test_what_is_written_is_read(values: list[bytes]) -> None:
    heads = [f'Content-Disposition: form-data; name="f{i}"' for i in range(len(values))]
    body = written(*zip(heads, values, strict=True))
    parts = multipart.parse(body, TYPE)
    assert [(p.name, p.data, p.filename) for p in parts] == [
        (f"f{place}", value, None) for place, value in enumerate(values)
    ]


def test_files_have_names_and_types() -> None:
    head = 'content-disposition: form-data; name="a%22b"; filename=""\r\nContent-Type: image/png'
    (part,) = multipart.parse(written((head, b"x")), 'multipart/form-data; boundary="b"')
    assert (part.name, part.filename, part.content_type) == ('a"b', "", "image/png")


GOOD = written(('Content-Disposition: form-data; name="a"', b"1"))
BAD = [
    (GOOD, "text/plain"),
    (GOOD, "multipart/form-data"),
    (b"preamble\r\n" + GOOD, TYPE),
    (GOOD.removesuffix(b"--b--\r\n"), TYPE),
    (GOOD.removesuffix(b"--\r\n"), TYPE),
    (GOOD + b"more", TYPE),
    (written(("Content-Disposition: form-data", b"1")), TYPE),
    (written(('Content-Disposition: attachment; name="a"', b"1")), TYPE),
    (written(("no colon", b"1")), TYPE),
    (written((f'Content-Disposition: form-data; name="{"a" * 9000}"', b"1")), TYPE),
    (written(*[('Content-Disposition: form-data; name="a"', b"1")] * 65), TYPE),
    (b"", TYPE),
]


@pytest.mark.parametrize(("body", "content_type"), BAD)
def test_a_malformed_body_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(multipart.MultipartError):
        multipart.parse(body, content_type)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(multipart.MultipartError):
        multipart.parse(b"--b\r\n" + data, TYPE)
