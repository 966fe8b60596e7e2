"""`antiphon transcribe`: every file is tried, and what went wrong is told."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from typer.testing import CliRunner, Result

from antiphon.bench.corpus import SHIPPED
from antiphon.bench.words import word_errors
from antiphon.cli import app

PROMPT = SHIPPED / "privacy-unident.flac"


def transcribe(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["transcribe", *map(str, arguments)])


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("ANTIPHON_") and name != "ANTIPHON_HOME":
            monkeypatch.delenv(name)


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_ENGINES__PRESET", "stand-in")


@pytest.mark.usefixtures("_stand_in")
def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("no audio\n" * 100)
    done = transcribe(tmp_path / "missing.wav", words, PROMPT)
    assert done.exit_code == 1
    assert done.stdout.startswith(f"{PROMPT}: Utterance of 4.")
    assert f"{tmp_path / 'missing.wav'}: no such file or directory" in done.stderr
    assert str(words) in done.stderr


@pytest.mark.usefixtures("_stand_in")
def test_json_tells_all(tmp_path: Path) -> None:
    done = transcribe("--json", PROMPT, tmp_path)
    assert done.exit_code == 1
    good, bad = json.loads(done.stdout)
    assert good["text"] == good["segments"][0]["text"]
    assert good["seconds"] == pytest.approx(4.45, abs=0.02)
    assert good["error"] is None
    assert "is a directory" in bad["error"]


@pytest.mark.usefixtures("_stand_in")
def test_a_long_file_is_read_in_pieces_and_silence_is_skipped(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000 * 40).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", np.concatenate([noise, np.zeros(16_000 * 40, np.float32)]), 16_000)
    (told,) = json.loads(transcribe("--json", tmp_path / "long.wav").stdout)
    assert told["seconds"] == 80.0
    starts = [segment["start"] for segment in told["segments"]]
    assert starts == sorted(starts)
    assert len(starts) >= 2
    assert all(segment["end"] - segment["start"] <= 28 for segment in told["segments"])
    assert starts[-1] < 41


@pytest.mark.usefixtures("_stand_in")
@pytest.mark.parametrize("size", [30_000, 45_000, 60_000, 61_111])
def test_a_file_that_ends_early_is_told_and_its_beginning_kept(tmp_path: Path, size: int) -> None:
    (tmp_path / "cut.flac").write_bytes(PROMPT.read_bytes()[:size])
    done = transcribe(tmp_path / "cut.flac")
    # Whether FFmpeg finds the last frame damaged or drops it depends on where the cut is.
    damaged, short = "damaged" in done.stderr, "of 4.5 s could be read" in done.stderr
    assert damaged != short
    assert done.exit_code == (1 if damaged else 0)
    assert done.stdout.startswith("Utterance of")


@pytest.mark.models
def test_the_words_are_right() -> None:
    done = transcribe("--language", "en", SHIPPED / "ss-noservice.flac")
    assert done.exit_code == 0, done.stderr
    said = "The number you have dialed is not in service. Please check the number and try again."
    assert word_errors([said], [done.stdout]).errors <= 1
