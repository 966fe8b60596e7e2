"""The real sherpa-onnx on a tiny streaming transducer, made here, that hears bursts of noise as words."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.engines.base import HEARING_RATE, EngineContext, EngineError, Priority, Samples, Transcriber
from antiphon.engines.registry import find_engine
from antiphon.engines.sherpa import SherpaStream, SherpaTranscriber, whole_words
from antiphon.models import ModelStore
from tests.tiny_sherpa import WINDOW_MS, make_tiny_sherpa


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sherpa")
    make_tiny_sherpa(folder)
    return folder


async def load(model: Path | str, cores: int = 1, **options: Any) -> SherpaTranscriber:
    context = EngineContext(ModelStore.default(), cores, {"model": str(model), **options})
    return await SherpaTranscriber.load(context)


@pytest.fixture
async def sherpa(model: Path) -> AsyncIterator[SherpaTranscriber]:
    engine = await load(model, 2)
    await engine.warm_up()
    yield engine
    await engine.close()


def opened(engine: SherpaTranscriber) -> SherpaStream:
    stream = engine.stream()
    assert stream is not None
    return stream


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * HEARING_RATE), np.float32)


def words(count: int, *, trailing: float = 0.3) -> Samples:
    """Return bursts of 0.3 s with 0.3 s before each."""
    noise = np.random.default_rng(0).normal(0, 0.3, 4800).astype(np.float32)
    return np.concatenate([*[silence(0.3), noise] * count, silence(trailing)])


async def test_it_is_found_by_its_name() -> None:
    assert find_engine("sherpa", Transcriber) is SherpaTranscriber


async def test_a_whole_utterance_is_read_to_its_end(sherpa: SherpaTranscriber) -> None:
    assert (await sherpa.transcribe(words(3))).text == "tones tones tones"
    # Its last word ends with the audio.
    assert (await sherpa.transcribe(words(2, trailing=0))).text == "tones tones"
    for nothing in (silence(0), silence(0.01), silence(2)):
        assert (await sherpa.transcribe(nothing)).text == ""
    assert (await sherpa.transcribe(words(1), logprobs=True, prompt="tones")).logprobs == ()


@pytest.mark.parametrize("piece", [160, 1000, 4801, 100_000])
async def test_a_stream_gives_each_word_once_it_is_over(sherpa: SherpaTranscriber, piece: int) -> None:
    audio = words(4)
    stream = opened(sherpa)
    final, seen = "", list[str]()
    for start in range(0, len(audio), piece):
        final += await stream.push(audio[start : start + piece])
        seen.append(final)
        guess = await stream.guess()
        assert guess is not None
        assert guess.startswith(final)
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))
    assert final == "tones tones tones"
    transcript = await stream.transcript()
    assert transcript.text == "tones tones tones tones"
    assert await stream.transcript() == transcript
    stream.close()


async def test_words_come_while_they_are_spoken(sherpa: SherpaTranscriber) -> None:
    stream = opened(sherpa)
    spoken = words(1, trailing=0)
    await stream.push(spoken)
    assert await stream.guess() == "tone"
    await stream.push(silence(0.3))
    assert await stream.guess() == "tones"
    # The next word begins, and the first is final within what the model hears at once.
    assert await stream.push(words(1, trailing=0)[: round((0.3 + 2 * WINDOW_MS / 1000) * HEARING_RATE)]) == "tones"


async def test_a_stream_goes_on_after_a_transcript(sherpa: SherpaTranscriber) -> None:
    stream = opened(sherpa)
    final = await stream.push(words(2, trailing=0))
    early = await stream.transcript(priority=Priority.DRAFT)
    assert early.text == "tones tones"
    final += await stream.push(words(2, trailing=0))
    later = await stream.transcript()
    assert later.text == "tones tones tones tones"
    assert later.text.startswith(early.text)
    assert later.text.startswith(final)


async def test_a_cancelled_push_loses_nothing(sherpa: SherpaTranscriber) -> None:
    audio = words(30)
    stream, final = opened(sherpa), ""
    for start in range(0, len(audio), 16_000):
        push = asyncio.create_task(stream.push(audio[start : start + 16_000]))
        await asyncio.sleep(0.001)
        push.cancel()
        await asyncio.wait([push])
        if not push.cancelled():
            final += push.result()
    final += await stream.push(np.zeros(0, np.float32))
    transcript = await stream.transcript()
    assert transcript.text == " ".join(["tones"] * 30)
    assert transcript.text.startswith(final)


async def test_utterances_side_by_side(sherpa: SherpaTranscriber) -> None:
    heard = await asyncio.gather(*(sherpa.transcribe(words(count)) for count in range(1, 7)))
    assert [len(transcript.text.split()) for transcript in heard] == [1, 2, 3, 4, 5, 6]
    assert sherpa.load_now().capacity == 2


async def test_cancelling_and_closing(model: Path) -> None:
    engine = await load(model)
    long = asyncio.create_task(engine.transcribe(np.tile(words(4), 400)))
    while not engine.load_now().running:  # noqa: ASYNC110 - a thread changes it
        await asyncio.sleep(0.001)
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    assert (await engine.transcribe(words(1))).text == "tones"
    stream, begun = opened(engine), opened(engine)
    await begun.push(words(1))
    await engine.close()
    await engine.close()
    for closed in (engine.transcribe(words(1)), stream.push(words(1)), begun.transcript()):
        with pytest.raises(EngineError) as caught:
            await closed
        assert caught.value.code == "closed"


async def test_the_language_of_a_model(model: Path) -> None:
    engine = await load(model, language="en")
    assert engine.languages == ("en",)
    assert (await engine.transcribe(words(1), language="en-GB")).language == "en"
    with pytest.raises(EngineError, match="'fr'; it knows en") as unknown:
        await engine.transcribe(words(1), language="fr")
    assert unknown.value.code == "unsupported"
    assert engine.stream(language="fr") is None
    assert engine.stream(language="en-GB") is not None
    await engine.close()


async def test_letters_are_kept_where_the_model_has_small_ones(tmp_path: Path) -> None:
    make_tiny_sherpa(tmp_path, tokens=("▁Tone", "s"))
    engine = await load(tmp_path)
    assert (await engine.transcribe(words(2))).text == "Tones Tones"
    await engine.close()


async def test_precisions_side_by_side(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path, dirs_exist_ok=True)
    shutil.copy(model / "encoder.onnx", tmp_path / "encoder.int8.onnx")
    for int8 in (True, False):
        engine = await load(tmp_path, int8=int8)
        await engine.close()
    shutil.copy(model / "encoder.onnx", tmp_path / "encoder-2.int8.onnx")
    with pytest.raises(EngineError, match=r"one encoder; there are: encoder-2\.int8\.onnx, encoder\.int8\.onnx"):
        await load(tmp_path)


@pytest.mark.parametrize(
    "options", [{"modell": "x"}, {"kind": "whisper"}, {"int8": "perhaps"}, {"model": 3}, {"language": 1}], ids=str
)
async def test_wrong_options(model: Path, options: dict[str, Any]) -> None:
    with pytest.raises(EngineError) as wrong:
        await SherpaTranscriber.load(EngineContext(ModelStore.default(), 1, {"model": str(model), **options}))
    assert wrong.value.code == "invalid_option"


async def test_directories_without_a_model(model: Path, tmp_path: Path) -> None:
    def copied(name: str) -> Path:
        return shutil.copytree(model, tmp_path / name)

    no_tokens, no_joiner, junk = copied("no-tokens"), copied("no-joiner"), copied("junk")
    (no_tokens / "tokens.txt").unlink()
    (no_joiner / "joiner.onnx").unlink()
    (junk / "encoder.onnx").write_bytes(b"not a model")
    for folder, told in (
        (tmp_path / "nothing", "no such file"),
        (no_tokens, "has no tokens.txt"),
        (no_joiner, "cannot be loaded as a streaming paraformer model"),
        (junk, "cannot be loaded as a streaming transducer model"),
    ):
        with pytest.raises(EngineError, match=told) as missing:
            await load(folder)
        assert missing.value.code == "model_missing"
    with pytest.raises(EngineError, match="must have one joiner; there are: none"):
        await load(no_joiner, kind="transducer")


async def test_a_model_that_cannot_stream_does_not_end_this_process(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path, dirs_exist_ok=True)
    encoder = onnx.load(tmp_path / "encoder.onnx")
    del encoder.metadata_props[:]
    onnx.helper.set_model_props(encoder, {"model_type": "zipformer2", "version": "1"})
    onnx.save(encoder, tmp_path / "encoder.onnx")
    with pytest.raises(EngineError, match="cannot be loaded as a streaming transducer model") as missing:
        await load(tmp_path)
    assert missing.value.code == "model_missing"


async def test_a_single_model_says_what_it_is(model: Path, tmp_path: Path) -> None:
    shutil.copy(model / "tokens.txt", tmp_path)
    shutil.copy(model / "encoder.onnx", tmp_path / "model.onnx")
    with pytest.raises(EngineError, match="option 'kind' is needed.*lstm") as unknown:  # noqa: RUF043
        await load(tmp_path)
    assert unknown.value.code == "invalid_option"
    for kind in ("zipformer2-ctc", "nemo-ctc", "wenet-ctc", "t-one-ctc"):
        with pytest.raises(EngineError, match=f"cannot be loaded as a streaming {kind} model"):
            await load(tmp_path, kind=kind)


def test_whole_words() -> None:
    assert whole_words("") == ""
    assert whole_words("hel") == ""
    assert whole_words("hello wor") == "hello"
    assert whole_words("hello world ") == "hello world"
    assert whole_words("你好") == "你好"
    assert whole_words("你好 wor") == "你好"
    assert whole_words("open 门 now") == "open 门"


@given(st.text(alphabet="ab 你好", max_size=30), st.text(alphabet="ab 你好", max_size=30))
def test_whole_words_only_grow(text: str, more: str) -> None:
    assert whole_words(text + more).startswith(whole_words(text))
    assert text.startswith(whole_words(text))
