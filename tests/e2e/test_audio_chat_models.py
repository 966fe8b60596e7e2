"""Models that hear, made of the embedded ones behind chat completions with audio: what is said is what is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from antiphon.audio.levels import to_float
from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import Engine, EngineContext, LanguageModel
from antiphon.engines.hibari import HibariSynthesizer
from antiphon.engines.llamacpp.model import LlamaCppModel
from antiphon.engines.openai.chat import OpenAIChatModel
from antiphon.engines.silero import SileroVad
from antiphon.engines.smart_turn import SmartTurnClassifier
from antiphon.engines.whisper.transcriber import WhisperTranscriber
from antiphon.models import ModelStore
from tests.conformance.audio import Pcm, read_speech, silence
from tests.conformance.recorder import RealtimeClient
from tests.remote_pipelines import serving_engines, serving_speech_model
from tests.remote_servers import KEY, MODEL, RemoteServer, remote_server, stand_ins

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

SPEECH = Path(__file__).parents[1] / "data" / "speech"
CONTEXT = EngineContext(ModelStore.default())
PATIENT: dict[str, Any] = {"first_timeout_s": 60.0, "stall_timeout_s": 60.0}
STORY = (
    "Once upon a time there was a miller who had three sons. When he died, he left the mill to the eldest, and the "
    "donkey to the second. The youngest got nothing but the cat. What shall I do with a cat, he said, sadly? "
    "But the cat could speak, and asked him for a pair of boots."
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)


@asynccontextmanager
async def models(llm: LanguageModel) -> AsyncIterator[tuple[RemoteServer, WhisperTranscriber]]:
    whisper, hibari = await WhisperTranscriber.load(CONTEXT), await HibariSynthesizer.load(CONTEXT)
    async with remote_server(llm, whisper, hibari) as server:
        yield server, whisper
    await whisper.close()
    await hibari.close()
    await llm.close()


async def ears() -> dict[str, Engine]:
    return {"vad": await SileroVad.load(CONTEXT), "turn": await SmartTurnClassifier.load(CONTEXT)}


async def words_in(whisper: WhisperTranscriber, pcm: Pcm) -> list[str]:
    """What a recogniser hears in int16[n] at 24 kHz."""
    heard = StreamResampler(24_000, 16_000).push(to_float(np.concatenate([pcm, silence(300)])))
    return str(EnglishTextNormalizer()((await whisper.transcribe(heard)).text)).split()


async def test_a_model_that_hears_and_speaks() -> None:
    # With a seed, so that it says the same each time, which a recogniser understands.
    llm = await LlamaCppModel.load(EngineContext(CONTEXT.models, options={"seed": 1}))
    async with models(llm) as (server, whisper):
        serving = serving_speech_model(server.url, dict(await ears()), whisper, voices=("heart",), **PATIENT)
        async with serving as url, RealtimeClient(url) as client:
            session = {
                "type": "realtime",
                "instructions": "You are a telephone operator. Answer in one short sentence.",
                "max_output_tokens": 60,
                "audio": {"input": {"transcription": {"model": "whisper-1"}}},
            }
            await client.send({"type": "session.update", "session": session})
            await client.speak(np.concatenate([silence(300), read_speech(SPEECH / "transfer.flac")]), pace=2.0)
            response = (await client.expect("response.done", within=60))["response"]
            await client.settle(60)
            assert response["status"] in ("completed", "incomplete")
            said = response["output"][0]["content"][0]["transcript"]
            spoken = await words_in(whisper, client.recording.speech(response["id"]))
            assert jiwer.wer(EnglishTextNormalizer()(said), " ".join(spoken)) < 0.35, (said, spoken)
            done = client.recording.received("conversation.item.input_audio_transcription.completed")
            assert "extension" in done[0]["transcript"].lower()


async def test_a_model_that_hears_with_a_separate_voice() -> None:
    llm, _, synthesizer = await stand_ins(reply="You said: {user} That is all.")
    async with models(llm) as (server, whisper):
        place = {"base_url": server.base_url, "model": MODEL, "api_key": {"env": "REMOTE_KEY"}, "hears": True}
        hearing = await OpenAIChatModel.load(EngineContext(CONTEXT.models, options={**PATIENT, **place}))
        engines = {"transcription": whisper, "llm": hearing, "tts": synthesizer}
        async with serving_engines(dict(engines), dict(await ears())) as url, RealtimeClient(url) as client:
            await client.speak(np.concatenate([silence(300), read_speech(SPEECH / "transfer.flac")]), pace=2.0)
            response = (await client.expect("response.done", within=60))["response"]
            assert "extension" in response["output"][0]["content"][0]["transcript"].lower()


async def test_a_reply_is_cut_at_the_words_that_were_heard() -> None:
    llm, _, _ = await stand_ins(reply=STORY)
    async with models(llm) as (server, whisper):
        serving = serving_speech_model(server.url, dict(await ears()), voices=("heart",), **PATIENT)
        async with serving as url, RealtimeClient(url) as client:
            await client.speak(np.concatenate([silence(300), read_speech(SPEECH / "transfer.flac")]), pace=2.0)
            response = (await client.expect("response.done", within=60))["response"]
            item = response["output"][0]
            assert item["content"][0]["transcript"] == STORY
            speech = client.recording.speech(response["id"])
            differences = []
            for share in (0.85, 0.6, 0.4, 0.2):
                played_ms = int(len(speech) * share) // 24
                cut = {"item_id": item["id"], "content_index": 0, "audio_end_ms": played_ms}
                await client.send({"type": "conversation.item.truncate", **cut})
                await client.expect("conversation.item.truncated")
                await client.send({"type": "conversation.item.retrieve", "item_id": item["id"]})
                kept = (await client.expect("conversation.item.retrieved"))["item"]["content"][0]["transcript"]
                assert STORY.startswith(kept)
                heard = await words_in(whisper, speech[: played_ms * 24])
                differences.append(len(kept.split()) - len(heard))
            assert max(map(abs, differences)) <= 3, differences
