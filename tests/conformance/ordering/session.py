"""The session's effective configuration: created first, updated only on request, with just what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.conformance.ordering.violation import Event, OrderViolation, require

_FIXED = ("id", "object", "type", "model", "expires_at")

_COMMITTED_BY_HAND = ("gpt-realtime-whisper", "gpt-live-transcribe")
"""Transcription models without turn detection: choosing one turns it off."""


class SessionOrder:
    """Follows `session.created` and `session.updated`."""

    def __init__(self) -> None:
        self.effective: Event | None = None
        """The configuration that the server sent last; None before the first."""

    def created(self, event: Event) -> None:
        """Take `session.created`."""
        require(self.effective is None, "session.created came a second time")
        self.effective = event["session"]

    def updated(self, event: Event, asked: Event) -> None:
        """Take `session.updated`, which answers a `session.update` with session `asked`."""
        session = event["session"]
        if self.effective is not None:
            for key in _FIXED:
                require(session.get(key) == self.effective.get(key), f"session.{key} changed with session.updated")
            problems = [*_changes(self.effective, session, asked, "session")]
            if problems:
                raise OrderViolation("session.updated is not what session.update asked for: " + "; ".join(problems))
        self.effective = session

    @property
    def known(self) -> bool:
        """Whether the configuration is known; not so on a sideband before its first update."""
        return self.effective is not None

    @property
    def transcribes_only(self) -> bool:
        """Whether this is a transcription session, which never has responses."""
        return self.effective is not None and self.effective["type"] == "transcription"

    @property
    def turn_detection(self) -> Event | None:
        """The turn detection in force, or None for manual turns."""
        value: Event | None = self._input("turn_detection")
        return value

    @property
    def transcription(self) -> Event | None:
        """The transcription of user audio, or None when it is off."""
        value: Event | None = self._input("transcription")
        return value

    def _input(self, key: str) -> Any:
        return None if self.effective is None else self.effective["audio"]["input"][key]


def _changes(before: Any, after: Any, asked: Any, path: str) -> Iterator[str]:
    """Yield what changed without being asked for and what was asked for and did not change."""
    for key, value in after.items():
        where = f"{path}.{key}"
        if not isinstance(asked, Mapping) or key not in asked:
            if value != before.get(key) and not (
                where == "session.audio.input.turn_detection"
                and value is None
                and (after["transcription"] or {}).get("model") in _COMMITTED_BY_HAND
            ):
                yield f"{where} changed from {before.get(key)!r} to {value!r}"
        elif where in ("session.model", "session.tools") or (where == "session.instructions" and asked[key] == ""):
            continue  # checked above, below, or the server's own text comes back
        elif _same_kind(before.get(key), value) and isinstance(asked[key], Mapping):
            yield from _changes(before[key], value, asked[key], where)
        else:
            yield from _missing(asked[key], value, where)
    if path == "session" and "tools" in asked:
        names = [(tool.get("type"), tool.get("name")) for tool in asked["tools"]]
        echoed = [(tool.get("type"), tool.get("name")) for tool in after["tools"]]
        if names != echoed:
            yield f"session.tools are {echoed}, asked for were {names}"


def _same_kind(before: Any, after: Any) -> bool:
    return isinstance(before, Mapping) and isinstance(after, Mapping) and before.get("type") == after.get("type")


def _missing(asked: Any, value: Any, path: str) -> Iterator[str]:
    """Yield every leaf of `asked` that `value` does not have."""
    if path == "session.audio.output.voice" and isinstance(asked, Mapping):
        asked = asked.get("id")
    if isinstance(asked, Mapping) and isinstance(value, Mapping):
        for key, inner in asked.items():
            yield from _missing(inner, value.get(key), f"{path}.{key}")
    elif asked != value and not (not asked and value is None):
        yield f"{path} is {value!r}, asked for was {asked!r}"
