"""Work ahead that begins before anybody is sure: at a dip of energy, and from words that are only guessed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import numpy as np

from antiphon.engines.base import (
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    Priority,
    Samples,
    TextDelta,
    TextPart,
    ToolCallDelta,
    Transcript,
    TranscriptionStream,
    Usage,
)
from antiphon.engines.promotion import priority_now
from antiphon.engines.stand_in import StandInTranscriber
from antiphon.session.limits import SessionLimits
from tests.unit.session_harness import conversing, stand_in_pipeline
from tests.unit.test_session import Listener, Recorded, pause


async def test_a_draft_begins_at_a_dip_and_is_dropped_when_speech_goes_on() -> None:
    llm = await Recorded.make(words=300)
    listener = Listener()
    async with conversing(await stand_in_pipeline(llm=llm), observer=listener) as client:
        llm.gate.clear()
        await client.speak(0.5, silence=0.07)  # two quiet windows, no pause yet
        await pause(client)
        assert len(llm.asked) == 1
        await client.speak(0.3, silence=0)
        await pause(client)
        assert listener.drafts == ["dropped"]
        assert llm.running == 0
        llm.gate.set()
        await client.append(np.zeros(4_800, np.int16))
        await pause(client)
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
        assert listener.drafts == ["dropped", "adopted"]
        assert llm.texts()[-1] == "Utterance of 0.9 seconds.", "all of it, the dip too"


async def test_dips_use_up_half_of_the_drafts_at_most() -> None:
    llm = await Recorded.make(words=3)
    listener = Listener()
    limits = SessionLimits(drafts_per_turn=4)
    async with conversing(await stand_in_pipeline(llm=llm), observer=listener, limits=limits) as client:
        for _ in range(5):
            await client.speak(0.2, silence=0.07)
            await pause(client)
        await client.append(np.zeros(4_800, np.int16))
        await pause(client)
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
        assert listener.drafts == ["dropped", "dropped", "adopted"]


class _Guessing(TranscriptionStream):
    def __init__(self, stream: TranscriptionStream, guesses: list[str | EngineError]) -> None:
        self._stream = stream
        self._guesses = guesses

    async def push(self, audio: Samples) -> str:
        return await self._stream.push(audio)

    async def transcript(self, *, logprobs: bool = False, priority: Priority = Priority.LIVE) -> Transcript:
        return await self._stream.transcript(logprobs=logprobs, priority=priority)

    async def guess(self) -> str | None:
        guess = self._guesses.pop(0) if self._guesses else None
        if isinstance(guess, EngineError):
            raise guess
        return guess


class Guesses(StandInTranscriber):
    """Guesses what it is told to."""

    guesses: list[str | EngineError]

    def stream(self, *, language: str | None = None, prompt: str | None = None) -> TranscriptionStream:
        return _Guessing(super().stream(language=language, prompt=prompt), self.guesses)


class Warmed(Recorded):
    """Keeps what it was warmed with."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.warmed: list[str] = []

    async def prefill(self, request: GenerationRequest) -> None:
        parts = [part for message in request.messages for part in message.content]
        self.warmed.append("|".join(part.text for part in parts if isinstance(part, TextPart)))


async def test_nothing_is_guessed_while_a_transcript_is_made() -> None:
    ears = await Guesses.load(EngineContext(models=None))  # type: ignore[arg-type]
    ears.guesses = ["No"] * 100
    async with conversing(await stand_in_pipeline(transcription=ears)) as client:
        await client.speak(0.9, silence=0)
        await pause(client)
        guessed = len(ears.guesses)
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
        assert len(ears.guesses) == guessed


async def test_words_that_are_guessed_warm_the_model_but_for_the_last() -> None:
    llm = cast(Warmed, await Warmed.make(words=3))
    ears = await Guesses.load(EngineContext(models=None))  # type: ignore[arg-type]
    ears.guesses = ["Tell me a sto", EngineError("no idea")]
    async with conversing(await stand_in_pipeline(llm=llm, transcription=ears)) as client:
        await client.speak(2.5, silence=0)
        await pause(client)
        assert llm.warmed[0] == "Be brief.", "first everything before the turn"
        assert "Be brief.|Tell me a" in llm.warmed
        assert not any(kind.startswith("response") for kind in client.kinds())
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")


class Prioritized(Recorded):
    """Keeps with what priority each of its words was made."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.priorities: list[Priority] = []

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        async for delta in super().generate(request):
            self.priorities.append(priority_now(request.priority))
            yield delta


async def test_a_draft_that_is_adopted_is_worked_on_like_any_reply() -> None:
    llm = cast(Prioritized, await Prioritized.make(words=20))
    async with conversing(await stand_in_pipeline(llm=llm)) as client:
        llm.gate.clear()
        await client.speak(0.5, silence=0.2)
        await pause(client)
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.created")
        llm.gate.set()
        await client.expect("response.done")
    assert llm.priorities[-1] is Priority.LIVE
    assert len(llm.asked) == 1
    assert llm.asked[0].priority is Priority.DRAFT
