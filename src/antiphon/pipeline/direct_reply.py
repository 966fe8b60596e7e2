"""The making of one reply by a model that hears and speaks itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Literal

from antiphon.audio.levels import to_pcm
from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import (
    AudioChunk,
    EngineError,
    Finish,
    Samples,
    SpeechModel,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from antiphon.pipeline.alignment import PieceCutter
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
from antiphon.pipeline.speech_alignment import SpeechAlignment


async def make_direct_reply(model: SpeechModel, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
    """Make a reply. Closing the generator, or cancelling its reader, stops the model before it returns. The model is
    read no faster than the reply is.

    Raises (while iterating, after what was made before):
        EngineError: the model failed, or stopped without saying why.
    """
    reply = _Reply(request.modality == "audio")
    deltas = model.respond(request.generation, voice=request.voice, speech=reply.speaks)
    try:
        async for delta in deltas:
            match delta:
                case TextDelta(text):
                    for event in reply.text(reply.reasoning.feed(text), "first_token"):
                        yield event
                case AudioChunk() if reply.speaks:
                    for event in await reply.audio(delta):
                        yield event
                case ToolCallDelta(index, name, arguments, call_id):
                    for event in reply.text(reply.reasoning.flush(), "first_token"):
                        yield event
                    yield ReplyToolCall(index, name, arguments, call_id)
                case Usage():
                    reply.usage = delta
                case Finish(reason):
                    reply.reason = reason
        if reply.reason is None:
            raise EngineError(f"the speech model {model.name!r} stopped without saying why")
        for event in reply.end():
            yield event
        yield ReplyEnd(reply.reason, reply.usage)
    finally:
        if isinstance(deltas, AsyncGenerator):
            await deltas.aclose()


class _Reply:
    """What was made of one reply so far."""

    def __init__(self, speaks: bool) -> None:
        self.speaks = speaks
        self.reasoning = ReasoningFilter()
        self.usage: Usage | None = None
        self.reason: Literal["stop", "length", "tool_calls", "content_filter"] | None = None
        self._alignment = SpeechAlignment()
        self._cutter = PieceCutter()
        self._resampler: StreamResampler | None = None
        self._played = 0
        self._moments: set[str] = set()

    def text(self, text: str, moment: Literal["first_token"] | None = None) -> list[ReplyEvent]:
        events = self._mark(moment) if moment is not None else []
        if text:
            self._alignment.add_text(text)
            events.append(ReplyText(text))
        return events

    async def audio(self, chunk: AudioChunk) -> list[ReplyEvent]:
        samples: list[Samples] = []
        if self._resampler is None or self._resampler.from_rate != chunk.rate:
            if self._resampler is not None:
                samples.append(self._resampler.flush())
            self._resampler = StreamResampler(chunk.rate, SPEECH_RATE)
        if chunk.rate == SPEECH_RATE:
            samples.append(chunk.samples)
        else:
            samples.append(await asyncio.to_thread(self._resampler.push, chunk.samples))
        return [event for part in samples for event in self._spoken(part)]

    def end(self) -> list[ReplyEvent]:
        """Return what was held back."""
        events = self.text(self.reasoning.flush())
        last = to_pcm(self._resampler.flush()) if self._resampler is not None else None
        if last is not None:
            self._alignment.add_speech(last)
            pieces = [*self._cutter.push(last), *self._cutter.flush()]
            self._alignment.finish()
            events.extend(self._pieces(pieces))
        return events

    def _spoken(self, samples: Samples) -> list[ReplyEvent]:
        pcm = to_pcm(samples)
        self._alignment.add_speech(pcm)
        return list(self._pieces(self._cutter.push(pcm)))

    def _pieces(self, pieces: list[Pcm]) -> Iterator[ReplyEvent]:
        for piece in pieces:
            self._played += piece.size
            yield from self._mark("first_audio")
            yield ReplySpeech(piece, self._alignment.text_end(self._played))

    def _mark(self, name: Literal["first_token", "first_audio"]) -> list[ReplyEvent]:
        if name in self._moments:
            return []
        self._moments.add(name)
        return [ReplyMoment(name, asyncio.get_running_loop().time())]
