"""What an edit holds in the service while its upstream works: its picture, once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import requests

from tests.fault_upstream import Connection, FaultUpstream, response
from tests.gateway_programs import gateway_programs
from tests.pictures import encoded, gradient

HELD = 30
PICTURE = encoded(gradient(577, 577), "PNG", compress_level=0)
"""A megabyte."""
MOST = 1.3 * len(PICTURE) + 16 * 1_048_576 / HELD
"""With its thread, and what may be free."""


def test_a_held_edit_keeps_its_picture_once(tmp_path: Path) -> None:
    over = Event()

    def behave(upstream: FaultUpstream, connection: Connection) -> None:
        upstream.read(connection)
        over.wait(60)
        connection.write(response(b'{"error": {"message": "enough"}}', "500 Oops"))

    def edit(url: str, headers: dict[str, str]) -> int:
        form = {"model": "openai/gpt-image-1.5", "prompt": "sepia"}
        files = {"image": ("a.png", PICTURE)}
        url = f"{url}/v1/images/edits"
        return requests.post(url, data=form, files=files, headers=headers, timeout=90).status_code

    with FaultUpstream(behave) as upstream, ThreadPoolExecutor(HELD) as pool:
        settings = {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": f"{upstream.origin}/v1"}
        with gateway_programs(settings, tmp_path) as programs:
            before = programs.service.resident_bytes()
            try:
                asked = [
                    pool.submit(edit, programs.url, programs.authorization) for _ in range(HELD)
                ]
                patience = time.monotonic() + 60
                while len(upstream.requests) < HELD and time.monotonic() < patience:
                    time.sleep(0.05)
                assert len(upstream.requests) == HELD
                patience = time.monotonic() + 10
                while True:  # what was used on the way is given back within a few seconds
                    each = (programs.service.resident_bytes() - before) / HELD
                    if each < MOST or time.monotonic() > patience:
                        break
                    time.sleep(0.05)
            finally:
                over.set()
            print(f"{each / 1_048_576:.2f} MiB for each held edit")
            assert each < MOST
            assert {one.result() for one in asked} == {502}
