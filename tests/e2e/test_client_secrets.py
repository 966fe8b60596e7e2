"""Client secrets at a real server with API keys: making them, what they open, and what they do not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from openai.types.beta.realtime import SessionCreateResponse, TranscriptionSession
from openai.types.realtime import ClientSecretCreateResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from tests.calling import Caller, calling, loud
from tests.conformance.recorder import RealtimeClient
from tests.serving import ServerProcess, serving

KEY = "sk-the-key"
BOUND = {
    "type": "realtime",
    "instructions": "You are a lighthouse keeper.",
    "audio": {"output": {"voice": "marin"}, "input": {"turn_detection": {"type": "server_vad", "threshold": 0.25}}},
}
TRANSCRIPTION = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving(environment={"ANTIPHON_API_KEYS": KEY, "ANTIPHON_LOG__LEVEL": "debug"}) as locked:
        yield locked
    told = "\n".join(locked.output)
    assert "session opened" in told
    assert KEY not in told
    assert "ek_" not in told


@pytest.fixture
def secret(server: ServerProcess) -> str:
    return make(server, session=BOUND)


def post(server: ServerProcess, path: str, key: str | None = KEY, **request: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    given = {**headers, **request.pop("headers", {})}
    return httpx2.post(server.base_url + path, headers=given, timeout=60, **request)


def make(server: ServerProcess, **body: Any) -> str:
    response = post(server, "/realtime/client_secrets", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["value"])


def error_of(response: httpx2.Response, *kept: str) -> dict[str, Any]:
    """Return an error; nothing in `kept` stands in it."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert not [word for word in (KEY, *kept) if word in response.text]
    found: dict[str, Any] = body["error"]
    return found


def connecting(server: ServerProcess, secret: str, query: str = "") -> connect:
    return connect(server.ws_url + query, additional_headers={"Authorization": f"Bearer {secret}"})


async def event_of(client: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await asyncio.wait_for(client.recv(), 30))
    return event


# --- making them -----------------------------------------------------------------------------------------------------


async def test_made_with_the_openai_package(server: ServerProcess) -> None:
    before = int(time.time())
    async with AsyncOpenAI(api_key=KEY, base_url=server.base_url) as openai:
        made = await openai.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 30},
            session=BOUND,  # type: ignore[arg-type]
        )
    assert isinstance(made, ClientSecretCreateResponse)
    assert made.value.startswith("ek_")
    assert before + 30 <= made.expires_at <= time.time() + 30
    session = made.session.model_dump()
    assert session["instructions"] == BOUND["instructions"]
    assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.25
    assert session["audio"]["output"]["voice"] == "marin"


@pytest.mark.parametrize(("body", "seconds"), [({}, 600), ({"expires_after": {"anchor": "created_at"}}, 600)])
def test_ten_minutes_unless_told_otherwise(server: ServerProcess, body: dict[str, Any], seconds: int) -> None:
    response = post(server, "/realtime/client_secrets", json=body)
    assert response.json()["expires_at"] - time.time() == pytest.approx(seconds, abs=10)
    assert response.json()["session"]["type"] == "realtime"


def test_an_empty_body_is_enough(server: ServerProcess) -> None:
    assert post(server, "/realtime/client_secrets").json()["value"].startswith("ek_")


@pytest.mark.parametrize("seconds", [10, 7200])
def test_the_bounds_of_its_life(server: ServerProcess, seconds: int) -> None:
    made = post(
        server, "/realtime/client_secrets", json={"expires_after": {"anchor": "created_at", "seconds": seconds}}
    )
    assert made.json()["expires_at"] - time.time() == pytest.approx(seconds, abs=10)


@pytest.mark.parametrize("path", ["client_secrets", "sessions", "transcription_sessions"])
@pytest.mark.parametrize("key", [None, "sk-wrong", "ek_wrong"])
def test_only_with_an_api_key(server: ServerProcess, path: str, key: str | None) -> None:
    refused = post(server, f"/realtime/{path}", key, json={})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    error_of(refused, *([key] if key else []))


