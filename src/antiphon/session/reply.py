"""A reply in the making, beside the session: its events come as notices and may wait until it is adopted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from antiphon.engines.base import EngineError
from antiphon.engines.promotion import Promotion
from antiphon.pipeline.reply import ReplyEvent, ReplyRequest
from antiphon.session.history import ContextTooLong
from antiphon.session.state import SessionState, log


@dataclass(frozen=True, slots=True)
class ReplyProgress:
    """Notice: a reply has made something."""

    reply: Reply
    event: ReplyEvent


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """Notice: a reply cannot be completed."""

    reply: Reply
    error: EngineError


class Reply:
    """One run of the pipeline.

    While nobody has adopted it, it is a draft: what it makes is kept in `held`, and when its look-ahead is used up
    the pipeline waits.

    Attributes:
        held: what a draft has made.
        failure: why a draft cannot be completed.
        request: what the pipeline was asked, once that is known.

    Args:
        state: the session's.
        prepare: makes the request; may wait for the model to count tokens.
        promotion: of the draft that it belongs to.
    """

    def __init__(
        self,
        state: SessionState,
        prepare: Callable[[], Awaitable[ReplyRequest]],
        promotion: Promotion | None = None,
    ) -> None:
        self.held: list[ReplyEvent] = []
        self.failure: EngineError | None = None
        self.request: ReplyRequest | None = None
        self._state = state
        self._prepare = prepare
        self._ahead = asyncio.Semaphore(state.limits.reply_lookahead)
        self._task: asyncio.Task[None] | None = state.spawn(self._run(), "reply", promotion)

    @property
    def stopped(self) -> bool:
        """Whether it was stopped; notices that are still under way mean nothing then."""
        return self._task is None

    def hold(self, event: ReplyEvent) -> None:
        """Keep an event of a draft."""
        self.held.append(event)

    def adopt(self) -> list[ReplyEvent]:
        """Return what was held, for good, and let the pipeline go on."""
        held, self.held = self.held, []
        for _ in held:
            self._ahead.release()
        return held

    def handled(self) -> None:
        """Let the pipeline make one more event."""
        self._ahead.release()

    def stop(self) -> None:
        """Stop every engine that works on it, at once."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        try:
            self.request = await self._prepare()
            async with aclosing(self._state.pipeline.reply(self.request)) as events:
                async for event in events:
                    await self._ahead.acquire()
                    self._state.notify(ReplyProgress(self, event))
        except ContextTooLong:
            message = "The conversation is longer than the model's context."
            self._fail(EngineError(message, code="context_length_exceeded"))
        except EngineError as error:
            log.warning("reply failed", code=error.code, error=error.message)
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever an engine does, the session is told
            log.exception("reply failed", exc_info=error)
            self._fail(EngineError("The model failed to make a reply.", code="server_error"))

    def _fail(self, error: EngineError) -> None:
        self._state.notify(ReplyFailed(self, error))
