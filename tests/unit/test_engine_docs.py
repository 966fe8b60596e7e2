"""The pages of the remote engines list every option with its default, and their examples are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from antiphon.engines.base import Engine
from antiphon.engines.options import read_options
from antiphon.engines.registry import find_engine

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "engines"
REMOTE = ["openai-chat", "openai-transcription", "openai-speech", "elevenlabs", "openai-audio-chat"]


def options_type(name: str) -> type[BaseModel]:
    kind: type[BaseModel] = getattr(find_engine(name, Engine), "options_type")  # noqa: B009 - not of every engine
    return kind


def documented(page: str) -> dict[str, str]:
    table = page.partition("## Options")[2].partition("\n\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))


def shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "must be set"
    return "none" if default is None else f"`{default if isinstance(default, str) else json.dumps(default)}`"


@pytest.mark.parametrize("name", REMOTE)
def test_every_option_is_listed_with_its_default(name: str) -> None:
    fields = options_type(name).model_fields
    expected = {option: shown(field.get_default(call_default_factory=True)) for option, field in fields.items()}
    assert documented((PAGES / f"{name}.md").read_text(encoding="utf-8")) == expected


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
