"""Speech to text behind OpenAI's audio/transcriptions: OpenAI, faster-whisper servers, vLLM and others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import ClassVar, Self

import numpy as np
from openai import AsyncStream
from pydantic import BaseModel

from antiphon.engines.base import (
    HEARING_RATE,
    EngineContext,
    EngineError,
    EngineLoad,
    Priority,
    Samples,
    TokenLogprob,
    Transcriber,
    Transcript,
)
from antiphon.engines.openai.client import OpenAIOptions, OpenAIServer
from antiphon.engines.options import read_options
from antiphon.engines.remote.errors import RemoteError
from antiphon.engines.wav import wav_file

_SHORTEST = HEARING_RATE // 10
"""Samples; OpenAI refuses less than 0.1 s."""


class OpenAITranscriptionOptions(OpenAIOptions):
    """Options of `openai-transcription`.

    Attributes:
        stream: ask for the transcript piece by piece, so that a server that hangs is noticed within
            `stall_timeout_s`; not every server can.
        logprobs: the model gives log probabilities, as gpt-4o-transcribe does.
        languages: ISO 639-1 codes of the languages that the model understands; any by default.
    """

    stream: bool = False
    logprobs: bool = False
    languages: tuple[str, ...] | None = None


class _Logprob(BaseModel):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Language(BaseModel):
    code: str


class _Answer(BaseModel):
    text: str
    language: str | None = None
    languages: list[_Language] | None = None
    logprobs: list[_Logprob] | None = None


class _ChunkDelta(BaseModel):
    content: str | None = None


class _ChunkChoice(BaseModel):
    delta: _ChunkDelta = _ChunkDelta()
    finish_reason: str | None = None


class _Event(_Answer):
    """An event of a streamed answer: OpenAI's, or a chunk like a chat completion's, as vLLM sends them."""

    text: str = ""
    type: str = ""
    choices: list[_ChunkChoice] | None = None


class OpenAITranscriber(Transcriber):
    """Transcribes whole utterances on a server. See `OpenAITranscriptionOptions`."""

    name: ClassVar[str] = "openai-transcription"
    options_type: ClassVar[type[OpenAITranscriptionOptions]] = OpenAITranscriptionOptions
    remote = True

    def __init__(self, options: OpenAITranscriptionOptions) -> None:
        """Make the engine; nothing is sent yet.

        Raises:
            EngineError: code "invalid_option" when the key cannot be read.
        """
        self._options = options
        self._server = OpenAIServer(self.name, options)
        self.languages: Sequence[str] | None = options.languages
        self.supports_logprobs = options.logprobs

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the engine; `warm_up` asks the server.

        Raises:
            EngineError: code "invalid_option".
        """
        return await asyncio.to_thread(cls, read_options(cls.name, OpenAITranscriptionOptions, context.options))

    async def warm_up(self) -> None:
        """Transcribe half a second of silence.

        Raises:
            EngineError: what is wrong with URL, key or model.
        """
        try:
            silence = _wav(np.zeros(HEARING_RATE // 2, np.float32))
            await self._server.calls.warm_up(partial(self._attempt, silence, None, None, False))
        except RemoteError as error:
            raise await self._server.explain(error) from error

    def load_now(self) -> EngineLoad:
        """Return how many utterances are being transcribed."""
        return self._server.calls.load()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._server.close()

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Transcribe one utterance; see `Transcriber.transcribe`. Log probabilities come only where the options say
        that the model gives them."""
        if not audio.size:
            return Transcript("", language)
        wav = await asyncio.to_thread(_wav, audio)
        attempt = partial(self._attempt, wav, language, prompt, logprobs and self._options.logprobs)
        async with aclosing(self._server.calls.stream(attempt)) as answers:
            async for answer in answers:
                return _transcript(answer, language)
        raise EngineError(f"{self.name} gave no transcript")

    async def _attempt(
        self, wav: bytes, language: str | None, prompt: str | None, logprobs: bool
    ) -> AsyncGenerator[_Answer | None, None]:
        body = {
            "model": self._options.model,
            "response_format": "json",
            "language": language,
            "prompt": prompt,
            "include": ["logprobs"] if logprobs else None,
            "stream": "true" if self._options.stream else None,
        }
        events = await self._server.client.post(
            "/audio/transcriptions",
            cast_to=object,
            body={name: value for name, value in body.items() if value},
            files=[("file", ("audio.wav", wav, "audio/wav"))],
            options={"headers": {"Content-Type": "multipart/form-data"}},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        async with events:
            if "event-stream" not in events.response.headers.get("content-type", ""):
                yield _Answer.model_validate_json(await events.response.aread())
                return
            words: list[str] = []
            async for data in events:
                event = _Event.model_validate(data)
                if event.type == "transcript.text.done":
                    yield event
                    return
                for choice in event.choices or ():
                    words.append(choice.delta.content or "")
                    if choice.finish_reason:
                        yield _Answer(text="".join(words))
                        return
                yield None
        raise ValueError("the stream ended before the transcript did")


def _wav(audio: Samples) -> bytes:
    """Return a WAV file of float32[n] at 16 kHz, at least 0.1 s long."""
    return wav_file(np.pad(audio, (0, max(_SHORTEST - audio.size, 0))), HEARING_RATE)


def _transcript(answer: _Answer, asked: str | None) -> Transcript:
    """Return an answer as the contract has it; names of languages ("english") are no codes."""
    told = answer.languages[0].code if answer.languages else answer.language
    language = told if told is not None and len(told) == 2 else asked
    logprobs = tuple(
        TokenLogprob(entry.token, entry.logprob, tuple(entry.bytes or entry.token.encode()))
        for entry in answer.logprobs or ()
    )
    return Transcript(answer.text.strip(), language, logprobs)