@pytest.mark.parametrize("path", ["client_secrets", "sessions", "transcription_sessions"])
def test_no_secret_makes_another(server: ServerProcess, secret: str, path: str) -> None:
    refused = post(server, f"/realtime/{path}", secret, json={})
    assert refused.status_code == 403
    assert error_of(refused, secret)["code"] == "client_secret_not_allowed"


@pytest.mark.parametrize("path", ["/models", "/nothing"])
def test_a_secret_opens_nothing_else(server: ServerProcess, secret: str, path: str) -> None:
    refused = httpx2.get(server.base_url + path, headers={"Authorization": f"Bearer {secret}"}, timeout=60)
    assert refused.status_code == 403
    assert error_of(refused, secret)["code"] == "client_secret_not_allowed"


def test_without_keys_anyone_on_this_machine_makes_them(stand_in_server: ServerProcess) -> None:
    assert post(stand_in_server, "/realtime/client_secrets", None, json={}).status_code == 200


def test_no_strange_page_makes_them(stand_in_server: ServerProcess) -> None:
    headers = {"Origin": "https://evil.example"}
    refused = post(stand_in_server, "/realtime/client_secrets", None, json={}, headers=headers)
    assert refused.status_code == 403
    assert error_of(refused)["code"] == "origin_not_allowed"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "integer_below_min_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "integer_above_max_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": "60"}}, "invalid_type", "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "invalid_type", "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "invalid_value", "expires_after.anchor"),
        ({"expires_after": 60}, "invalid_type", "expires_after"),
        ({"voice": "marin"}, "unknown_parameter", "voice"),
        ({"session": {}}, "missing_required_parameter", "session.type"),
        ({"session": []}, "invalid_type", "session"),
        ({"session": {"type": "translation"}}, "invalid_value", "session.type"),
        ({"session": {"type": "realtime", "nonsense": 1}}, "unknown_parameter", "session.nonsense"),
        (
            {"session": {"type": "realtime", "audio": {"output": {"voice": "nobody"}}}},
            "invalid_value",
            "session.audio.output.voice",
        ),
    ],
)
def test_a_body_that_cannot_be(server: ServerProcess, body: dict[str, Any], code: str, param: str) -> None:
    refused = post(server, "/realtime/client_secrets", json=body)
    assert refused.status_code == 400
    assert (error_of(refused)["code"], error_of(refused)["param"]) == (code, param)


def test_a_model_that_is_not_served(server: ServerProcess) -> None:
    refused = post(server, "/realtime/client_secrets", json={"session": {"type": "realtime", "model": "nonsense"}})
    assert refused.status_code == 404
    assert error_of(refused)["code"] == "model_not_found"


@pytest.mark.parametrize("content", [b"{", b"[]", b'"x"', b"\xff\xfe"])
def test_a_body_that_is_no_object(server: ServerProcess, content: bytes) -> None:
    refused = post(server, "/realtime/client_secrets", content=content)
    assert refused.status_code == 400
    assert error_of(refused)["code"] == "invalid_json"


def test_a_body_that_is_too_large(server: ServerProcess) -> None:
    refused = post(server, "/realtime/client_secrets", content=b" " * (3 << 20))
    assert refused.status_code == 413
    assert error_of(refused)["code"] == "body_too_large"


# --- over WebSocket --------------------------------------------------------------------------------------------------


async def test_by_header_and_by_subprotocol_as_often_as_wanted(server: ServerProcess, secret: str) -> None:
    protocols = [Subprotocol(name) for name in ("realtime", f"openai-insecure-api-key.{secret}")]
    ways: list[dict[str, Any]] = [
        {"additional_headers": {"Authorization": f"Bearer {secret}"}},
        {"subprotocols": protocols},
        {"subprotocols": protocols, "origin": "https://app.example"},
    ]
    for way in ways:
        async with connect(server.ws_url, **way) as client:
            created = await event_of(client)
            assert created["type"] == "session.created"
            assert created["session"]["instructions"] == BOUND["instructions"]
            assert created["session"]["audio"]["output"]["voice"] == "marin"
            assert created["session"]["audio"]["input"]["turn_detection"]["threshold"] == 0.25
            assert client.subprotocol == ("realtime" if "subprotocols" in way else None)


