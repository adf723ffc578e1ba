"""The JSON body: the same form as multipart gives, pictures decoded on their way, faults named."""

from __future__ import annotations

import base64
import itertools
import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_http.form import MAX_BODY, Form, FormError
from gateway_http.json_body import JsonReader
from gateway_http.parameters import FIELDS
from imageedit.v1 import image_edit_pb2 as pb
from tests.fake_servicer import FakeServicer, serving
from tests.front_running import KEY, PNG, Front, edited, form, in_process

PATH = "/v1/images/edits"


def url(data: bytes, head: str = "data:image/png;base64,") -> str:
    return head + base64.b64encode(data).decode()


def whole(**members: Any) -> dict[str, Any]:
    """Return the document of a whole edit; a member that is `...` is left out."""
    document = {
        "model": "openai/gpt-image-2",
        "prompt": "make it rain",
        "images": [{"image_url": url(PNG)}],
    }
    return {name: value for name, value in (document | members).items() if value is not ...}


def read(body: bytes, cuts: list[int] | None = None) -> Form:
    reader = JsonReader(FIELDS)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts or [])})
    try:
        for start, end in itertools.pairwise(places):
            reader.feed(body[start:end])
        return reader.finish()
    except BaseException:
        reader.form.close()
        raise


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def front(fake: FakeServicer) -> Iterator[Front]:
    with in_process(fake) as front:
        yield front


def post(front: Front, document: Any) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    client = front.app.test_client()
    return client.post(PATH, data=body, content_type="application/json", headers=KEY)


def test_it_says_what_the_form_says(fake: FakeServicer, front: Front) -> None:
    fields = {"quality": "low", "size": "auto", "user": "ü", "mask_convention": "luminance"}
    for _ in range(2):
        fake.queue("EditImage", edited())
    sent = form(**fields, seed="7", output_compression="0", n="1", stream="false", mask=b"m")
    by_form = front.app.test_client().post(PATH, **sent, headers=KEY)
    numbers = {"seed": 7, "output_compression": 0, "n": 1, "stream": False}
    mask = {"mask": {"image_url": url(b"m"), "file_id": None}}
    by_json = post(front, whole(**fields, **numbers, **mask, background=None))
    assert (by_form.status_code, by_json.status_code) == (200, 200)
    assert by_form.json == by_json.json
    first, second = (call.messages for call in fake.calls)
    assert first == second
    assert first[0].mask.data == b"m"


def test_large_pictures_go_in_chunks(fake: FakeServicer, front: Front) -> None:
    big, small = bytes(range(256)) * 8_192, b"second"
    fake.accept_key()
    fake.queue("StreamEditImage", [pb.StreamEditImageResponse(result=edited(data=b""))])
    images = [{"image_url": url(big)}, {"image_url": url(small, "data:image/webp;base64,")}]
    assert post(front, whole(images=images)).status_code == 200
    _, *chunks = fake.calls[1].messages
    for index, data in enumerate((big, small)):
        mine = [chunk.image_chunk for chunk in chunks if chunk.image_chunk.index == index]
        assert b"".join(chunk.data for chunk in mine) == data


