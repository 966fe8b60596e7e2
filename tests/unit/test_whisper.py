import asyncio
import csv
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import ctranslate2
import jiwer
import numpy as np
import pytest
from faster_whisper import WhisperModel
from whisper_normalizer.english import EnglishTextNormalizer

from antiphon.audio.files import read_audio
from antiphon.engines.base import HEARING_RATE, EngineContext, EngineError, Priority, Samples
from antiphon.engines.whisper.pieces import LONGEST_S
from antiphon.engines.whisper.transcriber import WhisperTranscriber
from antiphon.models.store import ModelStore

SPEECH = Path(__file__).parents[1] / "data" / "speech"
_normalize = EnglishTextNormalizer()

pytestmark = pytest.mark.models


@pytest.fixture
async def whisper() -> AsyncIterator[WhisperTranscriber]:
    whisper = await WhisperTranscriber.load(EngineContext(models=ModelStore.default()))
    await whisper.warm_up()
    yield whisper
    await whisper.close()


def recordings() -> dict[str, tuple[Samples, str]]:
    with (SPEECH / "transcripts.tsv").open() as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["file"]: (read_audio(SPEECH / row["file"], HEARING_RATE), row["text"]) for row in rows}


def silence(seconds: float, level: float = 1e-3, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).normal(0, level, round(seconds * HEARING_RATE)).astype(np.float32)


def conversation(seed: int, seconds: float) -> tuple[Samples, str]:
    """Recordings one after the other, with pauses of 0.3 to 0.8 s."""
    random, parts, words = np.random.default_rng(seed), [silence(0.3)], list[str]()
    known = list(recordings().values())
    while sum(map(len, parts)) < seconds * HEARING_RATE:
        speech, text = known[random.integers(len(known))]
        parts += [speech, silence(random.uniform(0.3, 0.8))]
        words.append(text)
    return np.concatenate(parts), " ".join(words)


def errors(said: list[str], heard: list[str]) -> int:
    result = jiwer.process_words([_normalize(text) for text in said], [_normalize(text) for text in heard])
    return int(result.substitutions + result.deletions + result.insertions)


async def test_as_good_as_the_full_window(whisper: WhisperTranscriber) -> None:
    offline = WhisperModel(str(ModelStore.default().path("whisper-tiny.en")), compute_type="int8", cpu_threads=1)
    said, heard, reference = [], [], []
    for speech, text in recordings().values():
        audio = np.concatenate([silence(0.3), speech, silence(0.3)])
        said.append(text)
        heard.append((await whisper.transcribe(audio)).text)
        segments, _ = offline.transcribe(audio, language="en", beam_size=5)
        reference.append(" ".join(segment.text for segment in segments))
    assert errors(said, heard) <= errors(said, reference) + 1


@pytest.mark.parametrize("seconds", [0.4, 1.0, 3.0, 8.0])
async def test_nothing_is_heard_where_nobody_speaks(whisper: WhisperTranscriber, seconds: float) -> None:
    count = round(seconds * HEARING_RATE)
    time = np.arange(count) / HEARING_RATE
    click = silence(seconds)
    click[:800] += np.exp(-np.arange(800) / 120).astype(np.float32) * 0.3
    noises = {
        "digital silence": np.zeros(count, np.float32),
        "a quiet room": silence(seconds, 3e-4),
        "noise": silence(seconds, 0.03),
        "a click": click,
        "a tone": (0.1 * np.sin(2 * np.pi * 440 * time)).astype(np.float32),
        "hum": (0.05 * np.sin(2 * np.pi * 50 * time)).astype(np.float32) + silence(seconds),
    }
    heard = {name: (await whisper.transcribe(noise)).text for name, noise in noises.items()}
    assert heard == dict.fromkeys(noises, "")
    assert (await whisper.transcribe(np.zeros(0, np.float32))).text == ""


async def test_silence_after_the_words_adds_none(whisper: WhisperTranscriber) -> None:
    speech, text = recordings()["agent-pass.flac"]
    for seconds in (1, 5, 20):
        transcript = await whisper.transcribe(np.concatenate([silence(0.3), speech, silence(seconds)]))
        assert errors([text], [transcript.text]) == 0


