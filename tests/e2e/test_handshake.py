"""Who is let in, and what the handshake answers, at a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from tests.serving import ServerProcess, serving

KEY = "sk-first-key"
OTHER_KEY = "sk-second-key"


@pytest.fixture(scope="module")
def locked() -> Iterator[ServerProcess]:
    with serving(environment={"ANTIPHON_API_KEYS": f"{KEY},{OTHER_KEY}"}) as server:
        yield server
    assert KEY not in "\n".join(server.output)


async def first_event(url: str, **options: Any) -> dict[str, Any]:
    async with connect(url, **options) as client:
        event: dict[str, Any] = json.loads(await client.recv())
        return event


async def refusal(url: str, **options: Any) -> tuple[int, dict[str, Any], Any]:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, **options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"")["error"], response.headers


def protocols(*names: str) -> list[Subprotocol]:
    return [Subprotocol(name) for name in names]


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"Authorization": f"Bearer {KEY}"}},
        {"additional_headers": {"Authorization": f"Bearer {OTHER_KEY}"}},
        {"additional_headers": {"api-key": KEY}},
        {"subprotocols": protocols("realtime", f"openai-insecure-api-key.{KEY}")},
    ],
    ids=["bearer", "second key", "azure", "subprotocol"],
)
async def test_keys_that_open(locked: ServerProcess, options: dict[str, Any]) -> None:
    assert (await first_event(locked.ws_url, **options))["type"] == "session.created"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"additional_headers": {"Authorization": "Bearer wrong"}},
        {"additional_headers": {"Authorization": f"Bearer {KEY}x"}},
        {"additional_headers": {"Authorization": f"Basic {KEY}"}},
        {"additional_headers": {"api-key": ""}},
        {"subprotocols": protocols("realtime", "openai-insecure-api-key.wrong")},
    ],
    ids=["none", "wrong", "longer", "basic", "empty", "wrong subprotocol"],
)
async def test_keys_that_do_not(locked: ServerProcess, options: dict[str, Any]) -> None:
    status, error, headers = await refusal(locked.ws_url, **options)
    assert status == 401
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/v1/nothing"])
def test_http_needs_a_key_too(locked: ServerProcess, path: str) -> None:
    url = f"http://127.0.0.1:{locked.port}{path}"
    refused = httpx.get(url, timeout=60)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert httpx.get(url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60).status_code != 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_none(locked: ServerProcess, path: str) -> None:
    assert httpx.get(f"http://127.0.0.1:{locked.port}{path}", timeout=60).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer whatever"}])
async def test_without_keys_any_key_is_accepted(stand_in_server: ServerProcess, headers: dict[str, str]) -> None:
    assert (await first_event(stand_in_server.ws_url, additional_headers=headers))["type"] == "session.created"


# --- web pages -------------------------------------------------------------------------------------------------------


async def test_a_strange_page_is_kept_out(stand_in_server: ServerProcess) -> None:
    status, error, _ = await refusal(stand_in_server.ws_url, origin="https://evil.example")
    assert (status, error["code"]) == (403, "origin_not_allowed")


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:8080"])
async def test_pages_of_this_machine_come_in(stand_in_server: ServerProcess, origin: str) -> None:
    assert (await first_event(stand_in_server.ws_url, origin=origin))["type"] == "session.created"


async def test_a_page_with_a_key_comes_in(locked: ServerProcess) -> None:
    options = {"origin": "https://app.example", "subprotocols": protocols("realtime", f"openai-insecure-api-key.{KEY}")}
    assert (await first_event(locked.ws_url, **options))["type"] == "session.created"


def test_cors_of_a_page_of_this_machine(stand_in_server: ServerProcess) -> None:
    url, origin = f"{stand_in_server.base_url}/models", "http://localhost:5173"
    asked = httpx.options(
        url,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-openai-agents-sdk",
        },
        timeout=60,
    )
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == origin
    assert "x-openai-agents-sdk" in asked.headers["access-control-allow-headers"]
    answer = httpx.get(url, headers={"Origin": origin}, timeout=60)
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-expose-headers"] == "Location, X-Request-Id"


def test_cors_of_a_strange_page(stand_in_server: ServerProcess) -> None:
    answer = httpx.get(f"{stand_in_server.base_url}/models", headers={"Origin": "https://evil.example"}, timeout=60)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_can_read_why_its_key_was_refused(locked: ServerProcess) -> None:
    answer = httpx.get(f"{locked.base_url}/models", headers={"Origin": "https://app.example"}, timeout=60)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")


# --- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (protocols("realtime"), "realtime"),
        (protocols("openai-insecure-api-key.k", "openai-organization.o", "realtime"), "realtime"),
        (protocols("openai-insecure-api-key.k"), None),
        (None, None),
    ],
)
async def test_subprotocol(
    stand_in_server: ServerProcess, offered: list[Subprotocol] | None, answered: str | None
) -> None:
    async with connect(stand_in_server.ws_url, subprotocols=offered) as client:
        assert client.subprotocol == answered


@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/v1/realtime", "/realtime"])
async def test_paths(stand_in_server: ServerProcess, path: str) -> None:
    event = await first_event(f"ws://127.0.0.1:{stand_in_server.port}{path}?model=gpt-realtime")
    assert (event["type"], event["session"]["model"]) == ("session.created", "gpt-realtime")


@pytest.mark.parametrize("query", ["", "?model=", "?model=gpt-4o-realtime-preview", "?model=antiphon-stand-in"])
async def test_models_that_are_served(stand_in_server: ServerProcess, query: str) -> None:
    event = await first_event(stand_in_server.ws_url + query)
    assert (event["type"], event["session"]["type"]) == ("session.created", "realtime")


@pytest.mark.parametrize("query", ["?intent=transcription", "?intent=transcription&model=gpt-4o-mini-transcribe"])
async def test_transcription_sessions(stand_in_server: ServerProcess, query: str) -> None:
    event = await first_event(stand_in_server.ws_url + query)
    assert (event["type"], event["session"]["type"]) == ("session.created", "transcription")


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("?model=nonsense", {}, "model_not_found"),
        ("?model=whisper-1", {}, "invalid_value"),
        ("?intent=nonsense", {}, "invalid_value"),
    ],
)
async def test_what_is_not_served_is_told_and_closed(
    stand_in_server: ServerProcess, query: str, headers: dict[str, str], code: str
) -> None:
    async with connect(stand_in_server.ws_url + query, additional_headers=headers) as client:
        event = json.loads(await client.recv())
        assert (event["type"], event["error"]["code"]) == ("error", code)
        assert event["error"]["event_id"] is None
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, f"invalid_request_error.{code}")


async def test_an_unknown_call_is_not_found(stand_in_server: ServerProcess) -> None:
    status, error, _ = await refusal(f"{stand_in_server.ws_url}?call_id=rtc_none")
    assert (status, error["code"]) == (404, "call_not_found")


async def test_deflate_is_inflated_and_not_used(stand_in_server: ServerProcess) -> None:
    async with connect(stand_in_server.ws_url, compression="deflate") as client:
        assert "permessage-deflate" in client.response.headers["sec-websocket-extensions"]  # type: ignore[union-attr]
        await client.recv()
        for _ in range(3):
            await client.send(json.dumps({"type": "input_audio_buffer.clear"}))
            assert json.loads(await client.recv())["type"] == "input_audio_buffer.cleared"


async def test_keys_are_not_logged_at_debug() -> None:
    with serving(arguments=["--log-level", "debug"], environment={"ANTIPHON_API_KEYS": KEY}) as server:
        await first_event(server.ws_url, additional_headers={"Authorization": f"Bearer {KEY}"})
        await refusal(server.ws_url, additional_headers={"Authorization": "Bearer sk-mistyped"})
    told = "\n".join(server.output)
    assert "session opened" in told
    assert KEY not in told
    assert "sk-mistyped" not in told
