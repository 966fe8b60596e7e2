"""New configurations that go wrong in ways that nobody foresaw: the server goes on, and takes the next one."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.conformance.recorder import RealtimeClient
from tests.engine_packages import install_engines
from tests.serving import ServerProcess, serving

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")

BROKEN = """\
from pydantic import BaseModel, field_validator

from antiphon.engines.stand_in import StandInLanguageModel


class Options(BaseModel):
    when: str

    @field_validator("when")
    @classmethod
    def _check(cls, when):
        if when == "checked":
            raise RuntimeError("broken when it is checked")
        return when


class Broken(StandInLanguageModel):
    options_type = Options

    @classmethod
    async def load(cls, context):
        raise RuntimeError("broken when it is loaded")
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory with an engine of a third party that is broken."""
    site = tmp_path / "site"
    site.mkdir()
    install_engines(site, "broken_engine", {"broken": "broken_engine:Broken"}, BROKEN)
    return site


async def lines(server: ServerProcess, event: str, number: int = 1) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while True:
            found = [one for one in list(server.log) if one["event"] == event]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.02)


async def test_an_engine_with_a_fault_of_its_own_is_not_reloaded(tmp_path: Path, package: Path) -> None:
    file = tmp_path / "antiphon.yaml"
    file.write_text("pipelines: {first: {}}")
    with serving(arguments=["--config", str(file)], environment={"PYTHONPATH": str(package)}) as server:
        for number, when in enumerate(("loaded", "checked"), 1):
            file.write_text(f"pipelines: {{second: {{llm: {{engine: broken, when: {when}}}}}}}")
            os.kill(server.pid, signal.SIGHUP)
            refused = await lines(server, "not reloaded: the old configuration stays in force", number)
            assert f"broken when it is {when}" in refused[-1]["reason"]
        async with RealtimeClient(f"{server.ws_url}?model=first") as client:
            await client.expect("session.created")
        file.write_text("pipelines: {third: {}}")
        os.kill(server.pid, signal.SIGHUP)
        assert (await lines(server, "reloaded"))[0]["models"] == ["third"]


async def test_places_that_are_taken_stay_taken(tmp_path: Path) -> None:
    file = tmp_path / "antiphon.yaml"
    file.write_text("pipelines: {small: {max_sessions: 1}}")
    with serving(arguments=["--config", str(file)]) as server:
        async with RealtimeClient(server.ws_url) as client:
            await client.expect("session.created")
            file.write_text("pipelines: {small: {max_sessions: 1, instructions: New.}}")
            os.kill(server.pid, signal.SIGHUP)
            await lines(server, "reloaded")
            with pytest.raises(InvalidStatus) as caught:
                async with connect(server.ws_url):
                    pass
            assert b"session_limit_reached" in (caught.value.response.body or b"")
        async with asyncio.timeout(10):
            while not await _opens(server):  # noqa: ASYNC110 - the place is free a moment after the session's end
                await asyncio.sleep(0.02)


async def _opens(server: ServerProcess) -> bool:
    try:
        async with connect(server.ws_url):
            return True
    except InvalidStatus:
        return False
