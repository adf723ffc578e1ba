"""The splitter of forms: RFC 2046's grammar to the letter, wherever the network cuts the body."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_http.multipart import MAX_PART_HEADER, MAX_PREAMBLE, Malformed, Splitter

HEADER = b'Content-Disposition: form-data; name="a"'
BEGIN = b"--b\r\n" + HEADER + b"\r\n\r\n"
END = b"\r\n--b--"


class Recorder:
    """Keeps what it is told: name, whether it is a file, and content of each part, once whole."""

    def __init__(self) -> None:
        self.whole: list[tuple[str, bool, bytes]] = []
        self.begun: tuple[str, bool] = ("", False)
        self.content = b""

    def begin(self, name: str, *, is_file: bool) -> None:
        self.begun, self.content = (name, is_file), b""

    def add(self, content: memoryview) -> None:
        assert len(content)
        self.content += content

    def end(self) -> None:
        self.whole.append((*self.begun, self.content))


def split(body: bytes, cuts: list[int] | None = None) -> tuple[object, ...]:
    """Return the parts, whether the body was closed, and what was wrong with it."""
    recorder = Recorder()
    splitter, places = Splitter(b"b", recorder), sorted({0, len(body), *(cuts or [])})
    problem = ""
    try:
        for start, end in itertools.pairwise(places):
            splitter.feed(body[start:end])
    except Malformed as malformed:
        problem = str(malformed)
    return recorder.whole, splitter.closed, problem


# What stands in a body, and the content of each part of it, all named `a`.
BODIES: dict[str, tuple[bytes, list[bytes]]] = {
    "one part": (BEGIN + b"x" + END, [b"x"]),
    "two parts": (BEGIN + b"x\r\n" + BEGIN + b"y" + END, [b"x", b"y"]),
    "empty": (BEGIN + END, [b""]),
    "empty, without a line of its own": (b"--b\r\n" + HEADER + b"\r\n" + END, [b""]),
    "a preamble": (b"hello\r\n" + BEGIN + b"x" + END, [b"x"]),
    "a preamble that is almost a boundary": (b"--bb\r\n--b!\r\n" + BEGIN + b"x" + END, [b"x"]),
    "an epilogue": (BEGIN + b"x" + END + b"\r\n" + BEGIN + b"y" + END, [b"x"]),
    "padding": (b"--b \t\r\n" + HEADER + b"\r\n\r\nx\r\n--b--  ", [b"x"]),
    "a folded header": (b"--b\r\nContent-Disposition: x;\r\n\tname=a\r\n\r\nx" + END, [b"x"]),
    "other headers": (b"--b\r\nX: \xff\r\n" + HEADER + b"\r\nY: z\r\n\r\nx" + END, [b"x"]),
    "header names in capitals": (b"--b\r\n" + HEADER.upper() + b"\r\n\r\nx" + END, [b"x"]),
    "line ends as content": (BEGIN + b"\r\n\r\n" + END, [b"\r\n\r\n"]),
    "bare line feeds as content": (BEGIN + b"x\n--b\ny\r--b--" + END, [b"x\n--b\ny\r--b--"]),
    "half a line end before a boundary": (BEGIN + b"x\r\r\n" + END, [b"x\r\r\n"]),
    "a longer word": (BEGIN + b"x\r\n--bb\r\n--b-\r\n--b x" + END, [b"x\r\n--bb\r\n--b-\r\n--b x"]),
    "endless padding": (BEGIN + b"x\r\n--b" + b" " * 257 + END, [b"x\r\n--b" + b" " * 257]),
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_a_body_becomes_its_parts_wherever_it_is_cut(what: str) -> None:
    body, contents = BODIES[what]
    whole, closed, problem = split(body)
    assert [(name.lower(), content) for name, _, content in whole] == [("a", c) for c in contents]
    assert (closed, problem) == (True, "")
    for cut in range(len(body)):
        assert split(body, [cut]) == (whole, closed, problem)
    assert split(body, list(range(len(body)))) == (whole, closed, problem)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"x" * (MAX_PREAMBLE + 1), "no boundary"),
        (b"--b\r\nX: " + b"x" * MAX_PART_HEADER, "too long"),
        (b"--b\r\nX: y\r\n\r\nx" + END, "Content-Disposition"),
        (b"--b\r\n\r\nx" + END, "Content-Disposition"),
        (b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx' + END, "readable"),
        (b"--b\r\n" + HEADER.replace(b": ", b" ") + b"\r\n\r\nx" + END, "readable"),
    ],
)
def test_what_is_no_form_is_refused_wherever_it_is_cut(body: bytes, says: str) -> None:
    whole, closed, problem = split(body)
    assert (whole, closed) == ([], False)
    assert isinstance(problem, str)
    assert says in problem
    for cut in (1, 5, 7, len(body) // 2, len(body) - 1):
        assert split(body, [cut]) == (whole, closed, problem)


def test_a_form_whose_lines_end_otherwise_is_not_closed() -> None:
    for line_end in (b"\n", b"\r"):
        assert split((BEGIN + b"x" + END).replace(b"\r\n", line_end)) == ([], False, "")


def test_a_name_may_be_missing_and_a_file_name_empty() -> None:
    for disposition, begun in (
        (b"form-data", ("", False)),
        (b'form-data; filename=""', ("", True)),
        (b"form-data; name*=utf-8''%C3%BC; filename*=utf-8''x", ("ü", True)),
    ):
        header = b"Content-Disposition: " + disposition
        whole = split(b"--b\r\n" + header + b"\r\n\r\nx" + END)[0]
        assert whole == [(*begun, b"x")]


WORDS = [
    *(b"\r\n--b", b"\r\n--b\r\n", b"\r\n--b--", b"--b", b"\r", b"\n", b"\r\n", b"-", b"b", b" "),
    *(b"\r\n--b \t", b"\r\n\r\n", BEGIN, HEADER, b"X: y\r\n", b" " * 256, b"\x00", b"xyz"),
]


@settings(max_examples=400, deadline=None)
@given(
    words=st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=14),
    begins=st.booleans(),
    cuts=st.lists(st.integers(min_value=0, max_value=600), max_size=8),
)
def test_any_split_of_any_body_gives_the_same(
    words: list[bytes], begins: bool, cuts: list[int]
) -> None:
    body = BEGIN * begins + b"".join(words)
    whole = split(body)
    assert split(body, [cut for cut in cuts if cut < len(body)]) == whole
    assert split(body, list(range(len(body)))) == whole


@pytest.mark.parametrize(
    "word",
    [
        b"\r\n--b;",
        b"\r\n--bx",
        b"\r\n--b" + b" " * 256 + b"x",
        b"\r",
        b"\r\n--",
        b"\r\n--b-",
        b"\r\n--b\r",
    ],
)
def test_a_body_made_to_be_searched_long_is_not(word: bytes) -> None:
    size, piece = 4_000_000, 65_536
    body = BEGIN + word * (size // len(word))
    began = time.thread_time()
    splitter = Splitter(b"b", Deaf())
    for start in range(0, len(body), piece):
        splitter.feed(body[start : start + piece])
    assert time.thread_time() - began < 1  # some 20 ms


class Deaf(Recorder):
    """Forgets all content."""

    def add(self, content: memoryview) -> None:
        pass
