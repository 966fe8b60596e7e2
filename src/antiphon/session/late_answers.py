"""Turns over a reply that were over before their transcript: nobody knows yet whether they interrupt it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from antiphon.engines.base import Samples
from antiphon.session.barge_in import BargeIn
from antiphon.session.conversation import Item
from antiphon.session.drafting import Drafting, Turn
from antiphon.session.responses import Responses
from antiphon.session.state import SessionState
from antiphon.session.transcription import TranscriptionJob


@dataclass(slots=True)
class _Undecided:
    """A turn that waits. `superseded` tells that what the user or the client did since is answered in its place."""

    turn: Turn
    item: Item
    superseded: bool = False


class LateAnswers:
    """Answers such a turn once it is known that it was an interruption. Only the last one waits."""

    def __init__(self, state: SessionState, responses: Responses, drafting: Drafting, barge_in: BargeIn) -> None:
        self._state = state
        self._responses = responses
        self._drafting = drafting
        self._barge_in = barge_in
        self._undecided: _Undecided | None = None

    async def turn_closed(self, turn: Turn, item: Item, heard: Samples, job: TranscriptionJob | None) -> None:
        """Decide whether `turn`, which became `item`, interrupts the reply, or wait for its transcript.

        Args:
            turn: the turn, which began over a reply.
            item: what it became.
            heard: its audio, float32 at 16 kHz.
            job: its transcription, if there is one.
        """
        if job is None or job.ended:
            await self._barge_in.heard(turn, heard, job)
        else:
            self._undecided = _Undecided(turn, item)

    def supersede(self) -> None:
        """Do not answer the turn that waits: another turn has begun, or the client took over."""
        if self._undecided is not None:
            self._undecided.superseded = True

    async def transcribed(self, job: TranscriptionJob, heard: Samples | None) -> None:
        """Take the outcome of the transcription of `heard` (float32 at 16 kHz), which may be that of the turn."""
        if self._undecided is not None and self._undecided.item is job.item:
            undecided, self._undecided = self._undecided, None
            await self._barge_in.heard(undecided.turn, heard if heard is not None else np.zeros(0, np.float32), job)
            await self._answer(undecided)

    async def reply_cut(self) -> None:
        """Take note that the client itself has cut what was spoken over: it was an interruption."""
        await self._barge_in.decided_by_client()
        if self._undecided is not None and self._undecided.turn.over_reply == "interruption":
            undecided, self._undecided = self._undecided, None
            await self._answer(undecided)

    async def _answer(self, undecided: _Undecided) -> None:
        turn, mode = undecided.turn, self._state.config.input.turn_detection
        wanted = turn.over_reply == "interruption" and not undecided.superseded
        if wanted and mode is not None and mode.create_response:
            await self._responses.answer(self._drafting.response_config(), undecided.item, turn.timeline, None)
        else:
            await self._responses.finish_turn(turn.timeline)
