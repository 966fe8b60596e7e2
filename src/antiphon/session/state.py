"""What the parts of one session share. Only the session's own task touches it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from antiphon.engines.promotion import Promotion
from antiphon.pipeline.reply import Pipeline
from antiphon.protocol.frames import ServerEvent
from antiphon.session.config import SessionConfig
from antiphon.session.conversation import Conversation
from antiphon.session.limits import SessionLimits
from antiphon.session.observer import SessionObserver
from antiphon.session.player import Player

log: structlog.stdlib.BoundLogger = structlog.get_logger("antiphon.session")


@dataclass(slots=True)
class SessionState:
    """The state of a session and its ways out: events to the client, notices to itself, tasks.

    Attributes:
        emit: sends one event to the client; waits while the client is slow.
        notify: puts a notice into the session's own inbox.
        player: what plays the session's speech; None where the client plays it.
        tells_timeline: whether the client is told where each turn's time went.
    """

    id: str
    pipeline: Pipeline
    limits: SessionLimits
    config: SessionConfig
    conversation: Conversation
    observer: SessionObserver
    emit: Callable[[ServerEvent], Awaitable[None]]
    notify: Callable[[Any], None]
    player: Player | None = None
    tells_timeline: bool = False
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def emit_all(self, events: Sequence[ServerEvent]) -> None:
        """Send events in order."""
        for event in events:
            await self.emit(event)

    def spawn(
        self, work: Coroutine[Any, Any, None], name: str, promotion: Promotion | None = None
    ) -> asyncio.Task[None]:
        """Run `work` beside the session; it is cancelled when the session ends.

        Args:
            work: what to run.
            name: of the task, for logs.
            promotion: of the draft that it works for.
        """
        context = promotion.context() if promotion is not None else None
        task = asyncio.get_running_loop().create_task(work, name=f"{self.id}:{name}", context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    @staticmethod
    def now() -> float:
        """Return the event loop's time in seconds."""
        return asyncio.get_running_loop().time()
