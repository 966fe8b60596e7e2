"""Spoken turns with a model behind HTTP that hears the user itself, and speaks too or has a voice speak for it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.engines.base import EngineContext
from antiphon.engines.openai.chat import OpenAIChatModel
from antiphon.engines.stand_in import StandInTranscriber
from tests.conformance.audio import tone
from tests.conformance.recorder import Event, RealtimeClient
from tests.remote_pipelines import IMPATIENCE, NOTHING, PATIENCE, Engines, serving_engines, serving_speech_model
from tests.remote_servers import KEY, MODEL, Fault, NoModels, RemoteServer, eventually, remote_server, stand_ins

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
HEARING = {"input": {"transcription": {"model": "whisper-1"}}}
LISTENER = "You said: {user} That is what I heard. And there is more to say about it than this."


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)


@pytest.fixture
async def remote() -> AsyncIterator[RemoteServer]:
    async with remote_server(*await stand_ins(reply=LISTENER)) as server:
        yield server


async def hearing_engines(url: str, **options: Any) -> Engines:
    """Engines of a cascade whose language model hears."""
    _, transcriber, synthesizer = await stand_ins()
    place = {"base_url": f"{url}/v1", "model": MODEL, "api_key": {"env": "REMOTE_KEY"}, "hears": True}
    llm = await OpenAIChatModel.load(EngineContext(NoModels(), options={**PATIENCE, **place, **options}))
    return {"transcription": transcriber, "llm": llm, "tts": synthesizer}


async def transcriber() -> StandInTranscriber:
    return await StandInTranscriber.load(NOTHING)


async def turn(client: RealtimeClient, ms: int = 1000) -> Event:
    """Say something, and return the response once it is done."""
    await client.speak(tone(ms))
    response: Event = (await client.expect("response.done", within=60))["response"]
    return response


def said(response: Event) -> str:
    return str(response["output"][0]["content"][0]["transcript"])


async def configure(client: RealtimeClient, **session: Any) -> None:
    await client.send({"type": "session.update", "session": {"type": "realtime", **session}})
    await client.expect("session.updated")


def sent(call: Any) -> list[Any]:
    """The messages of a call after the instructions, with "audio" for what was sent as such."""
    entries = []
    for entry in call.body["messages"][1:]:
        content = entry.get("content")
        if isinstance(content, list):
            content = ["audio" if part["type"] == "input_audio" else part["text"] for part in content]
        entries.append((entry["role"], entry["audio"]["id"] if "audio" in entry else content))
    return entries


# --- a model that hears and speaks ---


@pytest.mark.parametrize("style", ["as OpenAI", "as vLLM-Omni"])
async def test_a_turn_is_heard_and_answered_in_speech(remote: RemoteServer, style: Any) -> None:
    remote.audio = style
    async with serving_speech_model(remote.url) as url, RealtimeClient(url) as client:
        for fault in (None, Fault("slow", delay_s=0.002), Fault("odd")):
            remote.fault = fault
            response = await turn(client)
            assert response["status"] == "completed"
            assert said(response).startswith("You said: Utterance of 1.")
            assert said(response).endswith("than this.")
            assert len(client.recording.speech(response["id"])) > 100_000
    body = remote.called("chat/completions")[-1].body
    assert body["modalities"] == ["text", "audio"]
    assert body["audio"] == {"voice": "low", "format": "pcm16"}
    assert not client.recording.received(TRANSCRIBED), "nobody asked for transcripts"


async def test_transcripts_beside_it(remote: RemoteServer) -> None:
    async with (
        serving_speech_model(remote.url, transcription=await transcriber()) as url,
        RealtimeClient(url) as client,
    ):
        await configure(client, audio=HEARING)
        await turn(client)
        await turn(client)
        heard = client.recording.received(TRANSCRIBED)
        assert [event["transcript"][:12] for event in heard] == ["Utterance of"] * 2
    # The older turn is sent as its words: audio would cost again.
    roles = sent(remote.called("chat/completions")[-1])
    assert [role for role, _ in roles] == ["user", "assistant", "user"]
    assert roles[0][1].startswith("Utterance of")
    assert roles[2][1] == ["audio"]


async def test_without_a_transcriber_every_turn_stays_audio_and_transcripts_fail(remote: RemoteServer) -> None:
    async with serving_speech_model(remote.url) as url, RealtimeClient(url) as client:
        await configure(client, audio=HEARING)
        assert (await turn(client))["status"] == "completed"
        failed = client.recording.received("conversation.item.input_audio_transcription.failed")
        assert [event["error"]["code"] for event in failed] == ["unsupported"]
        assert (await turn(client))["status"] == "completed"
    assert [content for role, content in sent(remote.called("chat/completions")[-1]) if role == "user"] == [
        ["audio"]
    ] * 2


async def test_earlier_replies_are_named_by_their_audio(remote: RemoteServer) -> None:
    async with serving_speech_model(remote.url, audio_ids=True) as url, RealtimeClient(url) as client:
        await turn(client)
        await turn(client)
        assert sent(remote.called("chat/completions")[-1])[1] == ("assistant", "audio_1")
        remote.spoken.clear()
        response = await turn(client)
        assert response["status"] == "completed", "ids that the server has forgotten are given up"
    (refused, asked_again) = (sent(call) for call in remote.called("chat/completions")[-2:])
    assert refused[1] == ("assistant", "audio_1")
    assert asked_again[1][1].startswith("You said: Utterance")


async def test_usage_tells_audio_tokens(remote: RemoteServer) -> None:
    async with serving_speech_model(remote.url) as url, RealtimeClient(url) as client:
        usage = (await turn(client))["usage"]
    assert usage["input_token_details"]["audio_tokens"] > 10
    assert usage["output_token_details"]["audio_tokens"] > 50


async def test_speaking_over_a_reply_cuts_it_at_the_words_that_were_heard(remote: RemoteServer) -> None:
    async with serving_speech_model(remote.url, audio_ids=True) as url, RealtimeClient(url) as client:
        first = await turn(client)
        item = first["output"][0]["id"]
        whole = said(first)
        speech_ms = len(client.recording.speech(first["id"])) // 24
        for played_ms in (speech_ms * 3 // 4, speech_ms // 2, speech_ms // 4):
            cut = {"item_id": item, "content_index": 0, "audio_end_ms": played_ms}
            await client.send({"type": "conversation.item.truncate", **cut})
            await client.expect("conversation.item.truncated")
            await client.send({"type": "conversation.item.retrieve", "item_id": item})
            kept = (await client.expect("conversation.item.retrieved"))["item"]["content"][0]["transcript"]
            # The voice speaks at an even pace, 60 ms a character.
            assert whole.startswith(kept)
            assert abs(len(kept) - played_ms / 60) < 15
            assert kept == kept.rstrip()
            assert whole[len(kept)] == " ", "it is cut between words"
        await turn(client)
    assert sent(remote.called("chat/completions")[-1])[1] == ("assistant", kept), "its audio was not heard whole"


async def test_drafts_are_answers_to_the_audio_so_far(remote: RemoteServer) -> None:
    serving = serving_speech_model(remote.url, transcription=await transcriber(), drafts="full")
    async with serving as url, RealtimeClient(url) as client:
        response = await turn(client)
        assert response["status"] == "completed"
        assert said(response).startswith("You said: Utterance of 1.")
    drafted = remote.called("chat/completions")[1:]
    assert drafted[-1].outcome == "complete"
    assert all(sent(call)[-1] == ("user", ["audio"]) for call in drafted)


async def test_an_interruption_closes_the_stream(remote: RemoteServer) -> None:
    async with serving_speech_model(remote.url) as url, RealtimeClient(url) as client:
        remote.fault = Fault("slow", delay_s=0.03)
        await client.speak(tone(1000))
        await client.expect("response.output_audio.delta")
        await client.speak(tone(1000), trailing_silence_ms=0)
        response = (await client.expect("response.done"))["response"]
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        await eventually(lambda: "closed" in [call.outcome for call in remote.called("chat/completions")])
        remote.fault = None
        await client.speak(tone(200))
        assert (await client.expect("response.done"))["response"]["status"] == "completed"


async def test_a_function_call_and_its_result(remote: RemoteServer) -> None:
    dial = {"type": "function", "name": "dial", "description": "Dials.", "parameters": {"type": "object"}}
    async with serving_speech_model(remote.url) as url, RealtimeClient(url) as client:
        await configure(client, tools=[dial], tool_choice="required")
        (call,) = (await turn(client))["output"]
        assert (call["type"], call["name"], call["arguments"]) == ("function_call", "dial", "{}")
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "It rings."}
        await client.send({"type": "conversation.item.create", "item": result})
        await client.send({"type": "response.create", "response": {"tool_choice": "auto"}})
        response = (await client.expect("response.done"))["response"]
        assert response["status"] == "completed"
        assert said(response).startswith("You said: Utterance of")
    messages = remote.called("chat/completions")[-1].body["messages"][1:]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == call["call_id"]
    assert messages[2]["content"] == "It rings."
    assert sent(remote.called("chat/completions")[-1])[0][1] == ["audio"], "the question is still heard"


async def test_text_alone(remote: RemoteServer) -> None:
    async with serving_speech_model(remote.url) as url, RealtimeClient(url) as client:
        await configure(client, output_modalities=["text"])
        response = await turn(client)
        assert response["output"][0]["content"][0]["text"].startswith("You said: Utterance of")
    body = remote.called("chat/completions")[-1].body
    assert body["modalities"] == ["text"]
    assert "audio" not in body


async def test_audio_that_is_none_ends_the_response_and_the_session_lives_on(remote: RemoteServer) -> None:
    async with serving_speech_model(remote.url) as url, RealtimeClient(url) as client:
        remote.fault = Fault("garbled", after=25)
        response = await turn(client)
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["code"] == "engine_failed"
        assert len(client.recording.speech(response["id"])) > 0, "it broke off in the middle of the speech"
        remote.fault = None
        assert (await turn(client))["status"] == "completed"


# --- a model that hears, and a voice of its own for it ---


async def test_a_model_that_hears_with_a_separate_voice(remote: RemoteServer) -> None:
    async with serving_engines(await hearing_engines(remote.url)) as url, RealtimeClient(url) as client:
        await configure(client, audio=HEARING)
        for _ in range(3):
            response = await turn(client)
            assert response["status"] == "completed"
            assert said(response).startswith("You said: Utterance of 1.")
            assert len(client.recording.speech(response["id"])) > 100_000
        assert len(client.recording.received(TRANSCRIBED)) == 3
    users = [content for role, content in sent(remote.called("chat/completions")[-1]) if role == "user"]
    assert [content if content == ["audio"] else content[:12] for content in users] == [
        "Utterance of",
        "Utterance of",
        ["audio"],
    ]
    assert "modalities" not in remote.called("chat/completions")[-1].body


async def test_how_many_turns_stay_audio(remote: RemoteServer) -> None:
    engines = await hearing_engines(remote.url, audio_turns=2)
    async with serving_engines(engines) as url, RealtimeClient(url) as client:
        await configure(client, audio=HEARING)
        for _ in range(3):
            await turn(client)
    users = [content for role, content in sent(remote.called("chat/completions")[-1]) if role == "user"]
    assert [content == ["audio"] for content in users] == [False, True, True]


async def test_what_is_sent_is_what_was_said(remote: RemoteServer) -> None:
    async with serving_engines(await hearing_engines(remote.url)) as url, RealtimeClient(url) as client:
        await turn(client, ms=1500)
    (part,) = remote.called("chat/completions")[-1].body["messages"][1]["content"]
    wav = base64.b64decode(part["input_audio"]["data"], validate=True)
    seconds = (len(wav) - 44) / 2 / 16_000
    assert 1.5 < seconds < 2.6


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("status"), Fault("drop", after=5)], ids=lambda f: f.kind)
async def test_a_fault_of_a_model_that_hears(remote: RemoteServer, fault: Fault) -> None:
    patience = IMPATIENCE if fault.kind == "hang" else {}
    async with serving_engines(await hearing_engines(remote.url, **patience)) as url, RealtimeClient(url) as client:
        remote.fault = Fault(fault.kind, fault.after)
        assert (await turn(client))["status"] == "failed"
        remote.fault = None
        assert (await turn(client))["status"] == "completed"
