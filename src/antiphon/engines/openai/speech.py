"""Text to speech behind OpenAI's audio/speech: OpenAI, Kokoro-FastAPI, another Antiphon and others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, ClassVar, Self

from openai import NotFoundError, omit
from pydantic import Field

from antiphon.engines.base import AudioChunk, EngineContext, EngineError, EngineLoad, Priority, Synthesizer, Voice
from antiphon.engines.openai.client import OpenAIOptions, OpenAIServer
from antiphon.engines.options import read_options
from antiphon.engines.remote.errors import RemoteError
from antiphon.engines.remote.pcm_stream import read_speech
from antiphon.engines.voice_choice import choose_voice


class OpenAISpeechOptions(OpenAIOptions):
    """Options of `openai-speech`.

    Attributes:
        voices: the server's names of the voices to offer, the default one first. Without, the server is asked for its
            list (`GET audio/voices`), which OpenAI itself does not have.
        instructions: how to speak, for models that take it.
        sample_rate: of the PCM that the server sends, in Hz.
    """

    first_timeout_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    voices: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    instructions: str | None = None
    sample_rate: Annotated[int, Field(ge=8_000, le=96_000)] = 24_000


class OpenAISynthesizer(Synthesizer):
    """Speaks on a server. See `OpenAISpeechOptions`."""

    name: ClassVar[str] = "openai-speech"
    options_type: ClassVar[type[OpenAISpeechOptions]] = OpenAISpeechOptions
    remote = True
    reads_numbers = True

    def __init__(self, options: OpenAISpeechOptions) -> None:
        """Make the engine; nothing is sent yet.

        Raises:
            EngineError: code "invalid_option" when the key cannot be read.
        """
        self._options = options
        self._server = OpenAIServer(self.name, options)
        self.sample_rate = options.sample_rate
        self.voices: Sequence[Voice] = tuple(map(Voice, options.voices or ()))

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the engine; `warm_up` asks the server. It knows its voices then at the latest.

        Raises:
            EngineError: code "invalid_option".
        """
        return await asyncio.to_thread(cls, read_options(cls.name, OpenAISpeechOptions, context.options))

    async def warm_up(self) -> None:
        """Learn the voices and speak a word.

        Raises:
            EngineError: what is wrong with URL, key, model or voice.
        """
        try:
            await self._server.calls.warm_up(partial(self._attempt, "Hello.", None, 1.0))
        except RemoteError as error:
            raise await self._server.explain(error) from error

    def load_now(self) -> EngineLoad:
        """Return how many clauses are being spoken."""
        return self._server.calls.load()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._server.close()

    async def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        """Speak one clause; see `Synthesizer.synthesize`. The server tells the language from the text."""
        async with aclosing(self._server.calls.stream(partial(self._attempt, text, voice, speed))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _attempt(self, text: str, voice: str | None, speed: float) -> AsyncGenerator[AudioChunk, None]:
        if not self.voices:
            self.voices = await self._listed_voices()
        speaking = self._server.client.audio.speech.with_streaming_response.create(
            input=text,
            model=self._options.model,
            voice=choose_voice(self.name, self.voices, voice),
            response_format="pcm",
            speed=omit if speed == 1.0 else speed,
            instructions=self._options.instructions or omit,
        )
        async with speaking as answer:
            kind = answer.headers.get("content-type")
            async with aclosing(read_speech(text, kind, answer.iter_bytes(), self.sample_rate)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _listed_voices(self) -> tuple[Voice, ...]:
        try:
            answer = await self._server.client.get("/audio/voices", cast_to=object)
            return listed_voices(answer)
        except NotFoundError as error:
            url = self._options.base_url
            message = f"{url} has no list of voices; is base_url right? If so, name voices with the option voices"
            raise EngineError(f"{self.name}: {message}", code="invalid_option") from error


def listed_voices(answer: Any) -> tuple[Voice, ...]:
    """Return the voices of a server's list: names, or objects with an `id` or a `name`, bare or under "voices" or
    "data".

    Raises:
        ValueError: it is none of these, or empty.
    """
    entries = (answer.get("voices") or answer.get("data")) if isinstance(answer, dict) else answer
    if not isinstance(entries, list) or not entries:
        raise ValueError("the list of voices is none")
    voices = []
    for entry in entries:
        name = next((entry[key] for key in ("id", "name") if entry.get(key)), "") if isinstance(entry, dict) else entry
        if not isinstance(name, str) or not name:
            raise ValueError("the list of voices has one without a name")
        description = entry.get("description") if isinstance(entry, dict) else None
        voices.append(Voice(name, description if isinstance(description, str) else ""))
    return tuple(voices)
