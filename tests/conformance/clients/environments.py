"""Environments of their own for clients that would change what the server is tested with, or that are not in Python."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).parent
PYTHON_PROGRAMS = HERE / "python"
NODE_PROGRAMS = HERE / "js"


def install_python(cache: Path) -> Path:
    """Return the interpreter of a virtual environment with the packages of python/requirements.txt."""

    def install(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(_interpreter(folder)), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        _run([*pip, "-r", str(PYTHON_PROGRAMS / "requirements.txt")])

    requirements = (PYTHON_PROGRAMS / "requirements.txt").read_bytes()
    return _interpreter(_installed(cache, "python", requirements + sys.version.encode(), install))


def install_node(cache: Path, npm: str) -> Path:
    """Return a folder with the packages of js/package.json and the programs that import them from there."""

    def install(folder: Path) -> None:
        shutil.copytree(NODE_PROGRAMS, folder)
        options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        _run([npm, "install", *options, "--prefix", str(folder)])

    programs = b"".join(path.read_bytes() for path in sorted(NODE_PROGRAMS.iterdir()) if path.is_file())
    return _installed(cache, "node", programs, install)


def _installed(cache: Path, name: str, contents: bytes, install: Callable[[Path], None]) -> Path:
    """Return the folder for `contents`; what another test process is installing is waited for."""
    folder = cache / f"{name}-{hashlib.sha256(contents).hexdigest()[:12]}"
    complete = cache / f"{folder.name}.complete"
    with FileLock(cache / f"{name}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            complete.touch()
    return folder


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
