"""Pillow's own test pictures, thrown at the gateway: every odd file that broke a reader before."""

from __future__ import annotations

import functools
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import requests
from PIL import Image

from sandbox.server import SandboxServer
from tests import whole
from tests.gateway_programs import GatewayPrograms, gateway_programs
from tests.pictures import encoded
from tests.pillow_sources import NotFetched, pillow_test_images

SHARE = whole.of(1, 16)
"""One of so many pictures is asked about; all of them where CI has the time."""
MOST_SECONDS = 2.0
HANGS_SECONDS = 10.0
MOST_GROWTH = 512 * 1_048_576
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
TURNED = {5, 6, 7, 8}  # EXIF orientations that exchange width and height

Files = dict[str, tuple[str, bytes]]


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    """Every file of Tests/images by its name; skips where they cannot be fetched."""
    try:
        folder = pillow_test_images()
    except NotFetched as error:
        pytest.skip(str(error))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) > 1_000
    files = files[::SHARE]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def programs(
    sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayPrograms]:
    """The gateway in processes of its own, so that memory and time are nobody else's."""
    folder = tmp_path_factory.mktemp("pillow")
    with gateway_programs(sandbox.environment(), folder) as running:
        yield running


@dataclass(frozen=True)
class Answer:
    """What a file got, after how many seconds of wall time."""

    name: str
    status: int
    problem: str  # what is wrong with the answer itself, or ""
    seconds: float


def ask(programs: GatewayPrograms, session: requests.Session, name: str, files: Files) -> Answer:
    """Post an edit that costs the simulated upstream as little as can be."""
    began = time.perf_counter()
    response = session.post(
        f"{programs.url}/v1/images/edits",
        # A real edit, so that what comes back is pasted and encoded too: a refusal by the upstream
        # would be cheaper, but leave half of the road out. JPEG is the cheapest to make.
        data={
            "model": "openai/gpt-image-1.5",
            "prompt": "[sandbox unchanged] sepia",
            "output_format": "png" if "mask" in files else "jpeg",
        },
        files=files,
        headers=programs.authorization,
        timeout=30,
    )
    seconds = time.perf_counter() - began
    return Answer(name, response.status_code, problem_of(response, "mask" in files), seconds)


def problem_of(response: requests.Response, masked: bool) -> str:
    """Return what breaks the contract in an answer; "" where nothing does."""
    body = response.json()
    if response.status_code == 200:
        if masked and response.headers.get("x-mask-method") not in {"native", "native;unaligned"}:
            return "the mask was not used"
        return "" if body["data"][0]["b64_json"] else "no picture"
    if not 400 <= response.status_code < 500:
        return response.text
    error = body.get("error", {})
    if error.keys() != {"message", "type", "param", "code"}:
        return f"not the error shape: {response.text}"
    field = "mask" if masked else "image"
    named = error["param"] == field and error["message"].startswith(f"{field} ")
    return "" if named else f"not about the {field}: {response.text}"


def ask_all(
    programs: GatewayPrograms, pictures: dict[str, bytes], files: Callable[[bytes], Files]
) -> Counter[int]:
    """Post all pictures; return how many got which status, having checked each answer."""
    local = threading.local()

    def one(name: str) -> Answer:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return ask(programs, local.session, name, files(pictures[name]))

    parts = (programs.service, programs.front)
    one(next(iter(pictures)))
    before = [part.resident_bytes() for part in parts]
    for part in parts:
        part.forget_peak()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(one, pictures))
    grown = [part.peak_bytes() - held for part, held in zip(parts, before, strict=True)]

    def is_slow(name: str) -> bool:
        """Ask again, alone: on a busy machine the time is not the gateway's own."""
        used = sum(part.cpu_seconds() for part in parts)
        wall = one(name).seconds
        used = sum(part.cpu_seconds() for part in parts) - used
        return wall > MOST_SECONDS and (used > MOST_SECONDS or wall > HANGS_SECONDS)

    statuses = Counter(got.status for got in answers)
    wrong = [f"{got.name}: {got.status} {got.problem}" for got in answers if got.problem]
    slow = [
        f"{got.name}: {got.seconds:.1f} s"
        for got in answers
        if got.seconds > MOST_SECONDS and is_slow(got.name)
    ]
    summary = f"statuses {dict(statuses)}; wrong {wrong}; slow {slow}; grown {grown} bytes"
    assert not wrong, summary
    assert not slow, summary
    assert max(grown) < MOST_GROWTH, summary
    return statuses


def test_as_image(programs: GatewayPrograms, pictures: dict[str, bytes]) -> None:
    statuses = ask_all(programs, pictures, lambda data: {"image": ("file", data)})
    known = sum(data.startswith(SIGNATURES) for data in pictures.values())
    assert statuses.total() == len(pictures)
    # What is none of the three types is never taken, and most of what is one is sound.
    assert known > statuses[200] > known * 0.8, statuses


# Pillow warns of many of these files when it measures them.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_as_mask(programs: GatewayPrograms, pictures: dict[str, bytes]) -> None:
    known = {name: data for name, data in pictures.items() if data.startswith(SIGNATURES)}
    statuses = ask_all(
        programs,
        known,
        lambda data: {"image": ("file", image_of(*size_of(data))), "mask": ("file", data)},
    )
    assert statuses.total() == len(known) > 400 // SHARE
    assert statuses[200] > len(known) * 0.6, statuses


def size_of(data: bytes) -> tuple[int, int]:
    """Return a file's upright size as Pillow reads it; another where it reads none."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112) in TURNED
    except Exception:  # noqa: BLE001 - these files are here because they make readers raise
        return 64, 48
    return (height, width) if turned else (width, height)


@functools.cache
def image_of(width: int, height: int) -> bytes:
    return encoded(Image.new("RGB", (width, height), "teal"), "PNG")
