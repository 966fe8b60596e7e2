"""Kokoro speaks: the real package and the real model, with the voices that came with it, which are Japanese."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from antiphon.audio.resampling import StreamResampler
from antiphon.config.resolved import EnginePlan
from antiphon.engines.base import HEARING_RATE, EngineContext, EngineError, Synthesizer
from antiphon.engines.registry import find_engine
from antiphon.engines.whisper.transcriber import WhisperTranscriber
from antiphon.models import ModelStore
from antiphon.server.loading import models_of
from tests import wheel_models
from tests.synthesizing import check_closing_the_engine, check_closing_the_iterator, speak

pytestmark = pytest.mark.models

SENTENCE = "The weather is sunny today."
STORY = "She sells sea shells by the sea shore, and the quick brown fox jumps over the lazy dog. " * 4
VOICE = "jf_alpha"


@pytest.fixture(scope="module", autouse=True)
def _packages() -> Iterator[None]:
    folder = str(wheel_models.gpl_packages())
    sys.path.append(folder)
    yield
    sys.path.remove(folder)


def files(**changed: Path) -> dict[str, Any]:
    folder = wheel_models.kokoro()
    given = {"model": folder / "kokoro-v1.0.int8.onnx", "voices": folder / "voices.npz", **changed}
    return {name: str(path) for name, path in given.items()}


async def load(cores: int = 2, **options: Any) -> Synthesizer:
    return await find_engine("kokoro", Synthesizer).load(EngineContext(ModelStore.default(), cores, options))


@pytest.fixture
async def kokoro() -> AsyncIterator[Synthesizer]:
    engine = await load(**files())
    yield engine
    await engine.close()


async def test_says_what_it_is_told(kokoro: Synthesizer) -> None:
    texts = ["Please hold while I try that extension.", "I will call you back tomorrow morning at nine."]
    whisper = await WhisperTranscriber.load(EngineContext(ModelStore.default()))
    heard = []
    for text in texts:
        samples = await speak(kokoro, text, language="en")
        assert samples.dtype == np.float32
        assert 1.5 < samples.size / kokoro.sample_rate < 5
        assert 0.1 < np.abs(samples).max() <= 1
        resampler = StreamResampler(kokoro.sample_rate, HEARING_RATE)
        heard.append((await whisper.transcribe(np.concatenate([resampler.push(samples), resampler.flush()]))).text)
    await whisper.close()
    normalize = EnglishTextNormalizer()
    assert jiwer.wer([normalize(text) for text in texts], [normalize(text) for text in heard]) <= 0.25


async def test_voices_and_their_languages(kokoro: Synthesizer) -> None:
    assert [voice.name for voice in kokoro.voices] == [
        "jf_alpha",
        "jf_gongitsune",
        "jf_nezumi",
        "jf_tebukuro",
        "jm_kumo",
    ]
    assert kokoro.voices[0].description == "Japanese, female"
    assert kokoro.voices[0].languages == ("ja",)
    with pytest.raises(EngineError, match="no voice 'af_heart'") as unknown:
        await speak(kokoro, SENTENCE, voice="af_heart")
    assert unknown.value.code == "unsupported"


async def test_voices_sound_different_and_each_always_the_same(kokoro: Synthesizer) -> None:
    first, again = [await speak(kokoro, SENTENCE, language="en") for _ in range(2)]
    other = await speak(kokoro, SENTENCE, language="en", voice="jm_kumo")
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.allclose(first, other)


async def test_the_language_decides_how_text_is_read(kokoro: Synthesizer) -> None:
    french, english, own = [await speak(kokoro, "La table est grande.", language=code) for code in ("fr", "en", None)]
    assert len({french.size, english.size, own.size}) == 3
    unknown = await speak(kokoro, "La table est grande.", language="tlh")
    assert np.array_equal(unknown, own)


async def test_speech_comes_clause_by_clause_with_pauses(kokoro: Synthesizer) -> None:
    chunks = [chunk.samples async for chunk in kokoro.synthesize(STORY, language="en")]
    assert len(chunks) == 4
    for samples in chunks:
        audible = np.flatnonzero(np.abs(samples) >= 0.001)
        assert audible[0] / 24_000 <= 0.021
        assert (samples.size - audible[-1]) / 24_000 == pytest.approx(0.35, abs=0.001)


async def test_speed(kokoro: Synthesizer) -> None:
    seconds = {
        speed: (await speak(kokoro, SENTENCE, language="en", speed=speed)).size / 24_000
        for speed in (0.25, 0.5, 1.0, 1.5)
    }
    assert seconds[0.5] / seconds[1.0] == pytest.approx(2, rel=0.25)
    assert seconds[1.5] / seconds[1.0] == pytest.approx(1 / 1.5, rel=0.25)
    assert seconds[0.25] == seconds[0.5]  # as slow as the package can


async def test_text_without_words_gives_no_audio(kokoro: Synthesizer, caplog: pytest.LogCaptureFixture) -> None:
    for text in ("", " ", "...", "?!"):
        assert (await speak(kokoro, text)).size == 0
    assert not caplog.records


async def test_closing_the_iterator_stops_the_work(kokoro: Synthesizer) -> None:
    await check_closing_the_iterator(kokoro, STORY, language="en")


async def test_closing_the_engine(kokoro: Synthesizer) -> None:
    await check_closing_the_engine(kokoro, SENTENCE)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "'model' is missing"),
        ({"model": "/x"}, "'voices' is missing"),
        ({"model": "/x", "voices": ["a"]}, "'voices'"),
        ({"model": "/x", "voices": "/y", "voice": "a"}, "no option 'voice'"),
    ],
)
async def test_wrong_options(options: dict[str, Any], told: str) -> None:
    with pytest.raises(EngineError) as wrong:
        await load(**options)
    assert wrong.value.code == "invalid_option"
    assert told in wrong.value.message


async def test_files_that_are_something_else(tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"not a model")
    array = tmp_path / "array.npy"
    np.save(array, np.zeros(3))
    other = tmp_path / "other.npz"
    np.savez(other, af_heart=np.zeros((510, 2)))
    silero = tmp_path / "silero.onnx"
    shutil.copy(ModelStore.default().path("silero-vad"), silero)
    for changed, told in (
        ({"model": junk}, "junk is not an ONNX model"),
        ({"model": silero}, "silero.onnx is not a Kokoro model"),
        ({"model": tmp_path / "nothing.onnx"}, "no such file"),
        ({"voices": junk}, "junk is not a file of voices"),
        ({"voices": array}, "array.npy is not a file of voices"),
        ({"voices": other}, "other.npz is not a file of voices"),
    ):
        with pytest.raises(EngineError, match=told) as missing:
            await load(**files(**changed))
        assert missing.value.code == "model_missing"


def test_models_that_it_needs() -> None:
    repository = "hf:fastrtc/kokoro-onnx"
    options = {"model": f"{repository}/kokoro-v1.0.onnx", "voices": f"{repository}/voices-v1.0.bin"}
    assert models_of(EnginePlan("kokoro", options)) == tuple(options.values())
    assert models_of(EnginePlan("kokoro", {**options, "voices": "/voices.bin"})) == (options["model"],)
    assert models_of(EnginePlan("kokoro", {"voices": ["a"]})) == ()
