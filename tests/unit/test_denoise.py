from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.audio.files import read_audio
from antiphon.audio.levels import rms_dbfs
from antiphon.engines.base import HEARING_RATE, EngineContext, EngineError
from antiphon.engines.denoise import DELAY, LIMIT_DB, GtcrnDenoiser
from antiphon.models.store import ModelStore

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "queue-periodic-announce.flac"

pytestmark = pytest.mark.models


@pytest.fixture
async def denoiser() -> GtcrnDenoiser:
    denoiser = await GtcrnDenoiser.load(EngineContext(models=ModelStore.default()))
    await denoiser.warm_up()
    return denoiser


def noisy_speech(seconds_before: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    speech = read_audio(SPEECH, HEARING_RATE)
    clean = np.concatenate([np.zeros(round(seconds_before * HEARING_RATE), np.float32), speech])
    noise = np.random.default_rng(7).normal(0, 0.02, clean.size).astype(np.float32)
    return clean, clean + noise


def residual_db(clean: NDArray[np.float32], heard: NDArray[np.float32]) -> float:
    heard = heard[DELAY:]
    return rms_dbfs(heard - clean[: heard.size])


@pytest.mark.parametrize("kind", ["near_field", "far_field"])
async def test_noise_goes_down_and_speech_stays(
    denoiser: GtcrnDenoiser, kind: Literal["near_field", "far_field"]
) -> None:
    clean, noisy = noisy_speech()
    heard = denoiser.open(kind).process(noisy)
    silence = slice(HEARING_RATE // 4, HEARING_RATE)
    turned_down = rms_dbfs(noisy[silence]) - rms_dbfs(heard[silence])
    assert LIMIT_DB[kind] - 3 < turned_down < LIMIT_DB[kind] + 1
    assert residual_db(clean, heard) < rms_dbfs(noisy - clean) - 3
    # The speech lies where it was said, late by exactly the promised delay.
    spectra = np.fft.rfft(heard) * np.conj(np.fft.rfft(clean))
    assert int(np.argmax(np.fft.irfft(spectra))) == DELAY


async def test_the_sizes_of_the_pieces_change_nothing(denoiser: GtcrnDenoiser) -> None:
    _, noisy = noisy_speech(0.1)
    noisy = noisy[:20_000]
    whole = denoiser.open("near_field").process(noisy)
    stream, pieces, at = denoiser.open("near_field"), [], 0
    for size in np.random.default_rng(3).integers(0, 900, 200):
        piece = stream.process(noisy[at : at + size])
        assert piece.dtype == np.float32
        assert piece.size == noisy[at : at + size].size
        pieces.append(piece)
        at += size
    assert np.array_equal(np.concatenate(pieces), whole)


async def test_streams_do_not_hear_each_other(denoiser: GtcrnDenoiser) -> None:
    _, noisy = noisy_speech(0.1)
    alone = denoiser.open("near_field").process(noisy[:8_000])
    one, other = denoiser.open("near_field"), denoiser.open("far_field")
    together = []
    for at in range(0, 8_000, 320):
        together.append(one.process(noisy[at : at + 320]))
        other.process(noisy[at + 9_000 : at + 9_320])
    assert np.array_equal(np.concatenate(together), alone)


async def test_a_broken_model_is_named(tmp_path: Path) -> None:
    class Broken:
        def path(self, name: str) -> Path:
            (tmp_path / name).write_bytes(b"not a model")
            return tmp_path / name

    with pytest.raises(EngineError, match="gtcrn cannot be loaded"):
        await GtcrnDenoiser.load(EngineContext(models=Broken()))
