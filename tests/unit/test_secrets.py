"""Secrets by reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from antiphon.engines.base import EngineError
from antiphon.engines.openai.chat import OpenAIChatOptions
from antiphon.engines.options import read_options
from antiphon.engines.secrets import Secret


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", " sk-123\n")
    secret = Secret.model_validate({"env": "A_KEY"})
    assert secret.read() == "sk-123"
    assert str(secret) == "the environment variable A_KEY"
    assert "sk-123" not in repr(secret)


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-456\n")
    secret = Secret.model_validate({"file": str(path)})
    assert secret.read() == "sk-456"
    assert str(path) in str(secret)


@pytest.mark.parametrize("content", ["", "  \n", "two words", "schlüssel", "a\nb", "a\x00b"])
def test_what_is_no_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EngineError) as error:
        Secret(file=path).read()
    assert error.value.code == "invalid_option"
    assert content.strip() == "" or content not in error.value.message


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(EngineError, match="NO_SUCH_KEY is not set"):
        Secret(env="NO_SUCH_KEY").read()
    with pytest.raises(EngineError, match="cannot be read"):
        Secret(file=tmp_path / "none").read()
    with pytest.raises(EngineError, match="cannot be read"):
        Secret(file=tmp_path).read()


@pytest.mark.parametrize("value", ["sk-very-secret", {}, {"env": "A", "file": "b"}, {"value": "sk-very-secret"}, 5])
def test_what_is_no_reference_is_refused_and_not_repeated(value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Secret.model_validate(value)
    assert "sk-very-secret" not in str(refused.value)
    with pytest.raises(EngineError) as error:
        read_options("openai-chat", OpenAIChatOptions, {"model": "m", "api_key": value})
    assert error.value.code == "invalid_option"
    assert "api_key" in error.value.message
    assert "sk-very-secret" not in error.value.message
