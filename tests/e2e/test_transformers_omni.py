"""The omni engine with a tiny model of random weights: the real loading, hearing, thinking and speaking."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml

pytest.importorskip("torch", reason="the extra omni is not installed: the omni engine is NOT tested")
pytest.importorskip("transformers", reason="the extra omni is not installed: the omni engine is NOT tested")
pytest.importorskip("torchvision", reason="the extra omni is not installed: the omni engine is NOT tested")


from antiphon.engines.base import (
    AudioChunk,
    AudioPart,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    Message,
    TextDelta,
    TextPart,
    Tool,
    Usage,
)
from antiphon.engines.stand_in import StandInSynthesizer, StandInTranscriber, StandInTurnClassifier, StandInVad
from antiphon.engines.transformers_omni import TransformersOmniModel, TransformersOmniOptions
from antiphon.pipeline.cascade import Cascade
from antiphon.pipeline.direct import Direct
from tests.conformance.audio import tone
from tests.conformance.recorder import RealtimeClient
from tests.engine_pages import documented_options, options_in_force
from tests.remote_pipelines import NOTHING, serving_pipeline
from tests.tiny_omni import make_tiny_omni

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "engines" / "transformers-omni.md"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tiny-omni")
    make_tiny_omni(place)
    return place


async def load(folder: Path, **options: Any) -> TransformersOmniModel:
    context = EngineContext(NOTHING.models, options={"model": str(folder), "max_tokens": 24, **options})
    return await TransformersOmniModel.load(context)


@pytest.fixture
async def model(folder: Path) -> AsyncIterator[TransformersOmniModel]:
    engine = await load(folder)
    yield engine
    await engine.close()


def said(text: str) -> tuple[Message, ...]:
    return (Message("user", (TextPart(text),)),)


def heard(hz: float) -> tuple[Message, ...]:
    samples = np.asarray(tone(800, hz).astype(np.float32) / 32768, np.float32)
    return (Message("system", (TextPart("Listen."),)), Message("user", (AudioPart(samples, 24_000),)))


async def test_it_streams_text(model: TransformersOmniModel) -> None:
    await model.warm_up()
    deltas = [delta async for delta in model.generate(GenerationRequest(said("Hello"), temperature=1.0))]
    assert any(isinstance(delta, TextDelta) for delta in deltas)
    usage, finish = deltas[-2:]
    assert isinstance(usage, Usage)
    assert usage.input_tokens > 20
    assert 0 < usage.output_tokens <= 24
    assert usage.input_audio_tokens == 0
    assert isinstance(finish, Finish)
    count = await model.count_tokens(said("Hello"))
    assert 5 <= count <= usage.input_tokens + 20


async def reply(model: TransformersOmniModel, messages: tuple[Message, ...]) -> str:
    deltas = [delta async for delta in model.generate(GenerationRequest(messages, temperature=0.0))]
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def test_it_hears(model: TransformersOmniModel) -> None:
    low = await reply(model, heard(200))
    assert low == await reply(model, heard(200)), "at temperature 0 it always says the same"
    assert low != await reply(model, heard(3000)), "it answers what it hears"
    deltas = [delta async for delta in model.generate(GenerationRequest(heard(200)))]
    usage = next(delta for delta in deltas if isinstance(delta, Usage))
    assert usage.input_audio_tokens is not None
    assert usage.input_audio_tokens > 5
    assert usage.input_tokens > usage.input_audio_tokens


@pytest.mark.parametrize("voice", ["Chelsie", "Ethan", None])
async def test_it_speaks_after_the_text(model: TransformersOmniModel, voice: str | None) -> None:
    assert [known.name for known in model.voices] == ["Chelsie", "Ethan"]
    request = GenerationRequest(heard(300), max_tokens=8)
    deltas = [delta async for delta in model.respond(request, voice=voice)]
    (chunk,) = [delta for delta in deltas if isinstance(delta, AudioChunk)]
    assert chunk.rate == 24_000
    assert chunk.samples.dtype == np.float32
    assert chunk.samples.size > 0
    assert np.isfinite(chunk.samples).all()
    assert not any(isinstance(delta, TextDelta) for delta in deltas[deltas.index(chunk) :])
    assert isinstance(deltas[-1], Finish)


async def test_closing_the_reply_stops_the_model(folder: Path) -> None:
    model = await load(folder, max_tokens=20_000)
    # It may end by itself before it is stopped; then there is nothing to stop.
    deltas = cast(Any, model.generate(GenerationRequest(said("Count to ten thousand."), temperature=2.0)))
    async for _ in deltas:
        break
    await deltas.aclose()
    async with asyncio.timeout(10):
        while model.load_now().running:  # noqa: ASYNC110 - the thread tells nobody
            await asyncio.sleep(0.005)
    speaking = cast(Any, model.respond(GenerationRequest(said("Speak."), max_tokens=500)))
    asking = asyncio.create_task(anext(speaking))
    await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.wait({asking})
    await speaking.aclose()
    async with asyncio.timeout(10):
        while model.load_now().running:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    request = GenerationRequest(said("Hello"), max_tokens=4)
    assert isinstance([delta async for delta in model.generate(request)][-1], Finish)
    await model.close()
    with pytest.raises(EngineError) as closed:
        [delta async for delta in model.generate(request)]
    assert closed.value.code == "closed"


async def test_what_it_refuses(model: TransformersOmniModel, folder: Path, tmp_path: Path) -> None:
    async def refused(request: GenerationRequest, voice: str | None = None) -> str:
        with pytest.raises(EngineError) as error:
            [delta async for delta in model.respond(request, voice=voice)]
        return error.value.code

    assert await refused(GenerationRequest(said("Hello")), "nobody") == "unsupported"
    assert await refused(GenerationRequest(said("Hello"), (Tool("dial"),), "required")) == "unsupported"
    assert await refused(GenerationRequest(said("word " * 20_000))) == "context_length_exceeded"
    with pytest.raises(EngineError) as missing:
        await load(tmp_path)
    assert missing.value.code in ("model_missing", "invalid_option")
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(EngineError, match="not one of qwen2_5_omni"):
        await load(tmp_path)
    with pytest.raises(EngineError, match="there is no option 'tempo'"):
        await load(folder, tempo=1)


async def test_without_its_talker_it_is_a_language_model(folder: Path) -> None:
    model = await load(folder, talker=False)
    assert model.voices == ()
    with pytest.raises(EngineError, match="cannot speak"):
        [delta async for delta in model.respond(GenerationRequest(said("Hello")))]
    with pytest.raises(EngineError, match="tts"):
        Direct("omni", vad=await StandInVad.load(NOTHING), speech=model)
    cascade = Cascade(
        "omni",
        vad=await StandInVad.load(NOTHING),
        turn=await StandInTurnClassifier.load(NOTHING),
        transcription=await StandInTranscriber.load(NOTHING),
        llm=model,
        tts=await StandInSynthesizer.load(NOTHING),
        drafts="off",
    )
    assert cascade.supports_audio
    async with serving_pipeline(cascade, model) as url, RealtimeClient(url) as client:
        await client.speak(tone(1000))
        response = (await client.expect("response.done"))["response"]
        assert response["status"] in ("completed", "incomplete")
        assert response["output"][0]["content"][0]["transcript"]


async def test_spoken_turns(folder: Path) -> None:
    model = await load(folder)
    ears = {"vad": await StandInVad.load(NOTHING), "turn": await StandInTurnClassifier.load(NOTHING)}
    async with (
        serving_pipeline(Direct("omni", **cast(Any, ears), speech=model, drafts="off"), model) as url,
        RealtimeClient(url) as client,
    ):
        for _ in range(2):
            await client.speak(tone(1000))
            response = (await client.expect("response.done"))["response"]
            assert response["status"] in ("completed", "incomplete")
            assert len(client.recording.speech(response["id"])) > 0


def test_the_page_lists_every_option() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert documented_options(page) == options_in_force(TransformersOmniOptions)
    for example in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        ((_, pipeline),) = yaml.safe_load(example)["pipelines"].items()
        (engine,) = (chosen for chosen in pipeline.values() if isinstance(chosen, dict))
        assert engine.pop("engine") == "transformers-omni"
        TransformersOmniOptions.model_validate(engine)
