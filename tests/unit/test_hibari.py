"""Hibari speaks: the real model, which is in its package."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.engines.base import EngineContext, EngineError, Samples

pytest.importorskip("hibari", reason="the extra `local` is not installed")

from antiphon.engines.hibari import HibariSynthesizer, _bounded, _phrases
from tests.synthesizing import check_closing_the_engine, check_closing_the_iterator, speak

pytestmark = pytest.mark.models

SENTENCE = "The weather in Paris is sunny today, so take a walk."
STORY = "She sells sea shells by the sea shore, and the quick brown fox jumps over the lazy dog. " * 12


class NoModels:
    def path(self, name: str) -> Path:
        raise EngineError(f"{name} is not here", code="model_missing")


def context(**options: Any) -> EngineContext:
    return EngineContext(NoModels(), 2, options)


@pytest.fixture
async def hibari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HibariSynthesizer]:
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    engine = await HibariSynthesizer.load(context())
    yield engine
    await engine.close()


def audible(samples: Samples) -> tuple[float, float]:
    """Return seconds of silence before and after what is audible."""
    loud = np.flatnonzero(np.abs(samples) > 0.001)
    return loud[0] / 24_000, (samples.size - 1 - loud[-1]) / 24_000


async def test_lists_only_voices_that_are_here(hibari: HibariSynthesizer) -> None:
    assert [voice.name for voice in hibari.voices] == ["heart"]
    assert hibari.voices[0].languages == ("en",)


async def test_speaks_with_little_silence_around(hibari: HibariSynthesizer) -> None:
    samples = await speak(hibari, SENTENCE)
    assert samples.dtype == np.float32
    assert 2.0 < samples.size / hibari.sample_rate < 4.5
    assert 0.05 < np.abs(samples).max() <= 1
    for text, pause in ((SENTENCE, 0.35), ("Of course,", 0.18), ("I think that", 0.06)):
        lead, tail = audible(await speak(hibari, text))
        assert lead <= 0.021
        assert tail <= pause + 0.001


async def test_same_text_same_sound_also_side_by_side(hibari: HibariSynthesizer) -> None:
    texts = [
        f"Number {number} is {word}." for number, word in enumerate(("blorptastic", "fine", "at 7:30", "$3.14") * 4)
    ]
    alone = [await speak(hibari, text) for text in texts]
    together = await asyncio.gather(*(speak(hibari, text) for text in texts))
    for first, second in zip(alone, together, strict=True):
        assert np.array_equal(first, second)


async def test_speed_changes_the_length(hibari: HibariSynthesizer) -> None:
    seconds = {speed: (await speak(hibari, SENTENCE, speed=speed)).size / 24_000 for speed in (0.25, 0.5, 1.0, 1.5)}
    assert seconds[0.25] / seconds[1.0] == pytest.approx(4, rel=0.2)
    assert seconds[0.5] / seconds[1.0] == pytest.approx(2, rel=0.2)
    assert seconds[1.5] / seconds[1.0] == pytest.approx(1 / 1.5, rel=0.2)


async def test_long_text_comes_phrase_by_phrase(hibari: HibariSynthesizer) -> None:
    chunks = [chunk.samples.size async for chunk in hibari.synthesize(STORY)]
    assert len(chunks) == 6
    assert all(size < 20 * 24_000 for size in chunks)


async def test_numbers_of_any_length(hibari: HibariSynthesizer) -> None:
    samples = await speak(hibari, "Call " + "123456789012 " * 15)
    assert samples.size > 30 * 24_000


async def test_unknown_voice(hibari: HibariSynthesizer) -> None:
    with pytest.raises(EngineError) as caught:
        await speak(hibari, SENTENCE, voice="emma")
    assert caught.value.code == "unsupported"


async def test_text_that_cannot_be_read_gives_no_audio_and_a_warning(
    hibari: HibariSynthesizer, caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("", "...", "?!", "\U0001f600"):
        assert (await speak(hibari, text)).size == 0
    assert not caplog.records
    assert (await speak(hibari, "你好，世界。")).size == 0
    assert "English only" in caplog.text
    assert "你好" not in caplog.text


async def test_closing_the_iterator_stops_the_work(hibari: HibariSynthesizer) -> None:
    await check_closing_the_iterator(hibari, STORY * 20)


async def test_closing_the_engine(hibari: HibariSynthesizer) -> None:
    await check_closing_the_engine(hibari, SENTENCE)


async def test_options_are_refused() -> None:
    with pytest.raises(EngineError, match="pitch") as caught:
        await HibariSynthesizer.load(context(pitch=2))
    assert caught.value.code == "invalid_option"


async def test_a_damaged_voice_is_told_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    (tmp_path / "bf_emma.int8.onnx").write_bytes(b"not a model")
    with pytest.raises(EngineError, match="emma is damaged") as caught:
        await HibariSynthesizer.load(context())
    assert caught.value.code == "model_missing"


def test_dots_in_names_are_read() -> None:
    assert list(_phrases("Go to example.com or notes.txt at 3.14. e.g. Rome.")) == [
        "Go to example dot com or notes dot txt at 3.14. e.g. Rome."
    ]


def test_phonemes_are_bounded() -> None:
    phonemes = "wˈʌn tˈu " * 200 + "x" * 900
    runs = list(_bounded(phonemes))
    assert all(0 < len(run) <= 400 for run in runs)
    assert re.sub(" ", "", "".join(runs)) == re.sub(" ", "", phonemes)
