"""LFM2-Audio with a tiny model of random weights: the real loading, hearing, thinking and speaking of its package."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra liquid is not installed: the liquid-audio engine is NOT tested")
pytest.importorskip("liquid_audio", reason="the extra liquid is not installed: the liquid-audio engine is NOT tested")

import torch
from liquid_audio import ChatState, LFM2AudioModel, LFM2AudioProcessor
from safetensors.torch import load_file, save_file

from antiphon.engines.base import (
    AudioChunk,
    AudioPart,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    Message,
    SpeechModel,
    TextDelta,
    TextPart,
    Tool,
    Usage,
)
from antiphon.engines.liquid_audio import LiquidAudioModel
from antiphon.engines.registry import find_engine
from antiphon.engines.stand_in import StandInTranscriber, StandInTurnClassifier, StandInVad
from antiphon.pipeline.direct import Direct
from tests.conformance.audio import tone
from tests.conformance.recorder import RealtimeClient
from tests.remote_pipelines import NOTHING, serving_pipeline
from tests.tiny_liquid import make_tiny_liquid, tiny_mimi

FRAME = 1920
"""Samples of a frame of speech, 80 ms at 24 kHz."""


@pytest.fixture(scope="module", autouse=True)
def small_mimi() -> Iterator[None]:
    with tiny_mimi():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tiny-liquid")
    make_tiny_liquid(place)
    return place


async def load(folder: Path, **options: Any) -> LiquidAudioModel:
    context = EngineContext(
        NOTHING.models, options={"model": str(folder), "device": "cpu", "max_tokens": 40, **options}
    )
    return await LiquidAudioModel.load(context)


@pytest.fixture
async def model(folder: Path) -> AsyncIterator[LiquidAudioModel]:
    torch.manual_seed(1)
    engine = await load(folder, audio_temperature=0)
    yield engine
    await engine.close()


def said(text: str) -> tuple[Message, ...]:
    return (Message("user", (TextPart(text),)),)


def heard(hz: float) -> tuple[Message, ...]:
    samples = np.asarray(tone(800, hz).astype(np.float32) / 32768, np.float32)
    return (Message("system", (TextPart("Listen."),)), Message("user", (AudioPart(samples, 24_000),)))


async def reply(model: LiquidAudioModel, messages: tuple[Message, ...], **asked: Any) -> list[Any]:
    return [delta async for delta in model.respond(GenerationRequest(messages, **asked))]


def words(deltas: list[Any]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def idle(model: LiquidAudioModel) -> None:
    async with asyncio.timeout(10):
        while model.load_now().running:  # noqa: ASYNC110 - the thread tells nobody
            await asyncio.sleep(0.005)


async def test_text_and_speech_are_made_by_turns(model: LiquidAudioModel) -> None:
    assert find_engine("liquid-audio", SpeechModel) is LiquidAudioModel
    await model.warm_up()
    deltas = await reply(model, heard(300), temperature=0.0)
    kinds = [type(delta) for delta in deltas]
    first = kinds.index(AudioChunk)
    assert TextDelta in kinds[:first], "text comes no later than the speech that says it"
    assert TextDelta in kinds[first:], "speech does not wait for the end of the text"
    chunks = [delta for delta in deltas if isinstance(delta, AudioChunk)]
    assert {chunk.samples.shape for chunk in chunks} == {(FRAME,)}
    assert {chunk.rate for chunk in chunks} == {model.sample_rate}
    assert all(chunk.samples.dtype == np.float32 and np.isfinite(chunk.samples).all() for chunk in chunks)
    usage, finish = deltas[-2:]
    assert isinstance(usage, Usage)
    assert usage.output_tokens <= 40
    assert usage.output_audio_tokens is not None
    assert len(chunks) <= usage.output_audio_tokens < usage.output_tokens
    assert usage.input_audio_tokens == 11, "0.8 s at 12.5 tokens a second, and what is begun counts"
    assert isinstance(finish, Finish)
    assert abs(await model.count_tokens(heard(300)) - usage.input_tokens) < 60


async def test_it_hears(model: LiquidAudioModel) -> None:
    low = await reply(model, heard(200), temperature=0.0)
    assert words(low) == words(await reply(model, heard(200), temperature=0.0)), "the likeliest is always the same"
    assert words(low) != words(await reply(model, heard(3000), temperature=0.0)), "it answers what it hears"


async def test_it_says_what_the_package_makes_by_itself(model: LiquidAudioModel, folder: Path) -> None:
    """As the package's README generates: whole, and decoded at once. Frames decoded one by one are the same."""
    samples = np.asarray(tone(800, 200)[::3].astype(np.float32) / 32768, np.float32)
    processor = LFM2AudioProcessor.from_pretrained(folder, device="cpu").eval()
    package = LFM2AudioModel.from_pretrained(folder, device="cpu", dtype=torch.float32).eval()
    chat = ChatState(processor, dtype=torch.float32)
    chat.new_turn("system")
    chat.add_text("Respond with interleaved text and audio.")
    chat.end_turn()
    chat.new_turn("user")
    chat.add_audio(torch.from_numpy(samples)[None], 16_000)
    chat.end_turn()
    chat.new_turn("assistant")
    made = list(package.generate_interleaved(**chat, max_new_tokens=100))
    text = torch.cat([step for step in made if step.numel() == 1])
    codes = torch.stack([step for step in made if step.numel() == 8 and not (step == 2048).any()], 1)
    with torch.no_grad():
        whole = processor.mimi.decode(codes[None]).flatten().numpy()
    for _ in range(2):  # the second is not influenced by the first
        message = Message("user", (AudioPart(samples, 16_000),))
        deltas = await reply(model, (message,), temperature=0.0, max_tokens=100)
        assert words(deltas) == processor.text.decode(text, skip_special_tokens=True).rstrip("\ufffd")
        spoken = np.concatenate([delta.samples for delta in deltas if isinstance(delta, AudioChunk)])
        assert spoken.size == codes.shape[1] * FRAME
        np.testing.assert_allclose(spoken, whole, atol=1e-4)


