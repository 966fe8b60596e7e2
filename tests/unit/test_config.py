"""Settings: where they come from and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from antiphon.config import ConfigError, Settings, is_loopback, load_configuration


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("ANTIPHON_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANTIPHON_CONFIG", "")


def test_defaults_serve_this_machine_only() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.engines.preset) == ("127.0.0.1", 8080, "embedded")
    assert settings.keys() == []


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_API_KEYS", "one, two,,")
    monkeypatch.setenv("ANTIPHON_LOG__LEVEL", "debug")
    monkeypatch.setenv("ANTIPHON_LIMITS__MAX_ITEMS", "7")
    monkeypatch.setenv("ANTIPHON_ENGINES__LLM__OPTIONS__MODEL", "hf:owner/repo/file.gguf")
    monkeypatch.setenv("ANTIPHON_ENGINES__TRANSCRIPTION__CORES", "3")
    monkeypatch.setenv("ANTIPHON_ALLOWED_ORIGINS", "https://App.example.com,http://other.example:3000")
    settings = Settings()
    assert settings.keys() == ["one", "two"]
    assert settings.log.level == "debug"
    assert settings.limits.max_items == 7
    assert settings.engines.llm is not None
    assert settings.engines.llm.options == {"model": "hf:owner/repo/file.gguf"}
    assert settings.engines.transcription is not None
    assert settings.engines.transcription.cores == 3
    assert settings.allowed_origins == ("https://app.example.com", "http://other.example:3000")


def test_keys_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# the phone bridge\nalpha\n\n  beta  \n")
    assert Settings(api_keys=("gamma",), api_keys_file=file).keys() == ["gamma", "alpha", "beta"]


def test_a_keys_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be read"):
        Settings(api_keys_file=tmp_path / "absent")


def test_keys_do_not_show() -> None:
    settings = Settings(api_keys=("very-secret",))
    assert "very-secret" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "voice.example.com"])
def test_listening_beyond_this_machine_needs_a_key_or_a_word(host: str) -> None:
    with pytest.raises(ValidationError, match="--allow-anonymous"):
        Settings(host=host)
    assert Settings(host=host, api_keys=("k",)).host == host
    assert Settings(host=host, allow_anonymous=True).host == host


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("app.localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_mistakes_are_explained_by_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_PORT", "99999")
    monkeypatch.setenv("ANTIPHON_LOG__LEVEL", "loud")
    monkeypatch.setenv("ANTIPHON_ALLOWED_ORIGINS", "example.com")
    with pytest.raises(ConfigError) as caught:
        load_configuration()
    told = str(caught.value)
    assert "ANTIPHON_PORT: " in told
    assert "ANTIPHON_LOG__LEVEL: " in told
    assert "ANTIPHON_ALLOWED_ORIGINS: 'example.com' is not an origin" in told
    assert len(told.splitlines()) == 3
