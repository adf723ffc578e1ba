"""`python -m gateway_http` as a process: starting, one line a request, leaving in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import requests

from tests.fake_servicer import FakeServicer, serving
from tests.front_running import KEY, edited, form

ROOT = Path(__file__).parent.parent
PATH = "/v1/images/edits"


class Program:
    """A running front; `lines` are what it said so far, as JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        first = self.wait_for("listening")
        self.url = f"http://127.0.0.1:{first['port']}"

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the next line that tells `event`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if " ev_epoll" in line:  # gRPC's own core complains of a socket that it has closed
                continue
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"it ended without {event}: {self.lines}")


def environment(fake: FakeServicer | None = None, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'generated'}",
        "IMAGEEDIT_HTTP_ADDRESS": "127.0.0.1:0",
        "IMAGEEDIT_GRPC_ADDRESS": fake.address if fake else "unix:/nonexistent",
        "IMAGEEDIT_HTTP_THREADS": "8",
        # A proxy in the environment is not for the way to the service.
        "http_proxy": "http://127.0.0.1:9",
        **more,
    }


@contextmanager
def running(fake: FakeServicer, *, before: Any = None) -> Iterator[Program]:
    with subprocess.Popen(
        [sys.executable, "-m", "gateway_http"],
        env=environment(fake),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,  # noqa: PLW1509 - a signal's disposition is all it sets
    ) as process:
        try:
            yield Program(process)
        finally:
            process.kill()


@pytest.fixture
def fake() -> Iterator[FakeServicer]:
    with serving() as fake:
        yield fake


def post(program: Program, answers: list[requests.Response]) -> Thread:
    """Start an edit in the background, whose answer, if any, ends in `answers`."""

    def edit() -> None:
        sent = form()
        headers = KEY | {"Content-Type": sent["content_type"]}
        url = program.url + PATH
        with suppress(requests.ConnectionError):
            answers.append(requests.post(url, sent["data"], headers=headers, timeout=20))

    thread = Thread(target=edit)
    thread.start()
    return thread


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_held_edits_end(fake: FakeServicer, sent: signal.Signals) -> None:
    release, answers = Event(), []
    held = fake.queue("EditImage", edited(), hold=release)
    with running(fake) as program:
        assert requests.get(program.url + "/readyz", timeout=10).status_code == 200
        thread = post(program, answers)
        assert held.asked.wait(10)
        program.process.send_signal(sent)
        assert program.wait_for("draining")["signal"] == sent.name
        ready = requests.get(program.url + "/readyz", timeout=10)
        assert (ready.status_code, ready.json()["error"]["code"]) == (503, "upstream_error")
        refused: list[requests.Response] = []
        post(program, refused).join()
        assert (refused[0].status_code, refused[0].headers["Retry-After"]) == (503, "1")
        assert requests.get(program.url + "/healthz", timeout=10).status_code == 200
        release.set()
        thread.join()
        assert answers[0].status_code == 200
        assert program.wait_for("stopped")["finished"] is True
        assert program.process.wait(10) == 0
    requested = [line for line in program.lines if line["event"] == "request"]
    statuses = [(line["path"], line["status"]) for line in requested]
    assert sorted(statuses) == sorted(
        [("/readyz", 200), ("/readyz", 503), (PATH, 503), ("/healthz", 200), (PATH, 200)]
    )
    assert "sk-test" not in json.dumps(program.lines)


def test_a_second_signal_stops_now(fake: FakeServicer) -> None:
    release = Event()
    held = fake.queue("EditImage", edited(), hold=release)
    answers: list[requests.Response] = []
    with running(fake) as program:
        thread = post(program, answers)
        assert held.asked.wait(10)
        program.process.send_signal(signal.SIGTERM)
        program.wait_for("draining")
        program.process.send_signal(signal.SIGTERM)
        assert program.wait_for("stopped")["finished"] is False
        assert program.process.wait(10) == 1
        release.set()
        thread.join()
    assert answers == []


def test_an_ignored_interrupt_stays_ignored(fake: FakeServicer) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with running(fake, before=ignore) as program:
        program.process.send_signal(signal.SIGINT)
        assert requests.get(program.url + "/readyz", timeout=10).status_code == 200
        program.process.send_signal(signal.SIGTERM)
        assert program.wait_for("draining")["signal"] == "SIGTERM"
        assert program.process.wait(10) == 0


def test_an_idle_front_leaves_at_once(fake: FakeServicer) -> None:
    with running(fake) as program, requests.Session() as session:
        assert session.get(program.url + "/healthz", timeout=10).status_code == 200
        started = time.monotonic()
        program.process.terminate()
        assert program.process.wait(10) == 0
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("IMAGEEDIT_HTTP_ADDRESS", "nowhere"),
        ("IMAGEEDIT_HTTP_ADDRESS", "203.0.113.7:80"),
        ("IMAGEEDIT_ATTEMPT_TIMEOUT", "soon"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(setting: str, value: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway_http"],
        env=environment(**{setting: value}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(setting)
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""
