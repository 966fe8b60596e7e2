"""The cascade: transcription, then a language model, then synthesis."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from antiphon.engines.base import (
    Denoiser,
    DenoiserStream,
    Engine,
    EngineContext,
    EngineError,
    GenerationRequest,
    LanguageModel,
    Message,
    ModelPaths,
    Priority,
    Samples,
    Synthesizer,
    Tool,
    Transcriber,
    Transcript,
    TranscriptionStream,
    TurnClassifier,
    VadStream,
    VoiceActivityDetector,
)
from antiphon.engines.registry import find_engine
from antiphon.models import ModelError
from antiphon.pipeline.cascade_reply import make_reply
from antiphon.pipeline.reading import load_readers
from antiphon.pipeline.reply import ReplyEvent, ReplyRequest

E = TypeVar("E", bound=Engine)


class Cascade:
    """A pipeline of separate engines; see `antiphon.pipeline.reply.Pipeline`. It owns them, and closes them.

    Attributes:
        engines: its engines by role: "vad", "transcription", "llm", "tts", and "turn" and "denoise" where it has them.
    """

    def __init__(
        self,
        name: str,
        *,
        vad: VoiceActivityDetector,
        transcription: Transcriber,
        llm: LanguageModel,
        tts: Synthesizer,
        turn: TurnClassifier | None = None,
        denoise: Denoiser | None = None,
        drafts: Literal["off", "transcription", "full"] = "full",
    ) -> None:
        self.name = name
        self.voices = tts.voices
        self.context_tokens = llm.context_tokens
        self.supports_images = llm.supports_images
        self.supports_audio = llm.supports_audio
        self.transcribes = True
        self.drafts = drafts
        self._vad = vad
        self._transcription = transcription
        self._llm = llm
        self._tts = tts
        self._turn = turn
        self._denoise = denoise
        roles: dict[str, Engine | None] = {
            "vad": vad,
            "turn": turn,
            "denoise": denoise,
            "transcription": transcription,
            "llm": llm,
            "tts": tts,
        }
        self.engines: Mapping[str, Engine] = {role: engine for role, engine in roles.items() if engine is not None}

    def open_vad(self) -> VadStream:
        """Start voice activity detection of one session."""
        return self._vad.open()

    def open_denoiser(self, kind: Literal["near_field", "far_field"]) -> DenoiserStream | None:
        """Start noise suppression, or return None without a denoiser."""
        return self._denoise.open(kind) if self._denoise is not None else None

    @property
    def turn_classifier(self) -> TurnClassifier | None:
        """The end-of-turn classifier, or None."""
        return self._turn

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Transcribe one utterance (float32[n], 16 kHz). Raises EngineError."""
        return await self._transcription.transcribe(
            audio, language=language, prompt=prompt, logprobs=logprobs, priority=priority
        )

    def stream_transcription(
        self, *, language: str | None = None, prompt: str | None = None
    ) -> TranscriptionStream | None:
        """Start on an utterance that is being spoken, or return None when it can only be transcribed whole."""
        return self._transcription.stream(language=language, prompt=prompt)

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """Make a reply; see `make_reply`."""
        return make_reply(self._llm, self._tts, request)

    async def prefill(self, request: GenerationRequest) -> None:
        """Warm the language model's cache."""
        await self._llm.prefill(request)

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens of the language model's context these take."""
        return await self._llm.count_tokens(messages, tools)

    async def close(self) -> None:
        """Close all engines, whatever happens to one of them. Idempotent."""
        await _close(self.engines.values())


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which engine takes a role, and how it is set up.

    Attributes:
        name: its entry point's name.
        options: its own settings.
        cores: CPU threads that it may keep busy; None for the role's share of `CorePlan`.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    cores: int | None = None


@dataclass(frozen=True, slots=True)
class CascadeSpec:
    """The engines of a cascade, by role."""

    vad: EngineSpec
    transcription: EngineSpec
    llm: EngineSpec
    tts: EngineSpec
    turn: EngineSpec | None = None
    denoise: EngineSpec | None = None


