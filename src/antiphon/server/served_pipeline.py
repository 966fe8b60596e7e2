"""A pipeline that is served under a name: what its sessions start with, and its engines while they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import structlog

from antiphon.config.resolved import PipelinePlan
from antiphon.engines.base import (
    Denoiser,
    Engine,
    EngineError,
    LanguageModel,
    SpeechModel,
    Synthesizer,
    Transcriber,
    TurnClassifier,
    Voice,
    VoiceActivityDetector,
)
from antiphon.engines.fallback import fallback
from antiphon.models import ModelError
from antiphon.pipeline.cascade import Cascade
from antiphon.pipeline.direct import Direct
from antiphon.pipeline.reading import load_readers
from antiphon.pipeline.reply import Pipeline
from antiphon.server.engine_pool import EngineKey, EnginePool, raise_failures
from antiphon.server.loading import EngineKeys
from antiphon.server.served_model import ServedModel, Wiring, unavailable
from antiphon.session.config import SessionConfig
from antiphon.session.session import Session

_log = structlog.get_logger(__name__)

E = TypeVar("E", bound=Engine)


class ServedPipeline(ServedModel):
    """One served model that is made of engines."""

    voices: Sequence[Voice]
    """Of its synthesizer; known once it has been open."""

    def __init__(self, plan: PipelinePlan, keys: EngineKeys, pool: EnginePool) -> None:
        super().__init__(plan)
        self.voices = ()
        self._keys = keys
        self._pool = pool
        self._pipeline: Cascade | Direct | None = None
        self._made_of: Mapping[EngineKey, Engine] = {}
        self._opening = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        """Whether all of its engines are in memory, or on their way; others are loaded for its next session."""
        loaded = self._pool.loaded
        return all(key in loaded for chain in self._keys.values() for key in chain)

    @property
    def decides_itself(self) -> bool:
        """It does not: its sessions start with what `SessionConfig` makes of what a client asks for."""
        return False

    async def open(self, config: SessionConfig, asked: Mapping[str, Any] | None, *, plays: bool) -> _OpenPipeline:
        """Hold it for a session; its engines are loaded where they were not, and stay until `release`.

        Raises:
            UnavailableError: they cannot be loaded.
        """
        del asked, plays
        try:
            return _OpenPipeline(self, await self.load(), config)
        except (EngineError, ModelError) as error:
            _log.error("the model cannot be loaded", model=self.name, reason=error.message)
            message = f"The model '{self.name}' cannot be loaded now."
            raise unavailable(message, "model_not_available", 30) from error

    async def load(self, on_ready: Callable[[str], None] | None = None) -> Pipeline:
        """Return the pipeline; its engines stay until `release`. `on_ready` is told each role that is warm.

        Raises:
            EngineError, ModelError: engines cannot be loaded; one error tells of all.
        """
        engines = await self._pool.hold(key for chain in self._keys.values() for key in chain)
        try:
            async with self._opening:
                if self._pipeline is None or self._made_of != engines:
                    self._pipeline = await self._assemble(engines, on_ready)
                    self._made_of = engines
                    self.voices = self._pipeline.voices
                return self._pipeline
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go of what `load` returned."""
        self._pool.release(key for chain in self._keys.values() for key in chain)

    async def _assemble(
        self, engines: Mapping[EngineKey, Engine], on_ready: Callable[[str], None] | None
    ) -> Cascade | Direct:
        roles: dict[str, Engine] = {}

        async def prepare(role: str, keys: Sequence[EngineKey]) -> None:
            if len(keys) == 1:
                await self._pool.warm_up(keys[0])
                roles[role] = engines[keys[0]]
            else:
                # By the pool, which knows what is warm already: other pipelines may use these engines too.
                warm_ups = [partial(self._pool.warm_up, key) for key in keys]
                roles[role] = fallback(role, [engines[key] for key in keys], warm_ups=warm_ups)
                await roles[role].warm_up()
            if isinstance(engine := roles[role], Synthesizer):
                await load_readers(engine)
            if on_ready is not None:
                on_ready(role)

        work = (prepare(role, keys) for role, keys in self._keys.items())
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        raise_failures([outcome for outcome in outcomes if outcome is not None])
        vad = _as(VoiceActivityDetector, roles["vad"])
        turn = _as(TurnClassifier, roles["turn"]) if "turn" in roles else None
        denoise = _as(Denoiser, roles["denoise"]) if "denoise" in roles else None
        transcription = _as(Transcriber, roles["transcription"]) if "transcription" in roles else None
        drafts = self._settings.drafts or _drafts(roles)
        if "speech" in roles:
            return Direct(
                self.name,
                vad=vad,
                speech=_as(SpeechModel, roles["speech"]),
                turn=turn,
                denoise=denoise,
                transcription=transcription,
                drafts=drafts,
            )
        return Cascade(
            self.name,
            vad=vad,
            transcription=_as(Transcriber, roles["transcription"]),
            llm=_as(LanguageModel, roles["llm"]),
            tts=_as(Synthesizer, roles["tts"]),
            turn=turn,
            denoise=denoise,
            drafts=drafts,
        )


@dataclass(frozen=True, slots=True)
class _OpenPipeline:
    served: ServedPipeline
    pipeline: Pipeline
    config: SessionConfig

    def session(self, wiring: Wiring) -> Session:
        """Return the session; see `OpenModel`."""
        return Session(
            self.pipeline,
            self.config,
            limits=self.served.limits,
            emit=wiring.emit,
            same_model=wiring.same_model,
            observer=wiring.observer,
            player=wiring.player,
            tells_timeline=wiring.tells_timeline,
        )

    def release(self) -> None:
        """Let go of the engines."""
        self.served.release()


def _as(role: type[E], engine: Engine) -> E:
    if not isinstance(engine, role):
        raise EngineError(f"the engine {engine.name!r} is not a {role.__name__}", code="wrong_role")
    return engine


def _drafts(roles: Mapping[str, Engine]) -> Literal["off", "transcription", "full"]:
    """Return how far work may run ahead without calls elsewhere that may be for nothing."""
    if "transcription" in roles and roles["transcription"].remote:
        return "off"
    answering = (roles[role] for role in ("llm", "tts", "speech") if role in roles)
    return "transcription" if any(engine.remote for engine in answering) else "full"
