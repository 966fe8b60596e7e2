"""@openai/agents-realtime from npm, over WebSocket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.clients.program import Program, Reports
from tests.conformance.tap import Tap

pytestmark = pytest.mark.timeout(600)  # the first run installs the client


@pytest.fixture
def program(node_programs: Path, tmp_path: Path) -> Program:
    return Program(["node", str(node_programs / "agents_realtime.mjs")], tmp_path / "speech.pcm", {})


def url(tap: Tap) -> str:
    return f"ws://127.0.0.1:{tap.port}/v1/realtime?model=gpt-realtime"


def understood(reports: Reports) -> None:
    """Check that nothing failed and that every frame was what the client's schemas say."""
    assert reports.of("error", "refused") == []


async def test_spoken_turns(program: Program, tap: Tap) -> None:
    reports = await program.play("spoken_turns", url(tap))
    understood(reports)
    assert [role for role, *_ in reports.messages()] == ["user", "assistant"] * 2
    assert [status for _, status, _ in reports.messages()] == ["completed"] * 4
    assert reports.messages()[0][2].startswith("Utterance of")
    assert [report["output"] for report in reports.of("agent_end")] == [reports.messages()[1][2]] * 2
    assert sum(report["bytes"] for report in reports.of("audio")) > 2 * 48_000


async def test_a_tool_round_trip(program: Program, tap: Tap) -> None:
    reports = await program.play("tool", url(tap))
    understood(reports)
    ended = reports.one("tool_end")
    assert ended["name"] == "get_weather"
    assert ended["result"] == f"It is sunny in {json.loads(ended['arguments'])['city']}."
    assert [role for role, *_ in reports.messages()] == ["user", "assistant"]
    (call,) = (item for item in reports.one("history")["items"] if item["type"] == "function_call")
    assert (call["status"], call["output"]) == ("completed", ended["result"])


async def test_speaking_over_a_reply(program: Program, slow_tap: Tap) -> None:
    reports = await program.play("speaking_over", url(slow_tap))
    understood(reports)
    assert len(reports.of("audio_interrupted")) == 1
    user, assistant, *_ = reports.messages()
    assert user[:2] == ("user", "completed")
    assert assistant[:2] == ("assistant", "incomplete")


async def test_interrupting_a_reply(program: Program, slow_tap: Tap) -> None:
    reports = await program.play("interrupting", url(slow_tap))
    understood(reports)
    assert len(reports.of("audio_interrupted")) == 1
    assert reports.messages()[1][:2] == ("assistant", "incomplete")
    (first,) = slow_tap.connections[0].recording.received("response.done")
    assert first["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}


async def test_context_edits(program: Program, tap: Tap) -> None:
    reports = await program.play("context", url(tap))
    understood(reports)
    assert reports.one("before")["texts"] == ["My name is Alice.", "Nice to meet you!", "Who am I?"]
    *edited, answer = reports.messages()
    assert [words for *_, words in edited] == ["My name is Bob.", "I am a baker.", "Who am I?"]
    assert answer[:2] == ("assistant", "completed")


async def test_manual_turns(program: Program, tap: Tap) -> None:
    reports = await program.play("manual", url(tap))
    understood(reports)
    assert [role for role, *_ in reports.messages()] == ["user", "assistant"] * 2
