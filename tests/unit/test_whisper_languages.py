"""A multilingual Whisper, of several times the size of the embedded one, with recordings of other languages."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from antiphon.audio.files import read_audio
from antiphon.engines.base import HEARING_RATE, EngineContext, EngineError, Samples
from antiphon.engines.whisper.transcriber import WhisperTranscriber
from antiphon.models.store import ModelStore
from tests import wheel_models

DATA = Path(__file__).parents[1] / "data"
_normalize = BasicTextNormalizer()

pytestmark = pytest.mark.models


def context(cores: int = 1, **options: Any) -> EngineContext:
    return EngineContext(ModelStore.default(), cores, {"model": str(wheel_models.whisper_base()), **options})


@pytest.fixture
async def whisper() -> AsyncIterator[WhisperTranscriber]:
    whisper = await WhisperTranscriber.load(context())
    yield whisper
    await whisper.close()


def recordings() -> dict[str, tuple[Samples, str, str]]:
    with (DATA / "speech_languages" / "transcripts.tsv").open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["file"]: (padded("speech_languages/" + row["file"]), row["language"], row["text"]) for row in rows}


def padded(file: str) -> Samples:
    quiet = np.random.default_rng(0).normal(0, 1e-3, HEARING_RATE // 3).astype(np.float32)
    return np.concatenate([quiet, read_audio(DATA / file, HEARING_RATE), quiet])


def word_errors(said: str, heard: str) -> float:
    return float(jiwer.wer(_normalize(said), _normalize(heard)))


async def test_the_language_is_found_out(whisper: WhisperTranscriber) -> None:
    assert whisper.languages is not None
    assert {"en", "es", "fr", "ru", "zh"} < set(whisper.languages)
    for file in ("es-conf-onlyone.flac", "fr-conf-onlyone.flac", "ru-pbx-invalid.flac"):
        speech, language, text = recordings()[file]
        heard = await whisper.transcribe(speech)
        assert heard.language == language
        assert word_errors(text, heard.text) <= 0.15
    heard = await whisper.transcribe(padded("speech/transfer.flac"))
    assert (heard.language, heard.text) == ("en", "Please hold while I try that extension.")


async def test_a_language_that_is_told_is_taken(whisper: WhisperTranscriber) -> None:
    # A hard one: left to itself, the model takes it for English and makes no sense of it.
    speech, _, text = recordings()["es-agent-pass.flac"]
    heard = await whisper.transcribe(speech, language="es-MX")
    assert heard.language == "es"
    assert word_errors(text, heard.text) <= 0.3
    with pytest.raises(EngineError, match="tlh") as unknown:
        await whisper.transcribe(speech, language="tlh")
    assert unknown.value.code == "unsupported"


async def test_an_engine_of_one_language_is_told_by_nobody() -> None:
    whisper = await WhisperTranscriber.load(context(language="es"))
    speech, _, text = recordings()["es-agent-pass.flac"]
    heard = await whisper.transcribe(speech)
    assert heard.language == "es"
    assert word_errors(text, heard.text) <= 0.3
    stream = whisper.stream()
    await stream.push(speech)
    assert await stream.transcript() == heard
    # The session knows better.
    english = await whisper.transcribe(padded("speech/transfer.flac"), language="en")
    assert (english.language, english.text) == ("en", "Please hold while I try that extension.")
    await whisper.close()


async def test_a_stream_stays_with_the_language_of_its_first_words(whisper: WhisperTranscriber) -> None:
    parts = [recordings()[file][0] for file in ("fr-conf-onlyone.flac", "fr-conf-onlyone.flac", "fr-conf-onlyone.flac")]
    parts += [parts[0], padded("speech/transfer.flac")]
    stream = whisper.stream()
    final = ""
    for part in parts:
        final += await stream.push(part)
    transcript = await stream.transcript()
    assert final
    assert transcript.text.startswith(final)
    assert transcript.language == "fr"


@pytest.mark.parametrize("seconds", [0.4, 3.0])
async def test_nothing_is_heard_where_nobody_speaks(whisper: WhisperTranscriber, seconds: float) -> None:
    count = round(seconds * HEARING_RATE)
    random = np.random.default_rng(1)
    for level in (0.0, 3e-4, 0.03):
        noise = random.normal(0, level, count).astype(np.float32)
        assert (await whisper.transcribe(noise)).text == ""


async def test_log_probabilities_spell_letters_of_several_bytes(whisper: WhisperTranscriber) -> None:
    speech, _, _ = recordings()["ru-pbx-invalid.flac"]
    transcript = await whisper.transcribe(speech, logprobs=True)
    assert b"".join(bytes(token.bytes) for token in transcript.logprobs).decode().strip() == transcript.text


async def test_a_language_that_the_model_does_not_know_is_told_at_the_start() -> None:
    with pytest.raises(EngineError, match=r"'language'.*tlh") as wrong:
        await WhisperTranscriber.load(context(language="tlh"))
    assert wrong.value.code == "invalid_option"


async def test_precision_reaches_the_model() -> None:
    speech, _, text = recordings()["fr-conf-onlyone.flac"]
    for compute_type in ("int8_float32", "float32"):
        whisper = await WhisperTranscriber.load(context(2, compute_type=compute_type, device="cpu"))
        model = whisper._decoder._model
        assert (model.device, model.compute_type, model.num_workers) == ("cpu", compute_type, 2)
        assert word_errors(text, (await whisper.transcribe(speech)).text) <= 0.15
        await whisper.close()
