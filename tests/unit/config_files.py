"""Configuration files for tests, and an environment without settings of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from antiphon.config import ConfigError, Configuration, load_configuration
from antiphon.config.loading import Flags


def forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all settings out of the environment."""
    for name in list(os.environ):
        if name.startswith("ANTIPHON_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANTIPHON_CONFIG", "")


def loaded(directory: Path, text: str, flags: Flags | None = None) -> Configuration:
    """Return the configuration of a file with `text`."""
    file = directory / "antiphon.yaml"
    file.write_text(text)
    return load_configuration(file, flags)


def problems(directory: Path, text: str, flags: Flags | None = None) -> list[str]:
    """Return what is wrong with a file with `text`, one line each; the file is called antiphon.yaml."""
    with pytest.raises(ConfigError) as caught:
        loaded(directory, text, flags)
    return [str(problem).replace(f"{directory}{os.sep}", "") for problem in caught.value.problems]
