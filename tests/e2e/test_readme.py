"""The program that the README shows, as people copy it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.howto import changed
from tests.serving import ServerProcess

README = Path(__file__).parents[2] / "README.md"


def test_the_program_talks(stand_in_server: ServerProcess, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    program = changed(program, {"http://127.0.0.1:8080/v1": stand_in_server.base_url})
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.startswith("Hello, this is a stand-in.")
    assert len((tmp_path / "reply.pcm").read_bytes()) > 48_000
