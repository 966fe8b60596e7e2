"""Frames in: always an event or one error. Frames out: the same text by the fast path and the slow one."""

import base64
import json
import re

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeErrorEvent, ResponseAudioDeltaEvent

from antiphon.protocol.dialects.beta import Beta
from antiphon.protocol.errors import ProtocolError, error_event, invalid_type, invalid_value, listed, shown
from antiphon.protocol.frames import AudioDelta, decode_frame, encode_event, obfuscation, server_event
from antiphon.protocol.ids import new_id, random_base62

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=20,
)


def test_a_frame_with_a_type_is_returned_as_it_is() -> None:
    assert decode_frame('{"type":"response.create","event_id":"e1","x":[1,2.5,null,true]}') == {
        "type": "response.create",
        "event_id": "e1",
        "x": [1, 2.5, None, True],
    }


@pytest.mark.parametrize(
    ("text", "code", "param", "event_id"),
    [
        ("", "invalid_event", None, None),
        ("hello", "invalid_event", None, None),
        ("{", "invalid_event", None, None),
        ('{"type":"x"} trailing', "invalid_event", None, None),
        ('{"type":"x","a":NaN}', "invalid_event", None, None),
        ('{"type":"x","a":1e999}', "invalid_event", None, None),
        ('{"type":"\\ud800"}', "invalid_event", None, None),
        ('{"type":"\ud800"}', "invalid_event", None, None),
        (b'{"type":"\xff"}', "invalid_event", None, None),
        ('{"type":' + "[" * 100_000, "invalid_event", None, None),
        ('{"type":"x","a":' + "[" * 5000 + "]" * 5000 + "}", "invalid_event", None, None),
        ("[]", "invalid_event", None, None),
        ('"type"', "invalid_event", None, None),
        ("null", "invalid_event", None, None),
        ("{}", "invalid_event", None, None),
        ('{"event_id":"e1"}', "invalid_event", None, "e1"),
        ('{"event_id":7}', "invalid_event", None, None),
        ('{"event_id":"' + "e" * 513 + '"}', "invalid_event", None, None),
        ('{"event_id":"e1","type":7}', "invalid_type", "type", "e1"),
        ('{"event_id":"e1","type":null}', "invalid_type", "type", "e1"),
    ],
)
def test_a_frame_that_is_no_event(text: str | bytes, code: str, param: str | None, event_id: str | None) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_frame(text)
    error = caught.value
    assert (error.code, error.param, error.event_id) == (code, param, event_id)
    assert error.type == "invalid_request_error"
    RealtimeErrorEvent.model_validate(json.loads(encode_event(error_event(error))))


def test_the_missing_type_is_told_in_the_words_of_the_service() -> None:
    with pytest.raises(ProtocolError, match=re.escape("The 'type' field is missing.")):
        decode_frame("{}")


@given(st.binary(max_size=300) | st.text(max_size=300))
@example('{"type":"a"}')
def test_any_frame_gives_an_event_or_an_error(frame: str | bytes) -> None:
    try:
        event = decode_frame(frame)
    except ProtocolError as error:
        encode_event(error_event(error))
    else:
        assert isinstance(event["type"], str)


@given(JSON)
def test_any_json_gives_an_event_or_an_error(value: object) -> None:
    try:
        event = decode_frame(orjson.dumps(value))
    except ProtocolError as error:
        encode_event(error_event(error))
    else:
        assert event == value


@given(st.binary(max_size=5000), st.integers(0, 9), st.integers(0, 9))
def test_audio_is_encoded_as_any_other_event_would_be(audio: bytes, output_index: int, content_index: int) -> None:
    delta = AudioDelta(new_id("resp"), new_id("item"), output_index, content_index, audio)
    text = encode_event(delta)
    fields = json.loads(text)
    assert text == encode_event(fields)
    event = ResponseAudioDeltaEvent.model_validate(fields)
    assert (event.response_id, event.item_id) == (delta.response_id, delta.item_id)
    assert (event.output_index, event.content_index) == (output_index, content_index)
    assert orjson.loads(text)["delta"] == base64.b64encode(audio).decode()
    assert list(fields) == [
        "type",
        "event_id",
        "response_id",
        "item_id",
        "output_index",
        "content_index",
        "delta",
    ]


def test_a_server_event_has_a_fresh_id_right_after_its_type() -> None:
    first, second = (server_event("input_audio_buffer.committed", previous_item_id=None, item_id="i") for _ in "ab")
    assert list(first) == ["type", "event_id", "previous_item_id", "item_id"]
    assert first["event_id"] != second["event_id"]
    assert re.fullmatch(r"event_[A-Za-z0-9]{21}", first["event_id"])


@pytest.mark.parametrize(
    ("delta", "length"), [("{", 15), (" Hello", 10), ("greatest", 8), ("", 16), ("x" * 16, 16), ("x" * 17, 15)]
)
def test_obfuscation_fills_up_to_a_multiple_of_sixteen(delta: str, length: int) -> None:
    assert re.fullmatch(rf"[A-Za-z0-9]{{{length}}}", obfuscation(delta))


def test_ids_have_the_shape_of_the_real_ones() -> None:
    assert re.fullmatch(r"item_[A-Za-z0-9]{21}", new_id("item"))
    assert re.fullmatch(r"call_[A-Za-z0-9]{16}", new_id("call"))
    assert len({new_id("item") for _ in range(1000)}) == 1000
    assert len(set(random_base62(20_000))) == 62


def test_errors_are_worded_as_by_the_service() -> None:
    assert listed(["a"]) == "'a'"
    assert listed(["a", "b"]) == "'a' and 'b'"
    assert listed(["a", "b", "c"], "or") == "'a', 'b', or 'c'"
    assert invalid_value("p", "x", ["a"]).message == "Invalid value: 'x'. Value must be 'a'."
    assert invalid_value("p", "x", ["a", "b"]).message == "Invalid value: 'x'. Supported values are: 'a' and 'b'."
    assert (
        invalid_type("audio_end_ms", "an integer", 1.5).message
        == "Invalid type for 'audio_end_ms': expected an integer, but got a decimal number instead."
    )


def test_an_error_repeats_only_the_beginning_of_a_long_text() -> None:
    assert shown("x" * 200) == "x" * 200
    assert shown("x" * 100_000) == "x" * 200 + "…"


def test_an_audio_delta_that_has_an_id_keeps_it_in_every_dialect() -> None:
    delta = AudioDelta("resp_1", "item_1", 0, 0, b"\0\0", event_id="event_of_another")
    assert json.loads(encode_event(delta))["event_id"] == "event_of_another"
    (flat,) = Beta().from_ga(delta)
    assert json.loads(encode_event(flat))["event_id"] == "event_of_another"
