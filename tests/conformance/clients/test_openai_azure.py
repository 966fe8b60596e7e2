"""The `openai` package's Azure ways in: GA under /openai/v1, and beta with an API version."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from openai import AsyncAzureOpenAI, AsyncOpenAI

from tests.conformance.audio import pieces
from tests.conformance.clients.stimuli import SPEECH, TIMEOUT
from tests.conformance.tap import Tap


async def spoken_turn(connection: Any) -> list[Any]:
    """Speak, and return the events up to the end of the reply."""
    events = []
    for piece in pieces(SPEECH, 40):
        await connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
    async with asyncio.timeout(TIMEOUT):
        async for event in connection:
            events.append(event)
            assert event.type != "error", event
            if event.type == "response.done":
                break
    assert events[-1].response.status == "completed"
    return events


async def test_ga(tap: Tap) -> None:
    async with (
        AsyncOpenAI(base_url=f"http://127.0.0.1:{tap.port}/openai/v1", api_key="any") as client,
        client.realtime.connect(model="our-own-name") as connection,
    ):
        events = await spoken_turn(connection)
    assert events[0].session.model == "our-own-name"
    assert "response.output_audio.delta" in [event.type for event in events]


async def test_beta_with_an_api_version(stand_in: str) -> None:
    async with (
        AsyncAzureOpenAI(
            azure_endpoint="http://127.0.0.1",
            websocket_base_url=stand_in.replace("/v1/realtime", "/openai"),
            api_key="any",
            api_version="2024-10-01-preview",
        ) as client,
        client.beta.realtime.connect(model="our-own-name") as connection,
    ):
        events = await spoken_turn(connection)
    assert events[0].session.model == "our-own-name"
    assert "response.audio.delta" in [event.type for event in events]
