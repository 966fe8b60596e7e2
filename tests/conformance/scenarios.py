"""The scenarios of the protocol's table, played by a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.conformance.script import SESSION, TRANSCRIPTION_SESSION, Script, Step

_WHISPER = {"model": "whisper-1", "language": None, "prompt": None}


def connect() -> list[Step]:
    return Script().steps


def server_vad_turns() -> list[Step]:
    script = Script()
    script.update(instructions="Short.", audio={"input": {"transcription": _WHISPER}})
    first = script.start_speech()
    script.stop_speech(first)
    reply = script.reply()
    reply.message()
    reply.say("Hello", " there")
    script.transcribe(first, " Hi", "!")
    reply.end_message()
    reply.end()
    second = script.start_speech()
    script.stop_speech(second)
    script.spoken_reply("Fine", ".")
    script.transcribe(second, " How are", " you?")
    return script.steps


def text_turn() -> list[Step]:
    script = Script()
    script.update(output_modalities=["text"])
    script.create("user", "What is the capital of France?", item_id="mine")
    reply = script.ask()
    reply.message()
    reply.say("Par", "is")
    reply.end_message()
    reply.end()
    return script.steps


def function_call() -> list[Step]:
    script = Script()
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
    script.update(tools=[tool])
    script.create("user", "What is the weather in London?")
    reply = script.ask()
    call_id = reply.end_call(reply.call("get_weather", '{"city":', '"London"}'))
    reply.end()
    script.send("conversation.item.create", item={"type": "function_call_output", "call_id": call_id, "output": "fog"})
    script.item({"id": script.identity("item"), "type": "function_call_output", "call_id": call_id, "output": "fog"})
    reply = script.ask()
    reply.message()
    reply.say("It is", " foggy.")
    reply.end_message()
    reply.end()
    return script.steps


def preamble_and_two_calls() -> list[Step]:
    script = Script()
    script.create("user", "Weather and news?")
    reply = script.ask()
    reply.message()
    reply.say("One", " moment.")
    weather = reply.call("weather", "{}")
    reply.end_message()
    reply.end_call(weather)
    reply.end_call(reply.call("news", "{", "}"))
    reply.end()
    return script.steps


def barge_in() -> list[Step]:
    script = Script()
    script.turn("All is", " well.")
    asked = script.start_speech()
    script.stop_speech(asked)
    reply = script.reply()
    reply.message()
    reply.say("Once", " upon", " a")
    over = script.start_speech()
    reply.end_message(status="incomplete")
    reply.end("cancelled", {"type": "cancelled", "reason": "turn_detected"})
    assert script.last is not None
    cut = {"item_id": script.last, "content_index": 0, "audio_end_ms": 200}
    script.send("conversation.item.truncate", **cut)
    script.receive("conversation.item.truncated", **cut)
    script.stop_speech(over)
    script.spoken_reply("Yes?")
    return script.steps


def cancel() -> list[Step]:
    script = Script()
    script.create("user", "Talk.")
    reply = script.ask()
    reply.message()
    reply.say("Well", ",")
    script.send("response.cancel")
    reply.end_message(status="incomplete")
    reply.end("cancelled", {"type": "cancelled", "reason": "client_cancelled"})
    script.send("response.cancel", event_id="late")
    script.fail("response_cancel_not_active", "late")
    return script.steps


def out_of_band() -> list[Step]:
    script = Script()
    script.create("user", "Hello.")
    spoken = script.ask()
    spoken.message()
    spoken.say("Hi")
    aside = script.ask(conversation="none", output_modalities=["text"], metadata={"topic": "mood"}, input=[])
    aside.message()
    spoken.say(" you.")
    aside.say("happy")
    aside.end_message()
    spoken.end_message()
    aside.end()
    spoken.end()
    return script.steps


def manual_commit() -> list[Step]:
    script = Script()
    script.update(audio={"input": {"turn_detection": None, "transcription": _WHISPER}})
    script.audio(500)
    script.send("input_audio_buffer.commit")
    item_id = script.identity("item")
    script.commit(item_id)
    script.transcribe(item_id, "Go", ".")
    script.audio(100)
    script.send("input_audio_buffer.clear")
    script.receive("input_audio_buffer.cleared")
    script.send("input_audio_buffer.commit", event_id="too_short")
    script.fail("input_audio_buffer_commit_empty", "too_short")
    return script.steps


def transcription_session() -> list[Step]:
    script = Script(TRANSCRIPTION_SESSION)
    script.update(audio={"input": {"transcription": _WHISPER}})
    item_id = script.start_speech()
    script.stop_speech(item_id)
    script.transcribe(item_id, " One", " two.")
    return script.steps


def idle_timeout() -> list[Step]:
    script = Script()
    detection = {**SESSION["audio"]["input"]["turn_detection"], "idle_timeout_ms": 5000}
    script.update(audio={"input": {"turn_detection": detection}})
    script.turn("Hello.")
    script.audio(5000)
    item_id = script.identity("item")
    script.receive(
        "input_audio_buffer.timeout_triggered",
        audio_start_ms=script.audio_ms - 5000,
        audio_end_ms=script.audio_ms,
        item_id=item_id,
    )
    script.commit(item_id)
    script.spoken_reply("Are you", " there?")
    return script.steps


def failed_and_incomplete() -> list[Step]:
    script = Script()
    script.create("user", "Hello.")
    reply = script.ask()
    reply.end("failed", {"type": "failed", "error": {"type": "server_error", "code": "engine_failed", "message": "!"}})
    reply = script.ask(metadata={"try": "2"})
    reply.message()
    reply.say("A long")
    reply.end_message(status="incomplete")
    reply.end("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
    return script.steps


def edits() -> list[Step]:
    script = Script()
    script.create("user", "First.", item_id="first")
    script.create("assistant", "Second.", item_id="second")
    message = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Rules."}]}
    for item_id, behind in (("rules", "root"), ("between", "first")):
        script.send("conversation.item.create", previous_item_id=behind, item={"id": item_id, **message})
        previous = None if behind == "root" else behind
        item = {"id": item_id, "status": "completed", **message}
        for end in ("added", "done"):
            script.receive(f"conversation.item.{end}", previous_item_id=previous, item=item)
    script.send("conversation.item.retrieve", item_id="between")
    script.receive("conversation.item.retrieved", item={"id": "between", "status": "completed", **message})
    script.send("conversation.item.delete", item_id="second")
    script.receive("conversation.item.deleted", item_id="second")
    script.last = "between"
    script.create("user", "Third.")
    script.send("conversation.item.delete", item_id="second", event_id="again")
    script.fail("item_delete_invalid_item_id", "again")
    return script.steps


def no_automatic_response() -> list[Step]:
    script = Script()
    detection = {"create_response": False, "interrupt_response": False}
    script.update(audio={"input": {"turn_detection": detection}})
    script.stop_speech(script.start_speech())
    reply = script.ask()
    reply.message()
    reply.say("You", " said")
    over = script.start_speech()
    reply.say(" something.")
    script.stop_speech(over)
    reply.end_message()
    reply.end()
    return script.steps


SCENARIOS: Mapping[str, Sequence[Step]] = {
    "connect": connect(),
    "server_vad_turns": server_vad_turns(),
    "text_turn": text_turn(),
    "function_call": function_call(),
    "preamble_and_two_calls": preamble_and_two_calls(),
    "barge_in": barge_in(),
    "cancel": cancel(),
    "out_of_band": out_of_band(),
    "manual_commit": manual_commit(),
    "transcription_session": transcription_session(),
    "idle_timeout": idle_timeout(),
    "failed_and_incomplete": failed_and_incomplete(),
    "edits": edits(),
    "no_automatic_response": no_automatic_response(),
}
"""Every frame of a connection, both ways, by the name of the scenario."""
