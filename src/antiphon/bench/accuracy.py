"""What the server hears against what the same model hears when it is given each recording whole, in the same run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.audio.levels import to_float
from antiphon.audio.resampling import StreamResampler
from antiphon.bench.connection import BenchError, Target
from antiphon.bench.conversation import SessionSetup, open_conversation
from antiphon.bench.corpus import RATE, Recording
from antiphon.bench.report import Figures
from antiphon.bench.words import WordErrors, word_errors

_STAGGER_S = 0.37


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of every recording, in their order."""

    label: str
    texts: Sequence[str]


async def hear_through_server(
    target: Target,
    setup: SessionSetup,
    recordings: Sequence[Recording],
    *,
    label: str,
    sessions: int,
    on_turn: Callable[[], None],
) -> Heard:
    """Say every recording once, spread over `sessions` sessions at once, and return the transcripts.

    Raises:
        BenchError: the server cannot be reached or breaks the connection.
    """
    texts: dict[int, str] = {}

    async def one(first: int) -> None:
        await asyncio.sleep(first * _STAGGER_S)
        async with open_conversation(target, setup) as conversation:
            for index in range(first, len(recordings), sessions):
                turn = await conversation.turn(recordings[index])
                texts[index] = turn.transcript or ""
                on_turn()

    async with asyncio.TaskGroup() as group:
        for first in range(sessions):
            group.create_task(one(first))
    return Heard(label, [texts[index] for index in range(len(recordings))])


def hear_offline(model: Path, recordings: Sequence[Recording], *, beam: int, on_turn: Callable[[], None]) -> Heard:
    """Transcribe each recording whole with faster-whisper, which gives Whisper windows of 30 s. Blocks.

    Args:
        model: directory of a CTranslate2 Whisper model.
        recordings: what to transcribe.
        beam: width of the beam search; 1 is greedy.
        on_turn: called after each recording.

    Raises:
        BenchError: faster-whisper is not installed.
    """
    try:
        from faster_whisper import WhisperModel  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise BenchError("the offline reference needs faster-whisper. Try: pip install 'antiphon[local]'") from error
    whisper = WhisperModel(str(model), device="cpu", compute_type="int8")
    texts = []
    for recording in recordings:
        resampler = StreamResampler(RATE, 16_000)
        audio = np.concatenate([resampler.push(to_float(recording.pcm)), resampler.flush()])
        # Guessing the next window from the last one's text makes Whisper repeat itself: off, as the server has it off.
        segments, _ = whisper.transcribe(audio, language="en", beam_size=beam, condition_on_previous_text=False)
        texts.append(" ".join(segment.text.strip() for segment in segments))
        on_turn()
    return Heard(f"offline, whole recording, {'greedy' if beam == 1 else f'beam {beam}'}", texts)


def as_results(every: Sequence[Heard], recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return the word errors of each way of hearing and all texts, for programs."""
    expected = [recording.text for recording in recordings]
    errors = {heard.label: word_errors(expected, heard.texts) for heard in every}
    return {
        "recordings": len(recordings),
        "seconds": round(sum(len(recording.pcm) for recording in recordings) / RATE, 1),
        "word_errors": {label: _as_dict(found) for label, found in errors.items()},
        "each": [
            {"file": recording.name, "text": recording.text, **{heard.label: heard.texts[index] for heard in every}}
            for index, recording in enumerate(recordings)
        ],
    }


def as_figures(results: dict[str, Any]) -> Figures:
    """Return the table of what `as_results` returned; the last row is the reference of the differences."""
    found = results["word_errors"]
    reference = list(found.values())[-1]["percent"]
    rows = [
        (label, one["percent"], f"{one['percent'] - reference:+.2f}", one["errors"], one["words"])
        for label, one in found.items()
    ]
    title = f"{results['recordings']} recordings, {results['seconds']:.0f} s"
    return Figures(title, ("word error rate", "%", "points", "errors", "words"), rows)


def _as_dict(found: WordErrors) -> dict[str, Any]:
    return {"percent": found.percent, "errors": found.errors, "words": found.words}
