"""Work ahead that somebody waits for after all: from then on it has no lower priority than other work.

A draft is many calls of several engines, some of which are only made later. They find the draft's `Promotion` in the
context of the task that makes them, so that no engine has to pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context

from antiphon.engines.base import Priority


class Promotion:
    """Tells the engines that work for one draft when it is adopted. All on the event loop."""

    def __init__(self) -> None:
        self._promoted = False
        self._waiting: set[Callable[[], None]] = set()

    def promote(self) -> None:
        """Make all work for the draft live: what waits, and what is still to come."""
        self._promoted = True
        for move_up in tuple(self._waiting):
            move_up()

    def context(self) -> Context:
        """Return a context for the tasks that work for the draft."""
        context = copy_context()
        context.run(_CURRENT.set, self)
        return context


_CURRENT: ContextVar[Promotion | None] = ContextVar("promotion", default=None)


def priority_now(asked: Priority) -> Priority:
    """Return the priority of a call: the one that was asked for, unless its draft was promoted meanwhile."""
    current = _CURRENT.get()
    return Priority.LIVE if current is not None and current._promoted else asked


@contextmanager
def may_move_up(move_up: Callable[[], None]) -> Iterator[None]:
    """Call `move_up` if the draft that the call belongs to is promoted while the call is waiting here."""
    current = _CURRENT.get()
    if current is None:
        yield
        return
    current._waiting.add(move_up)
    try:
        yield
    finally:
        current._waiting.discard(move_up)
