"""Stand-in engines, for development, tests and load measurements: deterministic, instant, without models.

They hear loudness, answer with a script and speak in a tone. They serve only where they are asked for by name.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from antiphon.engines.base import (
    HEARING_RATE,
    AudioChunk,
    AudioPart,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    LanguageModel,
    Message,
    NamedTool,
    Priority,
    Samples,
    Synthesizer,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Transcriber,
    Transcript,
    TranscriptionStream,
    TurnClassifier,
    Usage,
    VadStream,
    Voice,
    VoiceActivityDetector,
)
from antiphon.engines.options import NoOptions, read_options
from antiphon.engines.voice_choice import choose_voice

_SILENT_DBFS = -55.0
_SPEECH_DBFS = -35.0
"""RMS levels at which the probability of speech is 0 and 1."""


def speech_probability(windows: Samples) -> Samples:
    """Return how speech-like each row of float32[n, samples] is: 0 at -55 dBFS RMS and below, 1 at -35 and above."""
    power = np.mean(np.square(windows), axis=-1, dtype=np.float32)
    level = 10 * np.log10(np.maximum(power, np.float32(1e-12)))
    probability: Samples = np.clip((level - _SILENT_DBFS) / (_SPEECH_DBFS - _SILENT_DBFS), 0.0, 1.0)
    return probability


class _StandInVadStream(VadStream):
    async def push(self, windows: Samples) -> Samples:
        return speech_probability(windows)


class StandInVad(VoiceActivityDetector):
    """Takes everything loud for speech."""

    name: ClassVar[str] = "stand-in-vad"
    options_type: ClassVar[type[NoOptions]] = NoOptions

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the detector; it has no options."""
        read_options(cls.name, NoOptions, context.options)
        return cls()

    def open(self) -> VadStream:
        """Start a stream."""
        return _StandInVadStream()


class StandInTurnClassifier(TurnClassifier):
    """Takes a turn for finished when its last 200 ms are silent."""

    name: ClassVar[str] = "stand-in-turn"
    options_type: ClassVar[type[NoOptions]] = NoOptions

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the classifier; it has no options."""
        read_options(cls.name, NoOptions, context.options)
        return cls()

    async def complete(self, audio: Samples) -> float:
        """Return 1.0 when the last 200 ms are silent, 0.0 when they are loud, and in between."""
        tail = audio[-HEARING_RATE // 5 :]
        return 1.0 - float(speech_probability(tail)) if tail.size else 0.0


def _is_loud(audio: Samples) -> bool:
    return bool(float(np.max(np.abs(audio), initial=0.0)) > 10 ** (_SILENT_DBFS / 20))


def _length_in_words(samples: int, loud: bool) -> str:
    return f"Utterance of {samples / HEARING_RATE:.1f} seconds." if loud else ""


class _StandInTranscriptionStream(TranscriptionStream):
    def __init__(self, language: str) -> None:
        self._language = language
        self._samples = 0
        self._loud = False
        self._certain = ["Utterance", " of"]

    async def push(self, audio: Samples) -> str:
        seconds_before = self._samples // HEARING_RATE
        self._samples += audio.size
        self._loud = self._loud or _is_loud(audio)
        due = self._samples // HEARING_RATE - seconds_before if self._loud else 0
        words, self._certain = self._certain[:due], self._certain[due:]
        return "".join(words)

    async def transcript(self, *, logprobs: bool = False, priority: Priority = Priority.LIVE) -> Transcript:
        return Transcript(_length_in_words(self._samples, self._loud), self._language)


class StandInTranscriber(Transcriber):
    """Says how long an utterance was: "Utterance of 1.2 seconds.", or nothing when it is silent throughout."""

    name: ClassVar[str] = "stand-in-transcription"
    options_type: ClassVar[type[NoOptions]] = NoOptions

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the transcriber; it has no options."""
        read_options(cls.name, NoOptions, context.options)
        return cls()

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Return the length of the audio in words."""
        return Transcript(_length_in_words(audio.size, _is_loud(audio)), language or "en")

    def stream(self, *, language: str | None = None, prompt: str | None = None) -> TranscriptionStream:
        """Listen along: a word a second is certain while the utterance goes on."""
        return _StandInTranscriptionStream(language or "en")


class StandInLanguageModelOptions(BaseModel):
    """Options of `stand-in-llm`.

    Attributes:
        reply: the answer; "{user}" in it becomes the text of the last user message.
        words: how many words long the answer is, repeating or cutting `reply`; 0 leaves it as it is.
        token_ms: time that a word takes, in ms.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reply: Annotated[str, Field(pattern=r"\S")] = (
        "Hello, this is a stand-in. It always gives the same answer, and it gives it at once."
    )
    words: Annotated[int, Field(ge=0)] = 0
    token_ms: Annotated[float, Field(ge=0)] = 0.0


