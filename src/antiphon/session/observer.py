"""What a session tells about itself to whoever keeps the metrics."""

from __future__ import annotations

from typing import Literal, Protocol

from antiphon.session.timeline import TurnTimeline


class SessionObserver(Protocol):
    """Takes note of what happens in sessions. Called on the event loop; must return at once."""

    def turn_finished(self, timeline: TurnTimeline) -> None:
        """A spoken turn was answered, or ended without an answer."""
        ...

    def draft_ended(self, outcome: Literal["adopted", "dropped"], seconds_saved: float) -> None:
        """A draft was taken over, which saved so many seconds of waiting, or dropped."""
        ...

    def response_finished(self, status: str) -> None:
        """A response ended with this status."""
        ...

    def client_error(self, code: str | None) -> None:
        """The client made a mistake."""
        ...

    def internal_error(self) -> None:
        """The server made one."""
        ...


class SilentObserver:
    """An observer that keeps nothing."""

    def turn_finished(self, timeline: TurnTimeline) -> None:
        """Keep nothing."""

    def draft_ended(self, outcome: Literal["adopted", "dropped"], seconds_saved: float) -> None:
        """Keep nothing."""

    def response_finished(self, status: str) -> None:
        """Keep nothing."""

    def client_error(self, code: str | None) -> None:
        """Keep nothing."""

    def internal_error(self) -> None:
        """Keep nothing."""
