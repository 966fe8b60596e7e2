"""The pages of the remote engines list every option with its default, and their examples are valid."""

from __future__ import annotations

import re

import pytest
import yaml

from antiphon.engines.options import read_options
from tests.engine_pages import PAGES, documented_options, options_in_force, options_type

REMOTE = ["openai-chat", "openai-transcription", "openai-speech", "elevenlabs", "openai-audio-chat"]


@pytest.mark.parametrize("name", REMOTE)
def test_every_option_is_listed_with_its_default(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert documented_options(page) == options_in_force(options_type(name))


@pytest.mark.parametrize("name", REMOTE)
def test_the_examples_are_valid(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert examples
    for example in examples:
        ((_, pipeline),) = yaml.safe_load(example)["pipelines"].items()
        chosen = next(iter(pipeline.values()))
        engines = [entry for entry in (chosen if isinstance(chosen, list) else [chosen]) if isinstance(entry, dict)]
        assert [entry.pop("engine") for entry in engines] == [name]
        read_options(name, options_type(name), engines[0])
