"""What a mask costs this gateway: none, a native one, one as second picture, and exact masks.

OpenAI takes masks natively, OpenRouter
has no field for one, so there it goes as a second picture.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.peers import load
from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.gateways import key, ours, program
from bench.peers.material import Request, answer, form, masked_photo
from bench.peers.rounds import REST
from bench.peers.running import Running, free_port, start
from bench.peers.stand import least, say

EDITS = 8
CASES = {
    "no mask": ("openai", ""),
    "native, `hint`": ("openai", "hint"),
    "native, `exact`": ("openai", "exact"),
    "no mask, OpenRouter": ("openrouter", ""),
    "second picture, `hint`": ("openrouter", "hint"),
    "second picture, `exact`": ("openrouter", "exact"),
}
"""The upstream, and the mask's fidelity where there is a mask."""


@dataclass
class Masked:
    """One run of one case, one edit after the other: CPU for each edit, and the median latency."""

    case: str
    run: int
    edits: int
    good: int
    form_bytes: int
    cpu_ms: float
    p50: float


def masks(runs: int) -> list[Masked]:
    """Measure every case in turn, `runs` times."""
    requests = dict(_requests())
    done = []
    with ExitStack() as stack:
        upstream = stack.enter_context(FixedUpstream())
        upstream.set(next(iter(requests.values())).answer)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        running = {}
        for provider in ("openai", "openrouter"):
            (folder / provider).mkdir()
            running[provider] = one = _begin(folder / provider, upstream.port, provider)
            stack.callback(one.stop)
            plain = next(requests[case] for case, (its, _) in CASES.items() if its == provider)
            one.wait_for(plain.message(one.headers), least(plain))
        for run in range(runs):
            for case, (provider, _) in CASES.items():
                one, request = running[provider], requests[case]
                message = request.message(one.headers)
                before = one.cpu_seconds()
                came = load.run(one.address, message, at_once=1, least=EDITS)
                time.sleep(REST)
                cpu = one.cpu_seconds() - before
                good = [edit for edit in came.edits if edit.status == 200]
                seconds = sorted(edit.seconds for edit in good) or [0.0]
                each, p50 = 1000 * cpu / max(1, len(good)), seconds[len(seconds) // 2]
                done.append(
                    Masked(case, run, len(came.edits), len(good), len(request.form), each, p50)
                )
                say(f"mask: {case:24}{each:8.1f} ms of CPU {len(good)} of {EDITS}")
    return done


def _begin(folder: Path, upstream: int, provider: str) -> Running:
    port, log = free_port(), folder / "log"
    environment = ours(folder, upstream, port)
    if provider == "openrouter":
        del environment["OPENAI_API_KEY"]
        environment |= {
            "OPENROUTER_API_KEY": "sk-upstream",
            "OPENROUTER_BASE_URL": environment.pop("OPENAI_BASE_URL"),
        }
    headers = key(environment, folder)
    return Running(port, start([program(), "serve"], environment, log), log, headers)


def _requests() -> Iterator[tuple[str, Request]]:
    picture, result, mask = masked_photo()
    for case, (_, fidelity) in CASES.items():
        words = {"mask_fidelity": fidelity} if fidelity else {}
        body = form(picture, mask=mask if fidelity else None, **words)
        yield case, Request(body, answer(result), result)
