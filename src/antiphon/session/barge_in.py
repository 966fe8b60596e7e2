"""Barge-in: speech over a reply silences it at once, and ends it once it is known to be an interruption.

A listener's "mm-hm" or a cough is none: then the reply goes on where it was held, and the sound is not answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from antiphon.engines.base import Samples
from antiphon.session.backchannel import is_backchannel
from antiphon.session.drafting import Drafting, Turn
from antiphon.session.playback import stop_playback
from antiphon.session.responses import Responses
from antiphon.session.state import SessionState
from antiphon.session.transcription import TranscriptionJob

MOST_HOLD_S = 3.0
"""How long a reply is held at most, s: a client may fall silent in the middle of a word."""


@dataclass(frozen=True, slots=True)
class HeldTooLong:
    """Notice: the reply has been held because of `turn` for as long as it may be."""

    turn: Turn


class BargeIn:
    """Decides about the speech of one turn at a time."""

    def __init__(self, state: SessionState, responses: Responses, drafting: Drafting) -> None:
        self._state = state
        self._responses = responses
        self._drafting = drafting
        self._doubtful: Turn | None = None
        self._timer: asyncio.TimerHandle | None = None

    def is_doubtful(self, turn: Turn) -> bool:
        """Tell whether a reply is held because of `turn`."""
        return self._doubtful is turn

    async def speech_started(self, turn: Turn) -> None:
        """Silence the reply, because the user begins to speak."""
        if self._state.limits.min_interruption_ms == 0:
            await self._interrupt()
        else:
            self._hold_because_of(turn)

    async def speech_lasted(self, turn: Turn) -> None:
        """End the reply that is held: a listener's sound is shorter."""
        if turn.over_reply == "unknown":
            turn.over_reply = "interruption"
            await self._interrupt()

    def speech_resumed(self, turn: Turn) -> None:
        """Go by what is said now, after a listener's sound."""
        if turn.over_reply == "backchannel":
            turn.over_reply = "nothing"
            self._hold_because_of(turn)

    async def heard(self, turn: Turn, heard: Samples, job: TranscriptionJob | None) -> None:
        """End the reply that is held, or let it go on, now that it is known what was said.

        Args:
            turn: in which it was said.
            heard: float32 at 16 kHz.
            job: its transcription, which has ended; None where nobody transcribes, so that only the length counts.
        """
        if turn.over_reply != "unknown":
            return
        if job is not None and (job.transcript is None or not is_backchannel(heard, job.transcript)):
            turn.over_reply = "interruption"
            await self._interrupt()
            self._drafting.build_on_now(turn)
            return
        turn.over_reply = "backchannel"
        if self.is_doubtful(turn):
            await self.dismiss()

    async def decided_by_client(self) -> None:
        """End the reply that is held: the client itself has cut it."""
        if self._doubtful is not None:
            self._doubtful.over_reply = "interruption"
            await self._interrupt()

    async def dismiss(self) -> None:
        """Let the reply that is held go on."""
        self._decided()
        if self._state.player is not None:
            self._state.player.release()
        await self._responses.release()

    def close(self) -> None:
        """Decide nothing any more; the session is over."""
        self._decided()

    def _hold_because_of(self, turn: Turn) -> None:
        playing = self._state.player is not None and self._state.player.hold()
        if self._responses.hold() or playing:
            self._decided()
            self._doubtful, turn.over_reply = turn, "unknown"
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(MOST_HOLD_S, self._state.notify, HeldTooLong(turn))

    async def _interrupt(self) -> None:
        self._decided()
        await stop_playback(self._state)
        await self._responses.interrupt()

    def _decided(self) -> None:
        self._doubtful = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
