"""What the logs must not tell."""

from __future__ import annotations

import logging
from typing import Literal

import pytest
import structlog

from antiphon.config import LogSettings
from antiphon.server.logs import configure_logs


@pytest.mark.parametrize("shape", ["json", "console"])
def test_tracebacks_do_not_tell_what_variables_held(
    shape: Literal["json", "console"], capsys: pytest.CaptureFixture[str]
) -> None:
    before = structlog.get_config()
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    try:
        configure_logs(LogSettings(format=shape))
        held = "".join(["my ", "sec", "ret"])
        try:
            raise ValueError(f"{len(held)} characters")
        except ValueError:
            structlog.get_logger("antiphon.test").exception("went wrong")
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers = handlers
        logging.getLogger().setLevel(level)
    told = capsys.readouterr().err
    assert "went wrong" in told
    assert "9 characters" in told
    assert "my secret" not in told
