"""What every state machine of the order checker raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Event = Mapping[str, Any]


class OrderViolation(AssertionError):  # noqa: N818 - reads as what it is
    """An event came that the documented order does not allow. `reason` says why; the message adds the last events."""

    def __init__(self, reason: str, history: str = "") -> None:
        super().__init__(f"{reason}\n{history}" if history else reason)
        self.reason = reason


def require(condition: bool, reason: str) -> None:
    """Raise OrderViolation with `reason` unless `condition`."""
    if not condition:
        raise OrderViolation(reason)
