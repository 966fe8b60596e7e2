"""Remote engines against the embedded models: llama.cpp's own HTTP server; Whisper and Hibari behind one of ours."""

from __future__ import annotations

import asyncio
import csv
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import jiwer
import numpy as np
import pytest
import xllamacpp
from whisper_normalizer.english import EnglishTextNormalizer

from antiphon.audio.levels import to_float
from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import (
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    Message,
    TextDelta,
    TextPart,
    ToolCallDelta,
    Usage,
)
from antiphon.engines.hibari import HibariSynthesizer
from antiphon.engines.openai.chat import OpenAIChatModel
from antiphon.engines.openai.transcription import OpenAITranscriber
from antiphon.engines.silero import SileroVad
from antiphon.engines.smart_turn import SmartTurnClassifier
from antiphon.engines.whisper.transcriber import WhisperTranscriber
from antiphon.models import ModelStore
from tests.conformance.audio import read_speech, silence
from tests.conformance.recorder import RealtimeClient
from tests.remote_pipelines import remote_engines, serving_engines
from tests.remote_servers import KEY, MODEL, RemoteServer, remote_server, stand_ins
from tests.unit.test_llamacpp import LAMP, TOOLS_TEMPLATE, lamp_rounds

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

SPEECH = Path(__file__).parents[1] / "data" / "speech"
TEXTS = {
    row["file"]: row["text"]
    for row in csv.DictReader((SPEECH / "transcripts.tsv").open(encoding="utf-8"), delimiter="\t")
}
CONTEXT = 1024
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    """llama.cpp's HTTP server with the embedded model, in this process."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(ModelStore.default().path("smollm2-135m-instruct"))
    parameters.n_parallel = 2
    parameters.n_ctx = 2 * CONTEXT
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = min(os.cpu_count() or 1, 2)
    parameters.chat_template = TOOLS_TEMPLATE  # the model's own knows no tools
    parameters.sampling.seed = 1  # so that it says the same each time
    parameters.fit_params = False
    parameters.ui = False
    parameters.verbosity = -1
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_threads_http = 4
    parameters.api_keys = [KEY]
    parameters.model_alias = {MODEL}
    server = xllamacpp.Server(parameters)
    yield server.listening_address
    del server


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)


@pytest.fixture
async def model(llama: str) -> AsyncIterator[OpenAIChatModel]:
    place = {"base_url": f"{llama}/v1", "model": MODEL, "api_key": {"env": "REMOTE_KEY"}}
    patience = {"first_timeout_s": 60.0, "stall_timeout_s": 60.0}
    engine = await OpenAIChatModel.load(EngineContext(ModelStore.default(), options={**place, **patience}))
    await engine.warm_up()
    yield engine
    await engine.close()


def request(text: str, **options: Any) -> GenerationRequest:
    return GenerationRequest((Message("user", (TextPart(text),)),), **{"temperature": 0.0, **options})


async def test_it_answers_and_counts(model: OpenAIChatModel) -> None:
    question = request("What is the capital of France?", max_tokens=40)
    deltas = [delta async for delta in model.generate(question)]
    answer = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    assert len(answer.split()) > 3
    usage, finish = deltas[-2:]
    assert isinstance(usage, Usage)
    assert 0 < usage.output_tokens <= 40
    assert usage.input_tokens < await model.count_tokens(question.messages) + 40  # the template adds its own
    assert isinstance(finish, Finish)
    short = [delta async for delta in model.generate(request("Tell me a long story.", max_tokens=5))]
    assert short[-1] == Finish("length")


async def test_it_calls_a_function(model: OpenAIChatModel) -> None:
    question = GenerationRequest(tuple(lamp_rounds()), (LAMP,), temperature=0.0, max_tokens=100)
    deltas = [delta async for delta in model.generate(question)]
    calls = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert calls[0].name == "set_lamp"
    assert json.loads("".join(call.arguments for call in calls)) == {"on": True, "room": "attic"}
    assert len(calls) > 3, "the arguments come as they are made"
    assert deltas[-1] == Finish("tool_calls")


async def test_a_conversation_that_is_too_long(model: OpenAIChatModel) -> None:
    with pytest.raises(EngineError) as error:
        [delta async for delta in model.generate(request("word " * 2 * CONTEXT))]
    assert error.value.code == "context_length_exceeded"


async def test_closing_the_reply_stops_the_model(model: OpenAIChatModel, llama: str) -> None:
    deltas = cast(Any, model.generate(request("Count from one to one thousand.", max_tokens=900)))
    await anext(deltas)
    await deltas.aclose()
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client, asyncio.timeout(30):
        slots = [{"is_processing": True}]
        while any(slot["is_processing"] for slot in slots):
            await asyncio.sleep(0.05)
            slots = (await client.get(f"{llama}/slots")).json()


@pytest.fixture
async def audio_server() -> AsyncIterator[RemoteServer]:
    """A server with Whisper and Hibari behind OpenAI's API and ElevenLabs'."""
    context = EngineContext(ModelStore.default())
    llm, _, _ = await stand_ins()
    whisper, hibari = await WhisperTranscriber.load(context), await HibariSynthesizer.load(context)
    async with remote_server(llm, whisper, hibari) as server:
        yield server
    await whisper.close()
    await hibari.close()


async def test_log_probabilities(audio_server: RemoteServer) -> None:
    options = {"base_url": audio_server.base_url, "model": MODEL, "api_key": {"env": "REMOTE_KEY"}}
    context = EngineContext(ModelStore.default(), options={**options, "logprobs": True, "first_timeout_s": 60.0})
    engine = await OpenAITranscriber.load(context)
    heard = StreamResampler(24_000, 16_000).push(to_float(read_speech(SPEECH / "transfer.flac")))
    transcript = await engine.transcribe(heard, logprobs=True)
    assert "".join(entry.token for entry in transcript.logprobs).strip() == transcript.text
    assert all(entry.logprob <= 0 and bytes(entry.bytes).decode() == entry.token for entry in transcript.logprobs)
    assert (await engine.transcribe(heard)).logprobs == ()
    await engine.close()


async def test_a_spoken_conversation(llama: str, audio_server: RemoteServer) -> None:
    context = EngineContext(ModelStore.default())
    ears = {"vad": await SileroVad.load(context), "turn": await SmartTurnClassifier.load(context)}
    engines = await remote_engines(audio_server.url, chat_url=llama, first_timeout_s=60.0, stall_timeout_s=60.0)
    names = ("transfer.flac", "vm-sorry.flac")
    heard, replies = [], []
    async with serving_engines(engines, dict(ears)) as url, RealtimeClient(url) as client:
        session = {
            "type": "realtime",
            "instructions": "You are a telephone operator. Answer in one short sentence.",
            "max_output_tokens": 60,
            "audio": {"input": {"transcription": {"model": "whisper-1"}}},
        }
        await client.send({"type": "session.update", "session": session})
        for name in names:
            await client.speak(np.concatenate([silence(300), read_speech(SPEECH / name)]), pace=2.0)
            replies.append((await client.expect("response.done", within=60))["response"])
            await client.settle(60)
        heard = [event["transcript"] for event in client.recording.received(TRANSCRIBED)]
    normalise = EnglishTextNormalizer()
    errors = jiwer.wer([normalise(TEXTS[name]) for name in names], [normalise(text) for text in heard])
    assert errors <= 0.1, heard
    for reply in replies:
        assert reply["status"] in ("completed", "incomplete")
        assert len(client.recording.speech(reply["id"])) > 12_000
    assert replies[1]["usage"]["input_tokens"] > replies[0]["usage"]["input_tokens"]
