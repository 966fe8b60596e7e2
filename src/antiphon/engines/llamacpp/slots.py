"""Which of llama.cpp's slots a request goes to.

A slot keeps the context that it computed last. A request of a session goes to the slot where the session's last one
was, its home, and finds its prefix there. llama.cpp would queue a request for a busy slot out of our sight, where it
can be neither cancelled nor overtaken, so requests wait here and a slot is only ever given one at a time.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from functools import partial

from antiphon.engines.base import EngineError, EngineLoad, Priority
from antiphon.engines.promotion import may_move_up, priority_now


@dataclass(slots=True)
class Slot:
    """One of llama.cpp's slots.

    Attributes:
        number: llama.cpp's `id_slot`.
        key: the session whose context it keeps, if any.
        busy: a request is in it.
        passing: that request prepares its session's context, or was cancelled and is about to end: the session's next
            request is better off waiting for it than starting afresh elsewhere.
        used: when it was last given out, as a count.
    """

    number: int
    key: str | None = None
    busy: bool = False
    passing: bool = False
    used: int = 0


@dataclass(order=True, slots=True)
class _Waiter:
    priority: int
    number: int
    key: str | None = field(compare=False)
    future: asyncio.Future[Slot] = field(compare=False)


class Slots:
    """Gives out slots, live requests before drafts, first come first served among equals. All on the event loop."""

    def __init__(self, count: int) -> None:
        self._slots = [Slot(number) for number in range(count)]
        self._waiters: list[_Waiter] = []
        self._numbers = itertools.count(1)
        self._closed = False

    async def acquire(self, key: str | None, priority: Priority) -> Slot:
        """Wait for a slot for a request of session `key`, and take it.

        Raises:
            EngineError: code "closed".
        """
        if self._closed:
            raise _closed_error()
        waiter = _Waiter(priority_now(priority), next(self._numbers), key, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._waiters.sort()
        self._dispatch()
        try:
            with may_move_up(partial(self._move_up, waiter)):
                return await waiter.future
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.future.cancelled() and waiter.future.exception() is None:
                self.release(waiter.future.result())
            raise

    def _move_up(self, waiter: _Waiter) -> None:
        waiter.priority = Priority.LIVE
        self._waiters.sort()

    def acquire_home(self, key: str) -> Slot | None:
        """Take a slot to prepare the context of session `key` in, or return None when that is of no use now.

        It is of no use while a request of the session is in its home, and others that wait have precedence.
        """
        slot = None if self._closed or self._waiters else self._choose(key)
        if slot is None or any(home.key == key and home is not slot for home in self._slots):
            return None
        self._take(slot, key)
        slot.passing = True
        return slot

    def release(self, slot: Slot) -> None:
        """Take back a slot whose request has left llama.cpp."""
        slot.busy = False
        slot.passing = False
        self._dispatch()

    def load(self) -> EngineLoad:
        """Return how many slots are busy, how many requests wait, and how many slots there are."""
        return EngineLoad(sum(slot.busy for slot in self._slots), len(self._waiters), len(self._slots))

    def close(self) -> None:
        """Fail all that wait, and whoever comes. Idempotent."""
        self._closed = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.future.done():
                waiter.future.set_exception(_closed_error())

    def _dispatch(self) -> None:
        for waiter in list(self._waiters):
            slot = self._choose(waiter.key)
            if slot is not None:
                self._waiters.remove(waiter)
                if not waiter.future.done():
                    self._take(slot, waiter.key)
                    waiter.future.set_result(slot)

    def _choose(self, key: str | None) -> Slot | None:
        """Return the free slot that suits `key` best: its home, else one that nobody has, else the longest unused."""
        home = next((slot for slot in self._slots if key is not None and slot.key == key), None)
        if home is not None and (home.passing or not home.busy):
            return None if home.busy else home
        free = [slot for slot in self._slots if not slot.busy]
        return min(free, key=lambda slot: (slot.key is not None, slot.used), default=None)

    def _take(self, slot: Slot, key: str | None) -> None:
        slot.busy = True
        slot.used = next(self._numbers)
        # A second request of a session, beside one in its home, leaves the home where it is.
        elsewhere = any(home.key == key for home in self._slots if home is not slot)
        slot.key = None if elsewhere else key


def _closed_error() -> EngineError:
    return EngineError("the engine is closed", code="closed")
