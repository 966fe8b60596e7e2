"""Who writes out numbers and signs: the voice's engine itself, or a `Reader` of its language."""

from __future__ import annotations

import asyncio

from antiphon.engines.base import Synthesizer
from antiphon.pipeline.speech_text.languages import LANGUAGES
from antiphon.pipeline.speech_text.reader import Reader

_readers: dict[str, Reader] = {}
"""By ISO 639-1 code; shared by all pipelines, and kept."""


def reading_language(synthesizer: Synthesizer, voice: str | None, language: str | None) -> str | None:
    """Return the language (ISO 639-1) in which text for a voice is written out; None when it is left as it is.

    It is the voice's only language, or, of several, the conversation's. Nothing is guessed: text of a language that is
    not known is left to the synthesizer, and so is text for one that reads numbers itself.

    Args:
        synthesizer: whose voice it is.
        voice: its name; None for the default one.
        language: of the conversation, if known.
    """
    if synthesizer.reads_numbers:
        return None
    spoken = next((known.languages for known in synthesizer.voices if voice in (None, known.name)), ())
    codes = [_code(each) for each in spoken]
    if len(codes) > 1:
        codes = [code for code in codes if language is not None and code == _code(language)]
    return codes[0] if codes and codes[0] in LANGUAGES else None


async def load_readers(synthesizer: Synthesizer) -> None:
    """Load what the voices of a synthesizer will need, in a thread: about 50 ms for a language."""
    if not synthesizer.reads_numbers:
        for code in {_code(language) for voice in synthesizer.voices for language in voice.languages} & set(LANGUAGES):
            await _load(code)


async def reader_for(synthesizer: Synthesizer, voice: str | None, language: str | None) -> Reader | None:
    """Return the reader for a voice, or None where text is left as it is; see `reading_language`."""
    code = reading_language(synthesizer, voice, language)
    return None if code is None else await _load(code)


async def _load(code: str) -> Reader:
    reader = _readers.get(code)
    if reader is None:
        reader = _readers[code] = await asyncio.to_thread(Reader, LANGUAGES[code])
    return reader


def _code(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()
