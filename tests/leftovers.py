"""What a test leaves behind in its own process."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any


async def tasks_left(patience_s: float = 5) -> set[asyncio.Task[Any]]:
    """Return what still runs beside the caller when everything that is about to end has ended."""
    give_up = time.monotonic() + patience_s
    while (left := asyncio.all_tasks() - {asyncio.current_task()}) and time.monotonic() < give_up:
        await asyncio.wait(left, timeout=give_up - time.monotonic())
    return left


def own_threads() -> int:
    """Return how many threads run, without those of the event loop: it starts some as they are asked for, and keeps
    them."""
    return sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())
