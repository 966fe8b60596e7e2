"""Real models of several files, pulled from a hub on this machine by their references, and loaded by their engines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from antiphon.audio.files import read_audio
from antiphon.config.resolved import EnginePlan
from antiphon.engines.base import HEARING_RATE, Engine, EngineContext, EngineError, Synthesizer, Transcriber
from antiphon.engines.registry import find_engine
from antiphon.models import ModelError, ModelStore
from antiphon.server.loading import models_of
from tests import wheel_models
from tests.tiny_sherpa import make_tiny_sherpa
from tests.unit.models_sources import REPO, Hub, serving
from tests.unit.test_models_hub import antiphon
from tests.unit.test_sherpa import words

pytestmark = pytest.mark.models

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "transfer.flac"


@pytest.fixture(scope="module", autouse=True)
def _packages() -> Iterator[None]:
    folder = str(wheel_models.gpl_packages())
    sys.path.append(folder)
    yield
    sys.path.remove(folder)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home" / "models")


def pull(store: ModelStore, engine: str, options: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Pull what the engine needs, as `antiphon serve` does, from a hub that has `files`."""
    with serving(Hub({name: path.read_bytes() for name, path in files.items()})) as hub:
        done = antiphon(hub, store, "pull", *models_of(EnginePlan(engine, dict(options))))
    assert done.returncode == 0, done.stderr


async def loaded(store: ModelStore, name: str, options: Mapping[str, Any]) -> Engine:
    return await find_engine(name, Engine).load(EngineContext(store, 1, dict(options)))


async def test_whisper_is_a_repository(store: ModelStore) -> None:
    options = {"model": f"hf:{REPO}"}
    with pytest.raises(ModelError, match=f"antiphon models pull hf:{REPO}"):
        await loaded(store, "whisper", options)
    directory = ModelStore.default().path("whisper-tiny.en")
    pull(store, "whisper", options, {path.name: path for path in directory.iterdir() if path.name[0] != "."})
    engine = await loaded(store, "whisper", options)
    assert isinstance(engine, Transcriber)
    heard = await engine.transcribe(read_audio(SPEECH, HEARING_RATE))
    assert heard.text == "Please hold while I try that extension."
    await engine.close()


@pytest.mark.parametrize("model", [f"hf:{REPO}/en/joe/", f"hf:{REPO}/en/joe/joe.onnx"])
async def test_a_piper_voice_is_a_folder_or_two_files(store: ModelStore, model: str) -> None:
    options = {"voices": {"joe": model}}
    voice = wheel_models.piper_joe()
    files = {"en/joe/joe.onnx": voice, "en/joe/joe.onnx.json": voice.with_name(f"{voice.name}.json")}
    pull(store, "piper", options, {**files, "de/eva/eva.onnx": SPEECH})
    engine = await loaded(store, "piper", options)
    assert isinstance(engine, Synthesizer)
    assert sum([chunk.samples.size async for chunk in engine.synthesize("Hello there.")]) > 10_000
    await engine.close()


async def test_kokoro_is_two_files(store: ModelStore) -> None:
    options = {"model": f"hf:{REPO}/model.onnx", "voices": f"hf:{REPO}/voices.bin"}
    folder = wheel_models.kokoro()
    pull(
        store, "kokoro", options, {"model.onnx": folder / "kokoro-v1.0.int8.onnx", "voices.bin": folder / "voices.npz"}
    )
    engine = await loaded(store, "kokoro", options)
    assert isinstance(engine, Synthesizer)
    assert sum([chunk.samples.size async for chunk in engine.synthesize("Hello.", language="en")]) > 10_000
    await engine.close()


@pytest.mark.parametrize(("model", "folder"), [(f"hf:{REPO}", ""), (f"hf:{REPO}@v2/tiny/", "tiny/")])
async def test_sherpa_is_a_repository_or_a_folder_of_one(
    store: ModelStore, tmp_path: Path, model: str, folder: str
) -> None:
    make_tiny_sherpa(tmp_path / "tiny")
    pull(store, "sherpa", {"model": model}, {f"{folder}{path.name}": path for path in (tmp_path / "tiny").iterdir()})
    engine = await loaded(store, "sherpa", {"model": model})
    assert isinstance(engine, Transcriber)
    assert (await engine.transcribe(words(2))).text == "tones tones"
    await engine.close()


async def test_llamacpp_is_one_file(store: ModelStore) -> None:
    options = {"model": f"hf:{REPO}/gguf/model.gguf", "context": 256, "slots": 1}
    pull(store, "llamacpp", options, {"gguf/model.gguf": ModelStore.default().path("smollm2-135m-instruct")})
    engine = await loaded(store, "llamacpp", options)
    await engine.close()
    store.path(str(options["model"])).write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="damaged"):
        await loaded(store, "llamacpp", options)
    with pytest.raises(EngineError):
        await loaded(store, "llamacpp", {"model": "./no-such-file.gguf"})
