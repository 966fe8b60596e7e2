"""ElevenLabs text to speech, streamed over HTTP.

The wire format is that of its API reference: `POST /v1/text-to-speech/{voice_id}/stream`, `GET /v1/voices`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import httpx2
from pydantic import BaseModel, Field

from antiphon.engines.base import AudioChunk, EngineContext, EngineError, EngineLoad, Priority, Synthesizer, Voice
from antiphon.engines.options import read_options
from antiphon.engines.remote.calls import RemoteCalls, RemoteOptions, http_client
from antiphon.engines.remote.errors import RemoteError, status_error
from antiphon.engines.remote.pcm_stream import read_speech
from antiphon.engines.secrets import Secret
from antiphon.engines.voice_choice import choose_voice

_RATE = 24_000
_SLOWEST, _FASTEST = 0.7, 1.2
"""What `voice_settings.speed` may be; the API refuses more and less."""

_TAKES_LANGUAGE = frozenset({"eleven_flash_v2_5", "eleven_turbo_v2_5"})
_LANGUAGES = frozenset(
    "ar bg cs da de el en es fi fil fr hi hr hu id it ja ko ms nl no pl pt ro ru sk sv ta tr uk vi zh".split()  # noqa: SIM905
)
"""Models that take `language_code`, and the languages that they know (ElevenLabs' page of models). Others refuse it."""


class ElevenLabsOptions(RemoteOptions):
    """Options of `elevenlabs`.

    Attributes:
        model: e.g. "eleven_flash_v2_5", the quickest, or "eleven_multilingual_v2".
        voices: names to offer and the ids of their voices, the default one first. Without, all voices of the account
            are offered.
        voice_settings: `stability`, `similarity_boost`, `style` and `use_speaker_boost`; the voice's own by default.
    """

    base_url: str = "https://api.elevenlabs.io"
    api_key: Secret
    first_timeout_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    model: str = "eleven_flash_v2_5"
    voices: Annotated[dict[str, str], Field(min_length=1)] | None = None
    voice_settings: dict[str, bool | float] = Field(default_factory=dict)


class _VerifiedLanguage(BaseModel):
    language: str


class _ListedVoice(BaseModel):
    voice_id: str
    name: str
    labels: dict[str, str | None] | None = None
    verified_languages: list[_VerifiedLanguage] | None = None


class _VoiceList(BaseModel):
    voices: list[_ListedVoice]


class ElevenLabsSynthesizer(Synthesizer):
    """Speaks with ElevenLabs. See `ElevenLabsOptions`. Speed is kept between 0.7 and 1.2."""

    name: ClassVar[str] = "elevenlabs"
    options_type: ClassVar[type[ElevenLabsOptions]] = ElevenLabsOptions
    sample_rate = _RATE
    remote = True
    reads_numbers = True

    def __init__(self, options: ElevenLabsOptions) -> None:
        """Make the engine; nothing is sent yet.

        Raises:
            EngineError: code "invalid_option" when the key cannot be read.
        """
        key = options.api_key.read()
        self._options = options
        self._client = http_client(options, {"xi-api-key": key})
        self._calls = RemoteCalls(self.name, options, key)
        self._ids: Mapping[str, str] = options.voices or {}
        self.voices: Sequence[Voice] = tuple(map(Voice, self._ids))

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the engine; `warm_up` asks the server. It knows its voices then at the latest.

        Raises:
            EngineError: code "invalid_option".
        """
        return await asyncio.to_thread(cls, read_options(cls.name, ElevenLabsOptions, context.options))

    async def warm_up(self) -> None:
        """Learn the voices and speak a word.

        Raises:
            EngineError: what is wrong with URL, key, model or voice.
        """
        try:
            await self._calls.warm_up(partial(self._attempt, "Hi.", None, 1.0, None))
        except RemoteError as error:
            needs = f"the model {self._options.model!r} or the voice {next(iter(self._ids), '')!r}"
            raise self._calls.explain(error, needs) from error

    def load_now(self) -> EngineLoad:
        """Return how many clauses are being spoken."""
        return self._calls.load()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        self._calls.close()
        await self._client.aclose()

    async def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        """Speak one clause; see `Synthesizer.synthesize`."""
        calls = self._calls.stream(partial(self._attempt, text, voice, speed, language))
        async with aclosing(calls) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _attempt(
        self, text: str, voice: str | None, speed: float, language: str | None
    ) -> AsyncGenerator[AudioChunk, None]:
        if not self._ids:
            await self._list_voices()
        voice_id = self._ids[choose_voice(self.name, self.voices, voice)]
        speaking = self._client.stream(
            "POST",
            f"/v1/text-to-speech/{voice_id}/stream",
            params={"output_format": f"pcm_{_RATE}"},
            json=self._body(text, speed, language),
        )
        async with speaking as answer:
            await self._check(answer)
            kind = answer.headers.get("content-type")
            async with aclosing(read_speech(text, kind, answer.aiter_bytes(), _RATE)) as chunks:
                async for chunk in chunks:
                    yield chunk

    def _body(self, text: str, speed: float, language: str | None) -> dict[str, Any]:
        body: dict[str, Any] = {"text": text, "model_id": self._options.model}
        settings = dict(self._options.voice_settings)
        if speed != 1.0:
            settings["speed"] = min(max(speed, _SLOWEST), _FASTEST)
        if settings:
            body["voice_settings"] = settings
        if self._options.model in _TAKES_LANGUAGE and language in _LANGUAGES:
            body["language_code"] = language
        return body

    async def _list_voices(self) -> None:
        answer = await self._client.get("/v1/voices")
        await self._check(answer)
        listed = _VoiceList.model_validate_json(answer.content).voices
        if not listed:
            message = "the account has no voices: name some with the option voices"
            raise EngineError(f"{self.name}: {message}", code="invalid_option")
        ids: dict[str, str] = {}
        voices = []
        for voice in listed:
            name = voice.name if voice.name not in ids else f"{voice.name} ({voice.voice_id})"
            ids[name] = voice.voice_id
            voices.append(Voice(name, _description(voice), _languages(voice)))
        self._ids, self.voices = ids, tuple(voices)

    async def _check(self, answer: httpx2.Response) -> None:
        if not answer.is_success:
            await answer.aread()
            try:
                body = answer.json()
            except ValueError:
                body = answer.text
            raise status_error(self.name, answer, body)


def _description(voice: _ListedVoice) -> str:
    labels = voice.labels or {}
    return ", ".join(label for key in ("accent", "gender", "age", "description") if (label := labels.get(key)))


def _languages(voice: _ListedVoice) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.language for entry in voice.verified_languages or ()))