async def test_what_was_bound_can_be_overridden(server: ServerProcess, secret: str) -> None:
    async with RealtimeClient(
        server.ws_url + "?model=gpt-realtime", headers={"Authorization": f"Bearer {secret}"}
    ) as client:
        created = await client.expect("session.created")
        assert created["session"]["instructions"] == BOUND["instructions"]
        assert created["session"]["model"] == "gpt-realtime"
        update = {"type": "realtime", "instructions": "You are a gull."}
        await client.send({"type": "session.update", "session": update})
        updated = await client.expect("session.updated")
        assert updated["session"]["instructions"] == "You are a gull."
        assert updated["session"]["audio"]["input"]["turn_detection"]["threshold"] == 0.25


@pytest.mark.parametrize("value", ["ek_wrong", "ek_", "ek_" + "x" * 5000])
async def test_a_wrong_secret(server: ServerProcess, stand_in_server: ServerProcess, value: str) -> None:
    for url in (server.ws_url, stand_in_server.ws_url):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url, additional_headers={"Authorization": f"Bearer {value}"})
        response = caught.value.response
        assert response.status_code == 401
        error = json.loads(response.body or b"")["error"]
        assert error["code"] == "invalid_client_secret"
        assert value not in error["message"]


@pytest.mark.timeout(60)
async def test_an_expired_secret_opens_nothing_and_what_it_opened_goes_on(server: ServerProcess) -> None:
    value = make(server, session=BOUND, expires_after={"anchor": "created_at", "seconds": 10})
    async with connecting(server, value) as client:
        await event_of(client)
        await asyncio.sleep(10)
        with pytest.raises(InvalidStatus) as caught:
            await connecting(server, value)
        assert caught.value.response.status_code == 401
        assert json.loads(caught.value.response.body or b"")["error"]["code"] == "invalid_client_secret"
        refused = post(server, "/realtime/calls", value, content="x", headers={"Content-Type": "application/sdp"})
        assert refused.status_code == 401
        assert error_of(refused, value)["code"] == "invalid_client_secret"
        await client.send(json.dumps({"type": "input_audio_buffer.clear"}))
        assert (await event_of(client))["type"] == "input_audio_buffer.cleared"


@pytest.mark.parametrize(
    ("session", "query", "says"),
    [
        (TRANSCRIPTION, "", "for transcription sessions and cannot open a realtime session"),
        (TRANSCRIPTION, "?model=gpt-realtime", "for transcription sessions and cannot open a realtime session"),
        (BOUND, "?intent=transcription", "for realtime sessions and cannot open a transcription session"),
    ],
)
async def test_a_secret_for_another_type_of_session(
    server: ServerProcess, session: dict[str, Any], query: str, says: str
) -> None:
    async with connecting(server, make(server, session=session), query) as client:
        error = await event_of(client)
        assert (error["type"], error["error"]["code"]) == ("error", "invalid_session_type")
        assert says in error["error"]["message"]
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4000


async def test_no_update_changes_the_type(server: ServerProcess, secret: str) -> None:
    async with connecting(server, secret) as client:
        await event_of(client)
        await client.send(json.dumps({"type": "session.update", "session": TRANSCRIPTION}))
        assert (await event_of(client))["type"] == "error"


async def test_a_secret_for_transcription(server: ServerProcess) -> None:
    async with connecting(server, make(server, session=TRANSCRIPTION), "?intent=transcription") as client:
        created = await event_of(client)
        assert created["session"]["type"] == "transcription"
        assert created["session"]["audio"]["input"]["transcription"]["model"] == "whisper-1"