EMBEDDED = CascadeSpec(
    vad=EngineSpec("silero"),
    turn=EngineSpec("smart-turn"),
    denoise=EngineSpec("gtcrn"),
    transcription=EngineSpec("whisper"),
    llm=EngineSpec("llamacpp"),
    tts=EngineSpec("hibari"),
)
"""Real models on this machine's CPU."""

STAND_IN = CascadeSpec(
    vad=EngineSpec("stand-in-vad"),
    turn=EngineSpec("stand-in-turn"),
    transcription=EngineSpec("stand-in-transcription"),
    llm=EngineSpec("stand-in-llm"),
    tts=EngineSpec("stand-in-tts"),
)
"""No models at all."""


@dataclass(frozen=True, slots=True)
class CorePlan:
    """How many CPU threads each role may keep busy.

    Transcription and the language model work one after the other within a turn, so each may have all cores, up to
    where more stop helping. The others are small: a second thread would cost them more than it gains, and spinning
    threads beyond the cores slow everything down.
    """

    vad: int = 1
    turn: int = 1
    denoise: int = 1
    transcription: int = 2
    llm: int = 2
    tts: int = 1

    @classmethod
    def of(cls, cores: int) -> CorePlan:
        """Return the plan for a machine with `cores` cores."""
        return cls(transcription=max(1, min(cores, 4)), llm=max(1, min(cores, 8)), tts=2 if cores >= 4 else 1)


async def load_cascade(
    name: str,
    spec: CascadeSpec,
    *,
    models: ModelPaths,
    cores: CorePlan | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> Cascade:
    """Load and warm up all engines of a cascade at once.

    Args:
        name: the name that it is served under.
        spec: its engines.
        models: where model files are.
        cores: the thread budget; made for all cores of this machine if None.
        on_ready: called with each engine's role when it is warm.

    Raises:
        EngineError, ModelError: an engine could not be loaded. When several could not, one error tells of all. Those
            that were loaded are closed.
    """
    plan = cores or CorePlan.of(os.cpu_count() or 1)
    loaded: list[Engine] = []

    async def load(role: str, kind: type[E], engine: EngineSpec, share: int) -> E:
        ready = await find_engine(engine.name, kind).load(EngineContext(models, engine.cores or share, engine.options))
        loaded.append(ready)
        await ready.warm_up()
        if isinstance(ready, Synthesizer):
            await load_readers(ready)
        if on_ready is not None:
            on_ready(role)
        return ready

    vad = asyncio.create_task(load("vad", VoiceActivityDetector, spec.vad, plan.vad))
    transcription = asyncio.create_task(load("transcription", Transcriber, spec.transcription, plan.transcription))
    llm = asyncio.create_task(load("llm", LanguageModel, spec.llm, plan.llm))
    tts = asyncio.create_task(load("tts", Synthesizer, spec.tts, plan.tts))
    turn = asyncio.create_task(load("turn", TurnClassifier, spec.turn, plan.turn)) if spec.turn else None
    denoise = asyncio.create_task(load("denoise", Denoiser, spec.denoise, plan.denoise)) if spec.denoise else None
    tasks: list[asyncio.Task[Any]] = [task for task in (vad, transcription, llm, tts, turn, denoise) if task]
    try:
        await asyncio.wait(tasks)
        _raise_failures([error for task in tasks if (error := task.exception())])
        return Cascade(
            name,
            vad=vad.result(),
            transcription=transcription.result(),
            llm=llm.result(),
            tts=tts.result(),
            turn=turn.result() if turn else None,
            denoise=denoise.result() if denoise else None,
        )
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _close(loaded)
        raise


def _raise_failures(errors: Sequence[BaseException]) -> None:
    """Raise nothing, the only error, one that is not an engine's or a model's, or one that tells of all."""
    told = [error for error in errors if isinstance(error, (EngineError, ModelError))]
    for error in errors:
        if len(errors) == 1 or error not in told:
            raise error
    if told:
        raise EngineError("; ".join(error.message for error in told), code=told[0].code)


async def _close(engines: Iterable[Engine]) -> None:
    outcomes = await asyncio.gather(*(engine.close() for engine in engines), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
