"""Azure's endpoint with an `api-version`: beta, with a quirk. Pure."""

from __future__ import annotations

from typing import Any

from antiphon.protocol.dialects.beta import Beta
from antiphon.protocol.frames import AudioDelta, ServerEvent


class Azure:
    """Translates one connection. Events of content parts carry the part twice, as `part` and as `content`."""

    def __init__(self) -> None:
        self._beta = Beta()

    def to_ga(self, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the GA client events that a client's frame stands for. Raises ProtocolError."""
        return self._beta.to_ga(frame)

    def from_ga(self, event: ServerEvent) -> list[ServerEvent]:
        """Return what the client is sent for a GA server event, possibly nothing."""
        return [_with_content(translated) for translated in self._beta.from_ga(event)]


def _with_content(event: ServerEvent) -> ServerEvent:
    if isinstance(event, AudioDelta) or not event["type"].startswith("response.content_part."):
        return event
    return {**event, "content": event["part"]}