# --- over WebRTC -----------------------------------------------------------------------------------------------------


async def test_a_call_with_the_offer_alone(server: ServerProcess, secret: str) -> None:
    for path in ("/realtime/calls", "/realtime?model=gpt-realtime"):
        async with calling(server.base_url, key=secret, path=path) as caller:
            created = caller.events[0]
            assert created["session"]["instructions"] == BOUND["instructions"]
            assert created["session"]["audio"]["output"]["voice"] == "marin"
            caller.microphone.say(loud(0.5))
            await caller.expect("output_audio_buffer.started")


async def test_a_call_overrides_what_was_bound(server: ServerProcess, secret: str) -> None:
    session = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.75}}}}
    async with calling(server.base_url, key=secret, session=session) as caller:
        created = caller.events[0]
        assert created["session"]["instructions"] == BOUND["instructions"]
        assert created["session"]["audio"]["input"]["turn_detection"]["threshold"] == 0.75


async def test_a_call_for_transcription(server: ServerProcess) -> None:
    async with calling(server.base_url, key=make(server, session=TRANSCRIPTION)) as caller:
        caller.microphone.say(loud(1.0))
        await caller.expect("conversation.item.input_audio_transcription.completed")


async def offer_of() -> str:
    caller = Caller()
    try:
        return await caller.offer()
    finally:
        await caller.close()


async def test_a_call_with_a_secret_for_another_type_of_session(server: ServerProcess, secret: str) -> None:
    transcription = make(server, session=TRANSCRIPTION)
    offer = await offer_of()
    sdp = {"content": offer, "headers": {"Content-Type": "application/sdp"}}
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        (transcription, "/realtime?model=gpt-realtime", sdp),
        (transcription, "/realtime/calls", {"data": {"sdp": offer, "session": json.dumps(BOUND)}}),
        (secret, "/realtime/calls", {"data": {"sdp": offer, "session": json.dumps(TRANSCRIPTION)}}),
    ]
    for value, path, request in wrong:
        refused = post(server, path, value, **request)
        assert refused.status_code == 400
        assert error_of(refused, value)["code"] == "invalid_session_type"


async def test_a_wrong_secret_calls_nobody(server: ServerProcess, stand_in_server: ServerProcess) -> None:
    request = {"content": await offer_of(), "headers": {"Content-Type": "application/sdp"}}
    for place in (server, stand_in_server):
        refused = post(place, "/realtime/calls", "ek_wrong", **request)
        assert refused.status_code == 401
        assert error_of(refused, "ek_wrong")["code"] == "invalid_client_secret"


async def test_a_secret_reaches_only_its_own_call(server: ServerProcess, secret: str) -> None:
    other = make(server)
    async with calling(server.base_url, key=secret) as caller:
        followed = f"?call_id={caller.call_id}"
        with pytest.raises(InvalidStatus) as caught:
            await connecting(server, other, followed)
        assert caught.value.response.status_code == 404
        assert post(server, f"/realtime/calls/{caller.call_id}/hangup", other).status_code == 404
        async with connecting(server, secret, followed), connecting(server, KEY, followed):
            pass
        assert post(server, f"/realtime/calls/{caller.call_id}/hangup", secret).status_code == 200


# --- beta's way to a secret ------------------------------------------------------------------------------------------

FLAT: dict[str, Any] = {
    "model": "gpt-4o-realtime-preview",
    "modalities": ["text", "audio"],
    "instructions": "You are a gull.",
    "voice": "alloy",
    "input_audio_format": "g711_ulaw",
    "input_audio_transcription": {"model": "whisper-1"},
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 650},
    "tools": [{"type": "function", "name": "fish", "parameters": {"type": "object"}}],
    "temperature": 0.7,
    "max_response_output_tokens": 200,
}


