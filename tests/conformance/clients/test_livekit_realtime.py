"""livekit-plugins-openai's `RealtimeModel`: as OpenAI's client, and as Azure's with and without an API version."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import llm
from livekit.agents.llm import ChatContext, FunctionCall, FunctionCallOutput, function_tool

from tests.conformance.audio import RATE, tone
from tests.conformance.clients.livekit_session import KINDS, Service, conversing, listen, serving_as, texts
from tests.conformance.clients.stimuli import SPEECH


@pytest.fixture(params=KINDS)
async def service(request: pytest.FixtureRequest, stand_in: str) -> AsyncIterator[Service]:
    """A server whose engines answer at once."""
    async with serving_as(request.param, stand_in) as service:
        yield service


@pytest.fixture(params=KINDS)
async def slow_service(request: pytest.FixtureRequest, slow_stand_in: str) -> AsyncIterator[Service]:
    """A server whose model takes seconds, so that there is time to interrupt it."""
    async with serving_as(request.param, slow_stand_in) as service:
        yield service


@function_tool
async def get_weather(city: str) -> str:
    """Look up the weather.

    Args:
        city: where
    """
    return f"It is sunny in {city}."


@pytest.fixture(autouse=True)
def complaints(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The client logs what it cannot make sense of, and goes on; a test lists here what it expects."""
    expected = ["`api_version` parameter"]
    with caplog.at_level(logging.WARNING, "livekit"):
        yield expected
    records = [record for record in caplog.get_records("call") if record.name.startswith("livekit")]
    messages = {record.getMessage() for record in records}
    assert {message for message in messages if not any(text in message for text in expected)} == set()


async def test_a_spoken_turn(service: Service) -> None:
    async with conversing(service) as client:
        client.speak()
        (generation,) = await client.seen("generation_created")
        assert not generation.user_initiated
        said = await listen(generation)
        (heard,) = await client.heard()
        (metrics,) = await client.seen("metrics_collected")
        assert len(client.reports["input_speech_started"]) == len(client.reports["input_speech_stopped"]) == 1
        assert texts(client.session.chat_ctx) == [("user", heard), ("assistant", said.text)]
    assert heard.startswith("Utterance of")
    assert said.modalities == ["audio", "text"]
    assert said.text.startswith("Hello")
    assert said.samples > RATE
    assert metrics.request_id == generation.response_id
    assert metrics.total_tokens == metrics.input_tokens + metrics.output_tokens > 0
    assert metrics.input_token_details.audio_tokens > 0
    assert not metrics.cancelled


async def test_several_turns_at_other_rates(service: Service) -> None:
    async with conversing(service) as client:
        for turn in range(1, 4):
            stereo = np.repeat(np.repeat(SPEECH, 2), 2).reshape(-1, 960, 2)  # 48 kHz, as from a room
            for frame in stereo:
                client.session.push_audio(rtc.AudioFrame(frame.tobytes(), 48_000, 2, 960))
            generation = (await client.seen("generation_created", turn))[-1]
            assert (await listen(generation)).samples > RATE
            assert len(await client.heard(turn)) == turn
            assert [role for role, _ in texts(client.session.chat_ctx)] == ["user", "assistant"] * turn


async def test_a_reply_on_request(service: Service) -> None:
    async with conversing(service) as client:
        await client.session.update_instructions("Be brief.")
        generation = await client.session.generate_reply(instructions="Greet the user.")
        assert generation.user_initiated
        said = await listen(generation)
        assert said.samples > RATE
        assert client.reports["generation_created"] == [generation]
        assert texts(client.session.chat_ctx) == [("assistant", said.text)]
    (created,) = service.tap.connections[0].recording.received("response.created")
    assert created["response"]["metadata"]["client_event_id"].startswith("response_create_")


async def test_a_text_reply(service: Service) -> None:
    async with conversing(service, modalities=["text"]) as client:
        said = await client.reply()
    assert said.modalities == ["text"]
    assert said.text.startswith("Hello")
    assert said.samples == 0