REMOTE = "pictures are not fetched"
BASE64 = "is no base64"
LONG = base64.b64encode(bytes(9_000)).decode()
REFUSED: list[tuple[Any, str | None, str]] = [
    (whole(images=[{"image_url": "https://example.com/a.png"}]), "images[0].image_url", REMOTE),
    (whole(images=[{"image_url": "a" * 5_000}]), "images[0].image_url", REMOTE),
    (whole(images=[{"file_id": "file-1"}]), "images[0].file_id", "image_url"),
    (whole(mask={"file_id": "file-1"}), "mask.file_id", "image_url"),
    (whole(mask={"image_url": "https://e.com/"}), "mask.image_url", REMOTE),
    (whole(images=[{"image_url": url(PNG, "data:image/gif;base64,")}]), "images[0].image_url", ""),
    (whole(images=[{"image_url": url(PNG, "data:;base64,")}]), "images[0].image_url", "type"),
    (whole(images=[{"image_url": "data:image/png,abc"}]), "images[0].image_url", "in base64"),
    (whole(images=[{"image_url": "data:image/png;base64"}]), "images[0].image_url", "no comma"),
    (whole(images=[{"image_url": "data:image/png;base64,"}]), "images[0].image_url", "nothing"),
    (whole(images=[{"image_url": "data:image/png;base64,!"}]), "images[0].image_url", BASE64),
    (whole(images=[{"image_url": "data:image/png;base64,A"}]), "images[0].image_url", BASE64),
    (
        whole(images=[{"image_url": f"data:image/png;base64,{LONG}==={LONG}"}]),
        "images[0].image_url",
        BASE64,
    ),
    (
        whole(images=[{"image_url": f"data:image/png;base64,AA=={LONG}"}]),
        "images[0].image_url",
        BASE64,
    ),
    (
        whole(images=[{"image_url": url(PNG)}, {"image_url": f"data:image/png;base64,{LONG} "}]),
        "images[1].image_url",
        BASE64,
    ),
    (whole(images=[{"image_url": {"url": url(PNG)}}]), "images[0].image_url", "data URL"),
    (whole(images=[{"image_url": None}]), "images[0].image_url", "data URL"),
    (whole(images=[url(PNG)]), "images[0]", "must be an object"),
    (whole(images=[{"image_url": url(PNG), "detail": "low"}]), "images[0]", "'detail'"),
    (whole(images={"image_url": url(PNG)}), "images", "list"),
    (whole(images=[]), "images", "list"),
    (whole(images=...), "images", "missing"),
    (whole(images=[{"image_url": url(PNG)}] * 17), "images", "no more than 16"),
    (whole(images=[{"image_url": url(PNG)}] * 40), "images", "no more than 16"),
    (whole(mask=url(PNG)), "mask", "must be an object"),
    (whole(image=url(PNG)), "image", "images: ["),
    (whole(colour="red"), "colour", "not a member"),
    (whole(prompt=["a"]), "prompt", "must be a text"),
    (whole(prompt=7), "prompt", "must be a text"),
    (whole(prompt="\ud800"), "prompt", "half a character"),
    (whole(prompt="ü" * 64_001), "prompt", "longer than 128000 bytes"),
    (whole(n="1"), "n", "whole number"),
    (whole(n=1.0), "n", "whole number"),
    (whole(n=True), "n", "whole number"),
    (whole(n=2), "n", "n must be 1"),
    (whole(seed=10**30), "seed", "whole number"),
    (whole(stream="true"), "stream", "true or false"),
    (whole(stream=1), "stream", "true or false"),
    (whole(partial_images=4), "partial_images", "0 to 3"),
    (whole(quality="ultra"), "quality", "auto, low, medium or high"),
    (b'{"model": "a", "model": "b"}', "model", "more than once"),
    (b'{"images": [{"image_url": "data:", "image_url": "data:"}]}', "image_url", "more than once"),
    (b'{"n": NaN}', None, "must be JSON"),
    (b'{"prompt": "a\n"}', None, "must be JSON"),
    (b'{"prompt": "\xff"}', None, "must be JSON"),
    (b'{"prompt": "a"', None, "must be JSON"),
    (b'{"images": [{"image_url": "data:image/png;base64,AAAA', None, "must be JSON"),
    (b'{"prompt": "\\', None, "must be JSON"),
    (b"[" * 200_000, None, "must be JSON"),
    (b"", None, "must be JSON"),
    (b"[]", None, "JSON object"),
    (b"{}" + b" " * 1_048_576, None, "beside its pictures"),
    (whole(user="x" * 1_048_576), None, "beside its pictures"),
]


@pytest.mark.parametrize(("document", "param", "says"), REFUSED, ids=range(len(REFUSED)))
def test_a_body_that_is_refused(
    fake: FakeServicer, front: Front, document: Any, param: str | None, says: str
) -> None:
    # A large body has its key checked before it is read, and needs no second check.
    fake.accept_key()
    answer = post(front, document)
    assert answer.status_code == 400
    error = answer.json["error"]
    assert error["param"] == param
    assert says in error["message"]
    assert fake.methods == ["CheckKey"]


