"""Piper speaks: the real package and the real voice en_US-joe-medium, heard by the embedded Whisper."""

from __future__ import annotations

import json
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

SENTENCE = "The weather in Paris is sunny today, so take a walk."
STORY = "She sells sea shells by the sea shore, and the quick brown fox jumps over the lazy dog. " * 6


@pytest.fixture(scope="module", autouse=True)
def _packages() -> Iterator[None]:
    folder = str(wheel_models.gpl_packages())
    sys.path.append(folder)
    yield
    sys.path.remove(folder)


@pytest.fixture
def joe() -> Path:
    return wheel_models.piper_joe()


async def load(cores: int = 1, **options: Any) -> Synthesizer:
    return await find_engine("piper", Synthesizer).load(EngineContext(ModelStore.default(), cores, options))


@pytest.fixture
async def piper(joe: Path) -> AsyncIterator[Synthesizer]:
    voices = {"joe": str(joe), "slow-joe": {"model": str(joe.parent), "length_scale": 1.5}}
    engine = await load(2, voices=voices)
    yield engine
    await engine.close()


def copied_voice(joe: Path, folder: Path, **settings: Any) -> Path:
    """Copy the voice with other settings."""
    shutil.copy(joe, folder / "voice.onnx")
    known = json.loads(joe.with_name(f"{joe.name}.json").read_text())
    (folder / "voice.onnx.json").write_text(json.dumps({**known, **settings}))
    return folder / "voice.onnx"


async def test_says_what_it_is_told(piper: Synthesizer) -> None:
    texts = ["Please hold while I try that extension.", "I will call you back tomorrow morning at nine.", SENTENCE]
    whisper = await WhisperTranscriber.load(EngineContext(ModelStore.default()))
    heard = []
    for text in texts:
        samples = await speak(piper, text)
        assert samples.dtype == np.float32
        assert 1.5 < samples.size / piper.sample_rate < 5
        assert 0.1 < np.abs(samples).max() <= 1
        resampler = StreamResampler(piper.sample_rate, HEARING_RATE)
        heard.append((await whisper.transcribe(np.concatenate([resampler.push(samples), resampler.flush()]))).text)
    await whisper.close()
    normalize = EnglishTextNormalizer()
    assert jiwer.wer([normalize(text) for text in texts], [normalize(text) for text in heard]) <= 0.25


async def test_voices_and_their_languages(piper: Synthesizer) -> None:
    assert [(voice.name, voice.languages) for voice in piper.voices] == [("joe", ("en",)), ("slow-joe", ("en",))]
    assert piper.voices[0].description == "English (United States)"
    with pytest.raises(EngineError, match="no voice 'amy'") as unknown:
        await speak(piper, SENTENCE, voice="amy")
    assert unknown.value.code == "unsupported"


async def test_speech_comes_sentence_by_sentence_with_pauses(piper: Synthesizer) -> None:
    chunks = [chunk.samples async for chunk in piper.synthesize("Of course! Let me look that up for you,")]
    assert len(chunks) == 2
    for samples, pause in zip(chunks, (0.35, 0.18), strict=True):
        audible = np.flatnonzero(np.abs(samples) >= 0.001)
        assert audible[0] / 24_000 <= 0.021
        assert (samples.size - audible[-1]) / 24_000 == pytest.approx(pause, abs=0.001)
    assert len([chunk async for chunk in piper.synthesize(STORY)]) == 6
    without_an_end = [chunk.samples.size async for chunk in piper.synthesize("and so on " * 100)]
    assert all(size < 24 * 24_000 for size in without_an_end)


async def test_speed_and_length_scale(piper: Synthesizer) -> None:
    async def seconds(**how: Any) -> float:
        return float(np.mean([(await speak(piper, SENTENCE, **how)).size / 24_000 for _ in range(3)]))

    normal = await seconds()
    assert await seconds(speed=0.5) / normal == pytest.approx(2, rel=0.15)
    assert await seconds(speed=1.5) / normal == pytest.approx(1 / 1.5, rel=0.15)
    assert await seconds(voice="slow-joe") / normal == pytest.approx(1.5, rel=0.15)


async def test_text_without_words_gives_no_audio(piper: Synthesizer) -> None:
    for text in ("", " ", "...", "?!", "[[]]"):
        assert (await speak(piper, text)).size == 0
    assert (await speak(piper, "[[hello]] there")).size > 6_000


async def test_closing_the_iterator_stops_the_work(piper: Synthesizer) -> None:
    await check_closing_the_iterator(piper, STORY * 5)


