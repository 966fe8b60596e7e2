"""The configuration of a session and of a response: merging, refusing, and the effective session on the wire."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.realtime import SessionUpdatedEvent
from openai.types.realtime.realtime_session_create_request import RealtimeSessionCreateRequest
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from openai.types.realtime.realtime_transcription_session_create_request import (
    RealtimeTranscriptionSessionCreateRequest,
)
from pydantic import BaseModel

from antiphon.audio.formats import PCM_24K, PCMA, PCMU
from antiphon.engines.base import NamedTool
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.schema import parse_client_event
from antiphon.session.config import (
    FunctionTool,
    NoiseReduction,
    ResponseConfig,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
    default_session_config,
    response_config,
)

VOICES = ("hibari", "alloy", "marin", "ash")
DEFAULT = default_session_config(model="gpt-realtime", voice="marin", instructions="Be helpful.")
TRANSCRIPTION = default_session_config(
    type="transcription", model="whisper-1", voice="marin", instructions="", transcription_model="whisper-1"
)
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}


def update(config: SessionConfig, *, spoken: bool = False, **session: Any) -> SessionConfig:
    """Update `config` with what a client sends, checked as it comes in."""
    event = parse_client_event({"type": "session.update", "session": {"type": config.type, **session}})
    return config.updated(
        event["session"],
        assistant_audio_present=spoken,
        voices=VOICES,
        same_model=lambda name: name.startswith("gpt-realtime"),
        transcription_models=("whisper-tiny",),
    )


def update_input(config: SessionConfig, **fields: Any) -> SessionConfig:
    return update(config, audio={"input": fields})


def refused(config: SessionConfig, *, spoken: bool = False, **session: Any) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        update(config, spoken=spoken, **session)
    return caught.value


def response(config: SessionConfig, **fields: Any) -> ResponseConfig:
    event = parse_client_event({"type": "response.create", "response": fields})
    return response_config(config, event["response"], voices=VOICES)


# --- the effective session -------------------------------------------------------------------------------------------


def test_the_session_at_the_start_is_written_as_the_service_writes_it() -> None:
    wire = DEFAULT.wire("sess_1", 1785217650)
    expected = {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "instructions": "Be helpful.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": 1785217650,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
        },
        "include": None,
    }
    assert wire == expected
    assert str(wire) == str(expected), "the order of the keys"


def test_a_configured_session_is_written_as_the_service_writes_it() -> None:
    config = update(
        DEFAULT,
        instructions="Use the get_weather tool.",
        output_modalities=["text"],
        audio={
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
                "transcription": {"model": "gpt-realtime-whisper"},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}},
        },
        tools=[
            {
                "type": "function",
                "name": "get_weather",
                "parameters": {"type": "object", "required": ["city"]},
                "description": "Look up the weather for a city.",
            }
        ],
    )
    wire = config.wire("sess_1", 1785217655)
    assert wire["output_modalities"] == ["text"]
    assert wire["instructions"] == "Use the get_weather tool."
    assert str(wire["audio"]["input"]["transcription"]) == str(
        {"model": "gpt-realtime-whisper", "language": None, "prompt": None}
    )
    assert str(wire["tools"]) == str(
        [
            {
                "type": "function",
                "name": "get_weather",
                "description": "Look up the weather for a city.",
                "parameters": {"type": "object", "required": ["city"]},
            }
        ]
    )


def test_a_transcription_session_has_input_only() -> None:
    wire = TRANSCRIPTION.wire("sess_1", 1785217650)
    assert list(wire) == ["type", "object", "id", "expires_at", "audio", "include"]
    assert wire["object"] == "realtime.transcription_session"
    assert list(wire["audio"]) == ["input"]
    assert wire["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": None, "prompt": None}
    parsed = SessionUpdatedEvent.model_validate({"type": "session.updated", "event_id": "e", "session": wire})
    assert isinstance(parsed.session, RealtimeTranscriptionSessionCreateRequest)


def test_what_the_client_did_not_ask_for_is_not_written() -> None:
    config = update_input(
        DEFAULT, transcription={"model": "whisper-1", "language": "en"}, noise_reduction={"type": "near_field"}
    )
    assert config.wire("s", 0)["audio"]["input"]["transcription"] == {
        "model": "whisper-1",
        "language": "en",
        "prompt": None,
    }
    assert config.wire("s", 0)["audio"]["input"]["noise_reduction"] == {"type": "near_field"}
    assert not {"parallel_tool_calls", "reasoning"} & config.wire("s", 0).keys()
    config = update(
        update_input(config, transcription={"keywords": ["Antiphon"], "languages": ["en"], "delay": "low"}),
        parallel_tool_calls=False,
        reasoning={"effort": "low"},
        tools=[{"type": "function", "name": "f"}],
    )
    wire = config.wire("s", 0)
    assert wire["audio"]["input"]["transcription"] == {
        "model": "whisper-1",
        "language": "en",
        "prompt": None,
        "languages": ["en"],
        "keywords": ["Antiphon"],
        "delay": "low",
    }
    assert (wire["parallel_tool_calls"], wire["reasoning"]) == (False, {"effort": "low"})
    assert wire["tools"] == [{"type": "function", "name": "f"}]


# --- merging ---------------------------------------------------------------------------------------------------------


def test_only_the_keys_that_are_there_change() -> None:
    config = update(DEFAULT, instructions="A", max_output_tokens=100, audio={"output": {"speed": 1.25}})
    assert update(config) == config
    assert update(config, audio={}) == config
    assert update(config, audio={"input": {}, "output": {}}) == config
    changed = update(config, audio={"output": {"voice": "ash"}})
    assert (changed.output.voice, changed.output.speed) == ("ash", 1.25)
    assert (changed.instructions, changed.max_output_tokens) == ("A", 100)
    assert changed.input == config.input


def test_turn_detection_of_one_type_merges_and_another_type_starts_afresh() -> None:
    config = update_input(DEFAULT, turn_detection={"type": "server_vad", "threshold": 0.7, "idle_timeout_ms": 6000})
    config = update_input(config, turn_detection={"type": "server_vad", "silence_duration_ms": 300})
    assert config.input.turn_detection == ServerVad(threshold=0.7, silence_duration_ms=300, idle_timeout_ms=6000)
    cleared = update_input(config, turn_detection={"type": "server_vad", "idle_timeout_ms": None, "threshold": None})
    assert cleared.input.turn_detection == ServerVad(threshold=0.7, silence_duration_ms=300)
    config = update_input(config, turn_detection={"type": "semantic_vad", "eagerness": "high"})
    assert config.input.turn_detection == SemanticVad("high")
    config = update_input(config, turn_detection={"type": "semantic_vad", "interrupt_response": False})
    assert config.input.turn_detection == SemanticVad("high", interrupt_response=False)
    assert config.wire("s", 0)["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": True,
        "interrupt_response": False,
    }
    config = update_input(config, turn_detection={"type": "server_vad"})
    assert config.input.turn_detection == ServerVad()


def test_null_and_empty_values_clear_what_can_be_cleared() -> None:
    config = update(
        DEFAULT,
        instructions="A",
        tools=[WEATHER],
        include=["item.input_audio_transcription.logprobs"],
        audio={
            "input": {
                "transcription": {"model": "whisper-1", "language": "de", "keywords": ["x"]},
                "noise_reduction": {"type": "far_field", "strength": 0.5},
            }
        },
    )
    assert config.include == ("item.input_audio_transcription.logprobs",)
    assert config.input.noise_reduction == NoiseReduction("far_field", 0.5)
    partly = update_input(config, transcription={"language": None, "keywords": None})
    assert partly.input.transcription == Transcription("whisper-1")
    config = update(
        config,
        instructions="",
        tools=[],
        prompt=None,
        include=None,
        audio={"input": {"transcription": None, "noise_reduction": None, "turn_detection": None}},
    )
    assert config.instructions == "Be helpful."
    assert (config.tools, config.include) == ((), None)
    assert (config.input.transcription, config.input.noise_reduction) == (None, None)
    assert config.input.turn_detection is None
    assert config.wire("s", 0)["audio"]["input"]["turn_detection"] is None


def test_null_changes_nothing_that_cannot_be_null() -> None:
    config = update(DEFAULT, instructions="A", tools=[WEATHER], max_output_tokens=5, tracing="auto")
    unchanged = update(
        config,
        model=None,
        instructions=None,
        tools=None,
        tool_choice=None,
        max_output_tokens=None,
        output_modalities=None,
        truncation=None,
        tracing=None,
        audio={"input": {"format": None}, "output": {"format": None, "voice": None, "speed": None}},
    )
    assert unchanged == config
    assert update(config, audio=None) == config
    assert update(config, audio={"input": None, "output": None}) == config


def test_formats_can_be_mixed() -> None:
    config = update(
        DEFAULT, audio={"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}
    )
    assert (config.input.format, config.output.format) == (PCMU, PCMA)
    assert config.wire("s", 0)["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    assert update_input(config, format={"type": "audio/pcm"}).input.format == PCM_24K


def test_limits_and_truncation() -> None:
    assert update(update(DEFAULT, max_output_tokens=7), max_output_tokens="inf").max_output_tokens is None
    assert update(DEFAULT, max_output_tokens=7).wire("s", 0)["max_output_tokens"] == 7
    ratio = {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 4000}}
    config = update(DEFAULT, truncation=ratio)
    assert config.truncation == RetentionRatio(0.8, 4000)
    assert config.wire("s", 0)["truncation"] == ratio
    assert update(config, truncation={"type": "retention_ratio", "retention_ratio": 1}).wire("s", 0)["truncation"] == {
        "type": "retention_ratio",
        "retention_ratio": 1,
    }
    assert update(config, truncation="disabled").truncation == "disabled"


def test_a_voice_may_come_as_an_object_and_is_written_as_a_string() -> None:
    config = update(DEFAULT, audio={"output": {"voice": {"id": "hibari"}}})
    assert config.wire("s", 0)["audio"]["output"]["voice"] == "hibari"


def test_noise_reduction_keeps_its_strength() -> None:
    config = update_input(DEFAULT, noise_reduction={"type": "near_field", "strength": 0.3})
    config = update_input(config, noise_reduction={"type": "far_field"})
    assert config.input.noise_reduction == NoiseReduction("far_field", 0.3)
    assert update_input(config, noise_reduction={"strength": 1}).input.noise_reduction == NoiseReduction("far_field", 1)


# --- refusing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "sent"), [(DEFAULT, "transcription"), (TRANSCRIPTION, "realtime")], ids=["realtime", "transcription"]
)
def test_the_type_of_a_session_is_fixed(config: SessionConfig, sent: str) -> None:
    error = refused(config, type=sent)
    assert (error.code, error.param) == ("invalid_parameter", None)
    article = f"Passing a {sent} session update event to a {config.type} session is not allowed."
    assert error.message == article


def test_the_model_may_be_named_again_but_not_changed() -> None:
    assert update(DEFAULT, model="gpt-realtime").model == "gpt-realtime"
    assert update(DEFAULT, model="gpt-realtime-2.1").model == "gpt-realtime", "an alias of the same model"
    error = refused(DEFAULT, model="llama")
    assert (error.code, error.param) == ("invalid_value", "session.model")


@pytest.mark.parametrize("modalities", [["audio", "text"], ["text", "audio"], [], ["audio", "audio"]])
def test_one_modality_at_a_time(modalities: list[str]) -> None:
    error = refused(DEFAULT, output_modalities=modalities)
    assert (error.code, error.param) == ("invalid_value", "session.output_modalities")
    if modalities == ["audio", "text"]:
        assert error.message == (
            "Invalid modalities: ['audio', 'text']. Supported combinations are: ['text'] and ['audio']."
        )


def test_voices() -> None:
    error = refused(DEFAULT, audio={"output": {"voice": "nova"}})
    assert (error.code, error.param) == ("invalid_value", "session.audio.output.voice")
    assert error.message == ("Invalid value: 'nova'. Supported values are: 'hibari', 'alloy', 'marin', and 'ash'.")
    assert refused(DEFAULT, audio={"output": {"voice": {"id": "x"}}}).param == "session.audio.output.voice.id"
    error = refused(DEFAULT, spoken=True, audio={"output": {"voice": "ash"}})
    assert (error.code, error.param) == ("cannot_update_voice", "session.audio.output.voice")
    assert error.message == "Cannot update a conversation's voice if assistant audio is present."
    assert update(DEFAULT, spoken=True, audio={"output": {"voice": "marin", "speed": 0.5}}).output.speed == 0.5


def test_tracing_is_fixed_once_set() -> None:
    config = update(DEFAULT, tracing={"workflow_name": "w"})
    assert config.wire("s", 0)["tracing"] == {"workflow_name": "w"}
    assert update(config, tracing={"workflow_name": "w"}) == config
    assert refused(config, tracing="auto").param == "session.tracing"


def test_tools() -> None:
    config = update(DEFAULT, tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"})
    assert config.tools == (FunctionTool("get_weather", None, {"type": "object"}),)
    assert config.tool_choice == NamedTool("get_weather")
    assert config.wire("s", 0)["tool_choice"] == {"type": "function", "name": "get_weather"}
    assert update(config, tools=[]).tool_choice == "auto", "the function that it named is gone"
    assert update(config, tool_choice="required").tool_choice == "required"

    error = refused(DEFAULT, tool_choice={"type": "function", "name": "fly"})
    assert (error.code, error.param) == ("invalid_value", "session.tool_choice")
    assert refused(DEFAULT, tools=[WEATHER, WEATHER]).param == "session.tools[1].name"
    error = refused(DEFAULT, tools=[WEATHER, {"type": "mcp", "server_label": "x", "server_url": "https://x"}])
    assert (error.code, error.param) == ("invalid_value", "session.tools[1].type")
    assert error.message == "MCP tools are not supported by this server yet."
    assert refused(DEFAULT, tool_choice={"type": "mcp", "server_label": "x"}).param == "session.tool_choice.type"


def test_transcription_models() -> None:
    param = "session.audio.input.transcription.model"
    error = refused(DEFAULT, audio={"input": {"transcription": {"model": "parrot"}}})
    assert (error.code, error.param) == ("invalid_value", param)
    assert "'whisper-1'" in error.message
    assert "'whisper-tiny'" in error.message
    error = refused(DEFAULT, audio={"input": {"transcription": {"language": "en"}}})
    assert (error.code, error.param) == ("missing_required_parameter", param)
    config = update_input(DEFAULT, transcription={"model": "whisper-tiny", "prompt": "names"})
    config = update_input(config, transcription={"model": "gpt-4o-transcribe"})
    assert config.input.transcription == Transcription("gpt-4o-transcribe", prompt="names")


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-live-transcribe"])
def test_transcription_sessions_of_some_models_have_no_turn_detection(model: str) -> None:
    assert TRANSCRIPTION.input.turn_detection == ServerVad()
    config = update_input(TRANSCRIPTION, transcription={"model": model})
    assert config.input.turn_detection is None
    assert update_input(config, turn_detection=None) == config
    error = refused(config, audio={"input": {"turn_detection": {"type": "server_vad"}}})
    assert (error.code, error.param) == ("invalid_value", "session.audio.input.turn_detection")
    assert error.message == "Turn detection is not supported for this transcription model."
    started = default_session_config(
        type="transcription", model=model, voice="marin", instructions="", transcription_model=model
    )
    assert started.input.turn_detection is None
    # In a conversation the model's turns are found all the same.
    assert update_input(DEFAULT, transcription={"model": model}).input.turn_detection == ServerVad()


def test_noise_reduction_needs_a_type_to_be_switched_on() -> None:
    error = refused(DEFAULT, audio={"input": {"noise_reduction": {"strength": 0.5}}})
    assert (error.code, error.param) == (
        "missing_required_parameter",
        "session.audio.input.noise_reduction.type",
    )


# --- responses -------------------------------------------------------------------------------------------------------


def test_stored_prompts_are_refused() -> None:
    for refused in (lambda: update(DEFAULT, prompt={"id": "p"}), lambda: response(DEFAULT, prompt={"id": "p"})):
        with pytest.raises(ProtocolError, match="Stored prompts are not available") as caught:
            refused()
        assert caught.value.param in ("session.prompt", "response.prompt")
    assert update(DEFAULT, prompt=None) == DEFAULT


def test_a_response_has_what_the_session_has() -> None:
    config = update(
        DEFAULT,
        instructions="A",
        tools=[WEATHER],
        tool_choice="required",
        max_output_tokens=9,
        reasoning={"effort": "low"},
    )
    expected = ResponseConfig(
        instructions="A",
        modality="audio",
        tools=config.tools,
        tool_choice="required",
        max_output_tokens=9,
        voice="marin",
        format=PCM_24K,
        speed=1.0,
        reasoning={"effort": "low"},
    )
    assert response_config(config, None, voices=VOICES) == expected
    assert response(config) == expected


def test_a_response_may_have_its_own() -> None:
    config = update(DEFAULT, tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"})
    items = [{"type": "item_reference", "id": "item_1"}]
    asked = response(
        config,
        instructions="",
        output_modalities=["text"],
        tools=[{"type": "function", "name": "f"}],
        max_output_tokens="inf",
        audio={"output": {"voice": "ash", "format": {"type": "audio/pcmu"}}},
        metadata={"topic": "x"},
        conversation="none",
        input=items,
        parallel_tool_calls=False,
    )
    assert asked == ResponseConfig(
        instructions="",
        modality="text",
        tools=(FunctionTool("f"),),
        tool_choice="auto",
        max_output_tokens=None,
        voice="ash",
        format=PCMU,
        speed=1.0,
        metadata={"topic": "x"},
        conversation="none",
        input=items,
        parallel_tool_calls=False,
    )
    assert response(config, input=[]).input == []
    assert response(config, tool_choice="none").tool_choice == "none"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"output_modalities": ["audio", "text"]}, "response.output_modalities"),
        ({"audio": {"output": {"voice": "nova"}}}, "response.audio.output.voice"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "response.tools[0].type"),
        ({"tool_choice": {"type": "function", "name": "fly"}}, "response.tool_choice"),
        ({"tool_choice": {"type": "function", "name": "get_weather"}, "tools": []}, "response.tool_choice"),
    ],
)
def test_a_response_that_cannot_be(fields: dict[str, Any], param: str) -> None:
    config = update(DEFAULT, tools=[WEATHER])
    with pytest.raises(ProtocolError) as caught:
        response(config, **fields)
    assert (caught.value.code, caught.value.param) == ("invalid_value", param)


# --- invariants ------------------------------------------------------------------------------------------------------

names = st.sampled_from(["f", "g", "h", "get_weather"])
functions = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("function"), "name": names},
        optional={"description": st.text(max_size=5), "parameters": st.just({"type": "object"})},
    ),
    max_size=3,
)
formats = st.sampled_from(
    [{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcm"}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}]
)
turn_detections = st.none() | st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("server_vad")},
        optional={
            "threshold": st.floats(0, 1),
            "silence_duration_ms": st.integers(0, 1000),
            "idle_timeout_ms": st.none() | st.integers(5000, 30000),
            "create_response": st.booleans(),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("semantic_vad")},
        optional={"eagerness": st.sampled_from(["low", "auto"]), "interrupt_response": st.none() | st.booleans()},
    ),
)
inputs = st.fixed_dictionaries(
    {},
    optional={
        "format": formats,
        "turn_detection": turn_detections,
        "transcription": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "model": st.sampled_from(["whisper-1", "whisper-tiny", "parrot"]),
                "language": st.none() | st.just("en"),
                "keywords": st.none() | st.lists(st.text(max_size=3), max_size=2),
            },
        ),
        "noise_reduction": st.none()
        | st.fixed_dictionaries({}, optional={"type": st.just("far_field"), "strength": st.floats(0, 1)}),
    },
)
outputs = st.fixed_dictionaries(
    {},
    optional={
        "format": formats,
        "voice": st.sampled_from([*VOICES, "nova", {"id": "ash"}]),
        "speed": st.floats(0.25, 1.5),
    },
)
updates = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["gpt-realtime-mini", "llama"]),
        "instructions": st.text(max_size=5),
        "output_modalities": st.lists(st.sampled_from(["audio", "text"]), max_size=2),
        "tools": functions,
        "tool_choice": st.sampled_from(["auto", "none", "required"])
        | names.map(lambda name: {"type": "function", "name": name}),
        "max_output_tokens": st.just("inf") | st.integers(1, 4096),
        "truncation": st.sampled_from(["auto", "disabled", {"type": "retention_ratio", "retention_ratio": 0.5}]),
        "tracing": st.sampled_from([None, "auto", {"workflow_name": "w"}]),
        "prompt": st.none() | st.just({"id": "p"}),
        "include": st.none() | st.just(["item.input_audio_transcription.logprobs"]),
        "parallel_tool_calls": st.none() | st.booleans(),
        "reasoning": st.none() | st.just({"effort": "low"}),
        "audio": st.fixed_dictionaries({}, optional={"input": inputs, "output": outputs}),
    },
)


@given(st.lists(st.tuples(updates, st.booleans()), max_size=6))
@settings(deadline=None)
def test_any_updates_leave_a_session_that_openai_knows_and_that_means_itself(
    sequence: list[tuple[dict[str, Any], bool]],
) -> None:
    config = DEFAULT
    for session, spoken in sequence:
        try:
            config = update(config, spoken=spoken, **session)
        except ProtocolError as error:
            assert error.code is not None
        assert update(config, spoken=spoken, **session_of(config)) == config, "sent back, it changes nothing"
    wire = config.wire("sess_1", 1)
    parsed = SessionUpdatedEvent.model_validate({"type": "session.updated", "event_id": "e", "session": wire})
    assert isinstance(parsed.session, RealtimeSessionCreateRequest)
    assert set(extras(parsed.session)) == {"id", "object", "expires_at"}
    assert set(extras(RealtimeSessionCreateResponse.model_validate(wire))) <= {"parallel_tool_calls"}
    response_config(config, None, voices=VOICES)


def extras(value: Any) -> Iterator[str]:
    """Yield the keys that OpenAI's types do not know, at any depth."""
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        for name in type(value).model_fields:
            yield from extras(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            yield from extras(item)


def session_of(config: SessionConfig) -> dict[str, Any]:
    """Return the effective session without what only the server may say."""
    read_only = {"type", "object", "id", "expires_at"}
    return {name: value for name, value in config.wire("sess_1", 1).items() if name not in read_only}
