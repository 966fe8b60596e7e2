"""What becomes of a turn that is over: an item, its transcript and an answer."""

from __future__ import annotations

from antiphon.session.conversation import Item
from antiphon.session.drafting import Drafting, Turn
from antiphon.session.input_audio import CommittedAudio
from antiphon.session.late_answers import LateAnswers
from antiphon.session.responses import Responses
from antiphon.session.state import SessionState
from antiphon.session.transcription import TranscriptionJob
from antiphon.session.user_items import UserItems


class TurnClosing:
    """Makes one session's turns items, and answers them, at once or when their transcript is there."""

    def __init__(
        self, state: SessionState, responses: Responses, drafting: Drafting, items: UserItems, late: LateAnswers
    ) -> None:
        self._state = state
        self._responses = responses
        self._drafting = drafting
        self._items = items
        self._late = late

    async def close(self, turn: Turn, audio: CommittedAudio, *, answer: bool, said: int | None = None) -> None:
        """Make the turn an item, and answer it.

        Args:
            turn: the turn that is over.
            audio: all of its audio.
            answer: whether the server answers by itself.
            said: how many samples of what is heard (16 kHz) can have words in them; None for all.
        """
        draft = self._drafting.take(turn)
        item = await self._items.commit(turn.item_id, audio, turn.live.told if turn.live is not None else 0)
        turn.timeline.audio_ms = item.audio[0].duration_ms
        job = draft.job if draft is not None else None
        if job is not None:
            job.item = item
            item.transcript_state = "pending"
        elif turn.live is not None:
            said_until = audio.start + (len(audio.heard) if said is None else said)
            turn.live.feed(audio.heard[turn.listened - audio.start : said_until - audio.start])
            job = TranscriptionJob.of_turn(self._state, turn.live, item=item)
            item.transcript_state = "pending"
        else:
            job = self._items.transcribe(item, audio.heard[:said])
        if job is not None:
            job.timeline = turn.timeline
        known = job if job is not None and job.ended else None
        if known is not None:
            self._items.settle(item, known)
        if turn.over_reply == "unknown":
            await self._late.turn_closed(turn, item, audio.heard, job)
        if answer and turn.over_reply in ("nothing", "interruption"):
            reply = self._drafting.adopt_reply(turn, draft) if draft is not None else None
            await self._responses.answer(self._drafting.response_config(), item, turn.timeline, reply)
        elif draft is not None:
            self._drafting.keep_ready(turn, draft)
        if answer and turn.over_reply == "backchannel":
            await self._responses.finish_turn(turn.timeline)
        if known is not None:
            await self._items.tell_transcript(item, known)

    async def on_transcript(self, job: TranscriptionJob, item: Item) -> None:
        """Take the outcome of the transcription of `item`."""
        if item.transcript_state != "pending":
            return  # it ended while its turn was being closed, which has settled and told it
        heard = item.audio[item.heard_index].heard
        self._items.settle(item, job)
        self._state.conversation.changed()
        await self._items.tell_transcript(item, job)
        await self._responses.transcript_known(item)
        await self._late.transcribed(job, heard)
