"""A circuit breaker (Nygard, Release It!, 2007): it keeps callers from waiting for what has just failed repeatedly.

Pure: time is passed in, in seconds of any clock that does not go back.
"""

from __future__ import annotations

from typing import Literal

State = Literal["closed", "open", "half_open"]


class CircuitBreaker:
    """Closed, it lets every call through. After `failures` failures in a row it opens, and refuses calls for `rest_s`.
    Then it is half open: one call may try, and its outcome closes or opens it again.

    Every admitted call must be told of by exactly one of `succeeded`, `failed` and `abandoned`, with its ticket. What
    is told of a call that was admitted before the last change of state counts for nothing.

    Args:
        failures: failures in a row that open it.
        rest_s: how long it stays open, in s.
    """

    def __init__(self, *, failures: int = 3, rest_s: float = 30.0) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._failed = 0
        self._ticket = 0  # changes with the state
        self._opened_at: float | None = None
        self._trying = False

    def state(self, now: float) -> State:
        """Return where it stands."""
        if self._opened_at is None:
            return "closed"
        return "open" if now - self._opened_at < self._rest_s else "half_open"

    def admit(self, now: float) -> int | None:
        """Return a ticket for a call, or None when it must not be made now."""
        state = self.state(now)
        if state == "open" or (state == "half_open" and self._trying):
            return None
        if state == "half_open":
            self._trying = True
            self._ticket += 1
        return self._ticket

    def succeeded(self, ticket: int) -> None:
        """Take in that a call went well."""
        if ticket != self._ticket:
            return
        self._failed = 0
        if self._trying:
            self._trying = False
            self._opened_at = None
            self._ticket += 1

    def failed(self, ticket: int, now: float) -> None:
        """Take in that a call failed."""
        if ticket != self._ticket:
            return
        self._failed += 1
        if self._trying or self._failed >= self._limit:
            self.trip(now)

    def trip(self, now: float) -> None:
        """Open at once."""
        self._trying = False
        self._failed = 0
        self._opened_at = now
        self._ticket += 1

    def abandoned(self, ticket: int) -> None:
        """Take in that a call was given up before anything was known about it."""
        if ticket == self._ticket:
            self._trying = False
