"""Models of several files from the Hub, laid out as Whisper, Piper, Kokoro and sherpa-onnx models are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.models import ModelStore
from tests.unit.models_sources import COMMIT, REPO, Hub, noise, serving
from tests.unit.test_models_hub import antiphon, contents, origin

WHISPER = {"model.bin": noise(1, 200_000), "config.json": b"{}", "tokenizer.json": b"{}", "vocabulary.txt": b"a\n"}
PIPER = {
    f"{language}/medium/{name}": content
    for seed, language in ((2, "en/en_US/joe"), (3, "de/de_DE/thorsten"))
    for name, content in {
        "voice.onnx": noise(seed, 100_000),
        "voice.onnx.json": b'{"audio": {}}',
        "samples/speaker_0.mp3": noise(seed + 10, 500),
    }.items()
}
KOKORO = {"kokoro-v1.0.onnx": noise(4, 100_000), "voices-v1.0.bin": noise(5, 20_000)}
SHERPA = {
    f"{name}.onnx": noise(seed, 50_000) for seed, name in enumerate(("encoder", "encoder.int8", "decoder", "joiner"), 6)
}
SHERPA |= {"tokens.txt": b"<blk> 0\n", "test_wavs/0.wav": noise(20, 1000)}
FOLDER = "en/en_US/joe/medium"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub({})) as hub:
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home" / "models")


@pytest.mark.parametrize("files", [WHISPER, SHERPA], ids=["whisper", "sherpa"])
def test_a_directory_whose_download_broke_twice(hub: Hub, store: ModelStore, files: dict[str, bytes]) -> None:
    hub.files = dict(files)
    large = [name for name, content in files.items() if len(content) >= 50_000][:2]
    hub.cut = dict.fromkeys(large, 20_000)
    done = antiphon(hub, store, "pull", f"hf:{REPO}")
    assert done.returncode == 0, done.stderr
    assert contents(store.path(f"hf:{REPO}")) == files
    for name in large:
        assert hub.requests.count(f"GET /{REPO}/resolve/{COMMIT}/{name}") == 2


def test_one_voice_of_a_repository_of_many(hub: Hub, store: ModelStore) -> None:
    hub.files = dict(PIPER)
    name = f"hf:{REPO}/{FOLDER}/"
    done = antiphon(hub, store, "pull", name)
    assert done.returncode == 0, done.stderr
    voice = {file.removeprefix(f"{FOLDER}/"): content for file, content in PIPER.items() if FOLDER in file}
    assert set(voice) == {"voice.onnx", "voice.onnx.json", "samples/speaker_0.mp3"}
    assert contents(store.path(name)) == voice
    assert origin(store.path(name)) == f"hf:{REPO}@{COMMIT}/{FOLDER}/"
    assert not any("thorsten" in request for request in hub.requests)
    assert [state.model.name for state in store.states() if state.status == "present"] == [name]
    assert store.path(name).is_dir()

    # Another folder of the same commit does not bring along what the client's cache has of the first.
    other = f"hf:{REPO}/de/de_DE/thorsten/"
    assert antiphon(hub, store, "pull", other).returncode == 0
    assert set(contents(store.path(other))) == {f"medium/{file}" for file in voice}


def test_a_folder_that_is_not_there(hub: Hub, store: ModelStore) -> None:
    hub.files = dict(PIPER)
    done = antiphon(hub, store, "pull", f"hf:{REPO}/en/en_GB/")
    assert done.returncode == 1
    assert "has no folder en/en_GB" in done.stderr.replace("\n", " ")
    assert store.state(f"hf:{REPO}/en/en_GB/").status == "missing"


def test_two_files_of_a_repository(hub: Hub, store: ModelStore) -> None:
    hub.files = dict(KOKORO)
    hub.cut = {"kokoro-v1.0.onnx": 30_000}
    names = [f"hf:{REPO}/{file}" for file in KOKORO]
    done = antiphon(hub, store, "pull", *names)
    assert done.returncode == 0, done.stderr
    assert [store.path(name).read_bytes() for name in names] == list(KOKORO.values())


def test_a_file_of_a_directory_that_is_not_what_the_hub_says(hub: Hub, store: ModelStore) -> None:
    hub.files = dict(SHERPA)
    hub.etags = {"joiner.onnx": hub.etag("joiner.onnx")}
    hub.files["joiner.onnx"] = noise(30, 50_000)
    done = antiphon(hub, store, "pull", f"hf:{REPO}")
    assert done.returncode == 1
    assert "wrong checksum" in done.stderr
    assert store.state(f"hf:{REPO}").status == "missing"


def test_damage_in_a_directory_is_found_and_mended(hub: Hub, store: ModelStore) -> None:
    hub.files = dict(SHERPA)
    name = f"hf:{REPO}"
    assert antiphon(hub, store, "pull", name).returncode == 0
    (store.path(name) / "tokens.txt").unlink()
    assert store.state(name).status == "damaged"
    verified = antiphon(hub, store, "verify")
    assert verified.returncode == 1
    assert "tokens.txt" in verified.stdout + verified.stderr
    assert antiphon(hub, store, "pull", name).returncode == 0
    assert contents(store.path(name)) == SHERPA
