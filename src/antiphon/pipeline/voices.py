"""Voices by the names that clients ask for."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.engines.base import EngineError, Voice

OPENAI_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
"""The voices of OpenAI's Realtime API; clients ask for them by habit."""


def voice_names(voices: Sequence[Voice]) -> list[str]:
    """Return the names that a client may ask for: OpenAI's, then the pipeline's own."""
    return [*OPENAI_VOICES, *(voice.name for voice in voices if voice.name not in OPENAI_VOICES)]


def resolve_voice(requested: str | None, voices: Sequence[Voice]) -> str | None:
    """Return the voice of `voices` that a client gets for the name that it asked for.

    A voice's own name gives that voice. One of OpenAI's names gives always the same one of `voices`; so different names
    sound different where there are voices enough. None, and any name where no voices are listed, passes unchanged.

    Raises:
        EngineError: code "unsupported" for any other name; the message lists what there is.
    """
    names = [voice.name for voice in voices]
    if requested is None or not names or requested in names:
        return requested
    if requested in OPENAI_VOICES:
        return names[OPENAI_VOICES.index(requested) % len(names)]
    raise EngineError(f"there is no voice {requested!r}; there are: {', '.join(names)}", code="unsupported")
