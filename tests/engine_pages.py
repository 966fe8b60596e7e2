"""What the page of an engine says of its options, and what the engine says of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from antiphon.engines.base import Engine
from antiphon.engines.registry import find_engine

PAGES = Path(__file__).parents[1] / "docs" / "reference" / "engines"


def options_type(name: str) -> type[BaseModel]:
    """Return the model of an engine's options."""
    kind: type[BaseModel] = getattr(find_engine(name, Engine), "options_type")  # noqa: B009 - not of every engine
    return kind


def documented_options(page: str) -> dict[str, str]:
    """Return the options in a page's table, each with its default as it stands there."""
    table = page.partition("## Options")[2].partition("\n\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))


def options_in_force(kind: type[BaseModel]) -> dict[str, str]:
    """Return the options of an engine, each with its default as a page has to show it."""
    return {name: _shown(field.get_default(call_default_factory=True)) for name, field in kind.model_fields.items()}


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "must be set"
    return "none" if default is None else f"`{default if isinstance(default, str) else json.dumps(default)}`"