async def test_speech_backwards_is_not_made_into_a_loop(whisper: WhisperTranscriber) -> None:
    for speech, _ in list(recordings().values())[:3]:
        heard = (await whisper.transcribe(np.ascontiguousarray(speech[::-1]))).text
        assert len(heard.split()) < 6 * len(speech) / HEARING_RATE


async def test_log_probabilities_spell_the_transcript(whisper: WhisperTranscriber) -> None:
    assert whisper.supports_logprobs
    speech, _ = recordings()["invalid.flac"]
    transcript = await whisper.transcribe(speech, logprobs=True)
    assert "".join(token.token for token in transcript.logprobs).strip() == transcript.text
    assert b"".join(bytes(token.bytes) for token in transcript.logprobs).decode().strip() == transcript.text
    assert all(token.logprob <= 0 for token in transcript.logprobs)
    assert np.mean([token.logprob for token in transcript.logprobs]) > -0.5
    assert not (await whisper.transcribe(speech)).logprobs


async def test_a_prompt_shows_how_to_write(whisper: WhisperTranscriber) -> None:
    speech, text = recordings()["conf-onlyone.flac"]
    plain = await whisper.transcribe(speech)
    assert "other participant" in plain.text
    # More than fits: the end of it is what counts.
    prompted = await whisper.transcribe(speech, prompt="There Is One Other Participant In The Conference. " * 100)
    assert "Other Participant" in prompted.text
    assert errors([text], [prompted.text]) <= 1


async def test_languages(whisper: WhisperTranscriber) -> None:
    speech, _ = recordings()["transfer.flac"]
    assert whisper.languages == ("en",)
    assert (await whisper.transcribe(speech, language="en-GB")).language == "en"
    with pytest.raises(EngineError) as unknown:
        await whisper.transcribe(speech, language="fr")
    assert unknown.value.code == "unsupported"


async def test_long_audio_loses_and_doubles_nothing(whisper: WhisperTranscriber) -> None:
    audio, said = conversation(seed=5, seconds=75)
    heard = (await whisper.transcribe(audio)).text
    assert errors([said], [heard]) <= 0.08 * len(said.split())


