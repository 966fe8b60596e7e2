"""Pipecat's OpenAI realtime services. They check every event strictly: one that is off ends the conversation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.clients.environments import PYTHON_PROGRAMS
from tests.conformance.clients.program import Program, Reports
from tests.conformance.tap import Tap

pytestmark = pytest.mark.timeout(600)  # the first run installs the client


@pytest.fixture
def pipecat(client_python: str, tmp_path: Path) -> Program:
    return Program([client_python, str(PYTHON_PROGRAMS / "pipecat_pipeline.py")], tmp_path / "speech.pcm", {})


def url(tap: Tap) -> str:
    return f"ws://127.0.0.1:{tap.port}/v1/realtime"


def words(reports: Reports) -> str:
    return "".join(report["text"] for report in reports.of("TTSTextFrame"))


async def test_spoken_turns(pipecat: Program, tap: Tap) -> None:
    reports = await pipecat.play("spoken_turns", url(tap))
    assert reports.of("error") == []
    assert [report["text"][:12] for report in reports.of("TranscriptionFrame")] == ["Utterance of"] * 2
    assert words(reports).count("Hello") == 3
    assert sum(report["bytes"] for report in reports.of("audio")) > 3 * 48_000
    turns = reports.of("ProposedUserStartedSpeakingFrame", "ProposedUserStoppedSpeakingFrame")
    assert len(turns) >= 4
    assert [message["role"] for message in reports.one("context")["messages"]][:2] == ["user", "assistant"]


async def test_a_tool_round_trip(pipecat: Program, tap: Tap) -> None:
    reports = await pipecat.play("tool", url(tap))
    assert reports.of("error") == []
    called = reports.one("tool")
    assert called["name"] == "get_weather"
    assert set(called["arguments"]) == {"city"}
    assert words(reports).startswith("Hello")
    items = [event["item"] for event in tap.connections[0].recording.received("conversation.item.done")]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output", "message"]


async def test_speaking_over_a_reply(pipecat: Program, slow_tap: Tap) -> None:
    reports = await pipecat.play("speaking_over", url(slow_tap))
    assert reports.of("error") == []
    recording = slow_tap.connections[0].recording
    assert recording.received("response.done")[0]["response"]["status_details"]["reason"] == "turn_detected"
    assert len(recording.received("conversation.item.truncated")) == 1


async def test_context_edits(pipecat: Program, tap: Tap) -> None:
    reports = await pipecat.play("context", url(tap))
    assert reports.of("error") == []
    assert words(reports).count("Hello") == 2
    assert "does not exist" in reports.one("refused")["text"]
    assert [item["role"] for item in reports.of("item")] == ["user", "assistant", "system", "assistant"]


async def test_manual_turns(pipecat: Program, tap: Tap) -> None:
    reports = await pipecat.play("manual", url(tap))
    assert reports.of("error") == []
    assert len(reports.of("TranscriptionFrame")) == 2
    assert words(reports).count("Hello") == 3


@pytest.mark.parametrize("scenario", ["transcription", "transcription_by_hand"])
async def test_transcription(pipecat: Program, tap: Tap, scenario: str) -> None:
    reports = await pipecat.play(scenario, url(tap))
    assert reports.of("error") == []
    assert [report["text"][:12] for report in reports.of("TranscriptionFrame")] == ["Utterance of"] * 2
    assert not any(kind.startswith("response.") for kind in tap.connections[0].recording.types())
