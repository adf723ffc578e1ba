"""An edit's pictures are gone with its end, however it ends, and wait for no garbage collector."""

from __future__ import annotations

import gc
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from PIL import Image

from server.spool import SMALL
from tests.edits import Edit, by_grpc, by_http, by_stream
from tests.pictures import encoded
from tests.running import Gateway, eventually

LARGE = encoded(Image.frombytes("RGB", (700, 600), os.urandom(700 * 600 * 3)), "PNG")
WAYS: dict[str, Callable[[Gateway, Edit], object]] = {
    "a form": by_http,
    "one message": by_grpc,
    "chunks": by_stream,
}


def files_without_a_name() -> int:
    """Return how many files this process has open that are removed: there large pictures lie."""
    found = 0
    for link in Path("/dev/fd").iterdir():
        with suppress(OSError):  # the listing's own is closed by now
            seen = os.fstat(int(link.name))
            found += stat.S_ISREG(seen.st_mode) and seen.st_nlink == 0
    return found


@pytest.fixture(scope="module")
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("way", WAYS)
def test_no_picture_is_kept(gateway: Gateway, way: str) -> None:
    assert len(LARGE) > SMALL
    before = files_without_a_name()
    for end in ("", "[sandbox error500]", "[sandbox moderation]", "[sandbox garbage]"):
        with suppress(grpc.RpcError):
            WAYS[way](gateway, Edit({"prompt": f"sepia {end}"}, (LARGE,)))
        assert eventually(lambda: files_without_a_name() == before, 5), end
