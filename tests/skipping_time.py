"""Time that passes only when an event loop has nothing else to do: no stall of the machine is taken for patience."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def skipping_time() -> Iterator[None]:
    """Let the running loop's clock stand still while something is to be done, and skip to the next timer when nothing
    is. Only for what waits for timers alone: threads and sockets take no time then."""
    loop: Any = asyncio.get_running_loop()
    selector, now = loop._selector, loop.time()
    select = selector.select

    def skip(timeout: float | None) -> Any:
        nonlocal now
        if timeout is None:
            return select(None)
        ready = select(0)
        if not ready:
            now += timeout
        return ready

    with patch.object(loop, "time", lambda: now), patch.object(selector, "select", skip):
        yield
