import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from antiphon.audio.files import read_audio
from antiphon.engines.base import HEARING_RATE, EngineContext, EngineError, Samples
from antiphon.engines.log_mel import HOP, LogMel
from antiphon.engines.smart_turn import SmartTurnClassifier
from antiphon.models.store import ModelStore

SPEECH = Path(__file__).parents[1] / "data" / "speech"
COMPLETE = [
    "agent-pass",
    "conf-onlyone",
    "invalid",
    "privacy-unident",
    "queue-periodic-announce",
    "transfer",
    "vm-sorry",
]


def pause(speech: Samples, seconds: float) -> Samples:
    noise = np.random.default_rng(1).normal(0, 1e-3, len(speech) + round((0.3 + seconds) * HEARING_RATE))
    start = round(0.3 * HEARING_RATE)
    noise[start : start + len(speech)] += speech
    return noise.astype(np.float32)


@pytest.fixture
async def classifier() -> AsyncIterator[SmartTurnClassifier]:
    classifier = await SmartTurnClassifier.load(EngineContext(models=ModelStore.default()))
    await classifier.warm_up()
    yield classifier
    await classifier.close()


@pytest.mark.models
async def test_finished_sentences_are_told_from_those_broken_off(classifier: SmartTurnClassifier) -> None:
    finished, broken_off = [], []
    for name in COMPLETE:
        speech = read_audio(SPEECH / f"{name}.flac", HEARING_RATE)
        finished.append(await classifier.complete(pause(speech, 0.2)))
        broken_off.append(await classifier.complete(pause(speech[: round(0.6 * len(speech))], 0.2)))
    assert np.mean(np.array(finished) > 0.5) == 1
    assert np.mean(np.array(broken_off) < 0.5) >= 0.7
    assert np.median(broken_off) < 0.1


@pytest.mark.models
async def test_the_length_of_the_pause_says_nothing(classifier: SmartTurnClassifier) -> None:
    for name in COMPLETE[:3]:
        speech = read_audio(SPEECH / f"{name}.flac", HEARING_RATE)
        broken_off = speech[: round(0.55 * len(speech))]
        early, late = [await classifier.complete(pause(broken_off, seconds)) for seconds in (0.2, 2.0)]
        assert abs(early - late) < 0.2


@pytest.mark.models
async def test_only_the_last_eight_seconds_count(classifier: SmartTurnClassifier) -> None:
    speech = read_audio(SPEECH / "queue-periodic-announce.flac", HEARING_RATE)
    turn = np.concatenate([speech, speech])
    assert await classifier.complete(turn) == await classifier.complete(turn[-9 * HEARING_RATE :])
    for nothing in (np.zeros(0, np.float32), np.zeros(10, np.float32)):
        assert 0 <= await classifier.complete(nothing) <= 1


@pytest.mark.models
async def test_close_leaves_no_thread() -> None:
    classifier = await SmartTurnClassifier.load(EngineContext(models=ModelStore.default(), cores=2))
    both = [asyncio.create_task(classifier.complete(np.zeros(HEARING_RATE, np.float32))) for _ in range(2)]
    await asyncio.gather(*both)
    assert classifier.load_now().capacity == 2
    await classifier.close()
    await classifier.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("smart-turn")]
    with pytest.raises(EngineError) as closed:
        await classifier.complete(np.zeros(HEARING_RATE, np.float32))
    assert closed.value.code == "closed"


async def test_options_and_files_that_are_no_model(tmp_path: Path) -> None:
    class Paths:
        def path(self, name: str) -> Path:
            return file

    file = tmp_path / "smart-turn.onnx"
    file.write_bytes(b"not a model")
    with pytest.raises(EngineError) as damaged:
        await SmartTurnClassifier.load(EngineContext(models=Paths()))
    assert damaged.value.code == "model_missing"
    with pytest.raises(EngineError) as wrong:
        await SmartTurnClassifier.load(EngineContext(models=Paths(), options={"threshold": 0.5}))
    assert wrong.value.code == "invalid_option"


@pytest.mark.parametrize("samples", [0, 1, 100, 15_900, 16_000, 47_800, 48_000, 70_000])
@pytest.mark.parametrize("mels", [80, 128])
def test_log_mel_is_whispers(samples: int, mels: int) -> None:
    frames = 300
    audio = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    window = np.pad(audio[: frames * HOP], (0, max(frames * HOP - samples, 0)))
    expected = FeatureExtractor(feature_size=mels)(window, padding=0)
    features = LogMel(mels)(audio, frames)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-3)
