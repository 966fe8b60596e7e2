"""The making of one reply by a language model and a synthesizer.

Two tasks work at once: one reads the model and cuts its text into clauses, the other speaks the clauses. What they make
goes, in order, into one bounded outbox, from which the reply's reader takes it. When the reader falls behind, the
outbox fills and the synthesizer waits; then the clauses fill and the model waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from antiphon.audio.levels import to_pcm
from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import (
    EngineError,
    Finish,
    LanguageModel,
    Samples,
    Synthesizer,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from antiphon.pipeline.alignment import ClauseAudio, PieceCutter
from antiphon.pipeline.clauses import Clause, ClauseSplitter
from antiphon.pipeline.reading import reader_for
from antiphon.pipeline.reasoning import ReasoningFilter
from antiphon.pipeline.reply import (
    SPEECH_RATE,
    Pcm,
    ReplyEnd,
    ReplyEvent,
    ReplyMoment,
    ReplyRequest,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
)
from antiphon.pipeline.speech_text.reader import Reader
from antiphon.pipeline.speech_text.traced import Traced
from antiphon.pipeline.spoken_text import spoken_text

MOST_EVENTS_AHEAD = 80
"""Events made ahead of the reader at most: 32 s of speech, or a second of a fast model's tokens."""

MOST_CLAUSES_AHEAD = 4
"""Clauses that wait for the synthesizer at most."""

_PACE = 0.065
"""Seconds of speech per spoken letter of English at speed 1, until a clause of the reply has been measured."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Speech in the outbox. How far into the text it gets is worked out when it is read, when more is known."""

    pcm: Pcm
    audio: ClauseAudio
    played: int


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


async def make_reply(
    model: LanguageModel, synthesizer: Synthesizer, request: ReplyRequest
) -> AsyncGenerator[ReplyEvent, None]:
    """Make a reply. Closing the generator, or cancelling its reader, stops both engines before it returns.

    Raises (while iterating, after what was made before):
        EngineError: an engine failed, or the model stopped without saying why.
    """
    maker = _Maker(model, synthesizer, request)
    making = asyncio.create_task(maker.make(), name="reply")
    try:
        while True:
            event = await maker.outbox.get()
            if isinstance(event, _Failure):
                raise event.error
            if isinstance(event, _Piece):
                yield ReplySpeech(event.pcm, event.audio.text_end(event.played))
            else:
                yield event
            if isinstance(event, ReplyEnd):
                return
    finally:
        making.cancel()
        await asyncio.wait({making})


class _Maker:
    def __init__(self, model: LanguageModel, synthesizer: Synthesizer, request: ReplyRequest) -> None:
        self.outbox: asyncio.Queue[ReplyEvent | _Piece | _Failure] = asyncio.Queue(MOST_EVENTS_AHEAD)
        self._model = model
        self._synthesizer = synthesizer
        self._request = request
        self._speaks = request.modality == "audio"
        self._clauses: asyncio.Queue[tuple[Clause, Traced] | None] = asyncio.Queue(MOST_CLAUSES_AHEAD)
        self._reasoning = ReasoningFilter()
        self._splitter = ClauseSplitter()
        self._reader: Reader | None = None
        self._cutter = PieceCutter()
        self._pace = _PACE / request.speed
        self._played = 0  # samples of the clause being said that went into the outbox
        self._moments: set[str] = set()
        self._usage: Usage | None = None
        self._reason: Literal["stop", "length", "tool_calls", "content_filter"] | None = None

    async def make(self) -> None:
        """Run both tasks to the end of the reply, and put its end, or its first failure, into the outbox."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._think(), name="reply: language model")
                if self._speaks:
                    tasks.create_task(self._speak(), name="reply: synthesizer")
            if self._reason is None:
                raise EngineError(f"the language model {self._model.name!r} stopped without saying why")
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
            first.__cause__ = first.__cause__ or (failures if len(failures.exceptions) > 1 else None)
            await self.outbox.put(_Failure(first))
        except EngineError as error:
            await self.outbox.put(_Failure(error))
        else:
            await self.outbox.put(ReplyEnd(self._reason, self._usage))

    # --- thinking ---

    async def _think(self) -> None:
        request = self._request
        if self._speaks:
            self._reader = await reader_for(self._synthesizer, request.voice, request.language)
        async with _closing(self._model.generate(request.generation)) as deltas:
            async for delta in deltas:
                match delta:
                    case TextDelta(text):
                        await self._mark("first_token")
                        await self._take(self._reasoning.feed(text))
                    case ToolCallDelta(index, name, arguments, call_id):
                        await self._mark("first_token")
                        await self._end_text()
                        await self.outbox.put(ReplyToolCall(index, name, arguments, call_id))
                    case Usage():
                        self._usage = delta
                    case Finish(reason):
                        self._reason = reason
        await self._end_text()
        await self._clauses.put(None)

    async def _take(self, text: str) -> None:
        if not text:
            return
        await self.outbox.put(ReplyText(text))
        if self._speaks:
            await self._offer(self._splitter.feed(text))

    async def _end_text(self) -> None:
        """Speak what is left of the text: it has ended, or a function call interrupts it."""
        await self._take(self._reasoning.flush())
        if self._speaks:
            await self._offer(self._splitter.flush())

    async def _offer(self, clauses: list[Clause]) -> None:
        for clause in clauses:
            spoken = spoken_text(clause.text, self._reader)
            if spoken.text:
                await self._mark("first_clause")
                await self._clauses.put((clause, spoken))

    # --- speaking ---

    async def _speak(self) -> None:
        while (job := await self._clauses.get()) is not None:
            await self._say(*job)

    async def _say(self, clause: Clause, spoken: Traced) -> None:
        request = self._request
        chunks = self._synthesizer.synthesize(
            spoken.text,
            voice=request.voice,
            speed=request.speed,
            language=request.language,
            priority=request.generation.priority,
        )
        audio = ClauseAudio(clause, spoken, self._pace)
        resampler = StreamResampler(self._synthesizer.sample_rate, SPEECH_RATE)
        self._played = 0
        async with _closing(chunks):
            async for chunk in chunks:
                await self._emit(audio, self._cut(audio, await _resample(resampler, chunk.samples)))
        last = self._cut(audio, resampler.flush())
        audio.finish()
        await self._emit(audio, [*last, *self._cutter.flush()])
        self._pace = audio.pace or self._pace

    def _cut(self, audio: ClauseAudio, samples: Samples) -> list[Pcm]:
        pcm = to_pcm(samples)
        audio.add(pcm)
        return self._cutter.push(pcm)

    async def _emit(self, audio: ClauseAudio, pieces: list[Pcm]) -> None:
        for piece in pieces:
            self._played += piece.size
            await self._mark("first_audio")
            await self.outbox.put(_Piece(piece, audio, self._played))

    async def _mark(self, name: Literal["first_token", "first_clause", "first_audio"]) -> None:
        if name not in self._moments:
            self._moments.add(name)
            await self.outbox.put(ReplyMoment(name, asyncio.get_running_loop().time()))


async def _resample(resampler: StreamResampler, samples: Samples) -> Samples:
    """Return what is ready of `samples` at the new rate. About 0.5 ms of work for a second of speech; much of it runs
    in a thread."""
    if resampler.from_rate == resampler.to_rate or samples.size < resampler.from_rate // 4:
        return resampler.push(samples)
    return await asyncio.to_thread(resampler.push, samples)


@asynccontextmanager
async def _closing(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close an engine's iterator however its use ends, so that the engine stops."""
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
