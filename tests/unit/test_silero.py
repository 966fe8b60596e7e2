import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.audio.files import read_audio
from antiphon.engines.base import HEARING_RATE, VAD_WINDOW, EngineContext, EngineError, Samples
from antiphon.engines.silero import CONTEXT, LARGEST_BATCH, SileroVad
from antiphon.models.store import ModelStore

SPEECH = Path(__file__).parents[1] / "data" / "speech"

pytestmark = pytest.mark.models


@pytest.fixture
async def vad() -> AsyncIterator[SileroVad]:
    vad = await SileroVad.load(EngineContext(models=ModelStore.default()))
    await vad.warm_up()
    yield vad
    await vad.close()


def windows_of(name: str) -> Samples:
    speech = read_audio(SPEECH / name, HEARING_RATE)
    audio = np.pad(speech, (HEARING_RATE // 2, HEARING_RATE))
    return audio[: len(audio) // VAD_WINDOW * VAD_WINDOW].reshape(-1, VAD_WINDOW)


def one_by_one(windows: Samples) -> Samples:
    """The model as its authors run it: one stream, one window at a time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    model = onnxruntime.InferenceSession(str(ModelStore.default().path("silero-vad")), options)
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros((1, CONTEXT), np.float32)
    probabilities = []
    for window in windows[:, None]:
        feed = {"input": np.concatenate([context, window], axis=1), "state": state, "sr": np.array(HEARING_RATE)}
        probability, state = model.run(None, feed)
        context = window[:, -CONTEXT:]
        probabilities.append(probability[0, 0])
    return np.array(probabilities, np.float32)


async def test_speech_is_told_from_silence(vad: SileroVad) -> None:
    probabilities = await vad.open().push(windows_of("agent-pass.flac"))
    assert probabilities.dtype == np.float32
    silence = HEARING_RATE // 2 // VAD_WINDOW
    assert probabilities[: silence - 1].max() < 0.2
    assert probabilities[-silence:].max() < 0.2
    assert np.median(probabilities[silence + 3 : -2 * silence - 3]) > 0.9


async def test_a_stream_alone_is_exact(vad: SileroVad) -> None:
    windows = windows_of("transfer.flac")
    np.testing.assert_array_equal(await vad.open().push(windows), one_by_one(windows))


REFERENCE = ["agent-pass.flac", "transfer.flac", "invalid.flac", "vm-sorry.flac"]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 2**32 - 1))
def test_who_else_is_in_the_batch_and_the_sizes_of_pushes_change_nothing(
    seed: int, references: dict[str, Samples]
) -> None:
    random = np.random.default_rng(seed)

    async def feed(vad: SileroVad, name: str, seed: int) -> None:
        own = np.random.default_rng(seed)
        stream, windows, heard, at = vad.open(), windows_of(name), [np.zeros(0, np.float32)], 0
        while at < len(windows):
            size = int(own.integers(0, 40))
            heard.append(await stream.push(windows[at : at + size]))
            at += size
            if own.random() < 0.3:
                await asyncio.sleep(0)
        np.testing.assert_allclose(np.concatenate(heard), references[name], atol=2e-5)

    async def main() -> None:
        vad = await SileroVad.load(EngineContext(models=ModelStore.default()))
        names = random.choice(REFERENCE, size=6)
        await asyncio.gather(*(feed(vad, str(name), int(random.integers(2**32))) for name in names))
        await vad.close()

    asyncio.run(main())


@pytest.fixture(scope="module")
def references() -> dict[str, Samples]:
    return {name: one_by_one(windows_of(name)) for name in REFERENCE}


async def test_more_streams_than_fit_in_a_batch(vad: SileroVad) -> None:
    windows = windows_of("transfer.flac")[:8]
    expected = one_by_one(windows)
    heard = await asyncio.gather(*(vad.open().push(windows) for _ in range(2 * LARGEST_BATCH + 3)))
    np.testing.assert_allclose(heard, np.tile(expected, (len(heard), 1)), atol=2e-5)


async def test_an_hour_at_once_does_not_hold_up_others(vad: SileroVad) -> None:
    """An hour in one push: another stream's pushes are answered while it runs, not after it."""
    hour = np.zeros((3600 * HEARING_RATE // VAD_WINDOW, VAD_WINDOW), np.float32)
    long = asyncio.create_task(vad.open().push(hour))
    await asyncio.sleep(0)
    stream = vad.open()
    for _ in range(20):
        await stream.push(np.zeros((1, VAD_WINDOW), np.float32))
        assert not long.done()
    long.cancel()


async def test_a_cancelled_push_stops_and_its_stream_goes_on(vad: SileroVad) -> None:
    stream = vad.open()
    push = asyncio.create_task(stream.push(np.zeros((100_000, VAD_WINDOW), np.float32)))
    await asyncio.sleep(0.01)
    push.cancel()
    with pytest.raises(asyncio.CancelledError):
        await push
    assert len(await stream.push(np.zeros((2, VAD_WINDOW), np.float32))) == 2
    # The answer comes after the model has let go of everything else.
    await vad.open().push(np.zeros((1, VAD_WINDOW), np.float32))
    assert vad.load_now().waiting == 0


async def test_pushes_on_one_stream_must_not_overlap(vad: SileroVad) -> None:
    stream = vad.open()
    first = asyncio.create_task(stream.push(np.zeros((50, VAD_WINDOW), np.float32)))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="overlap"):
        await stream.push(np.zeros((1, VAD_WINDOW), np.float32))
    await first


async def test_windows_of_the_wrong_size(vad: SileroVad) -> None:
    stream = vad.open()
    with pytest.raises(ValueError, match="512"):
        await stream.push(np.zeros((1, 480), np.float32))
    assert len(await stream.push(np.zeros((0, VAD_WINDOW), np.float32))) == 0


async def test_close_fails_what_waits_and_leaves_no_thread() -> None:
    vad = await SileroVad.load(EngineContext(models=ModelStore.default()))
    push = asyncio.create_task(vad.open().push(np.zeros((100_000, VAD_WINDOW), np.float32)))
    await asyncio.sleep(0.01)
    await vad.close()
    await vad.close()
    with pytest.raises(EngineError) as failed:
        await push
    assert failed.value.code == "closed"
    with pytest.raises(EngineError):
        await vad.open().push(np.zeros((1, VAD_WINDOW), np.float32))
    assert not [thread for thread in threading.enumerate() if thread.name == "silero"]


async def test_two_event_loops_share_a_model(vad: SileroVad) -> None:
    windows = windows_of("transfer.flac")

    def elsewhere() -> Samples:
        return asyncio.run(vad.open().push(windows))

    here, there = await asyncio.gather(vad.open().push(windows), asyncio.to_thread(elsewhere))
    np.testing.assert_allclose(here, there, atol=2e-5)


async def test_options_and_files_that_are_no_model(tmp_path: Path) -> None:
    class Paths:
        def path(self, name: str) -> Path:
            return file

    file = tmp_path / "silero.onnx"
    file.write_bytes(b"not a model")
    with pytest.raises(EngineError) as damaged:
        await SileroVad.load(EngineContext(models=Paths()))
    assert damaged.value.code == "model_missing"
    assert str(file) in damaged.value.message
    with pytest.raises(EngineError) as wrong:
        await SileroVad.load(EngineContext(models=Paths(), options={"threshold": 0.5}))
    assert wrong.value.code == "invalid_option"
