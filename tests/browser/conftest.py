"""Chromium, with recordings as its microphone."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

from tests.conformance.clients.environments import install_node

ARTEFACTS = Path(__file__).parent / "artefacts"
"""Screenshots and the like of the last run; not under version control."""

PROGRAMS = Path(__file__).parent / "js"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; without it the tests are skipped."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    missing = "Chromium is not installed (apt-get install chromium): the playground is NOT tested in a browser"
    warnings.warn(missing, stacklevel=1)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The folder for screenshots."""
    ARTEFACTS.mkdir(exist_ok=True)
    return ARTEFACTS


@pytest.fixture(scope="session")
def client_packages(request: pytest.FixtureRequest) -> Path:
    """The folder of the packages of js/package.json; without Node, tests of them are skipped."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        missing = "Node.js and npm are not installed: clients from npm are NOT tested in the browser"
        warnings.warn(missing, stacklevel=1)
        pytest.skip(missing)
    cache: pytest.Cache = request.config.cache
    return install_node(cache.mkdir("browser-clients"), npm, PROGRAMS)
