"""Working ahead: what the user has said until a pause is transcribed and answered before the turn is over."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

from antiphon.engines.base import EngineError, Priority, Samples
from antiphon.engines.promotion import Promotion
from antiphon.pipeline.voices import voice_names
from antiphon.session.config import ResponseConfig, response_config
from antiphon.session.context import prepare_request
from antiphon.session.draft import Draft
from antiphon.session.history import ContextTooLong
from antiphon.session.live_transcript import LiveTranscript
from antiphon.session.reply import Reply
from antiphon.session.responses import Responses
from antiphon.session.state import SessionState, log
from antiphon.session.timeline import TurnTimeline
from antiphon.session.transcription import TranscriptionJob

OverReply = Literal["nothing", "unknown", "backchannel", "interruption"]


@dataclass(slots=True)
class Turn:
    """A turn of the user's in progress.

    Attributes:
        item_id: of the item that it will be.
        start: where it starts on the session clock.
        live: who listens along, where the engine can.
        listened: up to where on the session clock that one was given the audio.
        draft: the work done ahead for it.
        over_reply: what it is to a reply that was held because of it.
    """

    item_id: str
    start: int
    timeline: TurnTimeline
    live: LiveTranscript | None = None
    listened: int = 0
    draft: Draft | None = None
    over_reply: OverReply = "nothing"


class Drafting:
    """Makes, adopts and drops drafts. Nothing that it makes can be seen before it is adopted."""

    def __init__(self, state: SessionState, responses: Responses) -> None:
        self._state = state
        self._responses = responses
        self._ready: tuple[Turn, Draft] | None = None
        self._prefill: asyncio.Task[None] | None = None

    def speech_started(self) -> None:
        """Forget what was ready to be asked for, and warm the model for the turn that begins."""
        self.drop_ready()
        self.warm(None)

    def warm(self, said: str | None) -> None:
        """Bring everything before this turn, and what of it is certain, into the model's cache."""
        if self._may_answer() and (self._prefill is None or self._prefill.done()):
            self._prefill = self._warm_prefix(None if self._hears else said)

    def wants(self, turn: Turn, *, dip: bool = False) -> bool:
        """Tell whether a draft should be made at a pause of `turn`; half of them may be made at mere dips."""
        most = self._state.limits.drafts_per_turn
        left = turn.timeline.drafts < (most // 2 if dip else most)
        return turn.draft is None and left and self._state.pipeline.drafts != "off"

    def begin(self, turn: Turn, heard: Samples, *, transcribe: bool) -> None:
        """Begin a draft with the transcription of what was said so far (float32 at 16 kHz), where anybody reads it, and
        with the answer of a model that hears."""
        if not transcribe and not self._may_answer():
            return
        now = self._state.now()
        promotion = Promotion()
        turn.timeline.drafts += 1
        turn.timeline.mark("draft_started", now)
        job: TranscriptionJob | None = None
        if turn.live is not None:
            job = TranscriptionJob.of_turn(self._state, turn.live, promotion=promotion)
        elif transcribe:
            job = TranscriptionJob.of_audio(self._state, heard, promotion=promotion)
        draft = Draft(job, heard, promotion, self._state.conversation.version, self._state.config, now)
        turn.draft = draft
        if self._hears and self._may_answer():
            self._answer(draft, heard)

    def transcribed(self, turn: Turn, job: TranscriptionJob) -> None:
        """Go on with the answer, now that it is known what was said."""
        draft = turn.draft
        if draft is None or draft.job is not job:
            return
        turn.timeline.mark("transcript", self._state.now())
        words = job.transcript.text if job.transcript is not None else ""
        said: str | Samples | None = draft.heard if self._hears else words if words.strip() else None
        holds = draft.holds(self._state.conversation.version, self._state.config)
        if said is not None and draft.reply is None and holds and self._may_answer():
            self._answer(draft, said)

    def build_on_now(self, turn: Turn) -> None:
        """Let the draft of `turn`, of which no answer was made yet, build on the conversation as it is now."""
        if turn.draft is not None and turn.draft.reply is None:
            turn.draft.version = self._state.conversation.version

    def drop(self, turn: Turn) -> None:
        """Stop the draft of a turn that goes on, or that nobody wants any more."""
        if turn.draft is not None:
            draft, turn.draft = turn.draft, None
            self._drop(turn, draft)

    def take(self, turn: Turn) -> Draft | None:
        """Return the draft of a turn that is over, if it is exactly what would be made now."""
        draft = turn.draft
        if draft is None:
            return None
        failed = draft.job is not None and draft.job.error is not None and not self._hears
        if failed or not draft.holds(self._state.conversation.version, self._state.config):
            self.drop(turn)
            return None
        turn.draft = None
        if draft.job is not None:
            turn.timeline.adopted = "transcript"
        draft.promotion.promote()
        return draft

    def adopt_reply(self, turn: Turn, draft: Draft) -> Reply | None:
        """Return the answer that the draft holds, for good, or None when there is none."""
        reply = draft.reply
        if reply is None:
            return None
        if reply.failure is not None:
            reply.stop()
            return None
        turn.timeline.adopted = "reply"
        done = turn.timeline.moments.get("first_audio_made", self._state.now())
        self._state.observer.draft_ended("adopted", done - draft.started)
        return reply

    def keep_ready(self, turn: Turn, draft: Draft) -> None:
        """Keep the answer to a committed turn until the client asks for a response."""
        if draft.reply is not None:
            draft.version = self._state.conversation.version
            self._ready = (turn, draft)

    def take_ready(self, config: ResponseConfig) -> tuple[Reply, TurnTimeline] | None:
        """Return the answer kept for the turn committed last, with its timeline, if it is what `config` asks for."""
        ready, self._ready = self._ready, None
        if ready is None:
            return None
        turn, draft = ready
        if draft.holds(self._state.conversation.version, self._state.config):
            reply = self.adopt_reply(turn, draft) if replace(config, metadata=None) == draft.asked else None
            if reply is not None:
                return reply, turn.timeline
        self._drop(turn, draft)
        return None

    def drop_ready(self) -> None:
        """Stop the answer that was kept."""
        if self._ready is not None:
            (turn, draft), self._ready = self._ready, None
            self._drop(turn, draft)

    def response_config(self) -> ResponseConfig:
        """Return what a response is asked for that the server starts by itself."""
        return response_config(self._state.config, None, voices=voice_names(self._state.pipeline.voices))

    def _may_answer(self) -> bool:
        """Tell whether an answer may be made ahead: it must be able to know all that was said before."""
        state = self._state
        mode = state.config.input.turn_detection
        wanted = state.config.type == "realtime" and (mode is None or mode.create_response)
        settled = self._hears or all(item.transcript_state != "pending" for item in state.conversation.items)
        return wanted and settled and state.pipeline.drafts == "full" and not self._responses.busy

    @property
    def _hears(self) -> bool:
        return self._state.pipeline.supports_audio

    def _answer(self, draft: Draft, said: str | Samples) -> None:
        if self._prefill is not None:
            self._prefill.cancel()
        draft.asked = self.response_config()
        prepare = prepare_request(
            self._state,
            draft.asked,
            self._state.conversation.items,
            history_start=self._responses.history_start,
            said=said,
            priority=Priority.DRAFT,
        )
        draft.reply = Reply(self._state, prepare, draft.promotion)

    def _drop(self, turn: Turn, draft: Draft) -> None:
        draft.drop()
        turn.timeline.forget_draft()
        self._state.observer.draft_ended("dropped", 0.0)

    def _warm_prefix(self, said: str | None) -> asyncio.Task[None]:
        state = self._state
        prepare = prepare_request(
            state,
            self.response_config(),
            state.conversation.items,
            history_start=self._responses.history_start,
            said=said,
            priority=Priority.DRAFT,
        )

        async def prefill() -> None:
            try:
                request = await prepare()
                await state.pipeline.prefill(request.generation)
            except (EngineError, ContextTooLong) as error:
                log.info("prefill failed; the reply will tell", error=str(error))

        return state.spawn(prefill(), "prefill")
