"""Pictures' memory is used again while there is work, and then goes back to the system.

By itself glibc gives threads arenas of their own, up to eight a processor, and keeps what is freed
in their middle: with pictures in many threads a service of 110 MiB held 900. Blocks that are the
system's own go back at once, but each of their pages is made anew every time, which was 4 ms of
CPU for an edit with pictures of 1 MB. So large blocks come from one arena, and what is free in it
goes back a moment later. `gateway_http` has the same. Sources: mallopt(3), malloc_trim(3),
mallinfo(3).
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
ARENAS = 1  # of any other, malloc_trim leaves the end
MMAP_THRESHOLD = 32 * 1_048_576
"""Bytes from which a block is the system's own: the most that glibc takes."""
KEPT = 16 * 1_048_576
"""Bytes that may be free before they are given back."""
SECONDS = 2.0
"""How often that is looked at."""


def give_memory_back(seconds: float = SECONDS) -> bool:
    """Set the allocator and watch it; tell whether it could be set.

    Call it before there are threads that work: blocks stay in the arena that they came from.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, library.mallinfo2.restype = library.mallopt, _Heap
    except (AttributeError, OSError):  # another C library
        return False
    wanted = {
        _M_ARENA_MAX: ARENAS,
        _M_MMAP_THRESHOLD: MMAP_THRESHOLD,
        _M_TRIM_THRESHOLD: 2 * MMAP_THRESHOLD,
    }
    if not all(mallopt(option, value) == 1 for option, value in wanted.items()):
        return False
    threading.Thread(target=_watch, args=(library, seconds), name="memory", daemon=True).start()
    return True


def _watch(library: ctypes.CDLL, seconds: float) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's

    def idle() -> int:
        heap = library.mallinfo2()
        return resident() - int(heap.uordblks) - int(heap.hblkhd)

    never = threading.Event()
    least = idle()
    while not never.wait(seconds):
        if idle() > least + KEPT:
            library.malloc_trim(0)
            least = idle()
        least = min(least, idle())


def resident() -> int:
    """Return how many bytes of this process are in memory."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class _Heap(ctypes.Structure):
    """What mallinfo2(3) tells: `uordblks` bytes are used, and `hblkhd` in blocks of their own."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )
