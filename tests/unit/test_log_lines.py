"""What the log looks like."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

_PROGRAM = """
import logging
import structlog
from antiphon.config import LogSettings
from antiphon.server.logs import configure_logs

configure_logs(LogSettings(level="{level}", format="{format}"))
log = structlog.get_logger("antiphon.test")
with structlog.contextvars.bound_contextvars(session_id="sess_1"):
    log.debug("at debug")
    log.info("at info", count=3)
    log.error("at error")
logging.getLogger("antiphon.other").info("standard %s", "logging")
logging.getLogger("uvicorn.error").debug("a whole frame")
logging.getLogger("elsewhere").warning("a library")
"""


def log(level: str, shape: str) -> str:
    """Return what a process with these settings logs."""
    program = _PROGRAM.format(level=level, format=shape)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr


def lines(level: str) -> dict[str, dict[str, Any]]:
    return {line["event"]: line for line in map(json.loads, log(level, "json").splitlines())}


def test_json() -> None:
    told = lines("info")
    assert list(told) == ["at info", "at error", "standard logging", "a library"]
    info = told["at info"]
    assert (info["session_id"], info["count"], info["level"], info["logger"]) == ("sess_1", 3, "info", "antiphon.test")


def test_level() -> None:
    assert list(lines("debug")) == ["at debug", "at info", "at error", "standard logging", "a library"]
    assert list(lines("error")) == ["at error"]


def test_console() -> None:
    assert "session_id=sess_1" in log("info", "console")


def test_auto_is_json_without_a_terminal() -> None:
    assert all(json.loads(line) for line in log("info", "auto").splitlines())
