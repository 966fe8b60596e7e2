"""`antiphon doctor`: what it finds, and that it fails when `antiphon serve` would."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from tests.serving import free_port

Finding = dict[str, Any]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("ANTIPHON_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANTIPHON_PORT", str(free_port()))


def examine() -> tuple[int, dict[str, Finding]]:
    """Return the exit code and the findings by name."""
    told = CliRunner().invoke(app, ["doctor", "--json"])
    return told.exit_code, {check["name"]: check for check in json.loads(told.stdout)}


def test_a_sound_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTIPHON_ENGINES__PRESET", "stand-in")
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "not" / "there" / "yet"))
    code, checks = examine()
    assert code == 0
    assert {check["status"] for check in checks.values()} <= {"ok", "note"}
    assert checks["Python"]["detail"].startswith("3.")
    assert checks["cores"]["detail"].endswith("usable")
    assert checks["llm: stand-in-llm"]["status"] == "ok"
    assert "GB free" in checks["cache"]["detail"]
    assert not (tmp_path / "not").exists()


def test_models_that_are_missing_are_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path))
    _, checks = examine()
    missing = checks["silero-vad"]
    assert (missing["status"], missing["detail"]) == ("note", "not pulled yet")
    assert "antiphon models pull silero-vad" in missing["fix"]


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("ANTIPHON_HOME", str(file))
    code, checks = examine()
    assert code == 1
    assert checks["cache"]["status"] == "fail"
    assert "ANTIPHON_HOME" in checks["cache"]["fix"]


def test_a_port_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("ANTIPHON_PORT", str(port))
        code, checks = examine()
    assert code == 1
    assert checks[f"127.0.0.1:{port}"]["status"] == "fail"


def test_settings_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_DRAIN_S", "soon")
    code, checks = examine()
    assert code == 1
    assert checks["settings"]["detail"].startswith("ANTIPHON_DRAIN_S: ")


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_ENGINES__TTS__NAME", "nonsense")
    code, checks = examine()
    assert code == 1
    assert checks["settings"]["status"] == "fail"
    assert "there is no engine 'nonsense'" in checks["settings"]["detail"]


def test_the_table_says_what_to_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_ENGINES__PRESET", "stand-in")
    monkeypatch.setenv("ANTIPHON_ENGINES__TTS__NAME", "nonsense")
    told = CliRunner().invoke(app, ["doctor"])
    assert told.exit_code == 1
    assert "1 to fix" in told.stdout
