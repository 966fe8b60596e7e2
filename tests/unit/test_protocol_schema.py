"""Client events against the schema: what is accepted, and the error for each kind of mistake."""

import base64
from typing import Any

import pytest

from antiphon.protocol import checks, schema
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.schema import APPEND_MAX_LENGTH, decode_audio, parse_client_event

FORMAT = {"type": "audio/pcm", "rate": 24000}
PNG = "data:image/png;base64,iVBORw0KGgo="


def session(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def turn_detection(**fields: Any) -> dict[str, Any]:
    return session(audio={"input": {"turn_detection": fields}})


def item(**fields: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": fields}


def message(role: str, **part: Any) -> dict[str, Any]:
    return item(type="message", role=role, content=[part])


def response(**fields: Any) -> dict[str, Any]:
    return {"type": "response.create", "response": fields}


ACCEPTED: list[dict[str, Any]] = [
    # As recorded clients send them.
    session(
        instructions="Reply in a few words.",
        output_modalities=["audio"],
        audio={
            "input": {
                "format": FORMAT,
                "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
                "transcription": {"model": "gpt-realtime-whisper"},
            },
            "output": {"format": FORMAT},
        },
        tools=[
            {
                "type": "function",
                "name": "get_weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                "description": "Look up the weather for a city.",
            }
        ],
    ),
    message("user", type="input_text", text="My name is Alice and my favorite color is teal."),
    message("assistant", type="output_text", text="Nice to meet you, Alice!"),
    item(type="function_call_output", call_id="call_uMNE0Myi2tDTPu0w", output="It is foggy."),
    {"type": "response.create"},
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
    # As the tables describe them.
    session(),
    session(
        model="gpt-realtime",
        tools=[],
        tool_choice="required",
        max_output_tokens="inf",
        truncation={"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 4000}},
        tracing={"workflow_name": "w", "group_id": "g", "metadata": {"a": {"b": [1]}}},
        prompt={
            "id": "pmpt_1",
            "version": "2",
            "variables": {"city": "Paris", "who": {"type": "input_text", "text": "x"}},
        },
        include=["item.input_audio_transcription.logprobs"],
        parallel_tool_calls=True,
        reasoning={"effort": "low"},
    ),
    session(
        instructions="",
        tracing=None,
        prompt=None,
        include=None,
        tool_choice={"type": "function", "name": "f"},
        max_output_tokens=4096,
        truncation="disabled",
        audio={
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {
                    "model": "gpt-live-transcribe",
                    "language": None,
                    "prompt": "names",
                    "languages": ["en", "de"],
                    "keywords": ["Antiphon"],
                    "delay": "minimal",
                },
                "noise_reduction": {"type": "far_field", "strength": 0.5},
                "turn_detection": None,
            },
            "output": {"format": {"type": "audio/pcma"}, "voice": {"id": "voice_1"}, "speed": 1.5},
        },
    ),
    turn_detection(type="semantic_vad", eagerness="high", create_response=False, interrupt_response=None),
    turn_detection(type="server_vad", threshold=1, prefix_padding_ms=0, silence_duration_ms=200, idle_timeout_ms=None),
    session(
        tools=[
            {
                "type": "mcp",
                "server_label": "deepwiki",
                "server_url": "https://example.com/mcp",
                "headers": {"X-Key": "1"},
                "allowed_tools": ["ask"],
                "require_approval": {"always": {"tool_names": ["ask"]}, "never": {"read_only": True}},
            },
            {"type": "mcp", "server_label": "t", "tunnel_id": "tun_1", "allowed_tools": {"read_only": True}},
            {"type": "mcp", "server_label": "c", "connector_id": "connector_gmail", "require_approval": "never"},
        ],
        tool_choice={"type": "mcp", "server_label": "deepwiki", "name": None},
    ),
    {"type": "session.update", "session": {"type": "transcription", "audio": {"input": {"turn_detection": None}}}},
    {"type": "input_audio_buffer.append", "audio": "AAAA", "event_id": None},
    {"type": "input_audio_buffer.commit", "event_id": "e" * 512},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 0},
    {"type": "conversation.item.delete", "item_id": "i"},
    {"type": "conversation.item.retrieve", "item_id": "i", "event_id": "rci_i"},
    {"type": "response.cancel"},
    {"type": "response.cancel", "response_id": None},
    {**message("system", type="input_text", text="Be kind."), "previous_item_id": "root"},
    item(type="message", role="user", content=[], id="x" * 32, status="incomplete", object="realtime.item"),
    item(
        type="message",
        role="user",
        content=[
            {"type": "input_audio", "audio": "AAAA", "transcript": "hello"},
            {"type": "input_audio", "audio": "AAAA", "transcript": None},
            {"type": "input_image", "image_url": PNG, "detail": "low"},
        ],
    ),
    item(type="function_call", name="f", arguments="{}", call_id=None, status="completed"),
    item(type="mcp_approval_response", approval_request_id="a", approve=True, reason="fine"),
    {"type": "response.create", "response": None},
    response(),
    response(
        conversation="none",
        metadata={"k" * 64: "v" * 512},
        input=[{"type": "item_reference", "id": "item_1"}, message("user", type="input_text", text="x")["item"]],
        output_modalities=["text"],
        instructions="",
        audio={"output": {"format": FORMAT, "voice": "marin"}},
        tools=[{"type": "function", "name": "f"}],
        tool_choice="none",
        max_output_tokens=1,
        parallel_tool_calls=False,
        reasoning={"effort": "xhigh"},
        prompt={"id": "p"},
    ),
    response(metadata=None, input=[]),
]


@pytest.mark.parametrize("event", ACCEPTED, ids=lambda event: event["type"])
def test_a_valid_event_is_returned_itself(event: dict[str, Any]) -> None:
    assert parse_client_event(event) is event


MISTAKES: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {"type": "scooby"},
        "invalid_value",
        "type",
        "Invalid value: 'scooby'. Supported values are: 'session.update', 'input_audio_buffer.append', "
        "'input_audio_buffer.commit', 'input_audio_buffer.clear', 'conversation.item.create', "
        "'conversation.item.truncate', 'conversation.item.delete', 'conversation.item.retrieve', "
        "'response.create', and 'response.cancel'.",
    ),
    ({"type": "output_audio_buffer.clear"}, "invalid_value", "type", "Invalid value: 'output_audio_buffer.clear'."),
    ({"type": "session.update"}, "missing_required_parameter", "session", "Missing required parameter: 'session'."),
    (
        {"type": "session.update", "session": {}},
        "missing_required_parameter",
        "session.type",
        "Missing required parameter: 'session.type'.",
    ),
    (
        {"type": "session.update", "session": {"type": "chat"}},
        "invalid_value",
        "session.type",
        "Invalid value: 'chat'. Supported values are: 'realtime' and 'transcription'.",
    ),
    (
        {"type": "session.update", "session": None},
        "invalid_type",
        "session",
        "Invalid type for 'session': expected an object, but got null instead.",
    ),
    (session(temperature=0.8), "unknown_parameter", "session.temperature", "Unknown parameter: 'session.temperature'."),
    (
        {"type": "session.update", "session": {"type": "transcription", "instructions": "x"}},
        "unknown_parameter",
        "session.instructions",
        "Unknown parameter: 'session.instructions'.",
    ),
    (
        session(audio={"input": {"format": "pcm16"}}),
        "invalid_type",
        "session.audio.input.format",
        "Invalid type for 'session.audio.input.format': expected an object, but got a string instead.",
    ),
    (
        session(audio={"input": {"format": {"type": "pcm16"}}}),
        "invalid_value",
        "session.audio.input.format.type",
        "Invalid value: 'pcm16'. Supported values are: 'audio/pcm', 'audio/pcmu', and 'audio/pcma'.",
    ),
    (
        session(audio={"input": {"format": {"type": "audio/pcm", "rate": 16000}}}),
        "integer_below_min_value",
        "session.audio.input.format.rate",
        "Invalid 'session.audio.input.format.rate': integer below minimum value. "
        "Expected a value >= 24000, but got 16000 instead.",
    ),
    (
        session(audio={"output": {"format": {"type": "audio/pcmu", "rate": 8000}}}),
        "unknown_parameter",
        "session.audio.output.format.rate",
        "Unknown parameter: 'session.audio.output.format.rate'.",
    ),
    (
        turn_detection(threshold=0.5),
        "missing_required_parameter",
        "session.audio.input.turn_detection.type",
        "Missing required parameter: 'session.audio.input.turn_detection.type'.",
    ),
    (
        turn_detection(type="server_vad", threshold=1.5),
        "decimal_above_max_value",
        "session.audio.input.turn_detection.threshold",
        "Invalid 'session.audio.input.turn_detection.threshold': decimal above maximum value. "
        "Expected a value <= 1, but got 1.5 instead.",
    ),
    (
        turn_detection(type="semantic_vad", idle_timeout_ms=6000),
        "unknown_parameter",
        "session.audio.input.turn_detection.idle_timeout_ms",
        "Unknown parameter: 'session.audio.input.turn_detection.idle_timeout_ms'.",
    ),
    (
        turn_detection(type="server_vad", silence_duration_ms=200.0),
        "invalid_type",
        "session.audio.input.turn_detection.silence_duration_ms",
        "expected an integer, but got a decimal number instead.",
    ),
    (
        turn_detection(type="server_vad", create_response=1),
        "invalid_type",
        "session.audio.input.turn_detection.create_response",
        "expected a boolean, but got an integer instead.",
    ),
    (
        turn_detection(type="server_vad", idle_timeout_ms=4999),
        "integer_below_min_value",
        "session.audio.input.turn_detection.idle_timeout_ms",
        "Expected a value >= 5000, but got 4999 instead.",
    ),
    (
        session(audio={"output": {"speed": 2}}),
        "decimal_above_max_value",
        "session.audio.output.speed",
        "Expected a value <= 1.5, but got 2 instead.",
    ),
    (
        session(audio={"output": {"speed": True}}),
        "invalid_type",
        "session.audio.output.speed",
        "expected a decimal, but got a boolean instead.",
    ),
    (
        session(audio={"output": {"voice": 7}}),
        "invalid_type",
        "session.audio.output.voice",
        "expected one of an object or a string, but got an integer instead.",
    ),
    (
        session(audio={"input": {"transcription": {"prompt": "x" * 1025}}}),
        "string_above_max_length",
        "session.audio.input.transcription.prompt",
        "string too long. Expected a string with maximum length 1024, but got a string with length 1025 instead.",
    ),
    (
        session(max_output_tokens=4097),
        "integer_above_max_value",
        "session.max_output_tokens",
        "Expected a value <= 4096, but got 4097 instead.",
    ),
    (
        session(max_output_tokens="infinite"),
        "invalid_value",
        "session.max_output_tokens",
        "Invalid value: 'infinite'. Value must be 'inf'.",
    ),
    (
        session(tool_choice=7),
        "invalid_type",
        "session.tool_choice",
        "expected one of an object or 'none', 'auto', or 'required', but got an integer instead.",
    ),
    (
        session(tool_choice={"type": "function"}),
        "missing_required_parameter",
        "session.tool_choice.name",
        "Missing required parameter: 'session.tool_choice.name'.",
    ),
    (
        session(tools=[{"type": "function", "name": "f"}, {"type": "function"}]),
        "missing_required_parameter",
        "session.tools[1].name",
        "Missing required parameter: 'session.tools[1].name'.",
    ),
    (
        session(tools=[{"type": "function", "name": "f", "strict": True}]),
        "unknown_parameter",
        "session.tools[0].strict",
        "Unknown parameter: 'session.tools[0].strict'.",
    ),
    (
        session(tools=[{"type": "function", "name": "pos.add_item"}]),
        "invalid_value",
        "session.tools[0].name",
        "Invalid 'session.tools[0].name': string does not match pattern. "
        "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
    ),
    (
        session(tools=[{"type": "function", "name": "f", "parameters": "{}"}]),
        "invalid_type",
        "session.tools[0].parameters",
        "expected an object, but got a string instead.",
    ),
    (
        session(tools=[{"type": "function", "name": f"f{index}"} for index in range(129)]),
        "array_above_max_length",
        "session.tools",
        "array too long. Expected an array with maximum length 128, but got an array with length 129 instead.",
    ),
    (session(tools={}), "invalid_type", "session.tools", "expected an array of objects, but got an object instead."),
    (
        session(output_modalities=["video"]),
        "invalid_value",
        "session.output_modalities[0]",
        "Invalid value: 'video'. Supported values are: 'text' and 'audio'.",
    ),
    (
        session(include=["logprobs"]),
        "invalid_value",
        "session.include[0]",
        "Invalid value: 'logprobs'. Value must be 'item.input_audio_transcription.logprobs'.",
    ),
    (
        session(truncation={"type": "retention_ratio", "retention_ratio": -0.1}),
        "decimal_below_min_value",
        "session.truncation.retention_ratio",
        "decimal below minimum value. Expected a value >= 0, but got -0.1 instead.",
    ),
    (session(instructions="x" * 262_145), "string_above_max_length", "session.instructions", "string too long."),
    (
        {"type": "input_audio_buffer.append"},
        "missing_required_parameter",
        "audio",
        "Missing required parameter: 'audio'.",
    ),
    ({"type": "input_audio_buffer.append", "audio": None}, "invalid_type", "audio", "expected a string, but got null"),
    (
        {"type": "input_audio_buffer.append", "audio": "A" * (APPEND_MAX_LENGTH + 4)},
        "string_above_max_length",
        "audio",
        "string too long.",
    ),
    (
        {"type": "input_audio_buffer.append", "audio": "AAAA", "x": 1},
        "unknown_parameter",
        "x",
        "Unknown parameter: 'x'.",
    ),
    (
        {"type": "input_audio_buffer.append", "audio": "AAAA", "event_id": "e" * 513},
        "string_above_max_length",
        "event_id",
        "Expected a string with maximum length 512",
    ),
    ({"type": "input_audio_buffer.commit", "event_id": 1}, "invalid_type", "event_id", "expected a string"),
    (
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -11},
        "integer_below_min_value",
        "audio_end_ms",
        "Invalid 'audio_end_ms': integer below minimum value. Expected a value >= 0, but got -11 instead.",
    ),
    (
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1.5},
        "invalid_type",
        "audio_end_ms",
        "Invalid type for 'audio_end_ms': expected an integer, but got a decimal number instead.",
    ),
    (item(role="system"), "missing_required_parameter", "item.type", "Missing required parameter: 'item.type'."),
    (
        item(type="mcp_call", id="i"),
        "invalid_value",
        "item.type",
        "Invalid value: 'mcp_call'. Supported values are: 'message', 'function_call', 'function_call_output', "
        "and 'mcp_approval_response'.",
    ),
    (
        item(type="item_reference", id="i"),
        "invalid_value",
        "item.type",
        "Invalid value: 'item_reference'.",
    ),
    (
        item(type="message", content=[]),
        "missing_required_parameter",
        "item.role",
        "Missing required parameter: 'item.role'.",
    ),
    (
        item(type="message", role="tool", content=[]),
        "invalid_value",
        "item.role",
        "Invalid value: 'tool'. Supported values are: 'system', 'user', and 'assistant'.",
    ),
    (
        item(type="message", role="user", content="hello"),
        "invalid_type",
        "item.content",
        "Invalid type for 'item.content': expected an array of objects, but got a string instead.",
    ),
    (
        message("assistant", type="text", text="x"),
        "invalid_value",
        "item.content[0].type",
        "Invalid value: 'text'. Value must be 'output_text'.",
    ),
    (
        message("assistant", type="output_audio", transcript="x"),
        "invalid_value",
        "item.content[0].type",
        "Invalid value: 'output_audio'. Value must be 'output_text'.",
    ),
    (
        message("system", type="output_text", text="x"),
        "invalid_value",
        "item.content[0].type",
        "Invalid value: 'output_text'. Value must be 'input_text'.",
    ),
    (
        message("user", type="output_text", text="x"),
        "invalid_value",
        "item.content[0].type",
        "Invalid value: 'output_text'. Supported values are: 'input_text', 'input_audio', and 'input_image'.",
    ),
    (
        message("user", type="input_text"),
        "missing_required_parameter",
        "item.content[0].text",
        "Missing required parameter: 'item.content[0].text'.",
    ),
    (
        message("user", type="input_text", text="x", audio="AAAA"),
        "unknown_parameter",
        "item.content[0].audio",
        "Unknown parameter: 'item.content[0].audio'.",
    ),
    (
        message("user", type="input_image", image_url="https://example.com/cat.png"),
        "invalid_value",
        "item.content[0].image_url",
        "Invalid 'item.content[0].image_url'.",
    ),
    (
        message("user", type="input_image", image_url="data:image/png;base64,%%%"),
        "invalid_value",
        "item.content[0].image_url",
        "Invalid 'item.content[0].image_url'.",
    ),
    (
        item(type="message", role="user", content=[], id="x" * 39),
        "string_above_max_length",
        "item.id",
        "Invalid 'item.id': string too long. Expected a string with maximum length 32, "
        "but got a string with length 39 instead.",
    ),
    (
        item(type="function_call_output", output="x"),
        "missing_required_parameter",
        "item.call_id",
        "Missing required parameter: 'item.call_id'.",
    ),
    (
        item(type="function_call_output", call_id="c", output={"temperature": 12}),
        "invalid_type",
        "item.output",
        "Invalid type for 'item.output': expected a string, but got an object instead.",
    ),
    (
        response(modalities=["text"]),
        "unknown_parameter",
        "response.modalities",
        "Unknown parameter: 'response.modalities'.",
    ),
    (
        response(conversation="main"),
        "invalid_value",
        "response.conversation",
        "Invalid value: 'main'. Supported values are: 'auto' and 'none'.",
    ),
    (
        response(input=[{"type": "item_reference"}]),
        "missing_required_parameter",
        "response.input[0].id",
        "Missing required parameter: 'response.input[0].id'.",
    ),
    (
        response(metadata={str(index): "" for index in range(17)}),
        "object_above_max_properties",
        "response.metadata",
        "Expected an object with at most 16 properties, but got an object with 17 properties instead.",
    ),
    (response(metadata={"a": 1}), "invalid_type", "response.metadata.a", "expected a string, but got an integer"),
    (response(metadata={"a": "v" * 513}), "string_above_max_length", "response.metadata.a", "maximum length 512"),
    (
        response(metadata={"k" * 65: ""}),
        "string_above_max_length",
        f"response.metadata.{'k' * 65}",
        "maximum length 64",
    ),
    (response(metadata="x"), "invalid_type", "response.metadata", "expected a metadata object, but got a string"),
]


