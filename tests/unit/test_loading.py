"""From settings to engines, each once, and the models that they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.config import EngineChoice, EngineSettings, PipelineSettings, Settings
from antiphon.config.resolved import EnginePlan, pipeline_plans
from antiphon.engines.base import EngineError
from antiphon.server.core_plan import CorePlan
from antiphon.server.engine_pool import EngineKey
from antiphon.server.loading import engines_of, models_of, required_models, serving_plan

STAND_IN = EngineSettings(preset="stand-in")


def engines(settings: Settings, name: str) -> dict[str, list[str]]:
    return {role: [plan.name for plan in chain] for role, chain in pipeline_plans(settings)[name].engines.items()}


def test_presets() -> None:
    embedded = engines(Settings(), "antiphon-embedded")
    assert (embedded["llm"], embedded["tts"]) == (["llamacpp"], ["hibari"])
    assert engines(Settings(engines=STAND_IN), "antiphon-stand-in") == {
        "vad": ["stand-in-vad"],
        "turn": ["stand-in-turn"],
        "transcription": ["stand-in-transcription"],
        "llm": ["stand-in-llm"],
        "tts": ["stand-in-tts"],
    }


def test_changes_to_a_preset() -> None:
    changed = EngineSettings(llm=EngineChoice(options={"slots": 2}, cores=3), tts=EngineChoice(name="stand-in-tts"))
    plan = engines_of(Settings(engines=changed))
    assert plan["llm"] == EnginePlan("llamacpp", {"slots": 2}, 3)
    assert plan["tts"] == EnginePlan("stand-in-tts")
    assert plan["vad"] == EnginePlan("silero")


def test_a_role_without_an_engine_cannot_be_changed() -> None:
    settings = Settings(engines=EngineSettings(preset="stand-in", denoise=EngineChoice(cores=1)))
    with pytest.raises(EngineError, match="ANTIPHON_ENGINES__DENOISE__NAME"):
        pipeline_plans(settings)


def test_a_pipeline_takes_from_the_engines_what_it_does_not_name() -> None:
    settings = Settings(
        engines={"preset": "stand-in", "llm": {"words": 3, "idle_unload_s": 9}},
        pipelines={
            "same": {},
            "other": {"turn": "off", "llm": {"reply": "Yes."}, "tts": ["hibari", {"engine": "stand-in-tts"}]},
            "own": {"llm": {"engine": "stand-in-llm", "words": 5}, "idle_unload_s": 30},
        },
        default_pipeline="other",
    )
    plans = pipeline_plans(settings)
    assert list(plans) == ["other", "same", "own"]
    assert plans["same"].engines["llm"] == (EnginePlan("stand-in-llm", {"words": 3}, None, 9),)
    assert plans["other"].engines["llm"] == (EnginePlan("stand-in-llm", {"words": 3, "reply": "Yes."}, None, 9),)
    assert [plan.name for plan in plans["other"].engines["tts"]] == ["hibari", "stand-in-tts"]
    assert "turn" not in plans["other"].engines
    assert "turn" in plans["same"].engines
    assert plans["own"].engines["llm"] == (EnginePlan("stand-in-llm", {"words": 5}, None, 30),)
    assert list(engines_of(settings)) == [
        *("other.vad", "other.transcription", "other.llm", "other.tts[0]", "other.tts[1]"),
        *("same.llm", "same.turn", "own.llm"),
    ]


def test_session_limits_of_a_pipeline_go_over_the_servers() -> None:
    settings = Settings(
        limits={"max_items": 7, "max_responses": 2}, pipelines={"a": {"limits": {"max_items": 9}}, "b": {}}
    )
    plans = pipeline_plans(settings)
    assert (plans["a"].limits.max_items, plans["a"].limits.max_responses) == (9, 2)
    assert (plans["b"].limits.max_items, plans["b"].limits.max_responses) == (7, 2)


def keys(plans: dict[str, PipelineSettings], cores: int, base: EngineSettings = STAND_IN) -> dict[str, list[EngineKey]]:
    planned = pipeline_plans(Settings(engines=base, pipelines=plans))
    serving = serving_plan(planned.values(), cores)
    found: dict[str, dict[EngineKey, None]] = {}
    for by_role in serving.keys.values():
        for role, chain in by_role.items():
            found.setdefault(role, {}).update(dict.fromkeys(chain))
    return {role: list(used) for role, used in found.items()}


def test_an_engine_with_the_same_options_is_one_engine() -> None:
    twice = keys(
        {"a": PipelineSettings(), "b": PipelineSettings(tts=(EngineChoice(options={"character_ms": 9.0}),))}, 4
    )
    assert {role: len(found) for role, found in twice.items()} == {
        "vad": 1,
        "turn": 1,
        "transcription": 1,
        "llm": 1,
        "tts": 2,
    }


def test_engines_of_a_role_share_its_cores() -> None:
    pipelines = {str(words): PipelineSettings(llm=(EngineChoice(options={"words": words}),)) for words in (1, 2)}
    assert [key.cores for key in keys(pipelines, 8)["llm"]] == [4, 4]
    assert [key.cores for key in keys(pipelines, 1)["llm"]] == [1, 1]
    given = {**pipelines, "given": PipelineSettings(llm=(EngineChoice(options={"words": 3}, cores=2),))}
    assert [key.cores for key in keys(given, 8)["llm"]] == [4, 4, 2]
    most = {"a": PipelineSettings(llm=(EngineChoice(cores=1),)), "b": PipelineSettings(llm=(EngineChoice(cores=3),))}
    assert [key.cores for key in keys(most, 8)["llm"]] == [3]
    assert [key.cores for key in keys({"a": PipelineSettings()}, 8)["llm"]] == [8]


def test_an_engine_elsewhere_takes_no_cores_from_others() -> None:
    remote = EngineChoice(name="openai-chat", options={"model": "m"})
    pipelines = {"here": PipelineSettings(), "there": PipelineSettings(llm=(remote,))}
    assert keys(pipelines, 8)["llm"][0].cores == 8


def test_an_engine_stays_for_as_long_as_one_pipeline_keeps_it() -> None:
    def idle_of(first: float | None, second: float | None) -> set[float]:
        pipelines = {"a": PipelineSettings(idle_unload_s=first), "b": PipelineSettings(idle_unload_s=second)}
        plans = pipeline_plans(Settings(engines=STAND_IN, pipelines=pipelines))
        return set(serving_plan(plans.values(), 2).idle_s.values())

    assert idle_of(10, 60) == {60}
    assert idle_of(10, None) == set()


def test_every_engine_that_cannot_be_is_told() -> None:
    settings = Settings(
        engines=STAND_IN, pipelines={"a": {"tts": "no-such-voice", "llm": "stand-in-vad", "vad": "no-such-vad"}}
    )
    with pytest.raises(EngineError) as caught:
        serving_plan(pipeline_plans(settings).values(), 2)
    for told in ("no-such-voice", "'stand-in-vad' is not a LanguageModel", "no-such-vad"):
        assert told in caught.value.message


def test_models_that_an_engine_needs() -> None:
    assert models_of(EnginePlan("silero")) == ("silero-vad",)
    assert models_of(EnginePlan("stand-in-vad")) == ()
    assert models_of(EnginePlan("silero", {"model": "hf:owner/repo/a.onnx"})) == ("hf:owner/repo/a.onnx",)
    assert models_of(EnginePlan("silero", {"model": "file:/models/a.onnx"})) == ("file:/models/a.onnx",)
    assert models_of(EnginePlan("silero", {"model": "/models/a.onnx"})) == ()
    with pytest.raises(EngineError, match="there is no engine"):
        models_of(EnginePlan("nonsense"))


def test_models_that_all_pipelines_need() -> None:
    assert required_models(Settings(engines=STAND_IN)) == []
    settings = Settings(engines=STAND_IN, pipelines={"a": {}, "b": {"vad": "silero"}, "c": {"vad": "silero"}})
    assert required_models(settings) == ["silero-vad"]


def test_an_engine_whose_key_has_changed_is_another_one(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    llm = {"engine": "openai-chat", "model": "x", "api_key": {"file": str(secret)}}
    pipelines = {"a": PipelineSettings(llm=llm), "b": PipelineSettings(llm=llm)}

    def planned() -> list[EngineKey]:
        return keys(pipelines, 4)["llm"]

    secret.write_text("sk-first")
    (first,) = planned()
    secret.write_text("sk-first\n")
    assert planned() == [first]
    secret.write_text("sk-second")
    (second,) = planned()
    assert second != first
    assert second.options == first.options
    secret.unlink()  # which loading the engine tells
    assert len(planned()) == 1
    assert "sk-" not in repr([first, second])


def test_core_plan() -> None:
    assert CorePlan.of(2) == CorePlan()
    assert CorePlan.of(1) == CorePlan(transcription=1, llm=1)
    assert CorePlan.of(64) == CorePlan(transcription=4, llm=8, tts=2)
