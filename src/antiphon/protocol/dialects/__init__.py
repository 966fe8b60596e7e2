"""Dialects: what older and other clients speak, translated from and to the GA protocol at the edge. Pure."""

from __future__ import annotations

from typing import Any, Protocol

from antiphon.protocol.frames import ServerEvent


class Dialect(Protocol):
    """A translator around one connection. It may keep state; it is never shared."""

    def to_ga(self, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the GA client events that a client's frame stands for.

        Raises:
            ProtocolError: the frame is not valid in this dialect; carries the frame's own `event_id`.
        """
        ...

    def from_ga(self, event: ServerEvent) -> list[ServerEvent]:
        """Return what the client is sent for a GA server event, possibly nothing."""
        ...


class Ga:
    """The GA protocol itself: nothing to translate."""

    def to_ga(self, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the frame."""
        return [frame]

    def from_ga(self, event: ServerEvent) -> list[ServerEvent]:
        """Return the event."""
        return [event]
