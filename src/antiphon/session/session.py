"""A session: one task that owns its state and handles what happens to it, one thing at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from antiphon.pipeline.reply import Pipeline
from antiphon.protocol.errors import ProtocolError, error_event
from antiphon.protocol.frames import ServerEvent, event_id_of, server_event
from antiphon.protocol.ids import new_id
from antiphon.protocol.schema import decode_audio, parse_client_event
from antiphon.session.barge_in import BargeIn, HeldTooLong
from antiphon.session.client_events import ClientEvents
from antiphon.session.config import ServerVad, SessionConfig
from antiphon.session.contract import EndReason
from antiphon.session.conversation import Conversation
from antiphon.session.drafting import Drafting
from antiphon.session.inbox import Inbox
from antiphon.session.limits import SessionLimits
from antiphon.session.live_transcript import WordsGuessed, WordsHeard
from antiphon.session.observer import SessionObserver, SilentObserver
from antiphon.session.player import Player
from antiphon.session.reply import ReplyFailed, ReplyProgress
from antiphon.session.responses import Responses
from antiphon.session.state import SessionState, log
from antiphon.session.timers import TimerRanOut, Timers
from antiphon.session.transcription import TranscriptReady
from antiphon.session.turn_judging import TurnJudged
from antiphon.session.turns import TurnTaking
from antiphon.session.user_items import UserItems

_SLICE_MS = 200
"""Audio of a large append is heard in slices of this length, so that other things are handled in between."""


@dataclass(frozen=True, slots=True)
class _Audio:
    """Audio of the client that is not heard yet: int16 at the client's rate.

    `flowing` is audio that comes whether or not it is wanted, as a WebRTC track does.
    """

    pcm: NDArray[np.int16]
    flowing: bool = False


@dataclass(frozen=True, slots=True)
class _End:
    """Notice: the session is asked to end."""

    reason: EndReason


_Message = dict[str, Any] | ProtocolError | _Audio
_Heard = TranscriptReady | WordsHeard | WordsGuessed | TurnJudged | HeldTooLong
_Notice = ReplyProgress | ReplyFailed | _Heard | TimerRanOut | _End


class Session:
    """One client's session.

    Args:
        pipeline: the model that is served.
        config: what the session starts with.
        limits: its bounds.
        emit: sends an event to the client; waits while the client is slow. It must not raise.
        same_model: tells whether a name that the client gives means this model.
        observer: who keeps the metrics.
        player: what plays the session's speech, where the transport does that.
        tells_timeline: whether the client wants an `antiphon.turn.timeline` after each turn.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        config: SessionConfig,
        *,
        limits: SessionLimits,
        emit: Callable[[ServerEvent], Awaitable[None]],
        same_model: Callable[[str], bool],
        observer: SessionObserver | None = None,
        player: Player | None = None,
        tells_timeline: bool = False,
    ) -> None:
        self.id = new_id("sess")
        self.end_reason: EndReason | None = None
        self._inbox: Inbox[_Message, _Notice] = Inbox(limits.inbox_bytes)
        self._state = SessionState(
            id=self.id,
            pipeline=pipeline,
            limits=limits,
            config=config,
            conversation=Conversation(
                new_id("conv"), max_items=limits.max_items, max_audio_s=limits.max_retained_audio_s
            ),
            observer=observer or SilentObserver(),
            emit=emit,
            notify=self._inbox.notify,
            player=player,
            tells_timeline=tells_timeline,
        )
        self._expires_at = int(time.time() + limits.max_duration_s)
        self._responses = Responses(self._state)
        drafting = Drafting(self._state, self._responses)
        items = UserItems(self._state)
        self._barge_in = BargeIn(self._state, self._responses, drafting)
        self._turns = TurnTaking(self._state, self._responses, drafting, items, self._barge_in)
        # Bound to the timers, not to the session: a cycle would keep its audio until the collector comes by.
        self._timers = Timers(self._state)
        self._turns.on_speech = self._timers.stop_idle
        self._responses.on_started = self._timers.stop_idle
        self._responses.on_finished = self._timers.start_idle
        self._client_events = ClientEvents(
            self._state,
            responses=self._responses,
            turns=self._turns,
            drafting=drafting,
            items=items,
            expires_at=self._expires_at,
            same_model=same_model,
        )
        self._told_full = False

    @property
    def conversation_id(self) -> str:
        """The id of its conversation."""
        return self._state.conversation.id

    async def post(self, frame: dict[str, Any] | ProtocolError) -> None:
        """Take a decoded client frame, or the error that decoding it gave; waits while too much is waiting."""
        audio = frame.get("audio") if isinstance(frame, dict) else None
        await self._inbox.put(frame, len(audio) if isinstance(audio, str) else 0)

    async def post_audio(self, pcm: NDArray[np.int16]) -> None:
        """Take audio that flows beside the frames: int16 at the rate of the session's input format.

        Waits while too much is waiting. Without turn detection, a client commits what it wants of it; there quiet
        audio is forgotten after `quiet_buffer_s`, and what comes after `max_turn_s` of speech is refused.
        """
        await self._inbox.put(_Audio(pcm, flowing=True), pcm.nbytes)

    def end(self, reason: EndReason) -> None:
        """Ask the session to end; `run` then cleans up and returns."""
        self._inbox.notify(_End(reason))

    async def run(self) -> None:
        """Run the session until it ends."""
        structlog.contextvars.bind_contextvars(session_id=self.id)
        try:
            await self._state.emit(
                server_event("session.created", session=self._state.config.wire(self.id, self._expires_at))
            )
            self._timers.set("expiry", self._state.limits.max_duration_s)
            while self.end_reason is None:
                await self._handle(await self._inbox.get())
                await asyncio.sleep(0)  # a client with much to say must not keep the loop from the others
        finally:
            await self._clean_up()

    async def _handle(self, message: _Message | _Notice) -> None:
        event_id = event_id_of(message) if isinstance(message, dict) else None
        try:
            await self._dispatch(message)
        except ProtocolError as error:
            error.event_id = error.event_id or event_id
            self._state.observer.client_error(error.code)
            log.info("client error", code=error.code, param=error.param, error=error.message)
            await self._state.emit(error_event(error))
        except Exception as error:  # noqa: BLE001 - one fault of ours must not end the session, and is told
            self._state.observer.internal_error()
            log.exception("internal error", exc_info=error)
            told = ProtocolError(
                "The server had an error while handling this event. The session goes on.",
                code="internal_error",
                type="server_error",
                event_id=event_id,
            )
            await self._state.emit(error_event(told))

    async def _dispatch(self, message: _Message | _Notice) -> None:
        match message:
            case dict():
                await self._client_event(message)
            case _Audio(pcm, flowing=True):
                await self._hear_flow(pcm)
            case _Audio(pcm):
                await self._hear(pcm)
            case ProtocolError():
                raise message
            case ReplyProgress():
                await self._responses.on_progress(message)
            case ReplyFailed():
                await self._responses.on_failed(message)
            case TranscriptReady():
                await self._turns.on_transcript(message)
            case WordsHeard():
                await self._turns.on_words(message)
            case WordsGuessed():
                self._turns.on_guess(message)
            case TurnJudged():
                await self._turns.on_judged(message)
            case HeldTooLong():
                await self._barge_in.speech_lasted(message.turn)
            case TimerRanOut():
                await self._timer_ran_out(message)
            case _End(reason):
                self.end_reason = reason

    async def _client_event(self, frame: dict[str, Any]) -> None:
        event = parse_client_event(frame, playing=self._state.player is not None)
        if event["type"] == "input_audio_buffer.append":
            audio_format = self._state.config.input.format
            data = decode_audio(event["audio"], bytes_per_sample=audio_format.bytes_per_sample)
            pcm = audio_format.decode(data)
            self._turns.check_room(len(pcm))
            await self._hear(pcm)
        else:
            await self._client_events.handle(event)

    async def _hear(self, pcm: NDArray[np.int16], *, flowing: bool = False) -> None:
        size = self._state.config.input.format.rate * _SLICE_MS // 1000
        if len(pcm) > size:
            self._inbox.put_back(_Audio(pcm[size:], flowing))
        await self._turns.hear(pcm[:size])

    async def _hear_flow(self, pcm: NDArray[np.int16]) -> None:
        try:
            self._turns.check_room(len(pcm))
        except ProtocolError:
            told, self._told_full = self._told_full, True
            if not told:
                raise
            return
        self._told_full = False
        await self._hear(pcm, flowing=True)
        self._turns.forget_quiet()

    async def _timer_ran_out(self, timer: TimerRanOut) -> None:
        if not self._timers.take(timer):
            return
        if timer.name == "idle":
            mode = self._state.config.input.turn_detection
            idle = not self._turns.speaking and not self._responses.busy
            if idle and isinstance(mode, ServerVad) and mode.idle_timeout_ms is not None:
                await self._turns.commit_silence(mode.idle_timeout_ms)
            return
        minutes = self._state.limits.max_duration_s / 60
        self.end_reason = "expired"
        expired = ProtocolError(
            f"Your session hit the maximum duration of {minutes:g} minutes.", code="session_expired"
        )
        await self._state.emit(error_event(expired))

    async def _clean_up(self) -> None:
        self._timers.stop_all()
        self._responses.stop_all()
        self._turns.close()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
