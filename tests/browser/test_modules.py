"""The playground's modules that need no browser, in Node."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = Path("src/antiphon/playground")
TESTS = Path("tests/browser/modules")


def test_modules_in_node(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        missing = "Node.js is not installed: the playground's modules are NOT tested by themselves"
        warnings.warn(missing, stacklevel=1)
        pytest.skip(missing)
    for folder in (MODULES, TESTS):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    files = sorted(str(file.relative_to(tmp_path)) for file in (tmp_path / TESTS).glob("*.test.mjs"))
    assert files
    done = subprocess.run([node, "--test", *files], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
