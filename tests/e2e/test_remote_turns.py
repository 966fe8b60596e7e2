"""Spoken turns through a pipeline whose engines all run elsewhere. What goes wrong there: test_fault_matrix.py."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import pytest

from antiphon.engines.base import Synthesizer
from antiphon.engines.elevenlabs import ElevenLabsSynthesizer
from antiphon.engines.openai.speech import OpenAISynthesizer
from tests.conformance.audio import tone
from tests.conformance.recorder import Event, RealtimeClient
from tests.remote_pipelines import remote_engines, serving_engines, with_fallbacks
from tests.remote_servers import KEY, Fault, RemoteServer, eventually, remote_process, remote_server, stand_ins

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
HEARING = {"input": {"transcription": {"model": "whisper-1"}}}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)


@pytest.fixture
async def remote() -> AsyncIterator[RemoteServer]:
    async with remote_server(*await stand_ins(words=60)) as server:
        yield server


async def turn(client: RealtimeClient) -> Event:
    """Say something, and return the response once it is done."""
    await client.speak(tone(1000))
    response: Event = (await client.expect("response.done", within=60))["response"]
    return response


def said(response: Event) -> str:
    return str(response["output"][0]["content"][0]["transcript"])


async def configured(client: RealtimeClient) -> None:
    await client.send({"type": "session.update", "session": {"type": "realtime", "audio": HEARING}})
    await client.expect("session.updated")


@pytest.mark.parametrize("tts", [OpenAISynthesizer, ElevenLabsSynthesizer])
async def test_a_turn(tts: type[Synthesizer]) -> None:
    async with (
        remote_server(*await stand_ins(words=20)) as remote,  # few, for "odd" makes ten thousands of pieces of them
        serving_engines(await remote_engines(remote.url, tts)) as url,
        RealtimeClient(url) as client,
    ):
        await configured(client)
        for fault in (None, Fault("slow", delay_s=0.005), Fault("odd")):
            remote.fault = fault
            response = await turn(client)
            assert response["status"] == "completed"
            assert said(response).startswith("Hello, this is a stand-in.")
            assert response["usage"]["output_token_details"]["text_tokens"] == 20
            assert len(client.recording.speech(response["id"])) > 24_000
    heard = client.recording.received(TRANSCRIBED)
    assert [event["transcript"][:12] for event in heard] == ["Utterance of"] * 3


async def test_a_function_call(remote: RemoteServer) -> None:
    dial = {"type": "function", "name": "dial", "description": "Dials.", "parameters": {"type": "object"}}
    async with serving_engines(await remote_engines(remote.url)) as url, RealtimeClient(url) as client:
        session = {"type": "realtime", "tools": [dial], "tool_choice": "required"}
        await client.send({"type": "session.update", "session": session})
        response = await turn(client)
        (call,) = response["output"]
        assert (call["type"], call["name"], call["arguments"]) == ("function_call", "dial", "{}")


async def test_speaking_over_a_reply_closes_the_streams(remote: RemoteServer) -> None:
    async with serving_engines(await remote_engines(remote.url)) as url, RealtimeClient(url) as client:
        await configured(client)
        remote.fault = Fault("slow", delay_s=0.05)
        await client.speak(tone(1000))
        await client.expect("response.output_audio.delta")
        await client.speak(tone(1000), trailing_silence_ms=0)
        response = (await client.expect("response.done"))["response"]
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        await eventually(lambda: "closed" in [call.outcome for call in remote.called("chat/completions")])
        await eventually(lambda: not any(call.outcome == "running" for call in remote.calls))
        remote.fault = None
        await client.speak(tone(200))
        assert (await client.expect("response.done"))["response"]["status"] == "completed"


async def test_drafts_that_are_thrown_away_close_their_streams(remote: RemoteServer) -> None:
    engines = await remote_engines(remote.url, first_timeout_s=5.0)
    async with serving_engines(engines, drafts="full") as url, RealtimeClient(url) as client:
        await configured(client)
        remote.fault = Fault("slow", delay_s=0.02)
        for _ in range(3):
            await client.speak(tone(600), trailing_silence_ms=350, pace=1.0)
        response = await turn(client)
        assert response["status"] == "completed"
        assert len(client.recording.speech(response["id"])) > 24_000
        await eventually(lambda: not any(call.outcome == "running" for call in remote.calls))
    asked = remote.called("chat/completions")[1:]
    assert len(asked) > 1, "the pauses were worth a draft"
    assert asked[-1].outcome == "complete"
    assert {call.outcome for call in asked[:-1]} <= {"closed"}


@pytest.mark.parametrize("fallen_back", [False, True])
async def test_the_server_is_killed_inside_a_reply(fallen_back: bool) -> None:
    async with remote_process(llm={"words": 400, "token_ms": 20}) as (process, remote_url):
        engines = await remote_engines(remote_url)
        if fallen_back:
            engines = await with_fallbacks(engines)
        async with serving_engines(engines) as url, RealtimeClient(url) as client:
            await configured(client)
            await client.speak(tone(1000))
            await client.expect("response.output_audio.delta")
            process.send_signal(signal.SIGKILL)
            response = (await client.expect("response.done"))["response"]
            assert response["status"] == "failed"
            assert response["status_details"]["error"]["code"] in ("engine_failed", "engine_unavailable")
            after = await turn(client)
            assert after["status"] == ("completed" if fallen_back else "failed")
            if fallen_back:
                assert said(after) == "The local model speaks."
                assert len(client.recording.speech(after["id"])) > 24_000
            else:
                failed = client.recording.received("conversation.item.input_audio_transcription.failed")
                assert [event["error"]["code"] for event in failed] == ["engine_unavailable"]