async def test_a_stream_is_append_only_and_as_good(whisper: WhisperTranscriber) -> None:
    audio, said = conversation(seed=6, seconds=60)
    stream = whisper.stream()
    final, looks = "", list[str]()
    for index, start in enumerate(range(0, len(audio), 9600)):
        final += await stream.push(audio[start : start + 9600])
        if index % 10 == 9:
            looks.append((await stream.transcript()).text)
            assert looks[-1].startswith(final)
    transcript = await stream.transcript(logprobs=True)
    assert transcript.text.startswith(final)
    assert len(final) > len(transcript.text) / 2
    assert all(transcript.text.startswith(look[: len(look) // 2]) for look in looks)
    assert errors([said], [transcript.text]) <= 0.08 * len(said.split())
    assert "".join(token.token for token in transcript.logprobs).strip() == transcript.text
    stream.close()


async def test_a_stream_of_one_push_ends_with_the_same_pieces(whisper: WhisperTranscriber) -> None:
    audio, _ = conversation(seed=7, seconds=LONGEST_S + 10)
    stream = whisper.stream(language="en")
    final = await stream.push(audio)
    assert final
    transcript = await stream.transcript()
    assert transcript.text.startswith(final)
    assert transcript == await stream.transcript()


async def test_a_cancelled_push_loses_nothing(whisper: WhisperTranscriber) -> None:
    audio, said = conversation(seed=8, seconds=40)
    stream, final = whisper.stream(), ""
    for start in range(0, len(audio), 16_000):
        push = asyncio.create_task(stream.push(audio[start : start + 16_000]))
        await asyncio.sleep(0.002)
        push.cancel()
        await asyncio.wait([push])
        if not push.cancelled():
            final += push.result()
    final += await stream.push(np.zeros(0, np.float32))
    transcript = await stream.transcript()
    assert transcript.text.startswith(final)
    assert len(final) > len(transcript.text) / 2
    assert errors([said], [transcript.text]) <= 0.08 * len(said.split())


async def test_cancelling_stops_the_work(whisper: WhisperTranscriber) -> None:
    audio, _ = conversation(seed=9, seconds=120)
    long = asyncio.create_task(whisper.transcribe(audio, priority=Priority.DRAFT))
    while not whisper.load_now().running:  # noqa: ASYNC110 - a thread changes it
        await asyncio.sleep(0.001)
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    # One worker: it is free for others before minutes of audio could have been read.
    await whisper.transcribe(silence(0.5))
    assert whisper.load_now().waiting == 0


async def test_close_leaves_no_thread_and_can_be_repeated() -> None:
    whisper = await WhisperTranscriber.load(EngineContext(models=ModelStore.default(), cores=2))
    running = asyncio.create_task(whisper.transcribe(conversation(seed=1, seconds=60)[0]))
    while not whisper.load_now().running:  # noqa: ASYNC110 - a thread changes it
        await asyncio.sleep(0.001)
    await whisper.close()
    await whisper.close()
    with pytest.raises(EngineError) as closed:
        await running
    assert closed.value.code == "closed"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("whisper")]


async def test_the_directory_of_a_model_as_an_option() -> None:
    store = ModelStore.default()
    directory = str(store.path("whisper-tiny.en"))
    whisper = await WhisperTranscriber.load(EngineContext(models=store, options={"model": directory, "device": "cpu"}))
    speech, text = recordings()["transfer.flac"]
    assert errors([text], [(await whisper.transcribe(speech)).text]) == 0
    await whisper.close()


@pytest.mark.parametrize(
    "options",
    [
        {"modell": "x"},
        {"device": "tpu"},
        {"device": "cuda:one"},
        {"model": 3},
        {"compute_type": None},
        {"compute_type": "int3"},
        {"language": "fr"},
    ],
    ids=str,
)
async def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(EngineError) as wrong:
        await WhisperTranscriber.load(EngineContext(models=ModelStore.default(), options=options))
    assert wrong.value.code == "invalid_option"


@pytest.mark.parametrize("files", [(), ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")])
async def test_a_directory_without_a_model(tmp_path: Path, files: tuple[str, ...]) -> None:
    for file in files:
        (tmp_path / file).write_bytes(b"{}")
    with pytest.raises(EngineError) as missing:
        await WhisperTranscriber.load(EngineContext(models=ModelStore.default(), options={"model": str(tmp_path)}))
    assert missing.value.code == "model_missing"
    assert str(tmp_path) in missing.value.message


async def test_a_path_where_nothing_is(tmp_path: Path) -> None:
    options = {"model": str(tmp_path / "nothing")}
    with pytest.raises(EngineError, match="nothing: no such file") as missing:
        await WhisperTranscriber.load(EngineContext(models=ModelStore.default(), options=options))
    assert missing.value.code == "model_missing"


async def test_a_compute_type_that_there_is_not() -> None:
    options = {"compute_type": "int3", "device": "cpu"}
    with pytest.raises(EngineError, match=r"cpu has no 'int3'; it has: .*int8") as wrong:
        await WhisperTranscriber.load(EngineContext(models=ModelStore.default(), options=options))
    assert wrong.value.code == "invalid_option"


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
async def test_a_gpu_that_is_not_here(device: str) -> None:
    with pytest.raises(EngineError, match=f"{device} is not here.*0 CUDA devices.*nvidia-smi") as wrong:
        await WhisperTranscriber.load(EngineContext(models=ModelStore.default(), options={"device": device}))
    assert wrong.value.code == "invalid_option"


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() == 0, reason="no GPU: Whisper on CUDA is NOT tested")
async def test_on_a_gpu() -> None:
    whisper = await WhisperTranscriber.load(EngineContext(models=ModelStore.default(), options={"device": "cuda:0"}))
    assert (whisper._decoder._model.device, whisper._decoder._model.compute_type) == ("cuda", "float16")
    speech, text = recordings()["transfer.flac"]
    assert errors([text], [(await whisper.transcribe(speech)).text]) == 0
    await whisper.close()
