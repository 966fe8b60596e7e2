"""A session that another server runs: what a transport needs of one, with the upstream behind it.

Two tasks pass things on, one in each direction, so that a side which is slow to read holds up what is said to it and
nothing else. What they share is an `Exchange`, whose methods never wait.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from antiphon.protocol.errors import ProtocolError, error_event
from antiphon.protocol.frames import ServerEvent
from antiphon.protocol.ids import new_id
from antiphon.relay.exchange import Exchange, MalformedError
from antiphon.relay.open_responses import TooMuchError
from antiphon.relay.opening import Opening
from antiphon.relay.recording import Recorder
from antiphon.relay.settings import RecordingSettings
from antiphon.relay.turns import RelayedTurns
from antiphon.relay.upstream import Upstream, UpstreamError
from antiphon.session.contract import EndReason
from antiphon.session.inbox import Inbox
from antiphon.session.limits import SessionLimits
from antiphon.session.observer import SessionObserver, SilentObserver
from antiphon.session.player import Player

UPSTREAM_ERROR = "upstream_error"
"""The label of all errors that the upstream tells clients; it could name any number of codes."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_log = structlog.get_logger("antiphon.relay")

_Message = dict[str, Any] | ProtocolError | NDArray[np.int16]


class RelaySession:
    """One client's session at an upstream.

    Args:
        upstream: the session there.
        opening: what it was opened with.
        limits: its bounds on this side: how long it may be, and how much may wait to go up.
        emit: sends an event to the client; waits while the client is slow. It must not raise.
        same_model: tells whether a name that the client gives means this model.
        observer: who keeps the metrics.
        player: what plays the session's speech, where the transport does that.
        recording: where to record it; None for nowhere.
    """

    def __init__(
        self,
        upstream: Upstream,
        opening: Opening,
        *,
        limits: SessionLimits,
        emit: Callable[[ServerEvent], Awaitable[None]],
        same_model: Callable[[str], bool],
        observer: SessionObserver | None = None,
        player: Player | None = None,
        recording: RecordingSettings | None = None,
    ) -> None:
        upstream_id = upstream.created["session"].get("id")
        known = isinstance(upstream_id, str) and _ID.fullmatch(upstream_id) is not None
        self.id: str = upstream_id if known else new_id("sess")
        self.end_reason: EndReason | None = None
        self._upstream = upstream
        self._limits = limits
        self._emit = emit
        self._observer = observer or SilentObserver()
        self._player = player
        self._recording = recording
        self._recorder: Recorder | None = None
        self._turns = RelayedTurns(self._observer)
        self._expired_there = False
        self._inbox: Inbox[_Message, None] = Inbox(limits.inbox_bytes)
        self._ended: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._exchange = Exchange(
            model=opening.model,
            instructions=opening.instructions,
            expires_at=int(time.time() + limits.max_duration_s),
            same_model=same_model,
            plays=player is not None,
            pcm_rate=opening.pcm_rate,
        )

    async def post(self, frame: dict[str, Any] | ProtocolError) -> None:
        """Take a decoded client frame, or the error that decoding it gave; waits while too much is waiting."""
        audio = frame.get("audio") if isinstance(frame, dict) else None
        await self._inbox.put(frame, len(audio) if isinstance(audio, str) else 0)

    async def post_audio(self, pcm: NDArray[np.int16]) -> None:
        """Take audio that flows beside the frames: int16 at the rate of the session's input format."""
        await self._inbox.put(pcm, pcm.nbytes)

    def end(self, reason: EndReason) -> None:
        """Ask the session to end; `run` then cleans up and returns."""
        if not self._ended.done():
            self._ended.set_result(reason)

    async def run(self) -> None:
        """Run the session until it ends; `end_reason` says why it did."""
        structlog.contextvars.bind_contextvars(session_id=self.id)
        if self._recording is not None:
            self._recorder = Recorder(self._recording, self.id)
            _log.info("session is recorded", directory=str(self._recorder.directory))
        expiry = asyncio.get_running_loop().call_later(self._limits.max_duration_s, self.end, "expired")
        work = [self._pass_down(), self._pass_up(), self._upstream.keep_alive()]
        jobs: list[asyncio.Future[Any]] = [asyncio.create_task(job, name=f"{self.id}:relay") for job in work]
        try:
            await asyncio.wait([self._ended, *jobs], return_when=asyncio.FIRST_COMPLETED)
            failure = next((error for job in jobs if job.done() and (error := job.exception())), None)
            await _cancelled(jobs)
            await self._say_the_last(failure)
        finally:
            expiry.cancel()
            await _cancelled(jobs)
            if self._recorder is not None:
                self._recorder.close()
            await self._leave()

    async def _pass_down(self) -> None:
        for event in (self._upstream.created, *self._upstream.early):
            await self._from_upstream(event)
        while True:
            # A response that has begun and gives no more is stuck; between responses there may be silence for hours.
            stall_s = self._upstream.stall_timeout_s if self._exchange.open_responses else None
            await self._from_upstream(await self._upstream.receive(stall_s))

    async def _from_upstream(self, event: dict[str, Any]) -> None:
        try:
            told = self._exchange.from_upstream(event)
        except (MalformedError, TooMuchError) as error:
            message = "The upstream server sent something that is not in the protocol."
            raise UpstreamError(message, code="upstream_failed", detail=str(error)) from error
        if event["type"] == "error":
            _log.info("error of the upstream", error=event["error"], told=bool(told))
            self._observer.client_error(UPSTREAM_ERROR)
            self._expired_there = event["error"].get("code") == "session_expired"
        for one in told:
            await self._tell(one)
        if self._exchange.interrupts(event):
            await self._fall_silent()

    async def _pass_up(self) -> None:
        while True:
            message = await self._inbox.get()
            try:
                await self._from_client(message)
            except ProtocolError as error:
                self._observer.client_error(error.code)
                _log.info("client error", code=error.code, param=error.param, error=error.message)
                await self._tell(error_event(error))

    async def _from_client(self, message: _Message | None) -> None:
        if isinstance(message, ProtocolError):
            raise message
        if isinstance(message, dict):
            if message["type"] == "output_audio_buffer.clear" and self._player is not None:
                await self._fall_silent()
                return
            for frame in self._exchange.to_upstream(message):
                await self._send(frame)
        elif message is not None:
            await self._send(self._exchange.audio_to_upstream(message))

    async def _fall_silent(self) -> None:
        """Silence the transport's player, and tell both sides what was heard."""
        if self._player is None:
            return
        told, frames = self._exchange.cut(self._player.clear())
        for event in told:
            await self._tell(event)
        for frame in frames:
            await self._send(frame)

    async def _tell(self, event: ServerEvent) -> None:
        self._turns.note(event, asyncio.get_running_loop().time())
        if self._recorder is not None:
            self._recorder.down(event, self._exchange.format_of(event))
        await self._emit(event)

    async def _send(self, frame: dict[str, Any]) -> None:
        if self._recorder is not None:
            self._recorder.up(frame, self._exchange.input_format)
        await self._upstream.send(frame)

    async def _say_the_last(self, failure: BaseException | None) -> None:
        """Tell the client why the session ends, unless it has ended it.

        Raises:
            Exception: the failure, where it is a fault of this server's own.
        """
        if failure is not None and not isinstance(failure, UpstreamError):
            raise failure
        if self._ended.done():
            self.end_reason = self._ended.result()
            if self.end_reason == "expired":
                minutes = self._limits.max_duration_s / 60
                message = f"Your session hit the maximum duration of {minutes:g} minutes."
                await self._tell(error_event(ProtocolError(message, code="session_expired")))
        elif isinstance(failure, UpstreamError):
            for event in self._exchange.failed(failure.error):
                await self._tell(event)
            if self._expired_there:
                self.end_reason = "expired"  # of which the client has heard
                return
            self.end_reason = failure.reason
            _log.error("upstream failed", reason=failure.error.message, detail=failure.detail)
            await self._tell(error_event(failure.error))

    async def _leave(self) -> None:
        if self.end_reason in ("upstream_unavailable", "upstream_failed", None):
            await self._upstream.abort()
        else:
            await self._upstream.close()


async def _cancelled(jobs: list[asyncio.Future[Any]]) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
