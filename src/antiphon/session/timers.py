"""The timers of a session. When one runs out, the session finds a notice in its inbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from antiphon.session.config import ServerVad
from antiphon.session.state import SessionState

TimerName = Literal["expiry", "idle"]


@dataclass(frozen=True, slots=True)
class TimerRanOut:
    """Notice: a timer has run out. One that was set anew meanwhile has another number."""

    name: TimerName
    number: int


class Timers:
    """Sets and stops a session's timers."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._running: dict[TimerName, tuple[int, asyncio.TimerHandle]] = {}
        self._number = 0

    def set(self, name: TimerName, seconds: float) -> None:
        """Let `name` run out after `seconds`; one that runs is set anew."""
        self.stop(name)
        self._number += 1
        notice = TimerRanOut(name, self._number)
        handle = asyncio.get_running_loop().call_later(seconds, self._state.notify, notice)
        self._running[name] = (self._number, handle)

    def stop(self, name: TimerName) -> None:
        """Stop `name` if it runs."""
        if name in self._running:
            self._running.pop(name)[1].cancel()

    def take(self, notice: TimerRanOut) -> bool:
        """Tell whether `notice` is of a timer that still counts, and forget that timer."""
        number, _ = self._running.get(notice.name, (None, None))
        if number != notice.number:
            return False
        del self._running[notice.name]
        return True

    def start_idle(self, speech_ms: int) -> None:
        """Begin to wait for the user, if the client wants a silence to be noticed.

        Args:
            speech_ms: how long the reply plays that the user hears first.
        """
        mode = self._state.config.input.turn_detection
        if isinstance(mode, ServerVad) and mode.idle_timeout_ms is not None:
            self.set("idle", (speech_ms + mode.idle_timeout_ms) / 1000)

    def stop_idle(self) -> None:
        """Stop waiting for the user."""
        self.stop("idle")

    def stop_all(self) -> None:
        """Stop every timer."""
        for _, handle in self._running.values():
            handle.cancel()
        self._running.clear()
