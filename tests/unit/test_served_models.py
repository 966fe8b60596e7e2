"""Names of models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.config import EngineSettings, Settings
from antiphon.config.resolved import pipeline_plans
from antiphon.models import ModelStore
from antiphon.protocol.errors import ProtocolError
from antiphon.server.engine_pool import EnginePool
from antiphon.server.loading import serving_plan
from antiphon.server.served_models import ServedModels
from antiphon.server.served_pipeline import ServedPipeline


@pytest.fixture
async def pipelines() -> AsyncIterator[tuple[ServedPipeline, ...]]:
    settings = Settings(
        engines=EngineSettings(preset="stand-in"), pipelines={"first": {}, "second": {"aliases": ["two", "next-*"]}}
    )
    plans = pipeline_plans(settings)
    keys = serving_plan(plans.values(), 2).keys
    pool = EnginePool(ModelStore.default())
    served = tuple(ServedPipeline(plan, keys[name], pool) for name, plan in plans.items())
    for pipeline in served:
        await pipeline.load()
    yield served
    await pool.close()


@pytest.fixture
def models(pipelines: tuple[ServedPipeline, ...]) -> ServedModels:
    return ServedModels({pipeline.name: pipeline for pipeline in pipelines}, created=1_700_000_000)


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "first",
        "gpt-realtime",
        "gpt-realtime-2.1",
        "gpt-realtime-mini-2025-12-15",
        "gpt-4o-realtime-preview-2024-12-17",
        "gpt-4o-mini-realtime-preview",
    ],
)
def test_default_names(models: ServedModels, name: str | None) -> None:
    assert models.resolve(name) is models.default
    assert models.default.name == "first"


def test_own_names(models: ServedModels, pipelines: tuple[ServedPipeline, ...]) -> None:
    assert models.resolve("second") is pipelines[1]
    assert models.resolve_transcription("second") is pipelines[1]
    assert models.resolve_transcription("gpt-4o-mini-transcribe") is pipelines[0]


@pytest.mark.parametrize("name", ["second", "two", "next-best"])
def test_aliases(models: ServedModels, name: str) -> None:
    assert models.resolve(name).name == "second"
    assert models.resolve_transcription(name).name == "second"


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-5", "First", "gpt-4-realtime", "my gpt-realtime", "*"])
def test_unknown_names(models: ServedModels, name: str) -> None:
    with pytest.raises(ProtocolError, match=r"does not exist") as caught:
        models.resolve(name)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    "name", ["whisper-1", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", "gpt-realtime-whisper"]
)
def test_transcription_models_do_not_talk(models: ServedModels, name: str) -> None:
    with pytest.raises(ProtocolError, match="is a transcription model"):
        models.resolve(name)


def test_same_model(models: ServedModels, pipelines: tuple[ServedPipeline, ...]) -> None:
    first, second = pipelines
    assert models.means("gpt-realtime", first)
    assert not models.means("gpt-realtime", second)
    assert models.means("second", second)
    assert not models.means("nonsense", first)


def test_listing(models: ServedModels) -> None:
    listing = models.listing()
    assert listing["object"] == "list"
    assert [(entry["id"], entry["object"], entry["created"]) for entry in listing["data"]] == [
        ("first", "model", 1_700_000_000),
        ("second", "model", 1_700_000_000),
    ]
    assert [voice["name"] for voice in listing["data"][0]["voices"]] == ["low", "high"]
    assert listing["data"][0]["aliases"] == ["gpt-realtime*", "gpt-4o*-realtime*"]
    assert listing["data"][1]["aliases"] == ["two", "next-*"]
