"""A third party's engine package, installed from a folder: it appears by its entry point, and speaks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conformance.recorder import RealtimeClient
from tests.serving import ServerProcess, serving

PACKAGE = Path(__file__).parents[1] / "data" / "engine_package"
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "write-an-engine.md"


def blocks(kind: str) -> list[str]:
    """Code blocks of the tutorial."""
    return re.findall(rf"```{kind}\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which the package was installed from its folder, and nothing else."""
    directory = tmp_path_factory.mktemp("engine")
    folder = shutil.copytree(PACKAGE, directory / "folder")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(directory / "site"), str(folder)], check=True, capture_output=True)
    return directory / "site"


def antiphon(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(site), "ANTIPHON_CONFIG": "", "PATH": "", "ANTIPHON_ENGINES__PRESET": "stand-in"}
    command = [sys.executable, "-m", "antiphon", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (example,) = blocks("yaml")
    file = tmp_path / "antiphon.yaml"
    file.write_text(example)
    return file


@pytest.fixture
def server(site: Path, file: Path) -> Iterator[ServerProcess]:
    with serving(arguments=["--config", str(file)], environment={"PYTHONPATH": str(site)}) as server:
        yield server


async def test_it_speaks(server: ServerProcess) -> None:
    async with RealtimeClient(f"{server.ws_url}?model=bird") as client:
        created = (await client.expect("session.created"))["session"]
        assert created["audio"]["output"]["voice"] == "robin"
        await client.send({"type": "response.create"})
        response = (await client.expect("response.done"))["response"]
        assert response["status"] == "completed"
    speech = client.recording.speech(response["id"]).astype(np.float64)
    words = response["output"][0]["content"][0]["transcript"].split()
    assert len(speech) == pytest.approx(len(words) * 0.2 * 24_000, rel=0.02)
    first = speech[: 24_000 // 5]  # "Hello," whistled at 880 + 6 * 40 Hz
    assert np.argmax(np.abs(np.fft.rfft(first))) * 5 == pytest.approx(880 + 6 * 40, abs=20)


def test_its_options_are_checked_before_it_is_loaded(site: Path, file: Path) -> None:
    assert antiphon(site, "config", "check", "--config", str(file)).returncode == 0
    shown = antiphon(site, "config", "show", "--config", str(file)).stdout
    assert f"pitch_hz: 880.0  # {file}:3:28" in shown
    (mistake,) = blocks("console")
    file.write_text(file.read_text().replace("pitch_hz", "pich_hz"))
    wrong = antiphon(site, "config", "check", "--config", str(file))
    assert wrong.returncode == 1
    assert wrong.stderr.replace(f"{file.parent}/", "").strip() == mistake.partition("\n")[2].strip()


def test_without_the_package_it_is_not_there(tmp_path: Path, file: Path) -> None:
    told = antiphon(tmp_path, "config", "check", "--config", str(file))
    assert told.returncode == 1
    assert "there is no engine 'whistle'" in told.stderr


def test_the_tutorial_shows_the_package_as_it_is() -> None:
    assert blocks("toml") == [(PACKAGE / "pyproject.toml").read_text(encoding="utf-8")]
    assert blocks("python") == [(PACKAGE / "antiphon_whistle.py").read_text(encoding="utf-8")]


def test_an_engine_takes_thirty_lines() -> None:
    source = (PACKAGE / "antiphon_whistle.py").read_text(encoding="utf-8")
    code = [line for line in source.splitlines() if line.strip() and not line.startswith(('"""', "import", "from"))]
    assert len(code) <= 30