async def test_a_beta_session_with_the_openai_package(server: ServerProcess) -> None:
    async with AsyncOpenAI(api_key=KEY, base_url=server.base_url) as openai:
        made = await openai.beta.realtime.sessions.create(**FLAT)
    assert isinstance(made, SessionCreateResponse)
    shown = made.model_dump()
    SessionCreateResponse.model_validate(shown, strict=True)
    for name in ("instructions", "voice", "input_audio_format", "modalities", "temperature"):
        assert shown[name] == FLAT[name]
    assert shown["turn_detection"]["silence_duration_ms"] == 650
    assert shown["tools"][0]["name"] == "fish"
    assert shown["max_response_output_tokens"] == 200
    assert shown["object"] == "realtime.session"
    assert shown["id"].startswith("sess_")
    assert made.client_secret.expires_at - time.time() == pytest.approx(60, abs=10)
    headers = {"Authorization": f"Bearer {made.client_secret.value}", "OpenAI-Beta": "realtime=v1"}
    async with connect(f"{server.ws_url}?model=gpt-4o-realtime-preview", additional_headers=headers) as client:
        session = (await event_of(client))["session"]
        assert session["instructions"] == "You are a gull."
        assert session["input_audio_format"] == "g711_ulaw"
        assert session["client_secret"] is None
    async with calling(server.base_url, key=made.client_secret.value, path="/realtime") as caller:
        assert caller.events[0]["session"]["instructions"] == "You are a gull."


async def test_a_beta_transcription_session_with_the_openai_package(server: ServerProcess) -> None:
    flat: dict[str, Any] = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1", "language": "en"},
        "modalities": ["text"],
        "client_secret": {"expires_at": {"anchor": "created_at", "seconds": 120}},
    }
    async with AsyncOpenAI(api_key=KEY, base_url=server.base_url) as openai:
        made = await openai.beta.realtime.transcription_sessions.create(**flat)
    assert isinstance(made, TranscriptionSession)
    shown = made.model_dump()
    TranscriptionSession.model_validate(shown, strict=True)
    assert shown["object"] == "realtime.transcription_session"
    assert shown["input_audio_transcription"]["language"] == "en"
    assert made.client_secret.expires_at - time.time() == pytest.approx(120, abs=10)
    headers = {"Authorization": f"Bearer {made.client_secret.value}", "OpenAI-Beta": "realtime=v1"}
    async with connect(f"{server.ws_url}?intent=transcription", additional_headers=headers) as client:
        assert (await event_of(client))["type"] == "transcription_session.created"


def test_an_empty_beta_body_is_enough(server: ServerProcess) -> None:
    for path in ("sessions", "transcription_sessions"):
        assert post(server, f"/realtime/{path}").json()["client_secret"]["value"].startswith("ek_")


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("sessions", {"type": "realtime"}, "unknown_parameter", "type"),
        ("sessions", {"voice": "nobody"}, "invalid_value", "voice"),
        ("sessions", {"temperature": 2}, "decimal_above_max_value", "temperature"),
        ("sessions", {"input_audio_format": "mp3"}, "invalid_value", "input_audio_format"),
        (
            "sessions",
            {"turn_detection": {"type": "server_vad", "threshold": 2}},
            "decimal_above_max_value",
            "turn_detection.threshold",
        ),
        (
            "sessions",
            {"client_secret": {"expires_after": {"seconds": 9}}},
            "integer_below_min_value",
            "client_secret.expires_after.seconds",
        ),
        ("sessions", {"client_secret": "x"}, "invalid_type", "client_secret"),
        ("transcription_sessions", {"instructions": "x"}, "unknown_parameter", "instructions"),
        ("transcription_sessions", {"modalities": ["smell"]}, "invalid_value", "modalities[0]"),
    ],
)
def test_a_beta_body_that_cannot_be(
    server: ServerProcess, path: str, body: dict[str, Any], code: str, param: str
) -> None:
    refused = post(server, f"/realtime/{path}", json=body)
    assert refused.status_code == 400
    error = error_of(refused)
    assert (error["code"], error["param"]) == (code, param)
    assert f"'{param}'" in error["message"] or code == "invalid_value"
