"""A served pipeline: its engines, loaded and warm, and what is told when they cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar, Self

import pytest

from antiphon.config import EngineSettings, PipelineSettings, Settings
from antiphon.config.resolved import pipeline_plans
from antiphon.engines.base import EngineContext, EngineError
from antiphon.engines.stand_in import StandInLanguageModel, StandInSynthesizer
from antiphon.models import ModelError, ModelStore
from antiphon.pipeline.cascade import Cascade
from antiphon.server.engine_pool import EnginePool
from antiphon.server.loading import serving_plan
from antiphon.server.served_pipeline import ServedPipeline
from tests.engine_packages import install_engines


class MissingModel(StandInLanguageModel):
    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        raise ModelError("one is missing", code="model_missing")


class MissingVoice(StandInSynthesizer):
    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        raise EngineError("two is missing", code="model_missing")


class ClosingModel(StandInLanguageModel):
    closed: ClassVar[list[str]] = []

    async def close(self) -> None:
        self.closed.append("llm")


class ColdVoice(StandInSynthesizer):
    async def warm_up(self) -> None:
        raise EngineError("the voice is cold", code="engine_failed")

    async def close(self) -> None:
        ClosingModel.closed.append("tts")


ODD = {"missing-one": MissingModel, "missing-two": MissingVoice, "closing": ClosingModel, "cold": ColdVoice}


@pytest.fixture(autouse=True)
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Install the engines above as a package, and return the list in which they note that they were closed."""
    engines = {name: f"{__name__}:{engine.__name__}" for name, engine in ODD.items()}
    install_engines(tmp_path, "odd_engines", engines)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(ClosingModel, "closed", [])
    return ClosingModel.closed


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    pool = EnginePool(ModelStore(Path("no-models")))
    yield pool
    await pool.close()


def served(pool: EnginePool, **engines: str) -> ServedPipeline:
    settings = Settings(
        engines=EngineSettings(preset="stand-in"), pipelines={"mine": PipelineSettings.model_validate(engines)}
    )
    plans = pipeline_plans(settings)
    return ServedPipeline(plans["mine"], serving_plan(plans.values()).keys["mine"], pool)


async def test_every_role_is_told_when_it_is_warm(pool: EnginePool) -> None:
    pipeline = served(pool)
    ready: list[str] = []
    assert not pipeline.loaded
    assert isinstance(loaded := await pipeline.load(ready.append), Cascade)
    assert pipeline.loaded
    assert sorted(ready) == ["llm", "transcription", "tts", "turn", "vad"]
    assert (loaded.name, loaded.voices) == ("mine", pipeline.voices)
    assert await pipeline.load(ready.append) is loaded
    assert len(ready) == 5


async def test_several_missing_models_are_told_at_once(pool: EnginePool) -> None:
    with pytest.raises(EngineError, match="one is missing; two is missing") as caught:
        await served(pool, llm="missing-one", tts="missing-two").load()
    assert caught.value.code == "model_missing"
    with pytest.raises(ModelError, match="one is missing"):
        await served(pool, llm="missing-one").load()


async def test_what_was_loaded_is_closed_when_another_does_not_get_warm(pool: EnginePool, closed: list[str]) -> None:
    pipeline = served(pool, llm="closing", tts="cold")
    with pytest.raises(EngineError, match="the voice is cold"):
        await pipeline.load()
    await pool.close()
    assert sorted(closed) == ["llm", "tts"]
