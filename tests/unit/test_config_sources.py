"""Where settings come from, which source wins, and what `antiphon config show` tells of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.config import LimitSettings, Settings, load_configuration
from antiphon.config.layers import find_file, merged
from antiphon.config.show import MASK, show
from antiphon.config.tree import all_settings, secret_paths
from antiphon.session.limits import SessionLimits
from tests.unit.config_files import forget_settings, loaded


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)
    monkeypatch.setenv("ANTIPHON_ENGINES__PRESET", "stand-in")


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_PORT", "2")
    monkeypatch.setenv("ANTIPHON_LOG__LEVEL", "error")
    text = "port: 1\nmax_sessions: 4\nlog: {level: debug, format: json}\ndrain_s: 1\n"
    found = loaded(tmp_path, text, {"--port": (("port",), 3), "--log-level": (("log", "level"), "warning")})
    assert (found.settings.port, found.settings.max_sessions) == (3, 4)
    assert (found.settings.log.level, found.settings.log.format) == ("warning", "json")
    without = loaded(tmp_path, text)
    assert (without.settings.port, without.settings.log.level) == (2, "error")
    file = tmp_path / "antiphon.yaml"
    for path, origin in (
        (("port",), "--port"),
        (("max_sessions",), f"{file}:2:1"),
        (("log", "level"), "--log-level"),
        (("log", "format"), f"{file}:3:21"),
        (("host",), "default"),
    ):
        assert found.origin(path) == origin
    assert without.origin(("port",)) == "ANTIPHON_PORT"
    assert without.origin(("log", "level")) == "ANTIPHON_LOG__LEVEL"


def test_the_environment_goes_into_pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_PIPELINES__A__LLM__WORDS", "3")
    monkeypatch.setenv("ANTIPHON_PIPELINES__A__MAX_SESSIONS", "2")
    found = loaded(tmp_path, "pipelines: {a: {llm: {engine: stand-in-llm, reply: Yes.}}}")
    assert found.settings.pipelines["a"].max_sessions == 2
    (llm,) = found.settings.pipelines["a"].llm or ()
    assert llm.options == {"reply": "Yes.", "words": 3}


def test_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert find_file(None) is None
    monkeypatch.delenv("ANTIPHON_CONFIG")
    assert find_file(None) is None
    users = tmp_path / "config" / "antiphon" / "antiphon.yaml"
    users.parent.mkdir(parents=True)
    users.write_text("port: 1\n")
    assert find_file(None) == users
    Path("antiphon.yaml").write_text("port: 2\n")
    assert find_file(None) == Path("antiphon.yaml")
    monkeypatch.setenv("ANTIPHON_CONFIG", "other.yaml")
    assert find_file(None) == Path("other.yaml")
    assert find_file(users) == users
    assert load_configuration(users).settings.port == 1


def test_keys_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "sk-one")
    (tmp_path / "key").write_text("sk-two\n")
    found = loaded(tmp_path, f"api_keys: [{{env: FIRST}}, {{file: {tmp_path / 'key'}}}]")
    assert found.settings.keys() == ["sk-one", "sk-two"]


SHOWN = """\
api_keys: [{env: FIRST}]
webrtc: {turn_password: {env: FIRST}}
pipelines:
  a:
    llm: {words: 3}
    tts: [{engine: openai-speech, model: x, voices: [b], api_key: {env: FIRST}}, stand-in-tts]
    limits: {max_items: 5}
    turn: off
"""


def test_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "sk-very-secret")
    monkeypatch.setenv("ANTIPHON_LIMITS__MAX_RESPONSES", "3")
    told = show(loaded(tmp_path, SHOWN, {"--port": (("port",), 9000)}))
    assert "sk-very-secret" not in told
    file = tmp_path / "antiphon.yaml"
    lines = {line.strip() for line in told.splitlines()}
    for line in (
        "port: 9000  # --port",
        f"api_keys: ['{MASK}']  # {file}:1:1",
        f"turn_password: '{MASK}'  # {file}:2:10",
        "default_pipeline: a  # default",
        "- engine: stand-in-llm  # ANTIPHON_ENGINES__PRESET",
        f"words: 3  # {file}:5:11",
        "token_ms: 0.0  # default",
        f"- engine: openai-speech  # {file}:6:11",
        f"- engine: stand-in-tts  # {file}:6:82",
        f"max_items: 5  # {file}:7:14",
        "max_responses: 3  # ANTIPHON_LIMITS__MAX_RESPONSES",
    ):
        assert line in lines, told
    data = yaml.safe_load(told)
    assert "turn" not in data["pipelines"]["a"]
    assert data["pipelines"]["a"]["limits"]["max_responses"] == 3


def test_an_upstream_is_shown_without_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST", "sk-very-secret")
    upstream = "{base_url: http://x/v1, api_key: {env: FIRST}, headers: {X-Tenant: t, X-Token: sk-very-secret}}"
    told = show(loaded(tmp_path, f"pipelines: {{a: {{upstream: {upstream}}}}}"))
    assert "sk-very-secret" not in told
    (shown,) = yaml.safe_load(told)["pipelines"].values()
    assert shown["upstream"]["api_key"] == {"env": "FIRST"}
    assert shown["upstream"]["headers"] == {"X-Tenant": "t", "X-Token": MASK}
    assert (shown["instructions"], "llm" in shown) == (None, False)


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("port: 1\n")
    shown = CliRunner().invoke(app, ["config", "show", "--config", str(file)])
    assert shown.exit_code == 0
    assert f"port: 1  # {file}:1:1" in shown.stdout
    file.write_text("prt: 1\n")
    refused = CliRunner().invoke(app, ["config", "show", "--config", str(file)])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "did you mean 'port'?" in refused.stderr


def test_the_tree_tells_of_every_setting() -> None:
    assert all(one.description for one in all_settings() if one.path[-1] != "type")
    assert secret_paths() == [("api_keys",), ("webrtc", "turn_password")]


def test_limits_are_those_of_sessions() -> None:
    assert LimitSettings().session_limits() == SessionLimits()
    assert LimitSettings(max_items=2).over(SessionLimits(max_turn_s=9)) == SessionLimits(max_items=2, max_turn_s=9)
    assert {*LimitSettings.model_fields} == {*SessionLimits.__dataclass_fields__}


KEYS = st.sampled_from("abc")
TREES = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8).filter(
    lambda tree: isinstance(tree, dict)
)


@given(TREES, TREES)
def test_merging(under: dict[str, object], over: dict[str, object]) -> None:
    both = merged(under, over)
    assert set(both) == set(under) | set(over)
    assert merged(both, over) == both
    assert merged({}, over) == over
    assert merged(under, {}) == under


@given(
    port=st.integers(0, 65535),
    level=st.sampled_from(["debug", "info", "warning", "error"]),
    instructions=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=40),
    items=st.integers(1, 10**6),
)
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, port: int, level: str, instructions: str, items: int
) -> None:
    given_settings: dict[str, Any] = {
        **{"port": port, "log": {"level": level}, "instructions": instructions},
        "limits": {"max_items": items},
    }
    settings = loaded(tmp_path_factory.getbasetemp(), json.dumps(given_settings, ensure_ascii=False)).settings
    assert settings.model_dump() == Settings(**given_settings).model_dump()