@given(
    st.binary(min_size=1, max_size=200),
    st.lists(st.integers(0, 2_000), max_size=20),
    st.text(max_size=30),
    st.booleans(),
)
def test_pictures_and_texts_survive_any_cuts_and_escapes(
    data: bytes, cuts: list[int], prompt: str, escaped: bool
) -> None:
    document = whole(
        prompt=prompt, images=[{"image_url": url(data)}], mask={"image_url": url(b"m")}
    )
    body = json.dumps(document, ensure_ascii=escaped)
    if escaped:  # as PHP writes slashes, and as anyone may write letters
        body = body.replace("/", "\\/").replace("base64,", "\\u0062ase64,")
    with read(body.encode(), cuts) as filled:
        assert [upload.data() for upload in filled.images] == [data]
        assert filled.mask is not None
        assert filled.mask.data() == b"m"
        assert filled.text == {"model": "openai/gpt-image-2", "prompt": prompt}


@pytest.mark.parametrize("name", ['"image\\u005furl":', '"image_url"' + " " * 99 + ":"])
def test_a_name_that_is_not_written_plainly_means_the_same(name: str) -> None:
    body = json.dumps(whole()).replace('"image_url":', name)
    with read(body.encode()) as filled:
        assert [upload.data() for upload in filled.images] == [PNG]


@pytest.mark.parametrize("text", ["\\\\", "\\u0041", "\\/", "\\"])
def test_a_body_of_escapes_takes_no_time(text: str) -> None:
    """Checks the processor's time: eight megabytes in well under what a picture takes."""
    head, tail = json.dumps(whole(images=[{"image_url": "data:image/png;base64,#"}])).split("#")
    body = (head + text * (8_000_000 // len(text) // 2 * 2) + tail).encode()
    reader = JsonReader(FIELDS)
    began = time.process_time()
    for start in range(0, len(body), 65_536):
        reader.feed(body[start : start + 65_536])
    with suppress(FormError):
        reader.finish()
    reader.form.close()
    assert time.process_time() - began < 1


def test_a_prompt_may_look_like_a_picture() -> None:
    prompt = '{"image_url": "data:image/png;base64,AAAA"}'
    with read(json.dumps(whole(prompt=prompt)).encode()) as filled:
        assert filled.text["prompt"] == prompt


def test_the_longest_prompt_fits_however_it_is_escaped() -> None:
    prompt = "😀" * 32_000
    with read(json.dumps(whole(prompt=prompt)).encode()) as filled:
        assert filled.text["prompt"] == prompt


def body_of(size: int) -> tuple[bytes, bytes, bytes]:
    """Return the beginning, the piece that is repeated, and the end of a body of `size` bytes."""
    start, end = json.dumps(whole(images=[{"image_url": "data:image/png;base64,#"}])).split("#")
    left = size - len(start) - len(end)
    return start.encode(), b"A" * (left // 4 * 4), end.encode() + b" " * (left % 4)


@pytest.mark.parametrize(("size", "fits"), [(MAX_BODY, True), (MAX_BODY + 1, False)])
def test_the_limit_is_exact(size: int, fits: bool) -> None:
    reader = JsonReader(FIELDS)
    start, middle, end = body_of(size)
    try:
        reader.feed(start)
        for place in range(0, len(middle), 1 << 20):
            reader.feed(middle[place : place + (1 << 20)])
        if fits:
            reader.feed(end)
            assert reader.finish().images[0].size == len(middle) // 4 * 3
        else:
            with pytest.raises(FormError) as caught:
                reader.feed(end)
            assert caught.value.status == 413
    finally:
        reader.form.close()


def test_a_large_picture_never_stands_in_memory() -> None:
    start, middle, end = body_of(20_000_000)
    pieces = [start, *(middle[at : at + 65_536] for at in range(0, len(middle), 65_536)), end]
    reader = JsonReader(FIELDS)
    tracemalloc.start()
    try:
        for piece in pieces:
            reader.feed(piece)
        with reader.finish() as filled:
            assert filled.picture_bytes > 14_000_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