@pytest.mark.parametrize(("event", "code", "param", "words"), MISTAKES, ids=lambda value: str(value)[:60])
def test_each_mistake_has_its_error(event: dict[str, Any], code: str, param: str, words: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client_event({"event_id": "e1", **event})
    error = caught.value
    assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")
    assert words in error.message
    assert error.event_id == (None if param == "event_id" else "e1")


def test_the_first_mistake_is_told_in_a_stable_order() -> None:
    event = session(audio={"input": {"x": 1}}, y=2, max_output_tokens=0)
    with pytest.raises(ProtocolError) as caught:
        parse_client_event(event)
    assert caught.value.param == "session.y"
    del event["session"]["y"]
    with pytest.raises(ProtocolError) as caught:
        parse_client_event(event)
    assert caught.value.param == "session.audio.input.x"


def test_json_that_the_schema_leaves_open_may_not_be_nested_without_end() -> None:
    def tool(depth: int) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        for _ in range(depth - 1):
            parameters = {"properties": [parameters]} if depth % 2 else {"a": parameters}
        return session(tools=[{"type": "function", "name": "f", "parameters": parameters}])

    parse_client_event(tool(100))
    with pytest.raises(ProtocolError) as caught:
        parse_client_event(tool(102))
    assert caught.value.param == "session.tools[0].parameters"


def test_a_long_key_is_not_repeated_whole() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client_event(session(**{"x" * 1_000_000: 1}))
    assert caught.value.code == "unknown_parameter"
    assert len(caught.value.message) < 300


def test_every_entry_of_the_tables_is_about_a_field_that_exists() -> None:
    seen: set[str] = set()

    def walk(check: checks.Check, name: str) -> None:
        if isinstance(check, checks.Object):
            for field, inner in check.fields.items():
                seen.add(field)
                walk(inner, field)
        elif isinstance(check, checks.Variants):
            for inner in check.choices.values():
                walk(inner, name)
        elif isinstance(check, checks.ByType):
            for inner in check.arms.values():
                walk(inner, name)
        elif isinstance(check, checks.Array):
            walk(check.item, name)

    for check in schema._CLIENT_EVENTS.values():
        walk(check, "")
    tables = (schema._ANNOTATIONS, schema._CHECKS, schema._REQUIRED, schema._RANGES, schema._MAX_LENGTHS)
    assert {key.rpartition(".")[2] for table in tables for key in table} <= seen


def test_audio_is_strict_base64_of_whole_samples() -> None:
    assert decode_audio(base64.b64encode(b"abcd").decode(), bytes_per_sample=2) == b"abcd"
    for bad in ("****", "AAA", "AAA=A", "AA AA", "AAAA\n", "é", "-_8="):
        with pytest.raises(ProtocolError, match="an invalid value") as caught:
            decode_audio(bad, "item.content[0].audio")
        assert (caught.value.code, caught.value.param) == ("invalid_value", "item.content[0].audio")
    with pytest.raises(ProtocolError, match=r"Invalid 'audio'\. .* got empty bytes"):
        decode_audio("")
    with pytest.raises(ProtocolError, match="an incomplete sample"):
        decode_audio(base64.b64encode(b"abc").decode(), bytes_per_sample=2)
