"""The load of a soak: callers who edit at random, repeat, leave, stall, and meet faults."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import requests
from PIL import Image
from urllib3.filepost import encode_multipart_formdata

from tests.fault_client import Leave, Manners, ask
from tests.fault_proxy import CLEAN, Choice, End, Toxic
from tests.pictures import encoded

FAULTS = 0.05
"""The part of all edits, and of all connections to upstreams, that meets a fault."""
MODELS = ("openai/gpt-image-2", "openai/gpt-image-1.5", "black-forest-labs/flux-kontext-pro",
          "black-forest-labs/flux-kontext-dev", "qwen/qwen-image-edit")  # fmt: skip
WORDS = ("error429", "error500", "error503", "reset", "cut=5000", "garbage", "badpicture", "close",
         "moderation", "html502", "silent", "drip_body", "notfound_url", "error400")  # fmt: skip
SIZES = ((64, 64), (96, 64), (320, 240), (900, 700))
FORMATS = ("png", "jpeg", "webp")
PATIENCE = 30.0


def upstream_toxics(dice: Random, spoiling: threading.Event) -> Choice:
    """Return what happens on connections to upstreams: one in twenty is spoilt or slow.

    None is unless `spoiling` is set.
    """

    def choose(_: int) -> Toxic:
        if not spoiling.is_set() or dice.random() >= FAULTS:
            return CLEAN
        end, place = dice.choice((End.CLOSE, End.RESET, End.HANG)), dice.randrange(20_000)
        return dice.choice(
            (
                Toxic(end, answer_at=place),
                Toxic(end, request_at=place // 4),
                Toxic(latency=0.05, slices=2000),
                Toxic(bandwidth=300_000),
            )
        )

    return choose


def service_toxics(dice: Random, spoiling: threading.Event) -> Choice:
    """Return what happens between front and service: no connection lasts over a minute.

    Those that begin while `spoiling` is not set do.
    """

    def choose(_: int) -> Toxic:
        if not spoiling.is_set():
            return CLEAN
        return Toxic(dice.choice((End.CLOSE, End.RESET)), after=dice.uniform(15, 60))

    return choose


class Caller:
    """One caller after the other, in one thread; `outcomes` are counted by status, or by fault."""

    def __init__(self, url: str, keys: Sequence[str], dice: Random) -> None:
        self.outcomes: Counter[str] = Counter()
        self._url, self._keys, self._dice = url, keys, dice
        self._pictures = {size: _picture(dice, size) for size in SIZES}
        self._masks = {size: _mask(size) for size in SIZES}

    def run(self, stop: threading.Event) -> None:
        """Edit until `stop` is set; what was begun is ended, and no connection kept."""
        with requests.Session() as session:
            while not stop.is_set():
                self.outcomes[self._edit(session, stop)] += 1

    def _edit(self, session: requests.Session, stop: threading.Event) -> str:
        """Make one edit with all its repeats; return what it came to."""
        dice = self._dice
        body, content_type = self._form()
        headers = {
            "Authorization": f"Bearer {dice.choice(self._keys)}",
            "Content-Type": content_type,
        }
        if dice.random() < 0.4:
            headers["Idempotency-Key"] = uuid.UUID(int=dice.getrandbits(128)).hex
        if dice.random() < FAULTS:
            return self._misbehave(body, headers)
        status = "no answer"
        for attempt in range(3):
            retry = {"x-stainless-retry-count": str(attempt)} if attempt else {}
            seconds = 0.2 if dice.random() < FAULTS / 2 else PATIENCE  # some give up early
            with suppress(requests.RequestException):
                answer = session.post(
                    f"{self._url}/v1/images/edits",
                    data=body,
                    headers=headers | retry,
                    timeout=seconds,
                )
                status = str(answer.status_code)
                again = answer.status_code >= 500 or answer.status_code == 429
                if not again or answer.headers.get("x-should-retry") == "false":
                    break
            if stop.is_set():
                break
        return status

    def _form(self) -> tuple[bytes, str]:
        dice = self._dice
        size = dice.choices(SIZES, (6, 6, 3, 1))[0]
        words = f"delay={dice.uniform(0.1, 0.8):.2f}"
        if dice.random() < FAULTS:
            words += f" {dice.choice(WORDS)}"
        elif dice.random() < 0.5:
            words += " echo"
        fields: dict[str, str | tuple[str, bytes]] = {
            "model": dice.choice(MODELS),
            "prompt": f"sepia {dice.getrandbits(64):x} [sandbox {words}]",
            "output_format": dice.choice(FORMATS),
            "image": ("image", self._pictures[size]),
        }
        if dice.random() < 0.4:
            fields["mask"] = ("mask", self._masks[size])
            fields["mask_fidelity"] = dice.choice(("exact", "hint"))
        return encode_multipart_formdata(fields)

    def _misbehave(self, body: bytes, headers: dict[str, str]) -> str:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = (
            f"POST /v1/images/edits HTTP/1.1\r\nHost: soak\r\n{head}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        place = self._dice.randrange(len(request))
        kinds: dict[str, Callable[[], Manners]] = {
            "cut": lambda: Manners(stop_at=place),
            "reset": lambda: Manners(stop_at=place, leave=Leave.RESET),
            "half closed": lambda: Manners(stop_at=place, leave=Leave.HALF, listens=5),
            "left": lambda: Manners(stop_at=len(request), leave=Leave.RESET),
            "stalled": lambda: Manners(stop_at=place, leave=Leave.STALL, listens=2),
            "dripped": lambda: Manners(pieces=len(request) // 20 + 1, pause=0.05, listens=PATIENCE),
            "deaf": lambda: Manners(deaf=True, listens=2),
        }
        kind = self._dice.choice(sorted(kinds))
        with suppress(OSError):
            ask(self._url, request, kinds[kind](), seed=place)
        return kind


def _picture(dice: Random, size: tuple[int, int]) -> bytes:
    image = Image.frombytes("RGB", size, dice.randbytes(size[0] * size[1] * 3))
    return bytes(encoded(image, "PNG"))


def _mask(size: tuple[int, int]) -> bytes:
    width, height = size
    mask = Image.new("RGBA", size)
    mask.paste((0, 0, 0, 255), (width // 4, height // 4, width // 2, height // 2))
    return bytes(encoded(mask, "PNG"))
