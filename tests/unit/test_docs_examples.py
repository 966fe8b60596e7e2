"""Every example of the documentation is checked: each block of code by its language, and each command in the text.

A block in a language that nothing here knows fails, unless it is named with the test that runs it.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from antiphon.cli import app
from antiphon.config import ConfigError, load_configuration
from antiphon.config.engine_checks import ROLE_CLASSES
from antiphon.config.tree import all_settings
from tests.unit.config_files import forget_settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\S*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(page, language, text, id=f"{page.stem}-{language}-{number}")
    for page in PAGES
    for number, (language, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1)
]

ELSEWHERE = {
    ("https-behind-nginx-or-caddy", "nginx"): "e2e/test_howto_proxies.py",
    ("https-behind-nginx-or-caddy", "caddyfile"): "e2e/test_howto_proxies.py",
    ("talk-from-a-web-page", "html"): "browser/test_howto_page.py",
    ("turn-servers-and-nat", "conf"): "e2e/test_webrtc_network.py",
}
"""Blocks that only a test with the program in question can check."""

NO_SETTINGS = {
    "ANTIPHON_HOME": "where models are",
    "ANTIPHON_CONFIG": "which file",
    "ANTIPHON_KEY": "of the page that is not ours",
}

OTHER_PROGRAMS = ("hf", "ufw", "uvicorn")
"""What commands of others begin with; they cannot be checked without them."""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)


def commands() -> dict[str, Any]:
    """Return every command by its words, the first one being "antiphon"."""
    found: dict[str, Any] = {}

    def add(words: str, command: Any) -> None:
        found[words] = command
        for name, inner in getattr(command, "commands", {}).items():
            add(f"{words} {name}", inner)

    add("antiphon", typer.main.get_command(app))
    return found


COMMANDS = commands()


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """Return the longest command that `words` begin with, and the rest."""
    length = max(count for count in range(1, len(words) + 1) if " ".join(words[:count]) in COMMANDS)
    return " ".join(words[:length]), words[length:]


def check_antiphon(words: list[str]) -> None:
    """Parse the arguments of a command as it does itself, and go no further."""
    name, arguments = command_of(words)
    command = COMMANDS[name]
    assert not getattr(command, "commands", {}) or getattr(command, "invoke_without_command", False), (
        f"{name} is no whole command"
    )
    try:
        with command.make_context(name, arguments):
            pass
    except Exception as error:  # of the click in typer, which has no public name
        raise AssertionError(f"{' '.join(words)}: {error}") from error


# --- languages -------------------------------------------------------------------------------------------------------


def environment_of(data: Any) -> Iterator[str]:
    """Tell of the variables that hold the secrets of a configuration."""
    if isinstance(data, dict):
        if isinstance(data.get("env"), str):
            yield data["env"]
        for value in data.values():
            yield from environment_of(value)
    elif isinstance(data, list):
        for value in data:
            yield from environment_of(value)


def check_yaml(page: Path, text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment_of(yaml.safe_load(text)):
        monkeypatch.setenv(name, "sk-test")
    (directory / "secret").write_text("sk-test\n")
    file = directory / "antiphon.yaml"
    file.write_text(re.sub(r"\{file: [^}]+\}", f"{{file: {directory / 'secret'}}}", text))
    try:
        load_configuration(file)
    except ConfigError as error:
        # The tutorial's engine is a package that tests/e2e/test_engine_package.py installs; others need an extra, or
        # a model of the reader's.
        absent = ("cannot be imported", "no such file or directory")
        wrong = [one for one in error.problems if not any(words in one.message for words in absent)]
        assert page.stem == "write-an-engine" or not wrong, wrong


def check_shell(page: Path, text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        words = words[1:] if words[:1] == ["export"] else words
        words = words[: words.index(">")] if ">" in words else words
        while words and (assignment := re.fullmatch(r"(\w+)=(.*)", words[0])):
            settings[assignment[1]] = assignment[2]
            words = words[1:]
        match words:
            case []:
                continue
            case ["antiphon", *_]:
                check_antiphon(words)
            case ["make", *targets]:
                makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
                assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), line
            case ["pip", "install", *what]:
                check_installed(what)
            case [program, *_]:
                assert program in OTHER_PROGRAMS, f"{page.name}: nothing checks: {line}"
    for name, value in settings.items():
        if name.startswith("ANTIPHON_") and name not in NO_SETTINGS:
            monkeypatch.setenv(name, str(directory / "keys") if value.startswith("/etc/") else value)
    (directory / "keys").write_text("sk-test\n")
    load_configuration()


def check_installed(what: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in what:
        if extra := re.fullmatch(r"antiphon\[(.+)\]", name):
            assert set(extra[1].split(",")) <= set(extras), name


def check_console(page: Path, text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
    assert typed, "a console begins with what is typed, after $"
    check_shell(page, "\n".join(typed), directory, monkeypatch)


def check_python(page: Path, text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del directory, monkeypatch
    compile(ast.parse(text), page.name, "exec")


def check_js(page: Path, text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del page, monkeypatch
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    (directory / "example.mjs").write_text(text, encoding="utf-8")
    subprocess.run([node, "--check", "example.mjs"], cwd=directory, check=True, timeout=60)


def check_json(page: Path, text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del page, directory, monkeypatch
    json.loads(text)


def check_toml(page: Path, text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del page, directory, monkeypatch
    tomllib.loads(text)


Check = Callable[[Path, str, Path, pytest.MonkeyPatch], None]

CHECKS: dict[str, Check] = {
    "yaml": check_yaml,
    "sh": check_shell,
    "console": check_console,
    "python": check_python,
    "js": check_js,
    "json": check_json,
    "toml": check_toml,
    "text": lambda page, text, directory, monkeypatch: None,  # pictures
}


@pytest.mark.parametrize(("page", "language", "text"), BLOCKS)
def test_every_block(page: Path, language: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = ELSEWHERE.get((page.stem, language))
    if elsewhere is not None:
        test = (ROOT / "tests" / elsewhere).read_text(encoding="utf-8")
        assert page.stem in test
        assert f'"{language}")' in test
        return
    assert language in CHECKS, f"{page.name} has a block in {language or 'no language'!r}, which nothing checks"
    CHECKS[language](page, text, tmp_path, monkeypatch)


# --- the text --------------------------------------------------------------------------------------------------------

COMMAND = re.compile(r"`(?:\$ )?((?:[A-Z_]+=\S+ )*antiphon(?: [^`]*)?)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_options_in_the_text_exist(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for told in COMMAND.findall(text):
        words = [word.strip("[].,") for word in told.split() if not re.match(r"\w+=", word)]
        name, rest = command_of(words)
        inner = getattr(COMMANDS[name], "commands", {})
        assert not inner or not rest or not rest[0].isalpha(), f"{told}: {name} has no command {rest[:1]}"
        options = {option for parameter in COMMANDS[name].params for option in (*parameter.opts, "--help")}
        for word in rest:
            if word.startswith("-"):
                assert word.partition("=")[0] in options, f"{told}: {name} has no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_variables_in_the_text_exist(page: Path) -> None:
    known = {"ANTIPHON_" + "__".join(setting.path).upper() for setting in all_settings()}
    engines = tuple(f"ANTIPHON_ENGINES__{role.upper()}__" for role in ROLE_CLASSES)
    for name in re.findall(r"\bANTIPHON_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8")):
        assert name in known or name in NO_SETTINGS or name.startswith(engines), name


# --- what would be found ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "antiphon sreve",
        "antiphon serve --prot 1",
        "antiphon config",
        "antiphon models path",
        "ANTIPHON_PROT=1 antiphon serve",
        "ANTIPHON_PORT=http antiphon serve",
        "make nonsense",
        "pip install 'antiphon[nonsense]'",
        "some-program",
    ],
)
def test_wrong_commands_are_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, ConfigError)):
        check_shell(Path("page.md"), line, tmp_path, monkeypatch)


@pytest.mark.parametrize("text", ["See `antiphon modles list`.", "Say `antiphon serve --prot 1`."])
def test_wrong_commands_in_the_text_are_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(AssertionError, match="has no"):
        test_commands_and_options_in_the_text_exist(tmp_path / "page.md")
