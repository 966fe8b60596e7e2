"""References to the Hugging Face Hub, with its real client against a small hub on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from antiphon.models import ModelError, ModelStore
from tests.unit.models_sources import COMMIT, REPO, Hub, noise, serving

WEIGHTS = noise(1, 300_000)
FILES = {"config.json": b'{"a": 1}', "weights.gguf": WEIGHTS, "sub/part.bin": noise(2, 5000)}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(dict(FILES))) as hub:
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home" / "models")


def antiphon(hub: Hub, store: ModelStore, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command with its models in `store` and its hub at `hub`: the client reads its settings when imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "ANTIPHON_"))}
    settings = {
        "ANTIPHON_HOME": str(store.root.parent),
        "HF_HOME": str(store.root.parent.parent / "hf"),
        "HF_ENDPOINT": hub.url,
    }
    return subprocess.run(
        [sys.executable, "-c", "from antiphon.cli import app; app()", "models", *arguments],
        env=kept | settings | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def contents(directory: Path) -> Mapping[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != ".antiphon.json"
    }


def origin(directory: Path) -> object:
    return json.loads((directory / ".antiphon.json").read_text())["origin"]


def cached_blob(store: ModelStore, content: bytes) -> Path:
    name = f"models--{REPO.replace('/', '--')}"
    return store.root.parent.parent / "hf" / "hub" / name / "blobs" / hashlib.sha256(content).hexdigest()


def test_one_file(hub: Hub, store: ModelStore) -> None:
    name = f"hf:{REPO}/weights.gguf"
    done = antiphon(hub, store, "pull", name)
    assert done.returncode == 0, done.stderr
    path = store.path(name)
    assert path.name == "weights.gguf"
    assert path.read_bytes() == WEIGHTS
    assert origin(path.parent) == f"hf:{REPO}@{COMMIT}"
    assert path.parent.parent == store.root
    assert [state.model.name for state in store.states() if state.status == "present"] == [name]

    # What is here needs no hub.
    hub.requests.clear()
    assert antiphon(hub, store, "pull", name).returncode == 0
    assert antiphon(hub, store, "path", name).stdout == f"{path}\n"
    assert hub.requests == []


def test_a_file_in_a_folder_of_a_revision(hub: Hub, store: ModelStore) -> None:
    name = f"hf:{REPO}@v1.0/sub/part.bin"
    done = antiphon(hub, store, "pull", name)
    assert done.returncode == 0, done.stderr
    assert store.path(name).read_bytes() == FILES["sub/part.bin"]
    assert any("/resolve/v1.0/sub/part.bin" in request for request in hub.requests)


def test_a_whole_repository(hub: Hub, store: ModelStore) -> None:
    name = f"hf:{REPO}"
    done = antiphon(hub, store, "pull", name)
    assert done.returncode == 0, done.stderr
    assert contents(store.path(name)) == FILES
    assert origin(store.path(name)) == f"hf:{REPO}@{COMMIT}"


def test_a_broken_connection_is_resumed(hub: Hub, store: ModelStore) -> None:
    hub.cut["weights.gguf"] = 100_000
    name = f"hf:{REPO}/weights.gguf"
    done = antiphon(hub, store, "pull", name)
    assert done.returncode == 0, done.stderr
    assert store.path(name).read_bytes() == WEIGHTS
    assert sum(request.startswith("GET") and "resolve" in request for request in hub.requests) == 2


def test_damage_in_the_hubs_cache_is_mended(hub: Hub, store: ModelStore) -> None:
    name = f"hf:{REPO}/weights.gguf"
    assert antiphon(hub, store, "pull", name).returncode == 0
    with cached_blob(store, WEIGHTS).open("r+b") as blob:  # the same file as the store's, by a hard link
        blob.truncate(1000)
    with pytest.raises(ModelError, match="1,000 bytes instead of 300,000"):
        store.path(name)
    done = antiphon(hub, store, "pull", name)
    assert done.returncode == 0, done.stderr
    assert store.path(name).read_bytes() == WEIGHTS


def test_a_hub_that_gives_other_bytes_than_it_says_is_refused(hub: Hub, store: ModelStore) -> None:
    claimed = hub.etag("weights.gguf")
    hub.files["weights.gguf"] = noise(7, 300_000)
    hub.etags["weights.gguf"] = claimed
    done = antiphon(hub, store, "pull", f"hf:{REPO}/weights.gguf")
    assert done.returncode == 1
    assert "wrong checksum" in done.stderr
    assert store.state(f"hf:{REPO}/weights.gguf").status == "missing"


def test_a_hub_cannot_write_outside(hub: Hub, store: ModelStore, tmp_path: Path) -> None:
    hub.files["../../../../../escaped.bin"] = b"evil"
    done = antiphon(hub, store, "pull", f"hf:{REPO}")
    assert done.returncode == 1
    assert not list(tmp_path.parent.rglob("escaped.bin"))
    assert store.state(f"hf:{REPO}").status == "missing"


def test_offline_mode_uses_what_the_hubs_cache_has(hub: Hub, store: ModelStore) -> None:
    name = f"hf:{REPO}/weights.gguf"
    refused = antiphon(hub, store, "pull", name, HF_HUB_OFFLINE="1")
    assert refused.returncode == 1
    assert "HF_HUB_OFFLINE" in refused.stderr
    assert f"antiphon models pull {name}" in refused.stderr
    assert hub.requests == []
    assert store.state(name).status == "missing"

    assert antiphon(hub, store, "pull", name).returncode == 0
    store.path(name).unlink()
    hub.requests.clear()
    done = antiphon(hub, store, "pull", name, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert store.path(name).read_bytes() == WEIGHTS
    assert hub.requests == []


def test_what_the_hub_does_not_have_is_told(hub: Hub, store: ModelStore) -> None:
    for name, word in ((f"hf:{REPO}/no-such.gguf", "no-such.gguf"), ("hf:someone/no-such-model", "no-such-model")):
        done = antiphon(hub, store, "pull", name)
        assert done.returncode == 1
        assert word in done.stderr
        assert "404" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_lost_record_of_a_reference_is_damage(hub: Hub, store: ModelStore) -> None:
    name = f"hf:{REPO}/config.json"
    assert antiphon(hub, store, "pull", name).returncode == 0
    stamp = store.path(name).parent / ".antiphon.json"
    hostile = json.loads(stamp.read_text())
    hostile["files"][0]["name"] = "../../../../etc/passwd"
    stamp.write_text(json.dumps(hostile))
    with pytest.raises(ModelError, match="record of what was pulled"):
        store.path(name)
    assert antiphon(hub, store, "pull", name).returncode == 0
    assert store.path(name).read_bytes() == FILES["config.json"]


CATALOG_SCRIPT = """
import sys
from pathlib import Path
from antiphon.models import Model, ModelFile, ModelStore
from antiphon.models.catalog import HubSource
files = (ModelFile("weights.gguf", 300000, sys.argv[2]), ModelFile("config.json", 8, sys.argv[3]))
source = HubSource("someone/some-model", "0123456789abcdef0123456789abcdef01234567", ("weights.gguf", "config.json"))
steps = []
store = ModelStore(Path(sys.argv[1]), {"m": Model("m", files, (source,))})
store.pull(["m"], steps.append)
print(store.path("m"), max(step.done for step in steps), {step.total for step in steps if step.done})
"""


def test_a_model_of_the_catalog_with_a_hub_source(hub: Hub, tmp_path: Path) -> None:
    sums = [hashlib.sha256(FILES[name]).hexdigest() for name in ("weights.gguf", "config.json")]
    done = subprocess.run(
        [sys.executable, "-c", CATALOG_SCRIPT, str(tmp_path / "models"), *sums],
        env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'models' / 'm'} 300008 {{300008}}\n"
    assert contents(tmp_path / "models" / "m") == {name: FILES[name] for name in ("weights.gguf", "config.json")}
