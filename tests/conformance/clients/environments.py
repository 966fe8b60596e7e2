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
    requirements = PYTHON_PROGRAMS / "requirements.txt"

    def install(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(_interpreter(folder)), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        _run([*pip, "-r", str(requirements)])

    with FileLock(cache / "python.lock"):
        return _interpreter(_installed(cache, "python", requirements.read_bytes() + sys.version.encode(), install))


def install_node(cache: Path, npm: str, programs: Path = NODE_PROGRAMS) -> Path:
    """Return a folder with the packages of a package.json and the programs beside it, which import only from there."""
    manifest = programs / "package.json"

    def install(folder: Path) -> None:
        folder.mkdir()
        shutil.copy(manifest, folder)
        options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        _run([npm, "install", *options, "--prefix", str(folder)])

    with FileLock(cache / "node.lock"):
        folder = _installed(cache, "node", manifest.read_bytes(), install)
        for program in programs.glob("*.mjs"):
            copy = folder / program.name
            if not copy.exists() or copy.read_bytes() != program.read_bytes():
                shutil.copy(program, copy)
    return folder


def _installed(cache: Path, name: str, contents: bytes, install: Callable[[Path], None]) -> Path:
    """Return the folder for `contents`, installed now if need be; those for other contents are removed then."""
    folder = cache / f"{name}-{hashlib.sha256(contents).hexdigest()[:12]}"
    complete = cache / f"{folder.name}.complete"
    if not complete.exists():
        for old in cache.glob(f"{name}-*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        install(folder)
        complete.touch()
    return folder


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
