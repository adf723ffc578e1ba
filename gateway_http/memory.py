"""Pictures' memory goes back to the system once they are done with, where the C library is glibc.

By itself glibc gives threads arenas of their own, up to eight a processor, and learns from freed
megabytes to keep such blocks: with pictures in many threads a front of 65 MiB held 310.
`server` has the same. Source: mallopt(3).
"""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
MMAP_THRESHOLD = 1_048_576
"""Bytes from which a block is the system's own, and returned when it is freed."""
ARENAS = 2


def give_memory_back() -> bool:
    """Set the allocator; tell whether it could be. Call it before there are threads."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    wanted = {_M_MMAP_THRESHOLD: MMAP_THRESHOLD, _M_ARENA_MAX: ARENAS}
    return all(mallopt(option, value) == 1 for option, value in wanted.items())
