"""The benchmark beside other gateways measures what it says, against the real gateway too."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bench.peers import chart, load, measure, report
from bench.peers.fixed_upstream import FixedUpstream
from bench.peers.held import Held
from bench.peers.masks import Masked
from bench.peers.material import Request, noise
from bench.peers.results import FILE, Results
from bench.peers.rounds import Measured, Plan, rounds
from bench.peers.same_picture import difference
from bench.peers.stand import DIRECT, Stand, Start, Tail, least
from tests.pictures import decoded

REQUEST = Request.of("64KB")


@pytest.fixture(scope="module")
def upstream() -> Iterator[FixedUpstream]:
    with FixedUpstream() as running:
        yield running


def test_the_upstream_reads_every_edit_to_its_end_and_gives_its_answer(
    upstream: FixedUpstream,
) -> None:
    upstream.set(REQUEST.answer)
    came = load.run(("127.0.0.1", upstream.port), REQUEST.message({}), at_once=4, least=30)
    told = upstream.told()
    assert len(came.good(least(REQUEST))) == len(came.edits) == told.edits == 30
    assert {edit.size for edit in came.edits} == {len(REQUEST.answer)}
    assert told.smallest == len(REQUEST.form)
    assert told.held == 0
    assert difference(upstream.port, {}, REQUEST) == ""
    assert "another picture" in difference(upstream.port, {}, Request(REQUEST.form, b"", b"other"))


def test_held_edits_are_held_at_once_and_their_arrival_is_spread(upstream: FixedUpstream) -> None:
    upstream.set(REQUEST.answer, delay=0.6)
    came = load.run(
        ("127.0.0.1", upstream.port), REQUEST.message({}), at_once=40, least=40, ramp=0.4
    )
    told = upstream.told()
    assert len(came.good(least(REQUEST))) == told.most_held == 40
    assert min(edit.seconds for edit in came.edits) >= 0.6
    assert came.seconds >= 0.6 + 0.35
    assert told.first_answer + 0.3 <= told.last_answer <= came.edits[-1].ended


def test_the_upstream_takes_bodies_in_chunks(upstream: FixedUpstream) -> None:
    upstream.set(REQUEST.answer)
    head, _, body = REQUEST.message({"Transfer-Encoding": "chunked"}).partition(b"\r\n\r\n")
    head = b"\r\n".join(line for line in head.split(b"\r\n") if b"Content-Length" not in line)
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(body[at : at + 9000]), body[at : at + 9000])
        for at in range(0, len(body), 9000)
    )
    message = head + b"\r\n\r\n" + chunks + b"0\r\n\r\n"
    came = load.run(("127.0.0.1", upstream.port), message, at_once=2, least=6)
    assert len(came.good(least(REQUEST))) == 6


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, int]]:
    """A server that reads an edit, answers these bytes and closes; with none it stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                left = len(REQUEST.message({}))
                while left > 0 and (piece := connection.recv(1 << 16)):
                    left -= len(piece)
                connection.sendall(answer)
                if not answer:
                    connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


BAD = {
    "refused": (
        b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfull",
        "503 full",
    ),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nno", "closed before the end"),
    "silent": (b"", "no answer in time"),
    "short": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_edit_that_ends_badly_is_not_a_good_one(kind: str) -> None:
    answer, why = BAD[kind]
    with answering(answer) as address:
        came = load.run(address, REQUEST.message({}), at_once=1, least=2, patience=0.5)
    assert came.good(least(REQUEST)) == []
    assert {edit.why for edit in came.edits} == {why}


def test_an_answer_in_chunks_is_whole_at_its_last() -> None:
    picture = b"{" + b" " * 90_000
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer += b"%x\r\n%s\r\n0\r\n\r\n" % (len(picture), picture)
    with answering(answer) as address:
        came = load.run(address, REQUEST.message({}), at_once=1, least=3)
    assert len(came.good(90_000)) == 3


BURNS = "import time\nwhile time.process_time() < {}: pass\nprint(flush=True)\ninput()"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def test_the_time_and_memory_of_children_count() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, BURNS.format(0.3)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        assert 0.3 <= measure.cpu_seconds(running.pid) < 2
        both, alone = measure.memory(running.pid), measure.memory(measure.processes(running.pid)[1])
        assert 1 << 20 < alone < both
        with measure.MemoryWatch(lambda: both, every=0.01) as watch:
            time.sleep(0.05)
        assert watch.peak == watch.at(0.0) == both
        running.communicate(b"\n")


def test_a_picture_has_about_the_size_that_it_is_named_for() -> None:
    file = noise(64_000)
    assert 60_000 < len(file) < 66_000
    assert decoded(file).size == (146, 146)


def measured(gateway: str, run: int, cpu_ms: float, p50: float, **other: object) -> Measured:
    row = {"size": "1MB", "at_once": 8, "edits": 20, "good": 20, "seconds": 2.0} | other
    return Measured(gateway=gateway, run=run, cpu_ms=cpu_ms, p50=p50, **row)  # type: ignore[arg-type]


def found() -> Results:
    """Results of two gateways, one of which failed at something."""
    runs = [
        *(measured("direct", run, 0, 0.01, at_once=1) for run in range(3)),
        *(measured("ours", run, 9, 0.02 + run / 100, at_once=1) for run in range(3)),
        *(measured("ours", run, cpu_ms, 0.1) for run, cpu_ms in enumerate((8.0, 12.0, 7.0))),
        measured("litellm", 0, 31.5, 0.3, seconds=20.0),
        measured("litellm", 0, 0, 0, size="25MB", why="3 of 8 failed: no answer in time"),
    ]
    mebibyte = 1 << 20
    return Results(
        machine="a machine",
        day="2026-01-01",
        versions={"ours": "1", "litellm": "2"},
        disk={"ours": 10**8, "litellm": 5 * 10**8},
        left_out={"nginx": "nginx is not installed"},
        starts=[Start("ours", 1.5, 100 * mebibyte)],
        measured=runs,
        tails=[Tail("direct", "1MB", 50, 0.01, 0.02), Tail("ours", "1MB", 40, 0.02, 0.05)],
        held=[
            Held("ours", "1MB", 300, 0, 300, 300, 1.0, 36.0, mebibyte, 301 * mebibyte, 1 << 30),
            Held("litellm", "1MB", 300, 0, 299, 90, 1.0, 36.0, why="1 failed: 500"),
        ],
        masked=[Masked("no mask", 0, 8, 8, 10, 5.0, 0.01)],
    )  # fmt: skip


def test_the_page_tells_medians_ranges_losses_and_what_is_missing(tmp_path: Path) -> None:
    results = found()
    text = report.page(results)
    for line in (
        "| 1 MB, 8 at once | 8 (7 to 12) | 31.5 once |",
        "| 25 MB, 8 at once | — | failed |",
        "| 1 MB, p50 | 20 (10 to 30) | — |",
        "| 1 MB, p99 | 30 (40 edits) | — |",
        "| 300 × 1 MB held: ended well | 300 | 299 |",
        "| 300 × 1 MB: memory for each, KiB | 1,024 | 0 |",
        "| memory at rest, MiB | 100 | — |",
        "* LiteLLM, 25 MB, 8 at once: `3 of 8 failed: no answer in time`",
        "* LiteLLM, 1 MB, 300 held: `1 failed: 500`",
        "Without nginx (the floor): nginx is not installed.",
    ):
        assert line in text
    results.save(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results


def test_the_chart_has_a_bar_for_each_figure() -> None:
    image = chart.draw(found())
    colours = {colour for _, colour in image.getcolors(1 << 20) or ()}
    assert {tuple(bytes.fromhex(chart.COLOURS["ours"][1:])), (0x8A, 0x94, 0xA3)} <= colours


def test_page_and_readme_say_what_was_found() -> None:
    results = Results.read(FILE)
    assert report.PAGE.read_text("utf-8") == report.page(results)
    marked = report.MARKED.search(report.README.read_text("utf-8"))
    assert marked is not None
    assert marked[0] == report.summary(results)


def test_the_whole_road_against_the_real_gateway(upstream: FixedUpstream) -> None:
    with ExitStack() as stack:
        stand = Stand(stack, upstream)
        stand.start("apart")
        cells = (("64KB", 1), ("64KB", 8))
        done = rounds(stand, Plan((DIRECT, "apart"), cells, runs=1, window=0.1))
        tails, starts = stand.tails(), stand.starts
    results = Results(versions={"apart": "0"}, starts=starts, measured=done, tails=tails)
    assert [one.why for one in done] == [""] * 4
    assert all(0.5 < one.cpu_ms < 1000 for one in done if one.gateway == "apart")
    assert {(one.gateway, one.good >= one.at_once) for one in done} == {
        (DIRECT, True),
        ("apart", True),
    }
    (row,) = (line for line in report.page(results).splitlines() if line.startswith("| 64 KB, p50"))
    assert float(row.split("|")[2]) > 0
    assert starts[0].idle > 30 << 20