async def test_a_tool_round_trip(service: Service) -> None:
    async with conversing(service) as client:
        await client.session.update_tools([get_weather])
        context = client.session.chat_ctx
        context.add_message(role="user", content="What is the weather in Paris?")
        await client.session.update_chat_ctx(context)
        (call,) = (await client.reply(tool_choice="required")).calls
        assert call.name == "get_weather"
        assert set(json.loads(call.arguments)) == {"city"}

        context = client.session.chat_ctx
        assert [item.type for item in context.items] == ["message", "function_call"]
        context.items.append(
            FunctionCallOutput(call_id=call.call_id, name=call.name, output="It is sunny.", is_error=False)
        )
        await client.session.update_chat_ctx(context)
        said = await client.reply(tool_choice="none")
        assert said.text
        assert said.calls == []
        kept = [item.type for item in client.session.chat_ctx.items]
        assert kept == ["message", "function_call", "function_call_output", "message"]
        named = await client.reply(tool_choice={"type": "function", "function": {"name": "get_weather"}})
        assert [call.name for call in named.calls] == ["get_weather"]


async def test_interrupting_and_truncating(slow_service: Service) -> None:
    async with conversing(slow_service) as client:
        generation = await client.session.generate_reply()
        message = await anext(aiter(generation.message_stream))
        await anext(aiter(message.audio_stream))
        client.session.interrupt()
        (metrics,) = await client.seen("metrics_collected")
        assert metrics.cancelled
        client.session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=100)
        client.session.interrupt()  # with nothing left to interrupt
        again = await client.session.generate_reply()
        await anext(aiter(again.message_stream))
        client.session.interrupt()
        assert (await client.seen("metrics_collected", 2))[1].request_id == again.response_id
    recording = slow_service.tap.connections[0].recording
    assert [event["audio_end_ms"] for event in recording.received("conversation.item.truncated")] == [100]


async def test_a_reply_that_was_not_heard_is_deleted(slow_service: Service) -> None:
    async with conversing(slow_service) as client:
        generation = await client.session.generate_reply()
        message = await anext(aiter(generation.message_stream))
        await anext(aiter(message.audio_stream))
        client.session.interrupt()
        await client.seen("metrics_collected")
        client.session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=0)
        await client.session.update_chat_ctx(ChatContext.empty())
        assert client.session.chat_ctx.items == []


async def test_speaking_over_a_reply(slow_service: Service) -> None:
    async with conversing(slow_service) as client:
        client.speak()
        first = (await client.seen("generation_created"))[0]
        message = await anext(aiter(first.message_stream))
        await anext(aiter(message.audio_stream))
        client.speak()
        await client.seen("input_speech_started", 2)
        metrics = (await client.seen("metrics_collected"))[0]
        assert metrics.request_id == first.response_id
        assert metrics.cancelled
        client.session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=200)
        second = (await client.seen("generation_created", 2))[1]
        await anext(aiter(second.message_stream))
        client.session.interrupt()
        await listen(second)
        roles = [role for role, _ in texts(client.session.chat_ctx)]
        assert roles == ["user", "assistant", "user", "assistant"]


