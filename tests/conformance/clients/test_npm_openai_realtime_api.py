"""The `openai-realtime-api` package from npm, which speaks beta, as many clients of its time do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.clients.program import Program, Reports

pytestmark = pytest.mark.timeout(600)  # the first run installs the client


@pytest.fixture
def program(node_programs: Path, tmp_path: Path) -> Program:
    return Program(["node", str(node_programs / "openai_realtime_api.mjs")], tmp_path / "speech.pcm", {})


def frames(reports: Reports) -> list[str]:
    return [report["type"] for report in reports.of("frame")]


@pytest.mark.parametrize("scenario", ["spoken_turn", "manual_turn"])
async def test_a_spoken_turn(program: Program, stand_in: str, scenario: str) -> None:
    reports = await program.play(scenario, stand_in)
    assert reports.of("error") == []
    answer = next(report for report in reports.of("item") if report["role"] == "assistant")
    assert answer["formatted"]["transcript"].startswith("Hello, this is a stand-in.")
    assert answer["formatted"]["audio"] > 24_000
    assert frames(reports)[:2] == ["session.created", "conversation.created"]
    assert "conversation.item.created" in frames(reports)


async def test_a_tool_round_trip(program: Program, stand_in: str) -> None:
    reports = await program.play("tool", stand_in)
    assert reports.of("error") == []
    assert len(reports.of("called")) == 1
    call = next(report for report in reports.of("item") if report["item_type"] == "function_call")
    assert call["formatted"]["tool"]["name"] == "lamp"


async def test_an_interruption(program: Program, slow_stand_in: str) -> None:
    reports = await program.play("interruption", slow_stand_in)
    assert reports.of("error") == []
    statuses = [report.get("status") for report in reports.of("frame") if report["type"] == "response.done"]
    assert statuses == ["cancelled"]


async def test_a_context_edit(program: Program, stand_in: str) -> None:
    reports = await program.play("context", stand_in)
    assert reports.of("error") == []
    assert reports.one("left")["items"] == ["assistant"]
