"""The file of `antiphon init` and the JSON Schema: they say what the settings are, and hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.config import ConfigError, Settings, load_configuration
from antiphon.config.document import parse_document
from antiphon.config.pipelines import ROLES
from antiphon.config.schema import config_schema
from antiphon.config.template import SCHEMA_FILE, template
from antiphon.config.tree import all_settings
from tests.unit.config_files import forget_settings

PROSE = re.compile(r"# \S")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name in ("MY_API_KEY", "TURN_PASSWORD", "ELEVENLABS_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "sk-test")
    (tmp_path / "keys.txt").write_text("sk-other\n")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def uncommented(text: str) -> str:
    return "\n".join(
        line.removeprefix("#") for line in text.splitlines() if line.startswith("#") and not PROSE.match(line)
    )


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Prose and setting of each block between empty lines."""
    for block in text.split("\n\n")[1:]:
        lines = block.splitlines()
        yield "\n".join(line for line in lines if PROSE.match(line)), uncommented(block)


def leaves(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(data, dict) and set(data) != {"env"}:
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, data


def read(text: str) -> dict[str, Any]:
    return parse_document(text.encode(), Path("a.yaml")).data


def test_as_it_is_it_changes_nothing() -> None:
    written = CliRunner().invoke(app, ["init"])
    assert written.exit_code == 0
    assert Path("antiphon.yaml").read_text() == template()
    assert load_configuration(Path("antiphon.yaml")).settings.model_dump() == Settings().model_dump()


def test_everything_uncommented_is_right() -> None:
    Path("a.yaml").write_text(uncommented(template()))
    settings = load_configuration(Path("a.yaml")).settings
    assert list(settings.pipelines) == ["assistant", "audio", "relayed"]
    assert settings.keys() == ["sk-test", "sk-other"]


@pytest.mark.parametrize(("prose", "text"), list(blocks(template())), ids=lambda text: str(text)[:20].strip("# "))
def test_each_block_alone_is_right(prose: str, text: str, validator: jsonschema.Draft202012Validator) -> None:
    assert prose
    data = read(text)
    validator.validate(data)
    Path("a.yaml").write_text(text)
    try:
        load_configuration(Path("a.yaml"))
    except ConfigError as error:
        assert list(data) == ["default_pipeline"]  # which needs the pipelines
        assert len(error.problems) == 1


def settings_one_by_one(text: str) -> Iterator[str]:
    """Return each setting of a file with what is in it and the groups that it is in, and nothing else."""
    lines = [line for line in text.splitlines() if line.strip()]
    depths = [len(line) - len(line.lstrip()) for line in lines]
    for index, depth in enumerate(depths):
        if lines[index].lstrip().startswith("-"):
            continue  # of the setting that the list is
        groups: list[str] = []
        outer = depth
        for above in range(index - 1, -1, -1):
            if depths[above] < outer:
                outer = depths[above]
                groups.insert(0, lines[above])
        end = next((below for below in range(index + 1, len(lines)) if depths[below] <= depth), len(lines))
        yield "\n".join([*groups, *lines[index:end]])


ONE_BY_ONE = list(settings_one_by_one(uncommented(template())))


@pytest.mark.parametrize("text", ONE_BY_ONE, ids=lambda text: str(text).splitlines()[-1].strip()[:30])
def test_each_setting_alone_is_right(text: str, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(read(text))
    Path("a.yaml").write_text(text)
    checked = CliRunner().invoke(app, ["config", "check", "--config", "a.yaml"])
    if text.startswith("default_pipeline"):
        assert "assistant" in checked.stderr  # which is not there
    else:
        assert checked.exit_code == 0, checked.stderr
        assert "nothing is wrong" in checked.stdout


def test_each_line_is_prose_or_a_setting() -> None:
    lines = [line for line in template().splitlines() if line]
    settings = [line for line in lines if not PROSE.match(line)]
    assert all(line.startswith("#") for line in lines)
    listed = [line for line in uncommented(template()).splitlines() if line.strip().startswith("-")]
    assert len(settings) == len(ONE_BY_ONE) + len(listed)


def test_every_setting_is_there_with_its_default_and_what_it_means() -> None:
    data = read(uncommented(template()))
    prose = " ".join(line.removeprefix("# ") for line in template().splitlines() if PROSE.match(line))
    values = dict(leaves(data))
    for setting in all_settings():
        if setting.path[0] == "engines" or "*" in setting.path:
            continue
        assert setting.description in prose, setting.path
        if setting.group:
            assert setting.path[0] in data
        elif setting.default in (None, ()):
            assert values[setting.path] is not None
        else:
            assert values[setting.path] == setting.default
    pipelines = [one for one in all_settings() if one.path[:2] == ("pipelines", "*") and len(one.path) == 3]
    for setting in pipelines:
        if setting.path[2] not in ROLES:
            assert setting.description in prose, setting.path
            assert setting.path[2] in data["pipelines"]["relayed" if setting.path[2] == "upstream" else "assistant"]


def test_it_says_only_what_is_true_of_precedence_secrets_and_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    head = template().split("\n\n", maxsplit=1)[0]
    assert f"$schema=./{SCHEMA_FILE}" in head
    for command in re.findall(r"`antiphon ([a-z ]+?)(?: >[^`]*)?`", head):
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0, command
    Path("a.yaml").write_text("log: {level: debug}\n")
    monkeypatch.setenv("ANTIPHON_LOG__LEVEL", "error")
    assert load_configuration(Path("a.yaml")).settings.log.level == "error"
    Path("a.yaml").write_text("webrtc: {turn_password: hunter2}\n")
    with pytest.raises(ConfigError, match="secrets are not written"):
        load_configuration(Path("a.yaml"))


def test_no_file_is_overwritten_unasked() -> None:
    Path("mine.yaml").write_text("port: 1\n")
    refused = CliRunner().invoke(app, ["init", "mine.yaml"])
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert Path("mine.yaml").read_text() == "port: 1\n"
    assert CliRunner().invoke(app, ["init", "mine.yaml", "--force"]).exit_code == 0
    assert Path("mine.yaml").read_text() == template()
    lost = CliRunner().invoke(app, ["init", "no/such/directory/a.yaml"])
    assert lost.exit_code == 1
    assert "No such file or directory" in lost.stderr


# --- the schema ------------------------------------------------------------------------------------------------------


def test_the_schema_command() -> None:
    told = CliRunner().invoke(app, ["config", "schema"])
    assert json.loads(told.stdout) == config_schema()


def test_the_schema_takes_the_init_file(validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(read(template()))
    validator.validate(read(uncommented(template())))


@pytest.mark.parametrize(
    "text",
    [
        "prt: 1",
        "port: 99999",
        "log: {level: loud}",
        "api_keys: [sk-secret]",
        "webrtc: {turn_password: hunter2}",
        "pipelines: {a: {vioce: b}}",
        "pipelines: {a: {tts: no-such-engine}}",
        "pipelines: {a: {tts: stand-in-llm}}",
        "pipelines: {a: {vad: off}}",
        "pipelines: {a: {vad: [silero, silero]}}",
        "pipelines: {a: {llm: {engine: openai-chat, modle: x}}}",
        "pipelines: {a: {llm: {engine: openai-chat, model: x, temperature: hot}}}",
        "pipelines: {a: {turn_detection: {type: semantic}}}",
        "pipelines: {a: {drafts: some}}",
        "pipelines: {a: {limits: {max_item: 5}}}",
        "pipelines: {a: {upstream: {base_url: http://x, modle: y}}}",
        "pipelines: {a: {upstream: {base_url: http://x, api_key: sk-secret}}}",
    ],
)
def test_the_schema_refuses_what_is_wrong(text: str, validator: jsonschema.Draft202012Validator) -> None:
    assert not validator.is_valid(read(text))


@pytest.mark.parametrize(
    "text",
    [
        "pipelines: {a: {llm: {words: 3}, turn: off, transcription: off, speech: openai-audio-chat}}",
        "pipelines: {a: {llm: [stand-in-llm, {engine: stand-in-llm, options: {words: 3}, cores: 1}]}}",
        "pipelines: {a: {turn_detection: off}}",
        "pipelines: {a: {upstream: {base_url: http://x, recording: {directory: there}}}}",
        "engines: {preset: stand-in, llm: stand-in-llm}",
        "api_keys: [{file: key}]",
    ],
)
def test_the_schema_takes_what_is_right(text: str, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(read(text))
