"""A server process whose pipelines are made of engines that are extras, or of models that are not the embedded ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import jiwer
import numpy as np
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from antiphon.audio.levels import to_float
from antiphon.audio.resampling import StreamResampler
from antiphon.engines.base import HEARING_RATE, EngineContext
from antiphon.engines.whisper.transcriber import WhisperTranscriber
from antiphon.models import ModelStore
from tests import wheel_models
from tests.conformance.audio import RATE, Pcm, read_speech, silence, to_pcm
from tests.conformance.recorder import RealtimeClient
from tests.serving import ServerProcess, serving
from tests.tiny_sherpa import make_tiny_sherpa

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

SPEECH = Path(__file__).parents[1] / "data" / "speech_languages"
COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"

CONFIGURATION = """\
pipelines:
  many-languages:
    vad: silero
    transcription: {{engine: whisper, model: {whisper}}}
    llm: {{engine: stand-in-llm, reply: "Please hold while I try that extension. I will call you back tomorrow."}}
    tts: {{engine: piper, voices: {{joe: {joe}, slow: {{model: {joe}, length_scale: 1.5}}}}}}
    voice: slow
  along:
    transcription: {{engine: sherpa, model: {sherpa}, language: en}}
    turn_detection: {{type: server_vad, silence_duration_ms: 400}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("local")
    make_tiny_sherpa(folder / "sherpa")
    models = {"whisper": wheel_models.whisper_base(), "joe": wheel_models.piper_joe(), "sherpa": folder / "sherpa"}
    file = folder / "antiphon.yaml"
    file.write_text(CONFIGURATION.format_map(models))
    packages = {"PYTHONPATH": str(wheel_models.gpl_packages())}
    with serving(arguments=["--config", str(file)], environment=packages) as server:
        yield server
    assert "Traceback" not in "\n".join(server.output)


async def heard(pcm: Pcm) -> str:
    whisper = await WhisperTranscriber.load(EngineContext(ModelStore.default()))
    resampler = StreamResampler(RATE, HEARING_RATE)
    samples = to_float(pcm)
    text = (await whisper.transcribe(np.concatenate([resampler.push(samples), resampler.flush()]))).text
    await whisper.close()
    return text


async def test_two_languages_and_a_voice_of_piper(server: ServerProcess) -> None:
    session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    async with RealtimeClient(f"{server.ws_url}?model=many-languages") as client:
        created = await client.expect("session.created")
        assert created["session"]["audio"]["output"]["voice"] == "slow"
        await client.send({"type": "session.update", "session": session})
        replies = []
        for name in ("fr-conf-onlyone.flac", "es-conf-onlyone.flac"):
            await client.speak(np.concatenate([silence(300), read_speech(SPEECH / name)]), pace=2.0)
            replies.append((await client.expect("response.done", within=60))["response"])
            await client.settle(60)
        transcripts = [event["transcript"] for event in client.recording.received(COMPLETED)]
        assert "participant" in transcripts[0]
        assert "participante" in transcripts[1]
        spoken = client.recording.speech(replies[0]["id"])
    said = replies[0]["output"][0]["content"][0]["transcript"]
    normalize = BasicTextNormalizer()
    assert jiwer.wer(normalize(said), normalize(await heard(spoken))) <= 0.3


@pytest.mark.realtime
async def test_words_come_while_they_are_spoken(server: ServerProcess) -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, RATE * 3 // 10).astype(np.float32)
    burst, gap = to_pcm(np.clip(noise, -1, 1)), silence(200)
    session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    async with RealtimeClient(f"{server.ws_url}?model=along") as client:
        await client.expect("session.created")
        await client.send({"type": "session.update", "session": session})
        await client.speak(np.concatenate([silence(300), *[burst, gap] * 6]), pace=1.0)
        completed = await client.expect(COMPLETED, within=60)
        await client.settle(60)
        deltas = client.recording.received(DELTA)
        stopped = client.recording.received("input_audio_buffer.speech_stopped")[0]
        assert completed["transcript"] == " ".join(["tones"] * 6)
        assert "".join(event["delta"] for event in deltas).strip() == completed["transcript"]
        early = [event for event in deltas if client.recording.at(event) < client.recording.at(stopped)]
        assert early


async def test_the_voices_are_listed(server: ServerProcess) -> None:
    async with httpx2.AsyncClient() as client:
        listed = (await client.get(f"{server.base_url}/audio/voices", params={"model": "many-languages"})).text
    assert '"slow"' in listed
    assert '"joe"' in listed
