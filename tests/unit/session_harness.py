"""A session in this process, on stand-in engines; every frame is validated and its order checked."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from antiphon.engines.base import Denoiser, EngineContext
from antiphon.engines.stand_in import (
    StandInLanguageModel,
    StandInSynthesizer,
    StandInTranscriber,
    StandInTurnClassifier,
    StandInVad,
)
from antiphon.models.store import ModelStore
from antiphon.pipeline.cascade import Cascade
from antiphon.protocol.frames import ServerEvent, encode_event
from antiphon.session.config import SessionConfig, default_session_config
from antiphon.session.limits import SessionLimits
from antiphon.session.observer import SessionObserver
from antiphon.session.player import Player
from antiphon.session.session import Session
from tests.conformance.frames import validate_server_event
from tests.conformance.order import OrderChecker

Event = dict[str, Any]

PATIENCE_S = 15
"""A bound for a session that hangs, far above what a slow machine needs."""


async def stand_in_pipeline(**parts: Any) -> Cascade:
    """Return a cascade of stand-in engines; `parts` replace engines by role."""

    context = EngineContext(ModelStore(Path("no-models")))
    engines: dict[str, Any] = {
        "vad": await StandInVad.load(context),
        "turn": await StandInTurnClassifier.load(context),
        "transcription": await StandInTranscriber.load(context),
        "llm": await StandInLanguageModel.load(context),
        "tts": await StandInSynthesizer.load(context),
    }
    engines.update(parts)
    denoise: Denoiser | None = engines.pop("denoise", None)
    drafts = engines.pop("drafts", "full")
    return Cascade("stand-in", denoise=denoise, drafts=drafts, **engines)


class Conversing:
    """A client without a wire."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.received: list[Event] = []
        self.checker = OrderChecker()
        self.failure: AssertionError | None = None
        self._arrived = asyncio.Event()

    async def emit(self, event: ServerEvent) -> None:
        """Take an event of the session."""
        frame = orjson.loads(encode_event(event))
        try:
            validate_server_event(frame)
            self.checker.feed("received", frame)
        except AssertionError as failure:
            self.failure = self.failure or failure
            raise
        self.received.append(frame)
        self._arrived.set()

    async def send(self, event: Event) -> None:
        """Send an event to the session."""
        self.checker.feed("sent", event)
        await self.session.post(event)

    async def append(self, pcm: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        """Send audio, PCM16 at the session's rate, in one append."""
        await self.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm.tobytes()).decode()})

    async def speak(self, seconds: float, silence: float = 0.6) -> None:
        """Send `seconds` of something loud and then silence, in appends of 20 ms."""
        loud = (np.random.default_rng(7).standard_normal(round(seconds * 24_000)) * 6000).astype(np.int16)
        sound = np.concatenate([loud, np.zeros(round(silence * 24_000), np.int16)])
        for start in range(0, len(sound), 480):
            await self.append(sound[start : start + 480])

    async def expect(self, kind: str, start: int = 0) -> Event:
        """Return the first event of type `kind` from index `start` on; waits for it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = next((event for event in self.received[start:] if event["type"] == kind), None)
                if found is not None:
                    return found
                self._arrived.clear()
                await self._arrived.wait()

    def kinds(self, start: int = 0, *, without: str | None = None) -> list[str]:
        """Return the types of what was received from index `start` on, runs of deltas as one.

        Types that begin with `without` are left out.
        """
        found: list[str] = []
        for event in self.received[start:]:
            if without is not None and event["type"].startswith(without):
                continue
            if not (event["type"].endswith(".delta") and event["type"] in found[-2:]):
                found.append(event["type"])
        return found


@asynccontextmanager
async def conversing(
    pipeline: Cascade,
    *,
    config: SessionConfig | None = None,
    limits: SessionLimits | None = None,
    observer: SessionObserver | None = None,
    settle: bool = True,
    player: Player | None = None,
    tells_timeline: bool = False,
) -> AsyncIterator[Conversing]:
    """Run a session on `pipeline`; at the end nothing may be outstanding and no task may be left."""
    before = asyncio.all_tasks()
    client: Conversing

    async def emit(event: ServerEvent) -> None:
        await client.emit(event)

    session = Session(
        pipeline,
        config or default_session_config(model="stand-in", voice="alloy", instructions="Be brief."),
        limits=limits or SessionLimits(),
        emit=emit,
        same_model=lambda name: name == "stand-in",
        observer=observer,
        player=player,
        tells_timeline=tells_timeline,
    )
    client = Conversing(session)
    running = asyncio.create_task(session.run())
    try:
        await client.expect("session.created")
        yield client
        if settle:
            async with asyncio.timeout(PATIENCE_S):
                while client.checker.outstanding():  # noqa: ASYNC110 - the checker has no event to wait for
                    await asyncio.sleep(0.01)
            client.checker.finish()
    finally:
        session.end("client_closed")
        await running
        if client.failure is not None:  # for the session, which it was raised in, it is one more internal error
            raise client.failure
    assert asyncio.all_tasks() - before == set()
