"""LiveKit's `RealtimeModel` in front of a tap, and what its sessions report."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from livekit import rtc
from livekit.agents import llm
from livekit.agents.llm import ChatContext, FunctionCall, GenerationCreatedEvent
from livekit.plugins.openai.realtime import RealtimeModel, RealtimeSession

from tests.conformance.audio import RATE, Pcm, pieces
from tests.conformance.clients.stimuli import SPEECH, TIMEOUT
from tests.conformance.recorder import Event, Frame, FrameChecker
from tests.conformance.tap import Tap

KINDS = ["openai", "azure", "azure with api-version"]


class Unchecked(FrameChecker):
    """Keeps the frames of a dialect; what is wrong with them the client has to say."""

    def sent(self, data: str | bytes) -> None:
        self.recording.frames.append(Frame("sent", time.monotonic(), json.loads(data)))

    def received(self, data: str | bytes) -> Event:
        event: Event = json.loads(data)
        self.recording.frames.append(Frame("received", time.monotonic(), event))
        return event


@dataclass(frozen=True)
class Service:
    """A tap in front of a server, and who the client takes the server for."""

    tap: Tap
    kind: str

    def model(self, **options: Any) -> RealtimeModel:
        """Return a model that connects to the tap."""
        host = f"http://127.0.0.1:{self.tap.port}"
        if self.kind == "openai":
            return RealtimeModel(base_url=f"{host}/v1", api_key="any", **options)
        if self.kind == "azure":
            options["entra_token"] = "any"
        else:
            options |= {"api_key": "any", "api_version": "2024-10-01-preview"}
        return RealtimeModel.with_azure(azure_deployment="our-own-name", azure_endpoint=host, **options)


@asynccontextmanager
async def serving_as(kind: str, url: str) -> AsyncIterator[Service]:
    async with Tap(url, checker=Unchecked if kind == "azure with api-version" else FrameChecker) as tap:
        yield Service(tap, kind)


class Said:
    """What a generation brought: the whole text and audio of its messages, and its function calls."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.text = ""
        self.samples = 0
        self.modalities: list[str] = []
        self.calls: list[FunctionCall] = []


async def listen(generation: GenerationCreatedEvent) -> Said:
    """Take a generation to its end."""
    said = Said()

    async def calls() -> None:
        async for call in generation.function_stream:
            said.calls.append(call)

    async def text(message: llm.MessageGeneration) -> None:
        async for piece in message.text_stream:
            said.text += piece

    async def audio(message: llm.MessageGeneration) -> None:
        async for frame in message.audio_stream:
            said.samples += frame.samples_per_channel

    async def messages() -> None:
        async for message in generation.message_stream:
            said.ids.append(message.message_id)
            said.modalities = list(await message.modalities)
            await asyncio.gather(text(message), audio(message))

    async with asyncio.timeout(TIMEOUT):
        await asyncio.gather(calls(), messages())
    return said


class Conversing:
    """A session, and everything that it reported, by event."""

    EVENTS = (
        "input_speech_started",
        "input_speech_stopped",
        "input_audio_transcription_completed",
        "generation_created",
        "metrics_collected",
        "session_reconnected",
        "error",
    )

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.reports: dict[str, list[Any]] = {name: [] for name in self.EVENTS}
        self._news = asyncio.Event()
        for name in self.EVENTS:
            session.on(name, self._take(name))  # type: ignore[arg-type]

    def _take(self, name: str) -> Any:
        def take(event: Any) -> None:
            if name == "metrics_collected" and not getattr(event, "request_id", "").startswith("resp_"):
                return  # of connecting or of transcription, not of a reply
            self.reports[name].append(event)
            self._news.set()

        return take

    async def seen(self, name: str, count: int = 1) -> list[Any]:
        """Return the reports of event `name` once there are `count`."""
        async with asyncio.timeout(TIMEOUT):
            while len(self.reports[name]) < count:
                self._news.clear()
                await self._news.wait()
        return self.reports[name]

    async def heard(self, count: int = 1) -> list[str]:
        """Return the final transcripts once there are `count`."""
        name = "input_audio_transcription_completed"
        async with asyncio.timeout(TIMEOUT):
            while len(found := [event.transcript for event in self.reports[name] if event.is_final]) < count:
                self._news.clear()
                await self._news.wait()
        return found

    def speak(self, pcm: Pcm = SPEECH) -> None:
        for piece in pieces(pcm, 20):
            self.session.push_audio(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))

    async def reply(self, **options: Any) -> Said:
        return await listen(await self.session.generate_reply(**options))


@asynccontextmanager
async def conversing(service: Service, **options: Any) -> AsyncIterator[Conversing]:
    model = service.model(**options)
    session = model.session()
    try:
        client = Conversing(session)
        yield client
        assert client.reports["error"] == []
    finally:
        await session.aclose()
        await model.aclose()


def texts(context: ChatContext) -> list[tuple[str, str | None]]:
    return [(item.role, item.text_content) for item in context.items if item.type == "message"]
