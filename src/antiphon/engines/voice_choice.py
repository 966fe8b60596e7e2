"""Which voice an engine speaks with."""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.engines.base import EngineError, Voice


def choose_voice(engine: str, voices: Sequence[Voice], asked: str | None) -> str:
    """Return the name of the voice that was asked for, or of the first one for None.

    Args:
        engine: its name, for the error.
        voices: what it has; at least one.
        asked: a voice's name, or None.

    Raises:
        EngineError: code "unsupported" when it has no such voice.
    """
    names = [voice.name for voice in voices]
    if asked is None:
        return names[0]
    if asked not in names:
        raise EngineError(f"{engine} has no voice {asked!r}", code="unsupported")
    return asked
