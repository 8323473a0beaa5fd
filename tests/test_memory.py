"""Memory is kept between batches where the C library can be told, and given back afterwards."""

import platform

import pytest
import torch

from inception_course import machine
from inception_course.machine import keep_freed_memory


def new_pages(count):
    """How many pages of memory the system had to hand out for `count` large blocks in turn.

    Blocks that malloc gives: torch asks for aligned ones, of which glibc cuts off small pieces.
    """
    import resource  # not on Windows

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_is_kept_between_steps():
    with keep_freed_memory():
        new_pages(1)
        inside = new_pages(4)
    assert inside < new_pages(4) / 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_is_kept_until_the_outermost_end():
    with keep_freed_memory():
        with keep_freed_memory():
            new_pages(1)
        kept = new_pages(4)
    assert kept < new_pages(4) / 2


@pytest.mark.parametrize("error", [AttributeError, TypeError, OSError])
def test_other_c_libraries_are_left_alone(monkeypatch, error):
    def library(name):
        raise error

    monkeypatch.setattr(machine.ctypes, "CDLL", library)
    with keep_freed_memory():
        kept = torch.ones(3)
    assert kept.sum() == 3
