"""How much work on pixels goes on at once: decoded pictures are far larger than their files."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

LARGE = 16 * 1_048_576
"""Bytes of files from which work is done one at a time: each needs several times its size."""


class Bench:
    """As many places as there is work for the processors, one of them for large files."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(2 * (os.cpu_count() or 1))
        self._large = threading.Lock()

    @contextmanager
    def place(self, size: int) -> Iterator[None]:
        """Wait for a place to work on files of `size` bytes together, and hold it."""
        with ExitStack() as stack:
            if size > LARGE:
                stack.enter_context(self._large)
            stack.enter_context(self._places)
            yield