async def test_every_way_a_reply_ends(folder: Path) -> None:
    torch.manual_seed(2)
    model = await load(folder, temperature=1.0, top_k=300)
    cut = await reply(model, said("Hello"), max_tokens=9)
    assert cut[-1] == Finish("length")
    assert (cut[-2].output_tokens, cut[-2].output_audio_tokens) == (9, 3)
    for _ in range(20):
        usage, finish = (await reply(model, said("Hello"), max_tokens=400))[-2:]
        assert finish.reason == ("length" if usage.output_tokens == 400 else "stop")
        if finish.reason == "stop":
            break
    else:
        pytest.fail("it never ends by itself")
    assert "<|" not in words(cut)
    await model.close()


async def test_it_writes_where_speech_is_not_wanted(model: LiquidAudioModel) -> None:
    request = GenerationRequest(heard(500), temperature=0.7)
    deltas: list[Any] = [delta async for delta in model.respond(request, speech=False)]
    assert words(deltas)
    assert not any(isinstance(delta, AudioChunk) for delta in deltas)
    assert deltas[-2].output_audio_tokens == 0
    assert isinstance(deltas[-1], Finish)


async def test_closing_the_reply_stops_the_model(folder: Path) -> None:
    model = await load(folder, max_tokens=30_000)
    deltas = cast(Any, model.respond(GenerationRequest(said("Count to ten thousand."))))
    async for delta in deltas:
        if isinstance(delta, AudioChunk):
            break
    assert model.load_now().running == 1
    await deltas.aclose()
    await idle(model)
    writing = cast(Any, model.respond(GenerationRequest(said("Write.")), speech=False))
    asking = asyncio.create_task(anext(writing))
    await asyncio.sleep(0.02)
    asking.cancel()
    await asyncio.wait({asking})
    await writing.aclose()
    await idle(model)
    assert isinstance((await reply(model, said("Hello"), max_tokens=4))[-1], Finish)
    await model.close()
    await model.close()
    with pytest.raises(EngineError) as closed:
        await reply(model, said("Hello"))
    assert closed.value.code == "closed"


async def test_closing_the_engine_ends_the_reply_that_is_made(folder: Path) -> None:
    model = await load(folder, max_tokens=30_000)
    deltas = cast(Any, model.respond(GenerationRequest(said("Count to ten thousand."))))
    await anext(deltas)
    await model.close()
    with pytest.raises(EngineError) as closed:
        async for _ in deltas:
            pass
    assert closed.value.code == "closed"


async def test_replies_wait_for_one_another(folder: Path) -> None:
    model = await load(folder, max_tokens=30_000)
    first = cast(Any, model.respond(GenerationRequest(said("Count to ten thousand."))))
    await anext(first)
    second = asyncio.create_task(reply(model, said("Hello"), max_tokens=20))
    async with asyncio.timeout(10):
        while not model.load_now().waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    load_now = model.load_now()
    assert (load_now.running, load_now.waiting, load_now.capacity) == (1, 1, 1)
    await first.aclose()
    assert isinstance((await second)[-1], Finish)
    await model.close()


async def test_what_it_refuses(model: LiquidAudioModel) -> None:
    async def refused(request: GenerationRequest, voice: str | None = None) -> str:
        with pytest.raises(EngineError) as error:
            [delta async for delta in model.respond(request, voice=voice)]
        return error.value.code

    assert await refused(GenerationRequest(said("Hello")), "nobody") == "unsupported"
    assert await refused(GenerationRequest(said("Hello"), (Tool("dial"),))) == "unsupported"
    assert model.context_tokens == 32_768
    assert await refused(GenerationRequest(said("word " * 8_000))) == "context_length_exceeded"
    assert isinstance((await reply(model, said("Hello")))[-1], Finish), "it lives on"


