"""From settings to engines and the models that they need."""

from __future__ import annotations

import pytest

from antiphon.config import EngineChoice, EngineSettings
from antiphon.engines.base import EngineError
from antiphon.pipeline.cascade import EngineSpec
from antiphon.server.loading import cascade_spec, engine_specs, load_pipeline, models_of


def test_presets() -> None:
    assert cascade_spec(EngineSettings()).llm == EngineSpec("llamacpp")
    assert {spec.name for spec in engine_specs(EngineSettings(preset="stand-in")).values()} == {
        "stand-in-vad",
        "stand-in-turn",
        "stand-in-transcription",
        "stand-in-llm",
        "stand-in-tts",
    }


def test_changes_to_a_preset() -> None:
    settings = EngineSettings(llm=EngineChoice(options={"slots": 2}, cores=3), tts=EngineChoice(name="stand-in-tts"))
    spec = cascade_spec(settings)
    assert spec.llm == EngineSpec("llamacpp", {"slots": 2}, 3)
    assert spec.tts == EngineSpec("stand-in-tts")
    assert spec.vad == cascade_spec(EngineSettings()).vad


def test_a_role_without_an_engine_cannot_be_changed() -> None:
    with pytest.raises(EngineError, match="ANTIPHON_ENGINES__DENOISE__NAME"):
        cascade_spec(EngineSettings(preset="stand-in", denoise=EngineChoice(cores=1)))


def test_models_that_an_engine_needs() -> None:
    assert models_of(EngineSpec("silero")) == ("silero-vad",)
    assert models_of(EngineSpec("stand-in-vad")) == ()
    assert models_of(EngineSpec("silero", {"model": "hf:owner/repo/a.onnx"})) == ("hf:owner/repo/a.onnx",)
    assert models_of(EngineSpec("silero", {"model": "file:/models/a.onnx"})) == ("file:/models/a.onnx",)
    assert models_of(EngineSpec("silero", {"model": "/models/a.onnx"})) == ()
    with pytest.raises(EngineError, match="there is no engine"):
        models_of(EngineSpec("nonsense"))


async def test_loading_tells_what_is_warm() -> None:
    ready: list[str] = []
    pipeline = await load_pipeline(EngineSettings(preset="stand-in"), ready.append)
    assert pipeline.name == "antiphon-stand-in"
    assert sorted(ready) == ["llm", "transcription", "tts", "turn", "vad"]
    await pipeline.close()