async def test_a_reply_given_up_before_it_came(slow_service: Service, complaints: list[str]) -> None:
    complaints.append("discarding response that arrived")
    async with conversing(slow_service) as client:
        client.session.generate_reply().cancel()
        await asyncio.sleep(0)  # the cancellation goes out in the next round of the loop
        second = await client.session.generate_reply()
        message = await anext(aiter(second.message_stream))
        await anext(aiter(message.audio_stream))
        client.session.interrupt()
        (metrics,) = await client.seen("metrics_collected")
        assert metrics.request_id == second.response_id
    first, _ = slow_service.tap.connections[0].recording.received("response.done")
    assert first["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}


async def test_a_second_reply_at_once_is_refused(slow_service: Service, complaints: list[str]) -> None:
    complaints.append("returned an error")
    async with conversing(slow_service) as client:
        first = await client.session.generate_reply()
        with pytest.raises(llm.RealtimeError, match="already has an active response"):
            await client.session.generate_reply()
        client.session.interrupt()
        await listen(first)
        client.reports["error"].clear()


async def test_context_edits(service: Service) -> None:
    async with conversing(service) as client:
        context = ChatContext.empty()
        context.add_message(role="system", content="Answer in verse.")
        first = context.add_message(role="user", content="My name is Alice.")
        context.add_message(role="assistant", content="Nice to meet you!")
        last = context.add_message(role="user", content="Who am I?")
        call = FunctionCall(call_id="call_mine", name="look_up", arguments='{"q": "Alice"}')
        context.items += [call, FunctionCallOutput(call_id="call_mine", name="look_up", output="ok", is_error=False)]
        await client.session.update_chat_ctx(context)
        assert texts(client.session.chat_ctx) == texts(context)
        assert [item.id for item in client.session.chat_ctx.items] == [item.id for item in context.items]

        # In the middle, at the front, away, and changed under the same id.
        edited = client.session.chat_ctx
        edited.items.insert(2, llm.ChatMessage(role="user", content=["I am a baker."]))
        edited.items.insert(0, llm.ChatMessage(role="user", content=["Hello."]))
        edited.items = [item for item in edited.items if item.id != last.id]
        edited.items = [
            llm.ChatMessage(id=item.id, role="user", content=["My name is Bob."]) if item.id == first.id else item
            for item in edited.items
        ]
        await client.session.update_chat_ctx(edited)
        assert texts(client.session.chat_ctx) == texts(edited)
        assert [item.id for item in client.session.chat_ctx.items] == [item.id for item in edited.items]
        assert (await client.reply()).text

        await client.session.update_chat_ctx(ChatContext.empty())
        assert client.session.chat_ctx.items == []


# To Azure with an API version the client cannot say that turn detection is off.
@pytest.mark.parametrize("service", ["openai", "azure"], indirect=True)
async def test_manual_turns(service: Service) -> None:
    async with conversing(service, turn_detection=None) as client:
        for turn in range(1, 3):
            client.speak(tone(500))
            client.session.commit_audio()
            assert (await client.reply()).samples > RATE
            assert len(await client.heard(turn)) == turn
        client.speak(tone(500))
        client.session.clear_audio()
        assert (await client.reply()).samples > RATE
        assert [role for role, _ in texts(client.session.chat_ctx)] == ["user", "assistant"] * 2 + ["assistant"]
        assert client.reports["input_speech_started"] == []


@pytest.mark.parametrize("service", ["openai", "azure"], indirect=True)
async def test_changing_options(service: Service) -> None:
    async with conversing(service, input_audio_noise_reduction="near_field") as client:
        client.session.update_options(
            voice="alloy", speed=1.25, tool_choice="none", max_response_output_tokens=2, tracing="auto"
        )
        said = await client.reply()
        assert len(said.text.split()) == 2
    sessions = [event["session"] for event in service.tap.connections[0].recording.received("session.updated")]
    assert sessions[-1]["audio"]["output"] | {"voice": "alloy", "speed": 1.25} == sessions[-1]["audio"]["output"]
    assert sessions[-1]["audio"]["input"]["noise_reduction"]["type"] == "near_field"


@pytest.mark.parametrize("code", [1001, 1011])
async def test_reconnecting(service: Service, code: int, complaints: list[str]) -> None:
    complaints += ["Error in _recv_task", "connection failed, retrying"]
    async with conversing(service) as client:
        await client.session.update_tools([get_weather])
        context = ChatContext.empty()
        context.add_message(role="user", content="My name is Alice.")
        await client.session.update_chat_ctx(context)
        said = await client.reply()
        before = texts(client.session.chat_ctx)
        await service.tap.disconnect(code)
        await client.seen("session_reconnected")
        (call,) = (await client.reply(tool_choice="required")).calls
        assert call.name == "get_weather"
        assert texts(client.session.chat_ctx) == before == [("user", "My name is Alice."), ("assistant", said.text)]
        client.speak()
        assert (await listen((await client.seen("generation_created", 3))[2])).samples > RATE
        client.reports["error"].clear()  # the lost connection
    assert len(service.tap.connections) == 2


async def test_a_fresh_connection_every_so_often(service: Service) -> None:
    # The client gives up a reply for which it asked and that has not begun when the time is over.
    async with conversing(service, max_session_duration=3) as client:
        assert (await client.reply()).text
        await client.seen("session_reconnected", 2)
        assert (await client.reply()).text
        assert [role for role, _ in texts(client.session.chat_ctx)] == ["assistant"] * 2