class StandInLanguageModel(LanguageModel):
    """Answers with a script, a word at a time, and calls a tool when it must. See `StandInLanguageModelOptions`.

    A word is a token, in limits and in usage.
    """

    name: ClassVar[str] = "stand-in-llm"
    options_type: ClassVar[type[StandInLanguageModelOptions]] = StandInLanguageModelOptions

    def __init__(self, reply: str, words: int, token_ms: float) -> None:
        self._reply = reply
        self._words = words
        self._token_s = token_ms / 1000

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the model.

        Raises:
            EngineError: code "invalid_option".
        """
        options = read_options(cls.name, StandInLanguageModelOptions, context.options)
        return cls(options.reply, options.words, options.token_ms)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        """Answer with the script, or with the call that the tool choice demands."""
        tool = _demanded_tool(request)
        if tool is None:
            pieces = self._script(request.messages)
        else:
            arguments = json.dumps(plausible(tool.parameters or {"type": "object"}))
            pieces = [arguments[start : start + 8] for start in range(0, len(arguments), 8)]
        limit = len(pieces) if request.max_tokens is None else min(request.max_tokens, len(pieces))
        for index, piece in enumerate(pieces[:limit]):
            await asyncio.sleep(self._token_s)
            if tool is None:
                yield TextDelta(piece)
            else:
                yield ToolCallDelta(0, None if index else tool.name, piece)
        yield Usage(await self.count_tokens(request.messages, request.tools), limit)
        yield Finish("length" if limit < len(pieces) else "stop" if tool is None else "tool_calls")

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return the number of words of the messages and of the tools' names and descriptions."""
        words = sum(len(_text(message).split()) for message in messages)
        return words + sum(1 + len(tool.description.split()) for tool in tools)

    def _script(self, messages: Sequence[Message]) -> list[str]:
        user = next((_text(message) for message in reversed(messages) if message.role == "user"), "")
        words = self._reply.replace("{user}", user).split(" ")
        if self._words:
            words = (words * (self._words // len(words) + 1))[: self._words]
        return [words[0], *(f" {word}" for word in words[1:])]


def _text(message: Message) -> str:
    parts = []
    for part in message.content:
        if isinstance(part, TextPart):
            parts.append(part.text)
        elif isinstance(part, AudioPart):
            parts.append(part.transcript or "")
    return " ".join(parts)


def _demanded_tool(request: GenerationRequest) -> Tool | None:
    """Return the tool that must be called, if one must."""
    if request.tool_choice == "required" and request.tools:
        return request.tools[0]
    if isinstance(request.tool_choice, NamedTool):
        for tool in request.tools:
            if tool.name == request.tool_choice.name:
                return tool
        raise EngineError(f"there is no tool {request.tool_choice.name!r}", code="unsupported")
    return None


def plausible(schema: Mapping[str, Any]) -> Any:
    """Return the smallest value that a JSON Schema asks for; references and combinations are not followed."""
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: plausible(properties.get(name, {})) for name in schema.get("required", properties)}
    if kind == "array":
        return [plausible(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return {"boolean": True, "null": None}.get(kind, "text")


class StandInSynthesizerOptions(BaseModel):
    """Options of `stand-in-tts`.

    Attributes:
        character_ms: how long a character lasts at speed 1, in ms.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    character_ms: Annotated[float, Field(ge=0)] = 60.0


class StandInSynthesizer(Synthesizer):
    """Speaks in a tone that lasts as long as the text is. See `StandInSynthesizerOptions`."""

    name: ClassVar[str] = "stand-in-tts"
    options_type: ClassVar[type[StandInSynthesizerOptions]] = StandInSynthesizerOptions
    voices: Sequence[Voice] = (Voice("low", "a tone of 200 Hz"), Voice("high", "a tone of 400 Hz"))
    sample_rate = 24_000
    _CHUNK = 4_800
    _TONES: ClassVar[Mapping[str, int]] = {"low": 200, "high": 400}

    def __init__(self, character_ms: float) -> None:
        self._character_s = character_ms / 1000
        time = np.arange(self._CHUNK) / self.sample_rate
        # Both tones have whole periods in a chunk, so that one chunk after another is one tone.
        self._chunks = {
            voice: (0.25 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
            for voice, frequency in self._TONES.items()
        }

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Return the synthesizer.

        Raises:
            EngineError: code "invalid_option".
        """
        return cls(read_options(cls.name, StandInSynthesizerOptions, context.options).character_ms)

    async def synthesize(
        self,
        text: str,
        *,
        voice: str | None = None,
        speed: float = 1.0,
        language: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> AsyncIterator[AudioChunk]:
        """Give the tone, 200 ms at a time."""
        chunk = self._chunks[choose_voice(self.name, self.voices, voice)]
        left = round(len(re.sub(r"\s+", " ", text)) * self._character_s / speed * self.sample_rate)
        while left > 0:
            yield AudioChunk(chunk[:left], self.sample_rate)
            left -= chunk.size
