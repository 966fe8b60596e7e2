"""openai-agents' realtime session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.clients.environments import PYTHON_PROGRAMS
from tests.conformance.clients.program import Program, Reports
from tests.conformance.tap import Tap

pytestmark = pytest.mark.timeout(600)  # the first run installs the client


@pytest.fixture
def agents(client_python: str, tmp_path: Path) -> Program:
    command = [client_python, str(PYTHON_PROGRAMS / "openai_agents.py")]
    return Program(command, tmp_path / "speech.pcm", {"OPENAI_AGENTS_DISABLE_TRACING": "1"})


def url(tap: Tap) -> str:
    return f"ws://127.0.0.1:{tap.port}/v1/realtime?model=gpt-realtime"


def no_failures(reports: Reports) -> None:
    assert reports.of("error", "exception") == []


async def test_spoken_turns(agents: Program, tap: Tap) -> None:
    reports = await agents.play("spoken_turns", url(tap))
    no_failures(reports)
    heard, said = reports.messages()[:2]
    assert heard[0] == "user"
    assert heard[2].startswith("Utterance of")
    assert said[:2] == ("assistant", "completed")
    assert said[2].startswith("Hello")
    assert [role for role, *_ in reports.messages()] == ["user", "assistant"] * 2
    assert sum(report["bytes"] for report in reports.of("audio")) > 2 * 48_000


async def test_a_tool_round_trip(agents: Program, tap: Tap) -> None:
    reports = await agents.play("tool", url(tap))
    no_failures(reports)
    ended = reports.one("tool_end")
    assert ended["name"] == "get_weather"
    assert ended["output"] == f"It is sunny in {json.loads(ended['arguments'])['city']}."
    assert [role for role, *_ in reports.messages()] == ["user", "assistant"]


async def test_speaking_over_a_reply(agents: Program, slow_tap: Tap) -> None:
    reports = await agents.play("speaking_over", url(slow_tap))
    no_failures(reports)
    assert reports.one("audio_interrupted")["item_id"] == reports.of("audio")[0]["item_id"]
    user, assistant, *others = reports.messages()
    assert user[:2] == ("user", "completed")
    assert assistant[:2] == ("assistant", "incomplete")
    assert [role for role, *_ in others] == ["user", "assistant"]
    cut = slow_tap.connections[0].recording.received("conversation.item.truncated")
    assert [event["audio_end_ms"] for event in cut] == [100]


async def test_interrupting_a_reply(agents: Program, slow_tap: Tap) -> None:
    reports = await agents.play("interrupting", url(slow_tap))
    no_failures(reports)
    user, assistant, *others = reports.messages()
    assert user[:2] == ("user", "completed")
    assert assistant[:2] == ("assistant", "incomplete")
    assert [role for role, *_ in others] == ["user", "assistant"]
    (first,) = slow_tap.connections[0].recording.received("response.done")
    assert first["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}


async def test_context_edits(agents: Program, tap: Tap) -> None:
    reports = await agents.play("context", url(tap))
    no_failures(reports)
    assert [role for role, *_ in reports.messages()] == ["assistant", "user", "assistant"]
    sessions = [event["session"] for event in tap.connections[0].recording.received("session.updated")]
    assert sessions[-1]["instructions"] == "Answer in verse."
    assert sessions[-1]["tools"] == []


async def test_manual_turns(agents: Program, tap: Tap) -> None:
    reports = await agents.play("manual", url(tap))
    no_failures(reports)
    assert [role for role, *_ in reports.messages()] == ["user", "assistant"] * 2
