"""The `openai` package from npm. It speaks TLS only, so that the tap has a certificate that Node is told to trust."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.conformance.clients.program import Program, Reports
from tests.conformance.tap import Tap

pytestmark = pytest.mark.timeout(600)  # the first run installs the client


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1, and the file with the authority that issued it."""

    context: ssl.SSLContext
    authority: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return Certificate(context, file)


@pytest.fixture
def program(node_programs: Path, certificate: Certificate, tmp_path: Path) -> Program:
    trust = {"NODE_EXTRA_CA_CERTS": str(certificate.authority)}
    return Program(["node", str(node_programs / "openai_realtime.mjs")], tmp_path / "speech.pcm", trust)


@pytest.fixture
async def tls_tap(stand_in: str, certificate: Certificate) -> AsyncIterator[Tap]:
    async with Tap(stand_in, tls=certificate.context) as tap:
        yield tap


@pytest.fixture
async def slow_tls_tap(slow_stand_in: str, certificate: Certificate) -> AsyncIterator[Tap]:
    async with Tap(slow_stand_in, tls=certificate.context) as tap:
        yield tap


def url(tap: Tap) -> str:
    return f"wss://127.0.0.1:{tap.port}/v1/realtime"


def events(reports: Reports, kind: str) -> list[Any]:
    return [report["event"] for report in reports.of("event") if report["event"]["type"] == kind]


@pytest.mark.parametrize("scenario", ["spoken_turn", "spoken_turn_in_a_browser", "spoken_turn_with_azure"])
async def test_a_spoken_turn(program: Program, tls_tap: Tap, scenario: str) -> None:
    reports = await program.play(scenario, url(tls_tap))
    assert reports.of("error") == []
    (done,) = events(reports, "response.done")
    assert done["response"]["status"] == "completed"
    heard = [event["delta"] for event in events(reports, "response.output_audio_transcript.delta")]
    assert "".join(heard) == done["response"]["output"][0]["content"][0]["transcript"]
    assert sum(report["bytes"] for report in reports.of("audio")) > 48_000
    (transcript,) = events(reports, "conversation.item.input_audio_transcription.completed")
    assert transcript["transcript"].startswith("Utterance of")


async def test_a_tool_round_trip(program: Program, tls_tap: Tap) -> None:
    reports = await program.play("tool", url(tls_tap))
    assert reports.of("error") == []
    first, second = (event["response"] for event in events(reports, "response.done"))
    assert first["metadata"] == {"step": "1"}
    assert set(json.loads(first["output"][0]["arguments"])) == {"city"}
    assert second["output"][0]["content"][0]["transcript"]


async def test_an_interruption(program: Program, slow_tls_tap: Tap) -> None:
    reports = await program.play("interruption", url(slow_tls_tap))
    assert reports.of("error") == []
    first, second = (event["response"] for event in events(reports, "response.done"))
    assert first["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert second["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    (cut,) = events(reports, "conversation.item.truncated")
    assert cut["audio_end_ms"] == 100


async def test_a_context_edit(program: Program, tls_tap: Tap) -> None:
    reports = await program.play("context", url(tls_tap))
    first, last, between, front = (event["item"]["id"] for event in events(reports, "conversation.item.added"))
    placed = [event["previous_item_id"] for event in events(reports, "conversation.item.added")]
    assert placed == [None, first, first, None]
    assert [event["item_id"] for event in events(reports, "conversation.item.deleted")] == [last]
    assert len({first, last, between, front}) == 4
    error = reports.one("error")["error"]
    assert (error["code"], error["event_id"]) == ("item_delete_invalid_item_id", "again")


async def test_a_transcription_session(program: Program, tls_tap: Tap) -> None:
    reports = await program.play("transcription", url(tls_tap))
    assert reports.of("error") == []
    (transcript,) = events(reports, "conversation.item.input_audio_transcription.completed")
    assert transcript["transcript"].startswith("Utterance of")
    assert not any(report["event"]["type"].startswith("response.") for report in reports.of("event"))


async def test_reconnecting(program: Program, tls_tap: Tap) -> None:
    playing = asyncio.create_task(program.play("reconnecting", url(tls_tap)))
    while not playing.done() and not (tls_tap.connections and tls_tap.connections[0].recording.frames):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await tls_tap.disconnect(1001)
    reports = await playing
    assert reports.of("error") == []
    assert reports.one("reconnecting")["code"] == 1001
    sessions = [event["session"]["id"] for event in events(reports, "session.created")]
    assert len(set(sessions)) == 2
    (item,) = (event["item"] for event in events(reports, "conversation.item.done"))
    assert item["content"] == [{"type": "input_text", "text": "Hello again."}]
