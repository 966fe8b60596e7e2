"""Asking the turn classifier whether a pause ends the turn, beside the session."""

from __future__ import annotations

from dataclasses import dataclass

from antiphon.engines.base import EngineError, Samples
from antiphon.session.drafting import Turn
from antiphon.session.state import SessionState, log


@dataclass(frozen=True, slots=True)
class TurnJudged:
    """Notice: the turn classifier's opinion of the pause noticed at `pause_at`, on the session clock."""

    turn: Turn
    pause_at: int
    probability: float


def judge_turn(state: SessionState, turn: Turn, heard: Samples, pause_at: int) -> None:
    """Ask about the pause of `turn` noticed at `pause_at`; `heard` is all of it, float32 at 16 kHz."""
    classifier = state.pipeline.turn_classifier
    if classifier is None:
        return

    async def judge() -> None:
        try:
            probability = await classifier.complete(heard)
        except EngineError as error:
            log.warning("turn classifier failed; the turn ends at the longest silence", error=error.message)
            return
        state.notify(TurnJudged(turn, pause_at, probability))

    state.spawn(judge(), "turn-classifier")
