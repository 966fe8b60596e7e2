import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from numpy.typing import NDArray

from antiphon.audio.files import AudioFile, AudioFileError, read_audio
from antiphon.audio.levels import SILENCE_DBFS, peak, rms_dbfs, to_float, to_pcm

RATE = 16_000


def speechlike(seconds: float) -> NDArray[np.float32]:
    time = np.arange(round(RATE * seconds)) / RATE
    return (0.3 * np.sin(2 * np.pi * 220 * time) * np.sin(2 * np.pi * 3 * time)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_reads_common_formats(tmp_path: Path, suffix: str) -> None:
    path, samples = tmp_path / f"a.{suffix}", speechlike(1.5)
    soundfile.write(path, samples, RATE)
    read = read_audio(path, RATE)
    assert read.dtype == np.float32
    assert abs(read.size - samples.size) <= RATE * 0.08  # MP3 pads to whole frames
    assert abs(rms_dbfs(read) - rms_dbfs(samples)) < 1
    with AudioFile(path, RATE) as file:
        assert file.seconds == pytest.approx(1.5, abs=0.1)


def test_lossless_mono_comes_back_as_it_was(tmp_path: Path) -> None:
    samples = to_float(to_pcm(speechlike(0.5)))
    soundfile.write(tmp_path / "a.flac", samples, RATE)
    assert np.array_equal(read_audio(tmp_path / "a.flac", RATE), samples)


def test_channels_are_mixed_and_the_rate_is_changed(tmp_path: Path) -> None:
    left = speechlike(1.0)
    soundfile.write(tmp_path / "a.wav", np.stack([left, np.zeros_like(left)], axis=1), RATE)
    mixed = read_audio(tmp_path / "a.wav", 8_000)
    assert abs(mixed.size - 8_000) <= 1
    assert peak(mixed) == pytest.approx(peak(left) / 2, rel=0.05)


def test_long_files_are_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(30):
            file.write(speechlike(10.0))
    with AudioFile(path, RATE) as file:
        tracemalloc.start()
        total = sum(block.size for block in file.blocks())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert total == 300 * RATE
    assert most < 1_000_000  # the whole file is 19 MB as float32


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "not an audio file"), (b"\x00" * 4_000, "not an audio file")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioFileError, match=rf"bad\.wav: .*{message}"):
        read_audio(path, RATE)


def test_directories_and_files_without_audio_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="is a directory"):
        AudioFile(tmp_path, RATE)
    (tmp_path / "words.txt").write_text("just words\n" * 200)
    with pytest.raises(AudioFileError, match=r"no audio|not an audio file"):
        AudioFile(tmp_path / "words.txt", RATE)


def test_levels() -> None:
    square = np.where(np.arange(1_000) % 2, 1.0, -1.0).astype(np.float32)
    assert rms_dbfs(square) == pytest.approx(0.0)
    assert rms_dbfs(square / np.float32(10)) == pytest.approx(-20.0, abs=0.01)
    assert rms_dbfs(np.zeros(10, np.float32)) == rms_dbfs(np.zeros(0, np.float32)) == SILENCE_DBFS
    assert peak(np.array([0.1, -0.4], np.float32)) == pytest.approx(0.4)
    assert peak(np.zeros(0, np.float32)) == 0.0


def test_float_and_pcm_are_inverse_and_clip() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_pcm(to_float(every)), every)
    assert to_pcm(np.array([2.0, -2.0], np.float32)).tolist() == [32767, -32768]
