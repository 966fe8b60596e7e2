"""Engines that stand in for each other: when one fails, the next one does the work, or the rest of it.

Each has a circuit breaker, so that one that fails again and again is passed over for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from statistics import median
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

_LEAD_IN_S = 0.2
"""Silence that speech begins with at most, in s."""

_SURELY = 0.85
"""How much of what a voice should have said by its pace is taken to be said: no pace is even within a clause."""

_CLAUSES_OF_PACE = 8
"""Clauses that a voice's pace is told from."""

_log = logging.getLogger(__name__)

WarmUps = Sequence[Callable[[], Awaitable[None]]]

E = TypeVar("E", bound=Engine)
T = TypeVar("T")


class _Fallback(Engine, Generic[E]):
    """Engines of one role in the order in which they are asked. Closing it closes them, as far as nobody did yet.

    Args:
        engines: loaded.
        warm_ups: what warms each of them up; None for its own `warm_up`.
        failures: failures in a row after which an engine is passed over.
        rest_s: for how long, in s.
    """

    name: ClassVar[str] = "fallback"

    def __init__(
        self, engines: Sequence[E], *, failures: int = 3, rest_s: float = 30.0, warm_ups: WarmUps | None = None
    ) -> None:
        self.engines = tuple(engines)
        self._warm_ups = warm_ups or [engine.warm_up for engine in engines]
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
        outcomes = await asyncio.gather(*(warm_up() for warm_up in self._warm_ups), return_exceptions=True)
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

    async def _stream(
        self, call: Callable[[E], AsyncIterator[T]], binds: Callable[[T], bool] = lambda _: True
    ) -> AsyncGenerator[T, None]:
        """Pass on what the first engine gives that does not fail before it gave anything that `binds`: after that, no
        other can take over.

        Raises:
            EngineError: all engines failed or rest. What an engine raises after it is bound is raised as it is.
        """
        clock = asyncio.get_running_loop().time
        failed: list[EngineError] = []
        for engine, breaker in zip(self.engines, self._breakers, strict=True):
            ticket = breaker.admit(clock())
            if ticket is None:
                continue
            begun = bound = told = False
            pieces = call(engine)
            try:
                async for piece in pieces:
                    begun = True
                    bound = bound or binds(piece)
                    yield piece
                return
            except Exception as error:
                told = True
                failure = _as_engine_error(engine, error)
                if failure.code in _REQUESTS_FAULT:
                    breaker.succeeded(ticket)
                else:
                    breaker.failed(ticket, clock())
                if bound:
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
    """Answers with the first model that begins to; one that fails after its first word fails the reply: few models go
    on with what another began.

    Context, images and counting of tokens are the first model's. They hear the user only if all of them do.
    """

    def _take_after_first(self) -> None:
        self.context_tokens = self.engines[0].context_tokens
        self.supports_images = self.engines[0].supports_images
        # One that does not hear would be asked about nothing.
        self.supports_audio = all(engine.supports_audio for engine in self.engines)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[TextDelta | ToolCallDelta | Usage | Finish]:
        """Continue the context; see `LanguageModel.generate`."""
        async with aclosing(self._stream(lambda engine: engine.generate(request), _is_answer)) as deltas:
            async for delta in deltas:
                yield delta

    async def prefill(self, request: GenerationRequest) -> None:
        """Warm the first model's cache."""
        await self.engines[0].prefill(request)

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """Return how many tokens these are for the first model."""
        return await self.engines[0].count_tokens(messages, tools)


def _is_answer(delta: TextDelta | ToolCallDelta | Usage | Finish) -> bool:
    """Whether a delta is something that another model's answer cannot follow."""
    return not isinstance(delta, Usage) and not (isinstance(delta, TextDelta) and not delta.text.strip())


class _Pace:
    """How long a voice's speech is, at speed 1; nothing is known before it has spoken a whole clause."""

    def __init__(self) -> None:
        self._clauses: deque[float] = deque(maxlen=_CLAUSES_OF_PACE)  # seconds per character

    def take(self, text: str, seconds: float) -> None:
        """Take in how long the whole of `text` was."""
        if text:
            self._clauses.append(seconds / len(text))

    def characters_in(self, text: str, seconds: float) -> int:
        """Return how many characters of `text` were said for sure, in whole words, when it broke off after so long."""
        heard = _SURELY * (seconds - _LEAD_IN_S)
        # Not the mean: a stream of bare samples can end early and look whole.
        pace = median(self._clauses) if self._clauses else 0.0
        if heard <= 0 or not pace:
            return 0
        end = min(int(heard / pace), len(text))
        while 0 < end < len(text) and text[end] < "\u2e80" and not text[end - 1].isspace():
            end -= 1  # Chinese and Japanese, above, have no spaces between words
        return end


async def _silence() -> AsyncGenerator[AudioChunk, None]:
    """Give no speech: nothing is left to be said."""
    return
    yield


class FallbackSynthesizer(_Fallback[Synthesizer], Synthesizer):
    """Speaks every clause with the first engine that does; when one fails inside a clause, the next speaks the rest.

    How far a clause got is told from how long the engine's speech of whole clauses was; a word may be said twice, so
    that none is lost.

    Its voices, its sample rate and whether it reads numbers are the first engine's. An engine that does not have the
    voice speaks in its default one.
    """

    _paces: dict[tuple[int, str | None], _Pace]
    """By the engine's place and its voice."""

    def _take_after_first(self) -> None:
        self._paces = {}
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

        rest, spoken_s, pace = text, 0.0, _Pace()

        def call(engine: Synthesizer) -> AsyncIterator[AudioChunk]:
            nonlocal rest, spoken_s, pace
            rest, spoken_s = rest[pace.characters_in(rest, spoken_s) :], 0.0
            known = voice if any(voice == own.name for own in engine.voices) else None
            pace = self._paces.setdefault((self.engines.index(engine), known), _Pace())
            if not any(map(str.isalnum, rest)) and rest != text:
                return _silence()
            return self._at_rate(
                engine.synthesize(rest, voice=known, speed=speed, language=language, priority=priority),
                engine.sample_rate,
            )

        async with aclosing(self._stream(call, lambda _: False)) as chunks:
            async for chunk in chunks:
                spoken_s += chunk.samples.size / chunk.rate * speed
                yield chunk
        pace.take(rest, spoken_s)

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


def fallback(
    role: str,
    engines: Sequence[Engine],
    *,
    failures: int = 3,
    rest_s: float = 30.0,
    warm_ups: WarmUps | None = None,
) -> Engine:
    """Return one engine made of several.

    Args:
        role: "transcription", "llm" or "tts".
        engines: loaded engines of that role, in the order in which they are asked. They are warmed up and closed by
            what is returned.
        failures: failures in a row after which an engine is passed over.
        rest_s: for how long it is, in s; then one call tries it again.
        warm_ups: what warms each engine up where others use it too; None for its own `warm_up`.

    Raises:
        EngineError: code "wrong_role" for another role or an engine of another role, "invalid_option" without engines.
    """
    match role:
        case "transcription":
            return FallbackTranscriber(
                _checked(Transcriber, engines), failures=failures, rest_s=rest_s, warm_ups=warm_ups
            )
        case "llm":
            return FallbackLanguageModel(
                _checked(LanguageModel, engines), failures=failures, rest_s=rest_s, warm_ups=warm_ups
            )
        case "tts":
            return FallbackSynthesizer(
                _checked(Synthesizer, engines), failures=failures, rest_s=rest_s, warm_ups=warm_ups
            )
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
