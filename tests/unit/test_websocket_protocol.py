"""What the WebSocket protocol tells a client that it does not let in, and what it logs of that, at a real server."""

from __future__ import annotations

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.serving import ServerProcess, serving

KEY = "sk-which-opens"


async def refusal(server: ServerProcess, key: str) -> tuple[int, str]:
    """Return the status and the error's code of a handshake that fails."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(server.ws_url, additional_headers={"Authorization": f"Bearer {key}"})
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"")["error"]["code"]


async def test_a_refused_handshake_is_answered_and_is_no_error_of_the_server() -> None:
    with serving(environment={"ANTIPHON_API_KEYS": KEY, "ANTIPHON_MAX_SESSIONS": "1"}) as server:
        assert await refusal(server, "sk-a-wrong-one") == (401, "invalid_api_key")
        async with connect(server.ws_url, additional_headers={"Authorization": f"Bearer {KEY}"}) as client:
            assert json.loads(await client.recv())["type"] == "session.created"
            assert await refusal(server, KEY) == (503, "session_limit_reached")
    told = [line["event"] for line in server.log]
    assert "request refused" in told
    assert "connection refused" in told
    assert [line for line in server.log if line["level"] not in ("info", "warning")] == []