async def test_models_that_are_none(folder: Path, tmp_path: Path) -> None:
    async def refused(place: Path, **options: Any) -> EngineError:
        with pytest.raises(EngineError) as error:
            await load(place, **options)
        return error.value

    assert (await refused(tmp_path / "nowhere")).code == "model_missing"
    empty = await refused(tmp_path)
    assert empty.code == "model_missing"
    assert "config.json" in empty.message
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    other = await refused(tmp_path)
    assert other.code == "invalid_option"
    assert "is no LFM2-Audio, but qwen2" in other.message
    (tmp_path / "config.json").write_text("[")
    assert "not JSON" in (await refused(tmp_path)).message
    (tmp_path / "config.json").write_text("[]")
    assert "is no LFM2-Audio" in (await refused(tmp_path)).message
    assert "device" in (await refused(folder, device="abacus")).message
    assert "there is no option 'tempo'" in (await refused(folder, tempo=1)).message
    if not torch.cuda.is_available():
        assert "finds no GPU" in (await refused(folder, device="cuda")).message


async def test_a_model_with_parts_missing(folder: Path, tmp_path: Path) -> None:
    async def refused(*removed: str) -> str:
        place = tmp_path / removed[0]
        shutil.copytree(folder, place, ignore=shutil.ignore_patterns(*removed))
        with pytest.raises(EngineError) as error:
            await load(place)
        assert error.value.code == "invalid_option"
        return error.value.message

    assert "comes without Mimi" in await refused("tokenizer-e351c8d8*")
    assert "cannot be loaded" in await refused("model.safetensors")
    assert "cannot be loaded" in await refused("tokenizer*.json")
    place = tmp_path / "weightless"
    shutil.copytree(folder, place)
    weights = load_file(folder / "model.safetensors")
    del weights["audio_adapter.model.0.weight"]
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match=r"1 of its weights are missing, audio_adapter\.model\.0\.weight among"):
        await load(place)
    (place / "model.safetensors").write_bytes(b"\x08" * 200)
    with pytest.raises(EngineError, match="cannot be loaded: Error while deserializing") as damaged:
        await load(place)
    assert damaged.value.code == "invalid_option"
    config = json.loads((folder / "config.json").read_text())
    del config["codebooks"]
    place = tmp_path / "unset"
    shutil.copytree(folder, place)
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="codebooks"):
        await load(place)


async def direct(speech: LiquidAudioModel) -> Direct:
    return Direct(
        "lfm2",
        vad=await StandInVad.load(NOTHING),
        turn=await StandInTurnClassifier.load(NOTHING),
        transcription=await StandInTranscriber.load(NOTHING),
        speech=speech,
        drafts="off",
    )


async def configure(client: RealtimeClient, **session: Any) -> None:
    await client.send({"type": "session.update", "session": {"type": "realtime", **session}})
    await client.expect("session.updated")


async def test_spoken_turns(folder: Path) -> None:
    speech = await load(folder)
    async with serving_pipeline(await direct(speech), speech) as url, RealtimeClient(url) as client:
        for _ in range(3):
            await client.speak(tone(1000))
            response = (await client.expect("response.done"))["response"]
            assert response["status"] in ("completed", "incomplete")
            assert response["output"][0]["content"][0]["transcript"]
            assert len(client.recording.speech(response["id"])) >= FRAME
            assert response["usage"]["input_token_details"]["audio_tokens"] >= 12
            assert response["usage"]["output_token_details"]["audio_tokens"] >= 1


async def test_speaking_over_a_reply_stops_the_model(folder: Path) -> None:
    speech = await load(folder, max_tokens=20_000)
    async with serving_pipeline(await direct(speech), speech) as url, RealtimeClient(url) as client:
        await client.speak(tone(1000))
        await client.expect("response.output_audio.delta")
        assert speech.load_now().running == 1
        await client.speak(tone(1500), pace=1.0, trailing_silence_ms=0)
        response = (await client.expect("response.done"))["response"]
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        await idle(speech)
        await configure(client, max_output_tokens=30)
        await client.speak(tone(100))
        response = (await client.expect("response.done"))["response"]
        assert response["status"] in ("completed", "incomplete")


async def test_two_sessions_at_once(folder: Path) -> None:
    async def talk(url: str) -> None:
        async with RealtimeClient(url) as client:
            for _ in range(2):
                await client.speak(tone(1000))
                response = (await client.expect("response.done"))["response"]
                assert response["status"] in ("completed", "incomplete")
                assert len(client.recording.speech(response["id"])) >= FRAME

    speech = await load(folder)
    async with serving_pipeline(await direct(speech), speech) as url:
        await asyncio.gather(talk(url), talk(url))


async def test_a_session_with_functions_is_told(folder: Path) -> None:
    dial = {"type": "function", "name": "dial", "parameters": {"type": "object", "properties": {}}}
    speech = await load(folder)
    async with serving_pipeline(await direct(speech), speech) as url, RealtimeClient(url) as client:
        await configure(client, tools=[dial])
        await client.speak(tone(1000))
        response = (await client.expect("response.done"))["response"]
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["code"] == "unsupported"
        await configure(client, tool_choice="none")
        await client.speak(tone(1000))
        response = (await client.expect("response.done"))["response"]
        assert response["status"] in ("completed", "incomplete")
