"""Engines that stand in for each other: when one fails before it gave anything, the next one does the work.

Each has a circuit breaker, so that one that fails again and again is passed over for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import ClassVar, Generic, NoReturn, Self, TypeVar

from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import (
    AudioChunk,
    Engine,
    EngineContext,
    EngineError,
    EngineLoad,
    Finish,
    GenerationRequest,
    LanguageModel,
    Message,
    Priority,
    Samples,
    Synthesizer,
    TextDelta,
    Tool,
    ToolCallDelta,
    Transcriber,
    Transcript,
    Usage,
)
from antiphon.engines.circuit_breaker import CircuitBreaker

_REQUESTS_FAULT = frozenset({"unsupported", "context_length_exceeded", "content_filter"})
"""Codes that say nothing about the engine's health."""

_SETTINGS_FAULT = frozenset({"invalid_option", "model_missing", "missing_package"})
"""Codes that waiting does not mend."""

_log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)
T = TypeVar("T")


class _Fallback(Engine, Generic[E]):
    """Engines of one role in the order in which they are asked. It owns them, and closes them.

    Args:
        engines: loaded; warming up is done here.
        failures: failures in a row after which an engine is passed over.
        rest_s: for how long, in s.
    """

    name: ClassVar[str] = "fallback"

    def __init__(self, engines: Sequence[E], *, failures: int = 3, rest_s: float = 30.0) -> None:
        self.engines = tuple(engines)
        self.remote = any(engine.remote for engine in engines)
        self._breakers = [CircuitBreaker(failures=failures, rest_s=rest_s) for _ in engines]
        self._take_after_first()

    def _take_after_first(self) -> None:
        """Take over what the first engine can do; again after warming up, when engines know more about themselves."""

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Refuse: it is made of loaded engines. See `fallback`.

        Raises:
            EngineError: code "unsupported".
        """
        raise EngineError("a fallback is made of loaded engines", code="unsupported")

    async def warm_up(self) -> None:
        """Warm up all engines. One that cannot be reached now rests for a while, as long as there is another.

        Raises:
            EngineError: the settings of one are wrong, or none is ready.
        """
        outcomes = await asyncio.gather(*(engine.warm_up() for engine in self.engines), return_exceptions=True)
        failed: list[EngineError] = []
        for engine, breaker, outcome in zip(self.engines, self._breakers, outcomes, strict=True):
            if outcome is None:
                continue
            if not isinstance(outcome, EngineError) or outcome.code in _SETTINGS_FAULT:
                raise outcome
            _log.warning("%s is not ready: %s", engine.name, outcome.message)
            breaker.trip(asyncio.get_running_loop().time())
            failed.append(outcome)
        if len(failed) == len(self.engines):
            _raise(failed)
        self._take_after_first()

    def load_now(self) -> EngineLoad:
        """Return how busy the first engine that has work is, or else the first one."""
        loads = [engine.load_now() for engine in self.engines]
        return next((load for load in loads if load.running or load.waiting), loads[0])

    async def close(self) -> None:
        """Close all engines, whatever happens to one of them. Idempotent."""
        outcomes = await asyncio.gather(*(engine.close() for engine in self.engines), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _stream(self, call: Callable[[E], AsyncIterator[T]]) -> AsyncGenerator[T, None]:
        """Pass on what the first engine gives that gives anything, or that ends well without.

        Raises:
            EngineError: all engines failed or rest. What an engine raises after it gave something is raised as it is.
        """
        clock = asyncio.get_running_loop().time
        failed: list[EngineError] = []
        for engine, breaker in zip(self.engines, self._breakers, strict=True):
            ticket = breaker.admit(clock())
            if ticket is None:
                continue
            begun = told = False
            pieces = call(engine)
            try:
                async for piece in pieces:
                    begun = True
                    yield piece
                return
            except Exception as error:
                told = True
                failure = _as_engine_error(engine, error)
                if failure.code in _REQUESTS_FAULT:
                    breaker.succeeded(ticket)
                else:
                    breaker.failed(ticket, clock())
                if begun:
                    raise
                failed.append(failure)
                _log.warning("%s failed and is passed over: %s", engine.name, failure.message)
            finally:
                if not told:
                    # It ended, or nobody wants the rest. If that was before anything came, nothing is known about it.
                    (breaker.succeeded if begun else breaker.abandoned)(ticket)
                if isinstance(pieces, AsyncGenerator):
                    await pieces.aclose()
        _raise(failed)

    async def _run(self, call: Callable[[E], Awaitable[T]]) -> T:
        """Return what the first engine returns that does not fail; see `_stream`."""

        async def once(engine: E) -> AsyncGenerator[T, None]:
            yield await call(engine)

        async with aclosing(self._stream(once)) as results:
            return await anext(results)


class FallbackTranscriber(_Fallback[Transcriber], Transcriber):
    """Transcribes whole utterances with the first engine that can."""

    def _take_after_first(self) -> None:
        self.languages = self.engines[0].languages
        self.supports_logprobs = self.engines[0].supports_logprobs

    async def transcribe(
        self,
        audio: Samples,
        *,
        language: str | None = None,
        prompt: str | None = None,
        logprobs: bool = False,
        priority: Priority = Priority.LIVE,
    ) -> Transcript:
        """Transcribe one utterance; see `Transcriber.transcribe`. An engine without log probabilities gives none."""

        def call(engine: Transcriber) -> Awaitable[Transcript]:
            wanted = logprobs and engine.supports_logprobs
            return engine.transcribe(audio, language=language, prompt=prompt, logprobs=wanted, priority=priority)

        return await self._run(call)


class FallbackLanguageModel(_Fallback[LanguageModel], LanguageModel):
    """Answers with the first model that begins to; one that fails later fails the reply.

    Context, images and counting of tokens are the first model's. They hear the user only if all of them do.
    """

    def _take_after_first(self) -> None:
        self.context_tokens = self.engines[0].context_tokens
        self.supports_images = self.engines[0].supports_images
        # One that does not hear would be asked about nothing.
        self.supports_audio = all(engine.supports_audio for engine in self.engines)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        """Continue the context; see `LanguageModel.generate`."""
        async with aclosing(self._stream(lambda engine: engine.generate(request))) as deltas:
            async for delta in deltas:
                yield delta

    async def prefill(self, request: GenerationRequest) -> None:
        """Warm the first model's cache."""
        await self.engines[0].prefill(request)

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens these are for the first model."""
        return await self.engines[0].count_tokens(messages, tools)


class FallbackSynthesizer(_Fallback[Synthesizer], Synthesizer):
    """Speaks every clause with the first engine that begins to; one that fails inside a clause fails the reply.

    Its voices, its sample rate and whether it reads numbers are the first engine's. An engine that does not have the
    voice speaks in its default one.
    """

    def _take_after_first(self) -> None:
        self.sample_rate = self.engines[0].sample_rate
        self.reads_numbers = self.engines[0].reads_numbers
        self.voices = next((engine.voices for engine in self.engines if engine.voices), ())

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

        def call(engine: Synthesizer) -> AsyncIterator[AudioChunk]:
            known = voice if any(voice == own.name for own in engine.voices) else None
            return self._at_rate(
                engine.synthesize(text, voice=known, speed=speed, language=language, priority=priority),
                engine.sample_rate,
            )

        async with aclosing(self._stream(call)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _at_rate(self, chunks: AsyncIterator[AudioChunk], rate: int) -> AsyncGenerator[AudioChunk, None]:
        """Pass on chunks at the rate that was promised."""
        resampler = StreamResampler(rate, self.sample_rate)
        try:
            async for chunk in chunks:
                samples = (
                    await asyncio.to_thread(resampler.push, chunk.samples)
                    if rate != self.sample_rate
                    else chunk.samples
                )
                if samples.size:
                    yield AudioChunk(samples, self.sample_rate)
            last = resampler.flush()
            if last.size:
                yield AudioChunk(last, self.sample_rate)
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()


def fallback(role: str, engines: Sequence[Engine], *, failures: int = 3, rest_s: float = 30.0) -> Engine:
    """Return one engine made of several.

    Args:
        role: "transcription", "llm" or "tts".
        engines: loaded engines of that role, in the order in which they are asked. They are warmed up and closed by
            what is returned.
        failures: failures in a row after which an engine is passed over.
        rest_s: for how long it is, in s; then one call tries it again.

    Raises:
        EngineError: code "wrong_role" for another role or an engine of another role, "invalid_option" without engines.
    """
    match role:
        case "transcription":
            return FallbackTranscriber(_checked(Transcriber, engines), failures=failures, rest_s=rest_s)
        case "llm":
            return FallbackLanguageModel(_checked(LanguageModel, engines), failures=failures, rest_s=rest_s)
        case "tts":
            return FallbackSynthesizer(_checked(Synthesizer, engines), failures=failures, rest_s=rest_s)
        case _:
            raise EngineError(f"{role} takes one engine; transcription, llm and tts take several", code="wrong_role")


def _checked(role: type[E], engines: Sequence[Engine]) -> list[E]:
    checked = []
    for engine in engines:
        if not isinstance(engine, role):
            raise EngineError(f"the engine {engine.name!r} is not a {role.__name__}", code="wrong_role")
        checked.append(engine)
    if not checked:
        raise EngineError(f"a {role.__name__} is made of at least one engine", code="invalid_option")
    return checked


def _as_engine_error(engine: Engine, error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    _log.error("%s failed", engine.name, exc_info=error)
    return EngineError(f"{engine.name} failed")


def _raise(failed: Sequence[EngineError]) -> NoReturn:
    """Raise the only failure, one that tells of all, or, without any, that all engines rest."""
    if not failed:
        raise EngineError("the engines failed again and again and rest for a moment", code="engine_unavailable")
    if len(failed) == 1:
        raise failed[0]
    raise EngineError("; ".join(error.message for error in failed), code=failed[0].code) from failed[-1]