async def test_closing_the_engine(piper: Synthesizer) -> None:
    await check_closing_the_engine(piper, SENTENCE)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "'voices' is missing"),
        ({"voices": {}}, "voices"),
        ({"voices": {"joe": 3}}, "voices.joe"),
        ({"voices": {"joe": {"model": "/x", "length_scale": 0}}}, "voices.joe.length_scale"),
        ({"voices": {"joe": {"model": "/x", "pitch": 2}}}, "voices.joe.pitch"),
        ({"voice": "/x"}, "no option 'voice'"),
    ],
)
async def test_wrong_options(options: dict[str, Any], told: str) -> None:
    with pytest.raises(EngineError) as wrong:
        await load(**options)
    assert wrong.value.code == "invalid_option"
    assert told in wrong.value.message


@pytest.mark.parametrize("speaker", ["p225", 1, -1])
async def test_a_speaker_that_the_model_does_not_have(joe: Path, speaker: object) -> None:
    with pytest.raises(EngineError, match=r"voice 'x': the model has no speaker .*it has: 0 to 0") as wrong:
        await load(voices={"x": {"model": str(joe), "speaker": speaker}})
    assert wrong.value.code == "invalid_option"


async def test_a_model_with_several_speakers(joe: Path, tmp_path: Path) -> None:
    # This model has one and takes no number: what can be seen is which number each voice would send.
    model = copied_voice(joe, tmp_path, num_speakers=3, speaker_id_map={"anna": 0, "ben": 1, "cleo": 2})
    names: dict[str, object] = {"b": "ben", "two": 2, "first": None}
    engine = await load(voices={name: {"model": str(model), "speaker": speaker} for name, speaker in names.items()})
    speakers: dict[str, Any] = getattr(engine, "_speakers")  # noqa: B009 - only this engine has them
    assert {name: speaker.number for name, speaker in speakers.items()} == {"b": 1, "two": 2, "first": None}
    assert len({id(speaker.model) for speaker in speakers.values()}) == 1
    with pytest.raises(EngineError, match=r"the Piper voice b failed.*sid"):
        await speak(engine, SENTENCE, voice="b")
    await engine.close()


async def test_voices_that_are_none(joe: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    shutil.copy(joe, alone)
    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(joe.with_name(f"{joe.name}.json"), broken / "voice.onnx.json")
    (broken / "voice.onnx").write_bytes(b"not a model")
    other = tmp_path / "other"
    other.mkdir()
    (copied_voice(joe, other).with_name("voice.onnx.json")).write_text("{}")
    empty = tmp_path / "empty"
    empty.mkdir()
    silero = tmp_path / "silero"
    silero.mkdir()
    shutil.copy(ModelStore.default().path("silero-vad"), silero / "voice.onnx")
    shutil.copy(joe.with_name(f"{joe.name}.json"), silero / "voice.onnx.json")
    for model, told in {
        alone: "alone.onnx.json is missing",
        broken: "is not a Piper voice",
        other: "is not a Piper voice",
        silero: "has other inputs",
        empty: "there are: none",
        tmp_path / "nothing.onnx": "no such file",
    }.items():
        with pytest.raises(EngineError, match=told) as missing:
            await load(voices={"x": str(model)})
        assert missing.value.code == "model_missing"


async def test_a_language_that_needs_more(joe: Path, tmp_path: Path) -> None:
    japanese = copied_voice(joe, tmp_path, phoneme_type="japanese", espeak={"voice": "ja"})
    with pytest.raises(EngineError, match=r"pip install 'piper-tts\[ja\]'") as missing:
        await load(voices={"x": str(japanese)})
    assert missing.value.code == "missing_package"
    (tmp_path / "zh").mkdir()
    chinese = copied_voice(joe, tmp_path / "zh", phoneme_type="pinyin", espeak={"voice": "cmn"})
    with pytest.raises(EngineError, match="not supported") as unsupported:
        await load(voices={"x": str(chinese)})
    assert unsupported.value.code == "unsupported"


def test_models_that_voices_need() -> None:
    voices = {
        "a": "hf:rhasspy/piper-voices/en/en_US/joe/medium/",
        "b": {"model": "hf:someone/voices/b.onnx", "speaker": 1},
        "c": {"model": "hf:someone/voices/b.onnx", "speaker": 2},
        "d": "/voices/d.onnx",
        "e": 5,
    }
    assert models_of(EnginePlan("piper", {"voices": voices})) == (
        "hf:rhasspy/piper-voices/en/en_US/joe/medium/",
        "hf:someone/voices/b.onnx",
        "hf:someone/voices/b.onnx.json",
    )
    assert models_of(EnginePlan("piper", {"voices": "joe"})) == ()
