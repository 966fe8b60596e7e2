"""What an upstream session begins with: its address, its headers, and the update that configures it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

from antiphon.audio.formats import PCM_24K
from antiphon.relay.settings import UpstreamSettings

OWN_EVENT_ID = "event_antiphon_relay"
"""What the ids of events begin with that the relay itself sends up. What is said about them is for nobody else."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a session is opened with.

    Attributes:
        type: of the session.
        model: what its client calls the model.
        instructions: that were configured; None leaves the upstream's.
        voice: that was configured; None leaves the upstream's.
        turn_detection: the configured object, None for off; "upstream" leaves the upstream's.
        asked: the `session` object that the client gave beforehand.
        plays: whether the transport plays the speech and hears what flows, as WebRTC does.
        pcm_rate: Hz of the PCM16 that the client appends.
    """

    type: Literal["realtime", "transcription"]
    model: str
    instructions: str | None = None
    voice: str | None = None
    turn_detection: dict[str, Any] | Literal["upstream"] | None = "upstream"
    asked: Mapping[str, Any] | None = None
    plays: bool = False
    pcm_rate: int = PCM_24K.rate

    @property
    def update(self) -> dict[str, Any] | None:
        """The `session` object that makes the upstream's session what this asks for; None when nothing is to be
        changed."""
        heard: dict[str, Any] = {}
        spoken: dict[str, Any] = {}
        if self.plays:  # calls are converted, and this is what loses nothing
            heard["format"] = PCM_24K.wire()
            spoken["format"] = PCM_24K.wire()
        if self.turn_detection != "upstream":
            heard["turn_detection"] = self.turn_detection
        if self.voice is not None:
            spoken["voice"] = self.voice
        audio = {"input": heard} if self.type == "transcription" else {"input": heard, "output": spoken}
        session: dict[str, Any] = {"audio": {side: changes for side, changes in audio.items() if changes}}
        if self.instructions is not None and self.type == "realtime":
            session["instructions"] = self.instructions
        session = merged(session, {key: value for key, value in (self.asked or {}).items() if key != "model"})
        session = {key: value for key, value in session.items() if value != {}}
        return {"type": self.type, **session} if session.keys() - {"type"} else None


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `under` with the keys of `over`, as `session.update` merges them: nested objects are merged, those of
    another `type` are replaced."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and value.get("type") in (None, below.get("type")):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def upstream_url(settings: UpstreamSettings, kind: Literal["realtime", "transcription"]) -> str:
    """Return the WebSocket URL of a new session. Transcription sessions name no model (openai 3.52.0)."""
    parts = urlsplit(settings.base_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    query: dict[str, str] = {}
    if kind == "transcription":
        query["intent"] = "transcription"
    elif settings.model is not None:
        query["model"] = settings.model
    return urlunsplit((scheme, parts.netloc, f"{parts.path}/realtime", urlencode(query), ""))


def upstream_headers(settings: UpstreamSettings, key: str | None) -> dict[str, str]:
    """Return the headers of the handshake.

    Args:
        settings: of the upstream.
        key: that opens it.
    """
    headers = dict(settings.headers)
    if key is not None:
        headers |= {"api-key": key} if settings.azure else {"Authorization": f"Bearer {key}"}
    if settings.organization is not None:
        headers["OpenAI-Organization"] = settings.organization
    if settings.project is not None:
        headers["OpenAI-Project"] = settings.project
    return headers
