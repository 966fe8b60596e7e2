"""What a session knows of a transport that plays its speech, as WebRTC does: it can be silenced, and tells the cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Cut:
    """Speech that a player did not play to its end.

    Attributes:
        played_ms: milliseconds of the item's audio that were played, counted in whole frames.
        started: whether the response's speech had begun to play.
    """

    response_id: str
    item_id: str
    played_ms: int
    started: bool


class Player(Protocol):
    """Plays a session's speech as time passes, and tells the client when it starts and stops."""

    def hold(self) -> bool:
        """Fall silent until `release` or `clear`. Returns whether there is anything to be played."""
        ...

    def release(self) -> None:
        """Play on where it was held."""
        ...

    def clear(self) -> list[Cut]:
        """Fall silent at once and return what was cut off."""
        ...
