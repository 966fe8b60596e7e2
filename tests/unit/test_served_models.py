"""Names of models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from antiphon.models import ModelStore
from antiphon.pipeline.cascade import STAND_IN, Cascade, load_cascade
from antiphon.protocol.errors import ProtocolError
from antiphon.server.served_models import ServedModels


@pytest.fixture
async def pipelines() -> AsyncIterator[tuple[Cascade, Cascade]]:
    first = await load_cascade("first", STAND_IN, models=ModelStore.default())
    second = await load_cascade("second", STAND_IN, models=ModelStore.default())
    yield first, second
    await first.close()
    await second.close()


@pytest.fixture
def models(pipelines: tuple[Cascade, Cascade]) -> ServedModels:
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


def test_own_names(models: ServedModels, pipelines: tuple[Cascade, Cascade]) -> None:
    assert models.resolve("second") is pipelines[1]
    assert models.resolve_transcription("second") is pipelines[1]
    assert models.resolve_transcription("gpt-4o-mini-transcribe") is pipelines[0]


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


def test_same_model(models: ServedModels, pipelines: tuple[Cascade, Cascade]) -> None:
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
    assert listing["data"][1]["aliases"] == []
