"""Every scenario of the protocol's table that applies over WebSocket, against a real server on stand-in engines.

The client checks the shape and the place of every frame, and that everything promised has come; the tests here say
what each scenario must show beyond that.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.conformance.audio import silence, tone
from tests.conformance.pipelines import SOME
from tests.conformance.recorder import Event, RealtimeClient

SPEECH = tone(800)
"""What the stand-in engines take for speech."""

WHISPER = {"model": "whisper-1"}
WEATHER: Event = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather for a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def update(client: RealtimeClient, **change: Any) -> Event:
    """Update the session and return its new configuration."""
    await client.send({"type": "session.update", "session": {"type": "realtime", **change}})
    session: Event = (await client.expect("session.updated"))["session"]
    return session


async def listen(client: RealtimeClient, **change: Any) -> Event:
    """Change how the session hears."""
    return await update(client, audio={"input": change})


async def write(client: RealtimeClient, text: str, role: str = "user", **item: Any) -> Event:
    """Create a message and return the item as the server shows it."""
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    message = {"type": "message", "role": role, "content": [part], **item}
    await client.send({"type": "conversation.item.create", "item": message})
    shown: Event = (await client.expect("conversation.item.done"))["item"]
    return shown


async def ask(client: RealtimeClient, **response: Any) -> Event:
    """Ask for a response and return it as `response.created` shows it."""
    await client.send({"type": "response.create", **({"response": response} if response else {})})
    created: Event = (await client.expect("response.created"))["response"]
    return created


async def done(client: RealtimeClient, response_id: str | None = None) -> Event:
    """Return the next response that is done, or the one with this id."""
    event = await client.expect(
        "response.done", where=lambda event: response_id is None or event["response"]["id"] == response_id
    )
    response: Event = event["response"]
    return response


async def failure(client: RealtimeClient, event_id: str | None) -> Event:
    """Return the error that answers the event `event_id`."""
    event = await client.expect("error")
    error: Event = event["error"]
    assert error["event_id"] == event_id
    return error


# --- connecting and configuring --------------------------------------------------------------------------------------


async def test_connecting_brings_session_created_and_nothing_else(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        session = (await client.expect("session.created"))["session"]
        assert await client.quiet(0.3) == []
    assert session["output_modalities"] == ["audio"]
    assert session["tools"] == []
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert session["audio"]["input"]["transcription"] is None
    assert isinstance(session["audio"]["output"]["voice"], str)


async def test_session_update_merges(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await update(client, instructions="Be short.", audio={"input": {"transcription": WHISPER}})
        session = await update(client, audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}})
        assert session["instructions"] == "Be short."
        assert session["audio"]["input"]["transcription"] == {**WHISPER, "language": None, "prompt": None}
        assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.7
        session = await update(client, instructions="", tools=[WEATHER], audio={"input": {"transcription": None}})
        assert session["instructions"] != "Be short."
        assert session["tools"] == [WEATHER]


async def test_session_update_is_whole_or_not_at_all(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        before = (await client.expect("session.created"))["session"]
        bad = {"type": "realtime", "instructions": "Lost.", "audio": {"input": {"x": 1}}}
        error = await failure(client, await client.send({"type": "session.update", "session": bad}))
        assert (error["code"], error["param"]) == ("unknown_parameter", "session.audio.input.x")
        assert await update(client) == before


# --- spoken turns ----------------------------------------------------------------------------------------------------


async def test_spoken_turns(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await listen(client, transcription=WHISPER)
        for _ in range(3):
            await client.speak(SPEECH)
            response = await done(client)
            assert response["status"] == "completed"
            assert response["output"][0]["content"][0]["transcript"]
            assert len(client.recording.speech(response["id"])) > 24_000
    created = client.recording.received("response.created")
    assert [event["response"]["metadata"] for event in created] == [None] * 3
    assert len(client.recording.received("conversation.item.input_audio_transcription.completed")) == 3


async def test_speech_times_are_those_of_the_audio(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await listen(
            client, turn_detection={"type": "server_vad", "prefix_padding_ms": 300, "silence_duration_ms": 500}
        )
        await client.append(bytes(48 * 1000))
        await client.speak(SPEECH)
        await done(client)
    (started,) = client.recording.received("input_audio_buffer.speech_started")
    (stopped,) = client.recording.received("input_audio_buffer.speech_stopped")
    # Speech from 1000 to 1800 ms; a detector may take a few windows of 32 ms to be sure.
    assert 600 <= started["audio_start_ms"] <= 800
    assert 2200 <= stopped["audio_end_ms"] <= 2450


async def test_the_same_audio_gives_the_same_events_however_it_is_cut(stand_in: str) -> None:
    times = []
    for chunk_ms in (20, 31, 500):
        async with RealtimeClient(stand_in) as client:
            await client.speak(SPEECH, chunk_ms=chunk_ms)
            await done(client)
        events = client.recording.received("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped")
        times.append([event.get("audio_start_ms", event.get("audio_end_ms")) for event in events])
    assert times[0] == times[1] == times[2]


async def test_no_response_unless_asked_when_create_response_is_off(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await listen(client, turn_detection={"type": "server_vad", "create_response": False})
        await client.speak(SPEECH)
        await client.expect("conversation.item.done")
        assert await client.quiet(0.3) == []
        await ask(client)
        assert (await done(client))["status"] == "completed"


async def test_manual_turns(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await listen(client, turn_detection=None, transcription=WHISPER)
        await client.speak(SPEECH)
        await client.send({"type": "input_audio_buffer.commit"})
        await client.expect("conversation.item.input_audio_transcription.completed")
        assert client.recording.received("response.created", "input_audio_buffer.speech_started") == []
        await ask(client)
        assert (await done(client))["status"] == "completed"


async def test_clear_forgets_the_audio(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await listen(client, turn_detection=None)
        await client.speak(SPEECH)
        await client.send({"type": "input_audio_buffer.clear"})
        await client.expect("input_audio_buffer.cleared")
        error = await failure(client, await client.send({"type": "input_audio_buffer.commit"}))
        assert error["code"] == "input_audio_buffer_commit_empty"
        assert "0.00ms" in error["message"]


async def test_commit_takes_speech_in_progress(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await client.speak(SPEECH, trailing_silence_ms=0)
        started = await client.expect("input_audio_buffer.speech_started")
        await client.send({"type": "input_audio_buffer.commit"})
        committed = await client.expect("input_audio_buffer.committed")
        assert committed["item_id"] == started["item_id"]
        await client.expect("conversation.item.done")
        assert await client.quiet(0.2) == []
        assert client.recording.received("response.created") == []


async def test_idle_timeout(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await listen(client, turn_detection={"type": "server_vad", "idle_timeout_ms": 5000})
        await write(client, "Hello.")
        await ask(client, output_modalities=["text"])
        await done(client)
        timeout = await client.expect("input_audio_buffer.timeout_triggered")
        committed = await client.expect("input_audio_buffer.committed")
        assert committed["item_id"] == timeout["item_id"]
        assert (await done(client))["status"] == "completed"
        await listen(client, turn_detection={"type": "server_vad", "idle_timeout_ms": None})


async def test_transcription_session(stand_in: str) -> None:
    async with RealtimeClient(f"{stand_in}?intent=transcription") as client:
        session = (await client.expect("session.created"))["session"]
        assert session["type"] == "transcription"
        change = {"type": "transcription", "audio": {"input": {"transcription": WHISPER}}}
        await client.send({"type": "session.update", "session": change})
        for _ in range(2):
            await client.speak(SPEECH)
            await client.expect("conversation.item.input_audio_transcription.completed")
        error = await failure(client, await client.send({"type": "response.create"}))
        assert error["type"] == "invalid_request_error"


# --- speaking over the reply -----------------------------------------------------------------------------------------


async def test_speaking_over_the_reply_stops_it(slow_stand_in: str) -> None:
    async with RealtimeClient(slow_stand_in) as client:
        await client.speak(SPEECH)
        await client.expect("response.output_audio.delta")
        await client.speak(SPEECH, trailing_silence_ms=0)
        response = await done(client)
        assert response["status"] == "cancelled"
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        (item,) = response["output"]
        assert item["status"] == "incomplete"
        heard = {"item_id": item["id"], "content_index": 0, "audio_end_ms": 100}
        await client.send({"type": "conversation.item.truncate", **heard})
        await client.expect("conversation.item.truncated")
        await client.send({"type": "conversation.item.retrieve", "item_id": item["id"]})
        kept = (await client.expect("conversation.item.retrieved"))["item"]["content"][0]["transcript"]
        assert len(kept) < len(item["content"][0]["transcript"])
        await client.speak(silence(900))
        answer = (await client.expect("response.created"))["response"]
        await client.send({"type": "response.cancel"})
        assert (await done(client, answer["id"]))["status_details"]["reason"] == "client_cancelled"


async def test_speech_waits_for_the_reply_when_it_may_not_interrupt(slow_stand_in: str) -> None:
    async with RealtimeClient(slow_stand_in) as client:
        await update(
            client,
            max_output_tokens=SOME,
            audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}},
        )
        await client.speak(SPEECH)
        first = (await client.expect("response.created"))["response"]
        await client.speak(SPEECH)
        ended = await done(client, first["id"])
        assert ended["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}, "all that it may say"
        second = (await client.expect("response.created"))["response"]
        await client.send({"type": "response.cancel", "response_id": second["id"]})
        await done(client, second["id"])


async def test_cancel(slow_stand_in: str) -> None:
    async with RealtimeClient(slow_stand_in) as client:
        await write(client, "Tell me a story.")
        response = await ask(client)
        await client.expect("response.output_audio.delta")
        await client.send({"type": "response.cancel"})
        response = await done(client, response["id"])
        assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        # The context was read and words were made, whether or not they were wanted in the end.
        assert response["usage"]["input_tokens"] > 0
        assert response["usage"]["output_token_details"]["text_tokens"] > 0
        error = await failure(client, await client.send({"type": "response.cancel"}))
        assert error["code"] == "response_cancel_not_active"
        assert error["message"].startswith("Cancellation failed")
        error = await failure(client, await client.send({"type": "response.cancel", "response_id": response["id"]}))
        assert error["code"] == "response_cancel_not_active"


async def test_one_response_in_the_conversation_at_a_time(slow_stand_in: str) -> None:
    async with RealtimeClient(slow_stand_in) as client:
        await write(client, "Tell me a story.")
        first = await ask(client)
        error = await failure(client, await client.send({"type": "response.create"}))
        assert error["code"] == "conversation_already_has_active_response"
        assert first["id"] in error["message"]
        await client.send({"type": "response.cancel", "response_id": first["id"]})
        await done(client, first["id"])


async def test_responses_out_of_band_run_beside_the_spoken_one(slow_stand_in: str) -> None:
    async with RealtimeClient(slow_stand_in) as client:
        story = await write(client, "Tell me a story.")
        spoken = await ask(client, max_output_tokens=SOME)
        asides = [
            await ask(
                client,
                conversation="none",
                output_modalities=["text"],
                metadata={"topic": topic},
                max_output_tokens=SOME,
                input=[{"type": "item_reference", "id": story["id"]}],
            )
            for topic in ("mood", "title")
        ]
        assert [aside["metadata"] for aside in asides] == [{"topic": "mood"}, {"topic": "title"}]
        assert all(aside["conversation_id"] is None for aside in asides)
        await client.settle()
        ended = [event["response"] for event in client.recording.received("response.done")]
        assert len(ended) == 3
        assert {response["id"] for response in ended} == {spoken["id"], *(aside["id"] for aside in asides)}
        assert {response["status_details"]["reason"] for response in ended} == {"max_output_tokens"}
    in_conversation = {event["item"]["id"] for event in client.recording.received("conversation.item.done")}
    made = {
        event["response"]["id"]: event["response"]["output"][0]["id"]
        for event in client.recording.received("response.done")
    }
    assert made[spoken["id"]] in in_conversation
    assert not in_conversation & {made[aside["id"]] for aside in asides}


# --- responses -------------------------------------------------------------------------------------------------------


async def test_text_in_text_out(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await update(client, output_modalities=["text"])
        await write(client, "Hello.")
        await ask(client)
        response = await done(client)
        assert response["output"][0]["content"][0]["type"] == "output_text"
        assert response["usage"]["output_token_details"]["audio_tokens"] == 0
        await ask(client, output_modalities=["audio"], metadata={"turn": "2"})
        response = await done(client)
        assert response["output"][0]["content"][0]["type"] == "output_audio"
        assert response["metadata"] == {"turn": "2"}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}])
@pytest.mark.parametrize("modality", ["text", "audio"])
async def test_function_call_round_trip(stand_in: str, choice: Any, modality: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await update(client, tools=[WEATHER], output_modalities=[modality])
        await write(client, "What is the weather in London?")
        await ask(client, tool_choice=choice)
        call = (await client.expect("response.output_item.done"))["item"]
        assert (call["type"], call["status"], call["name"]) == ("function_call", "completed", "get_weather")
        assert (await done(client))["status"] == "completed"
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "Foggy."}
        await client.send({"type": "conversation.item.create", "item": result})
        await client.expect("conversation.item.done")
        await ask(client, tool_choice="none")
        assert (await done(client))["output"][0]["type"] == "message"


async def test_result_of_an_unknown_call_is_refused(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        result = {"type": "function_call_output", "call_id": "call_unknown", "output": "?"}
        await failure(client, await client.send({"type": "conversation.item.create", "item": result}))


async def test_a_limit_on_tokens_leaves_the_response_incomplete(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await write(client, "Hello.")
        for modality in ("text", "audio"):
            created = await ask(client, output_modalities=[modality], max_output_tokens=3)
            assert created["max_output_tokens"] == 3
            response = await done(client)
            assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
            assert response["output"][0]["status"] == "incomplete"


# --- items -----------------------------------------------------------------------------------------------------------


async def test_items_go_where_they_are_wanted(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        for item_id, behind in (("b", None), ("d", ""), ("a", "root"), ("c", "b")):
            item = {
                "id": item_id,
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": item_id}],
            }
            event = {"type": "conversation.item.create", "item": item}
            await client.send(event if behind is None else {**event, "previous_item_id": behind})
            await client.expect("conversation.item.done")
        await client.send({"type": "conversation.item.delete", "item_id": "c"})
        await client.expect("conversation.item.deleted")
        await write(client, "e", id="e")
    added = client.recording.received("conversation.item.added")
    assert [(event["item"]["id"], event["previous_item_id"]) for event in added] == [
        ("b", None),
        ("d", "b"),
        ("a", None),
        ("c", "b"),
        ("e", "d"),
    ]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "conversation.item.delete", "item_id": "none"}, "item_delete_invalid_item_id"),
        ({"type": "conversation.item.retrieve", "item_id": "none"}, "item_retrieve_invalid_item_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "none", "content_index": 0, "audio_end_ms": 1},
            "item_truncate_invalid_item_id",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "known", "content_index": 0, "audio_end_ms": 1},
            "unsupported_content_type",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {
                    "id": "known",
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "?"}],
                },
            },
            "item_create_duplicate_item_id",
        ),
    ],
)
async def test_items_that_are_not_there(stand_in: str, event: Event, code: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await write(client, "Hello.", id="known")
        assert (await failure(client, await client.send(event)))["code"] == code


async def test_an_unknown_predecessor_inserts_nothing(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        item = {"id": "lost", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "?"}]}
        event = {"type": "conversation.item.create", "previous_item_id": "none", "item": item}
        await failure(client, await client.send(event))
        error = await failure(client, await client.send({"type": "conversation.item.retrieve", "item_id": "lost"}))
        assert error["code"] == "item_retrieve_invalid_item_id"


async def test_retrieving_what_was_said_and_heard(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await listen(client, transcription=WHISPER)
        await client.speak(SPEECH)
        reply = (await done(client))["output"][0]
        await client.settle()
        (heard,) = client.recording.received("conversation.item.input_audio_transcription.completed")
        await client.send({"type": "conversation.item.retrieve", "item_id": heard["item_id"]})
        question = (await client.expect("conversation.item.retrieved"))["item"]["content"][0]
        assert question["transcript"] == heard["transcript"]
        # 800 ms of speech with the padding before and the silence behind it.
        assert 48 * 800 < len(base64.b64decode(question["audio"])) < 48 * 2000
        await client.send({"type": "conversation.item.retrieve", "item_id": reply["id"]})
        answer = (await client.expect("conversation.item.retrieved"))["item"]["content"][0]
        assert answer["transcript"] == reply["content"][0]["transcript"]


async def test_truncating_beyond_the_end_is_refused(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await write(client, "Hello.")
        await ask(client)
        item = (await done(client))["output"][0]
        cut = {"type": "conversation.item.truncate", "item_id": item["id"], "content_index": 0}
        error = await failure(client, await client.send({**cut, "audio_end_ms": 10_000_000}))
        assert error["code"] == "invalid_value"
        await client.send({**cut, "audio_end_ms": 0})
        await client.expect("conversation.item.truncated")


async def test_history_can_be_seeded(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        await write(client, "Answer in verse.", role="system")
        await write(client, "My name is Alice.")
        await write(client, "Nice to meet you!", role="assistant")
        call = {"type": "function_call", "name": "look_up", "arguments": '{"q": "Alice"}', "call_id": "call_mine"}
        await client.send({"type": "conversation.item.create", "item": call})
        assert (await client.expect("conversation.item.done"))["item"]["call_id"] == "call_mine"
        result = {"type": "function_call_output", "call_id": "call_mine", "output": "A friend."}
        await client.send({"type": "conversation.item.create", "item": result})
        await client.expect("conversation.item.done")
        await ask(client, output_modalities=["text"])
        assert (await done(client))["status"] == "completed"


async def test_audio_of_the_clients_own_making(stand_in: str) -> None:
    async with RealtimeClient(stand_in) as client:
        # Transcription is of audio that went through the input buffer only, says the description of its events.
        await listen(client, transcription=WHISPER)
        audio = base64.b64encode(SPEECH.tobytes()).decode()
        item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
        await client.send({"type": "conversation.item.create", "item": item})
        shown = (await client.expect("conversation.item.done"))["item"]
        assert shown["content"] == [{"type": "input_audio", "transcript": None}]
        await ask(client)
        assert (await done(client))["status"] == "completed"
