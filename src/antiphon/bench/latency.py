"""How long the user waits: from the end of speech to the first sound of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from antiphon.bench.connection import Target
from antiphon.bench.conversation import SessionSetup, open_conversation
from antiphon.bench.corpus import Recording
from antiphon.bench.figures import PERCENTILE_COLUMNS, percentiles, summary
from antiphon.bench.report import Figures
from antiphon.bench.turn import Turn
from antiphon.bench.words import word_errors

_STAGGER_S = 0.37
"""Sessions begin this far apart, s, so that they do not all speak in step; no multiple of a chunk or a window."""

MEASURES = {
    "stopped_to_audio": "speech_stopped → audio",
    "end_to_audio": "speech ends → audio",
    "end_to_stopped": "speech ends → stopped",
    "begin_to_started": "speech begins → started",
}
COLUMNS = ("ms", *PERCENTILE_COLUMNS, "turns")


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """Turns in one configuration.

    Attributes:
        label: the configuration.
        first: the first turn on the server after it started, or after the bench came to it.
        turns: all others.
        client_late_ms: longest that this client itself was late with a chunk.
    """

    label: str
    first: Turn | None
    turns: Sequence[Turn]
    client_late_ms: float


async def talk(
    target: Target, setup: SessionSetup, recordings: Sequence[Recording], on_turn: Callable[[], None]
) -> tuple[list[Turn], float]:
    """Say `recordings` one after the other in one session; return the turns and how late the client was, in ms.

    Raises:
        BenchError: as `open_conversation` and `Conversation.turn`.
    """
    turns = []
    async with open_conversation(target, setup) as conversation:
        for recording in recordings:
            turns.append(await conversation.turn(recording))
            on_turn()
        return turns, max(conversation.microphone.lateness_s, default=0.0) * 1000


async def measure_latency(
    target: Target,
    setup: SessionSetup,
    recordings: Sequence[Recording],
    *,
    label: str,
    turns: int,
    sessions: int,
    first: bool,
    on_turn: Callable[[], None],
) -> LatencyResult:
    """Hold `sessions` conversations of `turns` turns each at once.

    Args:
        target: server.
        setup: of every session.
        recordings: what is said, over and over; each session begins at another one.
        label: names the configuration in the result.
        turns: turns of each session.
        sessions: how many at once.
        first: say one recording alone before, and report it apart.
        on_turn: called after each turn.

    Raises:
        BenchError: as `talk`.
    """
    first_turn = None
    if first:
        (first_turn,), _ = await talk(target, setup, recordings[:1], on_turn)

    async def one(index: int) -> tuple[list[Turn], float]:
        await asyncio.sleep(index * _STAGGER_S)
        said = [recordings[(index + turn) % len(recordings)] for turn in range(turns)]
        return await talk(target, setup, said, on_turn)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(index)) for index in range(sessions)]
    results = [task.result() for task in tasks]
    every = [turn for of_session, _ in results for turn in of_session]
    return LatencyResult(label, first_turn, every, max(late for _, late in results))


def as_results(result: LatencyResult, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return the figures of a configuration and every turn, for programs."""
    errors = wer(result.turns, recordings)
    whole = [turn for turn in result.turns if turn.cuts == 0]
    return {
        "label": result.label,
        "first_turn": asdict(result.first) if result.first else None,
        **waits(whole),
        "turns": len(result.turns),
        "answered": sum(turn.stopped_to_audio is not None for turn in result.turns),
        "cut_early": sum(turn.cuts > 0 for turn in result.turns),
        "word_error_rate_percent": errors,
        "client_late_ms": round(result.client_late_ms, 1),
        "each": [asdict(turn) for turn in result.turns],
    }


def as_figures(results: dict[str, Any]) -> Figures:
    """Return the table of what `as_results` returned."""
    first = results["first_turn"]
    notes = []
    if first is not None:
        notes.append(
            f"first turn: {first['stopped_to_audio']} ms after speech_stopped, {first['end_to_audio']} ms after speech"
        )
    rate = results["word_error_rate_percent"]
    notes.append(
        f"{results['answered']} of {results['turns']} turns answered aloud, {results['cut_early']} closed early (those "
        f"are not in the figures); word error rate {'unknown' if rate is None else f'{rate} %'}; "
        f"this client late by {results['client_late_ms']} ms at most"
    )
    return Figures(results["label"], COLUMNS, wait_rows(results), notes)


def comparison(title: str, one: dict[str, Any], other: dict[str, Any]) -> Figures:
    """Return how much longer the waits of `other` are than those of `one`, both as `as_results` returned them."""
    rows = [
        (name, *_differences(percentiles(one[f"{measure}_ms"])[:-1], percentiles(other[f"{measure}_ms"])[:-1]))
        for measure, name in MEASURES.items()
    ]
    return Figures(title, COLUMNS[:-1], rows)


def _differences(before: Sequence[float | None], after: Sequence[float | None]) -> list[float | None]:
    return [None if a is None or b is None else round(b - a, 1) for a, b in zip(before, after, strict=True)]


def waits(turns: Sequence[Turn]) -> dict[str, Any]:
    """Return the figures of every wait in `MEASURES`."""
    return {f"{measure}_ms": summary(getattr(turn, measure) for turn in turns) for measure in MEASURES}


def wait_rows(results: dict[str, Any]) -> list[tuple[object, ...]]:
    """Return the rows, under `COLUMNS`, of what `waits` returned."""
    return [(name, *percentiles(results[f"{measure}_ms"])) for measure, name in MEASURES.items()]


def wer(turns: Sequence[Turn], recordings: Sequence[Recording]) -> float | None:
    """Return the word error rate of the turns' transcripts in percent; None when the server sent none."""
    texts = {recording.name: recording.text for recording in recordings}
    heard = [turn for turn in turns if turn.transcript is not None]
    if not heard:
        return None
    return word_errors([texts[turn.recording] for turn in heard], [turn.transcript or "" for turn in heard]).percent
