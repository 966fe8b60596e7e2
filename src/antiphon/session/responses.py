"""The responses of a session: at most one in the conversation at a time, any number out of band beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from antiphon.engines.base import EngineError, Message, TextPart, Usage
from antiphon.pipeline.reply import ReplyEnd, ReplyEvent, ReplyMoment, ReplySpeech, ReplyText, ReplyToolCall
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.frames import server_event
from antiphon.protocol.ids import new_id
from antiphon.session.config import ResponseConfig
from antiphon.session.context import HistoryStart, prepare_request
from antiphon.session.conversation import Item
from antiphon.session.reply import Reply, ReplyFailed, ReplyProgress
from antiphon.session.response import Response, Status
from antiphon.session.state import SessionState, log
from antiphon.session.timeline import Moment, TurnTimeline
from antiphon.session.usage import response_usage

CancelReason = Literal["turn_detected", "client_cancelled"]

_UNLIMITED = 2_147_483_647
"""What `rate_limits.updated` says of a server that has no rate limit: no client may take it for exhausted."""

_COUNT_S = 0.1
"""How long the end of a stopped response waits for its tokens to be counted, in seconds."""

_REPLY_MOMENTS: dict[str, Moment] = {
    "first_token": "first_token",
    "first_clause": "first_clause",
    "first_audio": "first_audio_made",
}


@dataclass(slots=True)
class ActiveResponse:
    """A response in progress.

    Attributes:
        context: the items that it answers.
        own_context: whether these are not the conversation but items that the client gave.
        answers: the user's spoken turn that made the server start it; None when the client asked.
        reply: the pipeline's run; None while transcripts of the context are awaited.
        awaited: ids of items whose transcript the context still needs.
        held: what it made since the user spoke over it, which may be an interruption; None while it goes on.
    """

    response: Response
    context: list[Item]
    own_context: bool
    answers: Item | None
    timeline: TurnTimeline | None
    reply: Reply | None = None
    awaited: set[str] = field(default_factory=set)
    held: list[ReplyProgress | ReplyFailed] | None = None
    sent_audio: bool = False
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class _Queued:
    """A spoken turn that waits for the response in progress, which it may not interrupt."""

    config: ResponseConfig
    item: Item
    timeline: TurnTimeline


class Responses:
    """Creates, feeds, cancels and ends responses."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._active: dict[str, ActiveResponse] = {}
        self._queued: _Queued | None = None
        self.history_start = HistoryStart()
        self.assistant_audio_present = False
        """Whether any response has sent audio, which fixes the voice of the session."""
        self.on_started: Callable[[], None] = lambda: None
        """Called when a response in the conversation begins."""
        self.on_finished: Callable[[int], None] = lambda speech_ms: None
        """Called when a response in the conversation has ended, with the length of its speech in ms."""

    @property
    def current(self) -> ActiveResponse | None:
        """The response in progress in the conversation, or None."""
        return next((active for active in self._active.values() if not active.response.out_of_band), None)

    @property
    def busy(self) -> bool:
        """Whether a response is in progress in the conversation."""
        return self.current is not None

    def check_can_create(self, config: ResponseConfig) -> None:
        """Raise ProtocolError if a response with this configuration cannot be started now."""
        current = self.current
        if config.conversation == "auto" and current is not None:
            raise ProtocolError(
                "Conversation already has an active response in progress: "
                f"{current.response.id}. Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        if len(self._active) >= self._state.limits.max_responses:
            raise ProtocolError(
                f"{len(self._active)} responses are in progress, the most that a session may have at once.",
                code="too_many_active_responses",
            )

    async def create(
        self,
        config: ResponseConfig,
        *,
        context: Sequence[Item] | None = None,
        answers: Item | None = None,
        timeline: TurnTimeline | None = None,
        draft: Reply | None = None,
    ) -> None:
        """Start a response, whose possibility was checked.

        Args:
            config: what it is asked for.
            context: items that replace the conversation; None for the conversation.
            answers: the spoken turn that makes the server start it.
            timeline: that turn's.
            draft: a reply made ahead for exactly this, to be taken over.
        """
        conversation = self._state.conversation if config.conversation == "auto" else None
        response = Response(new_id("resp"), config, conversation)
        items = list(self._state.conversation.items if context is None else context)
        active = ActiveResponse(response, items, context is not None, answers, timeline)
        self._active[response.id] = active
        if conversation is not None:
            self.on_started()
        if not self._state.pipeline.supports_audio:
            active.awaited = {item.id for item in items if item.transcript_state == "pending"}
        if timeline is not None:
            timeline.mark("response_created", self._state.now())
        await self._state.emit_all(response.created())
        if draft is not None:
            active.reply = draft
            for event in draft.adopt():
                await self._take(active, event)
            if draft.failure is not None:
                await self._fail(active, draft.failure)
        else:
            await self._start_when_known(active)

    async def answer(self, config: ResponseConfig, item: Item, timeline: TurnTimeline, draft: Reply | None) -> None:
        """Answer a spoken turn, after the response in progress if there is one that may not be interrupted."""
        if self.busy:
            if draft is not None:
                draft.stop()
            if self._queued is not None:
                await self.finish_turn(self._queued.timeline)
            self._queued = _Queued(config, item, timeline)
            return
        await self.create(config, answers=item, timeline=timeline, draft=draft)

    async def transcript_known(self, item: Item) -> None:
        """Go on with the responses that waited for what `item` says."""
        for active in list(self._active.values()):
            if item.id in active.awaited:
                active.awaited.discard(item.id)
                await self._start_when_known(active)

    async def on_progress(self, notice: ReplyProgress) -> None:
        """Take what a reply has made."""
        reply = notice.reply
        if reply.stopped:
            return
        active = next((active for active in self._active.values() if active.reply is reply), None)
        if active is None:
            reply.hold(notice.event)
            return
        if active.held is not None:
            active.held.append(notice)
            return
        await self._take(active, notice.event)
        reply.handled()

    async def on_failed(self, notice: ReplyFailed) -> None:
        """Take the failure of a reply."""
        if notice.reply.stopped:
            return
        active = next((active for active in self._active.values() if active.reply is notice.reply), None)
        if active is None:
            notice.reply.failure = notice.error
        elif active.held is not None:
            active.held.append(notice)
        else:
            await self._fail(active, notice.error)

    async def cancel(self, response_id: str | None, reason: CancelReason) -> None:
        """Stop a response, or the conversation's.

        Raises:
            ProtocolError: it is not in progress.
        """
        active = self.current if response_id is None else self._active.get(response_id)
        if active is None:
            message = "Cancellation failed: no active response found"
            raise ProtocolError(message, code="response_cancel_not_active")
        await self._finish(active, "cancelled", {"type": "cancelled", "reason": reason})

    def hold(self) -> bool:
        """Send nothing more of the conversation's response until it is interrupted or released.

        Returns whether there is one.
        """
        active = self.current
        if active is None:
            return False
        if active.held is None:
            active.held = []
        return True

    async def release(self) -> None:
        """Go on with the response that is held, if there is one."""
        active = self.current
        if active is None or active.held is None:
            return
        held, active.held = active.held, None
        for notice in held:
            if isinstance(notice, ReplyProgress):
                await self.on_progress(notice)
            else:
                await self.on_failed(notice)

    async def interrupt(self) -> None:
        """Stop the conversation's response because the user speaks; nothing happens when there is none."""
        if self._queued is not None:
            await self.finish_turn(self._queued.timeline)
            self._queued = None
        if self.busy:
            await self.cancel(None, "turn_detected")

    def stop_all(self) -> None:
        """Stop all work without a word; the session is over."""
        for active in self._active.values():
            if active.reply is not None:
                active.reply.stop()
        self._active.clear()

    async def _start_when_known(self, active: ActiveResponse) -> None:
        if active.awaited or active.reply is not None:
            return
        answers = active.answers
        if answers is not None and not self._state.pipeline.supports_audio and answers.silence_s is None:
            if answers.transcript_state == "failed":
                error = EngineError("What the user said could not be transcribed.", code="transcription_failed")
                await self._fail(active, error)
                return
            if answers.transcript_state == "known" and not answers.transcript.strip():
                await self._finish(active, "completed", None)
                return
        start = None if active.own_context or active.response.out_of_band else self.history_start
        active.reply = Reply(
            self._state,
            prepare_request(self._state, active.response.config, active.context, history_start=start),
        )

    async def _take(self, active: ActiveResponse, event: ReplyEvent) -> None:
        response = active.response
        match event:
            case ReplyText(text):
                await self._state.emit_all(response.text(text))
            case ReplySpeech(pcm, text_end):
                await self._state.emit_all(response.speech(pcm, text_end))
                self._speech_sent(active)
            case ReplyToolCall(index, name, arguments, call_id):
                await self._state.emit_all(response.tool_call(index, name, arguments, call_id))
            case ReplyMoment(name, at):
                if active.timeline is not None:
                    active.timeline.mark(_REPLY_MOMENTS[name], at)
            case ReplyEnd(reason, usage):
                active.usage = usage
                if reason == "length":
                    await self._finish(active, "incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
                elif reason == "content_filter":
                    await self._finish(active, "incomplete", {"type": "incomplete", "reason": "content_filter"})
                else:
                    await self._finish(active, "completed", None)

    def _speech_sent(self, active: ActiveResponse) -> None:
        if not active.sent_audio:
            active.sent_audio = True
            self.assistant_audio_present = True
            if active.timeline is not None:
                active.timeline.mark("first_audio_sent", self._state.now())

    async def _fail(self, active: ActiveResponse, error: EngineError) -> None:
        body = {"type": "server_error", "code": error.code, "message": error.message}
        await self._finish(active, "failed", {"type": "failed", "error": body})

    async def _finish(self, active: ActiveResponse, status: Status, details: dict[str, Any] | None) -> None:
        response = active.response
        if active.reply is not None:
            active.reply.stop()
        del self._active[response.id]
        if active.usage is None and active.reply is not None:
            active.usage = await self._count(active.reply, response)
        usage = response_usage(active.usage, heard_ms=_heard_ms(active.context), spoken_ms=response.audio_ms)
        await self._state.emit_all(response.finish(status, details, usage))
        await self._state.emit(_rate_limits())
        self._state.observer.response_finished(status)
        if active.timeline is not None:
            active.timeline.mark("response_done", self._state.now())
            await self.finish_turn(active.timeline, response.id)
        if not response.out_of_band:
            self.on_finished(response.audio_ms)
        if self._queued is not None and not self.busy:
            queued, self._queued = self._queued, None
            await self.create(queued.config, answers=queued.item, timeline=queued.timeline)

    async def _count(self, reply: Reply, response: Response) -> Usage | None:
        """Count the tokens of a reply that was stopped before the model could say."""
        if reply.request is None:
            return None
        count = self._state.pipeline.count_tokens
        generation = reply.request.generation
        try:
            async with asyncio.timeout(_COUNT_S):
                read = await count(generation.messages, generation.tools)
                written = await count((Message("assistant", (TextPart(response.written),)),)) if response.written else 0
        except (EngineError, TimeoutError) as error:
            log.info("tokens of a stopped reply could not be counted", error=str(error))
            return None
        return Usage(read, written)

    async def finish_turn(self, timeline: TurnTimeline, response_id: str | None = None) -> None:
        """Tell what became of a spoken turn, which was answered or never will be."""
        log.info(
            "turn",
            item_id=timeline.item_id,
            audio_ms=timeline.audio_ms,
            drafts=timeline.drafts,
            adopted=timeline.adopted,
            since_speech_stopped_ms=timeline.since_speech_stopped_ms(),
        )
        self._state.observer.turn_finished(timeline)
        if self._state.tells_timeline:
            await self._state.emit(timeline.event(response_id))


def _heard_ms(context: Sequence[Item]) -> int:
    return sum(
        audio.duration_ms for item in context if item.wire.get("role") == "user" for audio in item.audio.values()
    )


def _rate_limits() -> dict[str, Any]:
    bucket = {"name": "tokens", "limit": _UNLIMITED, "remaining": _UNLIMITED, "reset_seconds": 0.0}
    return server_event("rate_limits.updated", rate_limits=[bucket])
