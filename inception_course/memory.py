"""Memory that a network freed, kept for its next batch."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
inside = 0  # how many `keeping_memory` are open


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Inside, memory that was freed stays with the process, for the next batch to use again.

    glibc would give large pieces back to the system, which fills them with zeros when they are
    asked for again, in every step. Other C libraries are left as they are.
    """
    global inside
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim, _ = libc.mallopt, libc.malloc_trim, libc.gnu_get_libc_version
    except (AttributeError, TypeError, OSError):
        yield
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    inside += 1
    try:
        yield
    finally:
        inside -= 1
        if not inside:  # the largest that glibc chooses by itself, which it does no more when told
            mallopt(M_MMAP_MAX, 65536)
            mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
            mallopt(M_TRIM_THRESHOLD, 64 * 2**20)
            trim(0)
