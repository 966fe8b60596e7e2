"""The memory of this process, where the system tells it and takes it back."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
"""Sizes in pages; the second one is what is in RAM (proc(5))."""


def resident_bytes() -> int | None:
    """Return how much of this process is in RAM; None where the system is not Linux."""
    if not _STATM.is_file():
        return None
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def return_freed_memory() -> None:
    """Give memory that nobody uses any more back to the system. glibc keeps it otherwise (malloc_trim(3)): all of what
    Whisper took. Other systems and libraries do it by themselves. Takes some ms, in which it lets Python run."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
