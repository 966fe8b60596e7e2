"""Does the server wait while a person pauses inside a sentence, and answer soon when the sentence is over?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from antiphon.audio.levels import to_float
from antiphon.audio.pauses import quietest
from antiphon.bench.connection import Target
from antiphon.bench.conversation import SessionSetup
from antiphon.bench.corpus import RATE, Pcm, Recording
from antiphon.bench.latency import COLUMNS, talk, wait_rows, waits
from antiphon.bench.report import Figures
from antiphon.bench.turn import Turn

_WINDOW_MS = 60
_FADE_S = 0.005
_HISS = 3.0
"""RMS of the noise in a pause, in steps of 16 bits (-81 dBFS): a microphone is never digitally silent."""
_WITHIN_SENTENCE = (0.3, 0.7)
"""Where in the speech a pause is looked for, as a share of its length."""
_SENTENCE_END = re.compile(r"[.!?]+\s+\S")


@dataclass(frozen=True, slots=True)
class PausedTurn:
    """A turn with a pause of `pause_ms` inside its sentence; 0 for none."""

    pause_ms: int
    turn: Turn


def one_sentence(recordings: Sequence[Recording]) -> list[Recording]:
    """Return the recordings that hold a single sentence: a pause between two may well end a turn."""
    return [recording for recording in recordings if not _SENTENCE_END.search(recording.text)]


def with_pause(recording: Recording, pause_ms: int) -> Recording:
    """Return the recording with a pause where it is quietest in the middle part of its speech."""
    if pause_ms == 0:
        return recording
    length = recording.end - recording.begin
    first, last = (recording.begin + round(length * share) for share in _WITHIN_SENTENCE)
    cut = first + quietest(to_float(recording.pcm[first:last]), RATE, _WINDOW_MS)
    silence = np.random.default_rng(0).normal(0, _HISS, RATE * pause_ms // 1000).astype(np.int16)
    pcm = np.concatenate([_faded(recording.pcm[:cut], out=True), silence, _faded(recording.pcm[cut:], out=False)])
    return Recording(recording.name, recording.text, pcm, recording.begin, recording.end + len(silence))


async def measure_turns(
    target: Target,
    setup: SessionSetup,
    recordings: Sequence[Recording],
    pauses_ms: Sequence[int],
    on_turn: Callable[[], None],
) -> list[PausedTurn]:
    """Say every recording once with each pause.

    Raises:
        BenchError: as `talk`.
    """
    plan = [(pause_ms, with_pause(recording, pause_ms)) for pause_ms in pauses_ms for recording in recordings]
    turns, _ = await talk(target, setup, [recording for _, recording in plan], on_turn)
    return [PausedTurn(pause_ms, turn) for (pause_ms, _), turn in zip(plan, turns, strict=True)]


def as_results(label: str, turns: Sequence[PausedTurn]) -> dict[str, Any]:
    """Return the shares of turns closed early and the waits after the others, for programs."""
    whole = [paused.turn for paused in turns if paused.turn.cuts == 0]
    return {
        "label": label,
        "turns": len(turns),
        "cut_early_percent": _cut_percent(turns),
        "cut_early_percent_by_pause_ms": {
            str(pause_ms): _cut_percent([paused for paused in turns if paused.pause_ms == pause_ms])
            for pause_ms in sorted({paused.pause_ms for paused in turns})
        },
        **waits(whole),
        "each": [{"pause_ms": paused.pause_ms, **asdict(paused.turn)} for paused in turns],
    }


def as_figures(results: dict[str, Any]) -> Figures:
    """Return the table of what `as_results` returned."""
    by_pause = ", ".join(
        f"{percent} % with {pause_ms} ms" for pause_ms, percent in results["cut_early_percent_by_pause_ms"].items()
    )
    note = f"{results['cut_early_percent']} % of {results['turns']} turns closed early ({by_pause}), not in the figures"
    return Figures(results["label"], COLUMNS, wait_rows(results), [note])


def _cut_percent(turns: Sequence[PausedTurn]) -> float:
    return round(100 * sum(paused.turn.cuts > 0 for paused in turns) / len(turns), 1) if turns else 0.0


def _faded(pcm: Pcm, *, out: bool) -> Pcm:
    width = min(round(RATE * _FADE_S), len(pcm))
    ramp = np.linspace(0, 1, width)
    faded = pcm.copy()
    if out:
        faded[len(pcm) - width :] = faded[len(pcm) - width :] * ramp[::-1]
    else:
        faded[:width] = faded[:width] * ramp
    return faded
