"""Azure's and open-realtime's ways in, frame by frame."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from tests.conformance.audio import pieces, silence, tone

TIMEOUT_S = 20


@asynccontextmanager
async def opened(url: str, path: str, **options: Any) -> AsyncIterator[ClientConnection]:
    host = url.split("/v1/", 1)[0]
    # This client does not read on while it closes, so that it may wait for the server in vain.
    async with connect(host + path, compression=None, close_timeout=0.5, **options) as connection:
        yield connection


async def expect(connection: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            event: dict[str, Any] = json.loads(await connection.recv())
            if event["type"] == kind:
                return event


async def test_azure_with_an_api_version_is_beta_with_its_quirk(stand_in: str) -> None:
    path = "/openai/realtime?api-version=2025-04-01-preview&deployment=our-own-name"
    async with opened(stand_in, path, additional_headers={"api-key": "any"}) as connection:
        created = await expect(connection, "session.created")
        assert created["session"]["model"] == "our-own-name"
        assert created["session"]["modalities"] == ["text", "audio"]
        await connection.send(
            json.dumps({"type": "session.update", "session": {"voice": "ash", "model": "our-own-name"}})
        )
        assert (await expect(connection, "session.updated"))["session"]["voice"] == "ash"
        await connection.send(json.dumps({"type": "response.create"}))
        part = await expect(connection, "response.content_part.added")
        assert part["content"] == part["part"]
        assert (await expect(connection, "response.audio.delta"))["delta"]


async def test_azure_without_one_is_ga(stand_in: str) -> None:
    async with opened(stand_in, "/openai/v1/realtime?model=our-own-name") as connection:
        session = (await expect(connection, "session.created"))["session"]
        assert (session["type"], session["model"]) == ("realtime", "our-own-name")


async def test_the_short_path_is_ga_until_beta_is_asked_for(stand_in: str) -> None:
    async with opened(stand_in, "/realtime?model=gpt-realtime") as connection:
        assert (await expect(connection, "session.created"))["session"]["type"] == "realtime"
    async with opened(stand_in, "/realtime", additional_headers={"OpenAI-Beta": "realtime=v1"}) as connection:
        assert "modalities" in (await expect(connection, "session.created"))["session"]
    async with opened(stand_in, "/realtime", subprotocols=["realtime", "openai-beta.realtime-v1"]) as connection:
        assert connection.subprotocol == "realtime"
        assert "modalities" in (await expect(connection, "session.created"))["session"]


async def test_open_realtime_sends_16_khz(stand_in: str) -> None:
    sound = np.concatenate([tone(800), silence(900)])[::3].repeat(2)  # of 24 kHz, what a listener at 16 kHz would send
    async with opened(stand_in, "/realtime?input_rate=16000") as connection:
        await expect(connection, "session.created")
        await connection.send(json.dumps({"type": "session.update", "session": {"input_audio_format": "pcm16"}}))
        await expect(connection, "session.updated")
        for piece in pieces(sound, 40):
            audio = base64.b64encode(piece).decode()
            await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        stopped = await expect(connection, "input_audio_buffer.speech_stopped")
        assert 1250 <= stopped["audio_end_ms"] <= 1400
        assert (await expect(connection, "response.done"))["response"]["status"] == "completed"


async def test_beta_transcription_sessions(stand_in: str) -> None:
    beta = {"OpenAI-Beta": "realtime=v1"}
    async with opened(stand_in, "/v1/realtime?intent=transcription", additional_headers=beta) as connection:
        await expect(connection, "transcription_session.created")
        session = {"input_audio_format": "pcm16", "input_audio_transcription": {"model": "whisper-1"}}
        await connection.send(json.dumps({"type": "transcription_session.update", "session": session}))
        updated = await expect(connection, "transcription_session.updated")
        assert updated["session"]["input_audio_transcription"]["model"] == "whisper-1"
        for piece in pieces(np.concatenate([tone(800), silence(900)]), 40):
            audio = base64.b64encode(piece).decode()
            await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        completed = await expect(connection, "conversation.item.input_audio_transcription.completed")
        assert completed["transcript"]
