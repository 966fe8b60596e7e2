"""The reference lists every setting as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.config import EngineChoice
from antiphon.config.engine_checks import ROLE_CLASSES
from antiphon.config.tree import Setting, all_settings
from tests.unit.config_files import forget_settings

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = DOCS / "reference" / "configuration.md"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)


def shown(default: Any) -> str:
    if default in (None, (), {}):
        return "none"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def table(settings: list[Setting]) -> str:
    """Return the table of some settings as it stands in the reference."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for setting in settings:
        name = ".".join("<name>" if part == "*" else part for part in setting.path)
        default = "" if setting.group else shown(setting.default)
        if len(default) > 60:
            default = "a friendly assistant"
        rows.append(f"| `{name}` | {default} | {setting.description.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def tables() -> Iterator[str]:
    """Return all tables: the top level and one for each group; engines are one table."""
    everything = [one for one in all_settings() if one.path[-1] != "type"]
    yield table([one for one in everything if len(one.path) == 1])
    yield table([one for one in everything if one.path[:1] == ("engines",) and len(one.path) == 2])
    pipeline = [one for one in everything if one.path[:2] == ("pipelines", "*")]
    yield table([one for one in pipeline if len(one.path) == 3])
    detection = [one for one in pipeline if one.path[2] == "turn_detection" and len(one.path) == 4]
    yield table(list({one.path: one for one in detection}.values()))
    upstream = [one for one in pipeline if one.path[2] == "upstream"]
    yield table([one for one in upstream if len(one.path) > 3])
    for group in ("limits", "log", "webrtc"):
        yield table([one for one in everything if one.path[0] == group and len(one.path) == 2])


def test_every_setting_is_listed_as_it_is() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    for expected in tables():
        assert expected in text, f"put this table into {REFERENCE.name}:\n{expected}"


def test_what_engines_have_in_common_is_told() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    for name, field in EngineChoice.model_fields.items():
        assert f"| `{'engine' if name == 'name' else name}` |" in text
        assert " ".join((field.description or "").split()) in text
    for role in ROLE_CLASSES:
        assert f"`{role}`" in text
