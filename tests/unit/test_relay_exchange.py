"""What passes between a client and an upstream, and what is said when the upstream falls silent in the middle."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from antiphon.audio.formats import PCM_24K, PCMU
from antiphon.protocol.dialects.beta import Beta
from antiphon.protocol.errors import ProtocolError
from antiphon.protocol.frames import AudioDelta, ServerEvent, encode_event, server_event
from antiphon.protocol.ids import new_id
from antiphon.relay.exchange import MAX_SPOKEN, Exchange, MalformedError
from antiphon.relay.open_responses import MAX_CHARACTERS, MAX_RESPONSES, OpenResponses, TooMuchError
from antiphon.relay.opening import OWN_EVENT_ID
from antiphon.session.config import default_session_config, response_config
from antiphon.session.conversation import Conversation
from antiphon.session.player import Cut
from antiphon.session.response import Response
from tests.conformance.frames import validate_server_event
from tests.conformance.order import OrderChecker

Event = dict[str, Any]

FAILED = ProtocolError("The upstream server closed the connection.", code="upstream_unavailable", type="server_error")
CONFIG = default_session_config(model="theirs", voice="low", instructions="Be brief.")
NONE = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
CACHED = {"cached_tokens": 0, "cached_tokens_details": NONE}
USAGE: Event = {
    **dict.fromkeys(("total_tokens", "input_tokens", "output_tokens"), 0),
    "input_token_details": {**NONE, **CACHED},
    "output_token_details": {"text_tokens": 0, "audio_tokens": 0},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def exchange(*, plays: bool = False, instructions: str | None = None, expires_at: int = 2_000, **more: Any) -> Exchange:
    return Exchange(
        model="ours",
        instructions=instructions,
        expires_at=expires_at,
        same_model=lambda name: name.startswith("gpt-"),
        plays=plays,
        **more,
    )


def created(**changes: Any) -> Event:
    return server_event("session.created", session={**CONFIG.wire("sess_1", 9_000), **changes})


def reply(speaks: bool = True, conversation: Conversation | None = None) -> tuple[Response, list[Event]]:
    """A response that has begun, and its first event."""
    asked = None if speaks else {"output_modalities": ["text"]}
    response = Response(new_id("resp"), response_config(CONFIG, asked, voices=()), conversation)
    return response, as_sent(response.created())


def as_sent(events: list[ServerEvent]) -> list[Event]:
    return [json.loads(encode_event(event)) for event in events]


def delta(response_id: str, item_id: str = "item_1", ms: int = 100) -> Event:
    audio = base64.b64encode(bytes(48 * ms)).decode()
    ids = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    return {"type": "response.output_audio.delta", "event_id": "event_1", **ids, "delta": audio}


# --- up --------------------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=4), st.text(max_size=20))
def test_frames_go_up_as_they_are(fields: Event, kind: str) -> None:
    frame = {**fields, "type": kind}
    if kind != "session.update":
        assert exchange().to_upstream(frame) == [frame]


@pytest.mark.parametrize("model", ["ours", "gpt-realtime", None])
def test_the_name_of_the_model_stays_here(model: str | None) -> None:
    frame = {"type": "session.update", "session": {"type": "realtime", "model": model, "instructions": "x"}}
    (sent,) = exchange().to_upstream(frame)
    assert sent["session"] == {"type": "realtime", "instructions": "x"}
    assert frame["session"]["model"] == model  # type: ignore[index]


def test_another_model_is_refused_as_by_our_own_sessions() -> None:
    frame = {"type": "session.update", "event_id": "mine", "session": {"type": "realtime", "model": "other"}}
    with pytest.raises(ProtocolError, match="Cannot change the model of a session from 'ours' to 'other'") as caught:
        exchange().to_upstream(frame)
    assert (caught.value.param, caught.value.event_id) == ("session.model", "mine")


def test_cleared_instructions_are_those_that_were_configured() -> None:
    frame = {"type": "session.update", "session": {"type": "realtime", "instructions": ""}}
    (sent,) = exchange(instructions="Sell bicycles.").to_upstream(frame)
    assert sent["session"]["instructions"] == "Sell bicycles."
    assert exchange().to_upstream(frame) == [frame]


def test_flowing_audio_goes_up_in_the_format_of_the_session() -> None:
    relay, pcm = exchange(plays=True), np.arange(-400, 400, dtype=np.int16)
    frame = relay.audio_to_upstream(pcm)
    assert base64.b64decode(frame["audio"]) == PCM_24K.encode(pcm)
    heard = {**CONFIG.wire("s", 1)["audio"]["input"], "format": {"type": "audio/pcmu"}}
    relay.from_upstream(created(audio={"input": heard}))
    assert base64.b64decode(relay.audio_to_upstream(pcm)["audio"]) == PCMU.encode(pcm)


def test_audio_at_16_khz_goes_up_at_24() -> None:
    relay, sound = exchange(pcm_rate=16_000), np.sin(np.arange(16_000) / 8) * 8_000
    sent: list[Event] = []
    for start in range(0, 16_000, 320):
        audio = base64.b64encode(PCM_24K.encode(sound[start : start + 320].astype(np.int16))).decode()
        sent += relay.to_upstream({"type": "input_audio_buffer.append", "audio": audio})
    sent += relay.to_upstream({"type": "input_audio_buffer.commit"})
    assert [frame["type"] for frame in sent[-2:]] == ["input_audio_buffer.append", "input_audio_buffer.commit"]
    pcm = np.concatenate([PCM_24K.decode(base64.b64decode(frame["audio"])) for frame in sent[:-1]])
    assert len(pcm) == pytest.approx(24_000, abs=2)
    assert np.abs(pcm[100:-100] - np.sin(np.arange(24_000) / 12)[100 : len(pcm) - 100] * 8_000).max() < 200
    for wrong in ({"audio": "?"}, {"audio": "AA=="}, {"audio": ""}, {"audio": None}, {}):
        frame = {"type": "input_audio_buffer.append", **wrong}
        assert relay.to_upstream(frame) == [frame], "what is no audio is for the upstream to refuse"


# --- down ------------------------------------------------------------------------------------------------------------

KINDS = [
    *("session.created", "session.updated", "response.created", "response.done", "response.output_audio.delta"),
    *("response.output_audio.done", "conversation.item.added", "conversation.item.done", "response.output_item.added"),
    *("response.output_item.done", "response.content_part.added", "response.output_text.delta", "something.new"),
    *("error", "response.new"),
]


@settings(max_examples=300)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(KINDS)},
            optional={
                "session": JSON | st.just({"id": "s", "audio": {}}),
                "response": JSON | st.just({"id": "r", "status": "in_progress"}),
                "item": JSON | st.just({"id": "i", "type": "message"}),
                "part": JSON,
                "error": JSON,
                "delta": JSON | st.just("AAAA"),
                **{key: JSON | st.just("r") for key in ("response_id", "item_id", "event_id")},
                **{key: JSON | st.just(0) for key in ("output_index", "content_index")},
            },
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_whatever_comes_is_passed_or_refused(events: list[Event], plays: bool) -> None:
    relay, beta = exchange(plays=plays), Beta()
    for event in events:
        try:
            told = relay.from_upstream(event)
        except (MalformedError, TooMuchError):
            return
        for one in told:
            for spoken in (one, *beta.from_ga(one)):  # no dialect may choke on it
                assert isinstance(json.loads(encode_event(spoken))["event_id"], str)


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=4))
def test_unknown_events_pass_unchanged(fields: Event) -> None:
    event = {**fields, "type": "response.something.new", "event_id": "event_1"}
    assert exchange().from_upstream(event) == [event]


def test_a_session_is_shown_under_its_name_here_and_with_its_end_here() -> None:
    (event,) = exchange(expires_at=5_000).from_upstream(created())
    assert isinstance(event, dict)
    assert event["session"] == {**CONFIG.wire("sess_1", 5_000), "model": "ours"}
    (event,) = exchange(expires_at=50_000).from_upstream(created())
    assert isinstance(event, dict)
    assert event["session"]["expires_at"] == 9_000


def test_a_bare_session_is_completed_for_every_dialect() -> None:
    (event,) = exchange().from_upstream({"type": "session.created", "session": {"id": "sess_1"}})
    (flat, _) = Beta().from_ga(event)
    assert isinstance(flat, dict)
    assert flat["session"]["model"] == "ours"


def test_speech_is_decoded_once_and_keeps_its_ids() -> None:
    response, begun = reply()
    relay = exchange()
    relay.from_upstream(begun[0])
    (event,) = relay.from_upstream(delta(response.id))
    assert event == AudioDelta(response.id, "item_1", 0, 0, bytes(4800), event_id="event_1")


@pytest.mark.parametrize(
    "changes",
    [
        {"delta": "no base64!"},
        {"delta": None},
        {"item_id": 'item"'},
        {"event_id": "a\nb"},
        {"output_index": -1},
        {"content_index": True},
        {"response_id": None},
    ],
)
def test_malformed_speech_is_told(changes: Event) -> None:
    with pytest.raises(MalformedError):
        exchange().from_upstream({**delta("resp_1"), **changes})


def test_what_is_said_about_the_relays_own_frames_is_for_nobody() -> None:
    own = {"type": "error", "error": {"type": "invalid_request_error", "event_id": f"{OWN_EVENT_ID}_1"}}
    assert exchange().from_upstream(own) == []
    theirs = {"type": "error", "error": {"type": "invalid_request_error", "event_id": "mine"}}
    assert len(exchange().from_upstream(theirs)) == 1


# --- speech that is cut ----------------------------------------------------------------------------------------------


def playing() -> tuple[Exchange, str]:
    response, begun = reply()
    relay = exchange(plays=True)
    for event in (created(), *begun, delta(response.id), delta(response.id)):
        relay.from_upstream(event)
    return relay, response.id


def test_speech_interrupts_where_the_session_says_so() -> None:
    started = server_event("input_audio_buffer.speech_started", item_id="i", audio_start_ms=0)
    relay = exchange(plays=True)
    assert not relay.interrupts(started)
    relay.from_upstream(created())
    assert relay.interrupts(started)
    heard = {
        **CONFIG.wire("s", 1)["audio"]["input"],
        "turn_detection": {"type": "server_vad", "interrupt_response": False},
    }
    relay.from_upstream(created(audio={"input": heard}))
    assert not relay.interrupts(started)
    relay.from_upstream(created(audio={"input": {**heard, "turn_detection": None}}))
    assert not relay.interrupts(started)
    client_plays = exchange()
    client_plays.from_upstream(created())
    assert not client_plays.interrupts(started)


@pytest.mark.parametrize(("played_ms", "told_ms"), [(60, 60), (220, 200)])
def test_what_was_cut_is_truncated_to_what_was_heard(played_ms: int, told_ms: int) -> None:
    relay, response_id = playing()
    cut = Cut(response_id, "item_1", played_ms, started=True)
    (told,), (frame,) = relay.cut([cut])
    assert isinstance(told, dict)
    assert (told["type"], told["response_id"]) == ("output_audio_buffer.cleared", response_id)
    assert (frame["type"], frame["item_id"], frame["audio_end_ms"]) == ("conversation.item.truncate", "item_1", told_ms)
    assert frame["event_id"].startswith(OWN_EVENT_ID)
    assert relay.from_upstream(delta(response_id)) == []  # it is over, though the upstream does not know it yet
    assert relay.cut([cut])[1] == []


def test_what_had_not_begun_to_play_is_truncated_without_a_word() -> None:
    relay, response_id = playing()
    told, (frame,) = relay.cut([Cut(response_id, "item_1", 0, started=False)])
    assert (told, frame["audio_end_ms"]) == ([], 0)


def test_a_player_is_given_nothing_that_belongs_to_no_response() -> None:
    assert exchange(plays=True).from_upstream(delta("resp_unknown")) == []


def test_only_so_many_items_are_remembered() -> None:
    relay, response_id = playing()
    for number in range(2 * MAX_SPOKEN):
        relay.from_upstream(delta(response_id, f"item_{number}"))
    _, frames = relay.cut(Cut(response_id, f"item_{number}", 0, started=True) for number in range(2 * MAX_SPOKEN))
    assert len(frames) == MAX_SPOKEN


# --- an upstream that falls silent -----------------------------------------------------------------------------------


def spoken(conversation: Conversation | None) -> list[Event]:
    response, events = reply(conversation=conversation)
    pcm = np.zeros(2400, np.int16)
    made: list[Callable[[], list[ServerEvent]]] = [
        lambda: response.text("Hello"),
        lambda: response.speech(pcm, 5),
        lambda: response.text(" there."),
        lambda: response.tool_call(0, "look", "", None),
        lambda: response.tool_call(0, None, '{"at":', None),
        lambda: response.tool_call(0, None, "1}", None),
        lambda: response.speech(pcm, 12),
        lambda: response.finish("completed", usage=USAGE),
    ]
    return [*events, *(event for make in made for event in as_sent(make()))]


def written(conversation: Conversation | None) -> list[Event]:
    response, events = reply(speaks=False, conversation=conversation)
    for text in ("Hel", "lo"):
        events += as_sent(response.text(text))
    return events + as_sent(response.finish("completed", usage=USAGE))


def called(conversation: Conversation | None) -> list[Event]:
    response, events = reply(conversation=conversation)
    for call in (0, 1):
        events += as_sent(response.tool_call(call, "look", "{", None))
        events += as_sent(response.tool_call(call, None, "}", None))
    return events + as_sent(response.finish("completed", usage=USAGE))


REPLIES = {"spoken": spoken, "written": written, "called": called}
LONGEST = max(len(make(None)) for make in REPLIES.values())


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(REPLIES)), st.integers(1, LONGEST), st.booleans())
@example("spoken", 4, False)
def test_a_reply_that_breaks_off_anywhere_is_closed_in_the_documented_order(name: str, after: int, apart: bool) -> None:
    checker, relay = OrderChecker(), exchange()
    checker.feed("received", created())
    asked: Event = {"conversation": "none"} if apart else {}
    if name == "written":
        asked["output_modalities"] = ["text"]
    checker.feed("sent", {"type": "response.create", "response": asked})
    events = REPLIES[name](None if apart else Conversation(new_id("conv"), max_items=10, max_audio_s=10))
    for event in events[:after]:
        for told in as_sent(relay.from_upstream(event)):
            checker.feed("received", told)
    for told in as_sent(relay.failed(FAILED)):
        validate_server_event(told)
        checker.feed("received", told)
    checker.finish()
    assert relay.failed(FAILED) == []
    if after < len(events):
        assert told["type"] == "response.done"
        assert told["response"]["status"] == "failed"
        assert told["response"]["status_details"]["error"]["code"] == "upstream_unavailable"


def test_open_responses_are_bounded() -> None:
    followed = OpenResponses()
    for number in range(MAX_RESPONSES):
        followed.follow({"type": "response.created", "response": {"id": f"resp_{number}"}})
    assert "resp_0" in followed
    with pytest.raises(TooMuchError):
        followed.follow({"type": "response.created", "response": {"id": "resp_more"}})


def test_what_is_kept_of_a_reply_is_bounded() -> None:
    events = written(None)
    followed = OpenResponses()
    long = next(event for event in events if event["type"] == "response.output_text.delta")
    for event in events[: events.index(long)]:
        followed.follow(event)
    with pytest.raises(TooMuchError):
        for _ in range(5):
            followed.follow({**long, "delta": "x" * (MAX_CHARACTERS // 4)})
