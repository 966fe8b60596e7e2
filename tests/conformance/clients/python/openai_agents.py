"""A realtime session of openai-agents, as a program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool
from agents.realtime import (
    RealtimeAgent,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimePlaybackTracker,
    RealtimeRunner,
    RealtimeSession,
)
from reports import main, report, speech


class Talk:
    """A session; everything that it says is reported as it comes."""

    def __init__(self, session: RealtimeSession, tracker: RealtimePlaybackTracker) -> None:
        self.session = session
        self.tracker = tracker
        self.events: list[Any] = []
        self._news = asyncio.Event()

    async def listen(self) -> None:
        """Report every event."""
        async for event in self.session:
            self.events.append(event)
            self._report(event)
            self._news.set()

    def _report(self, event: Any) -> None:
        match event.type:
            case "raw_model_event":
                if event.data.type == "exception":
                    report("exception", text=repr(event.data.exception), context=event.data.context)
                elif event.data.type == "error":
                    report("error", error=repr(event.data.error))
                elif event.data.type != "raw_server_event":
                    report("model", type=event.data.type)
            case "audio":
                report("audio", item_id=event.item_id, bytes=len(event.audio.data))
            case "tool_end":
                report("tool_end", name=event.tool.name, arguments=event.arguments, output=event.output)
            case "audio_interrupted":
                report("audio_interrupted", item_id=event.item_id)
            case "error":
                report("error", error=repr(event.error))
            case other:
                report("event", type=other)

    def history(self) -> list[dict[str, Any]]:
        """Return the history as the session has it."""
        updates = [event.history for event in self.events if event.type == "history_updated"]
        added = [event for event in self.events if event.type in ("history_updated", "history_added")]
        assert updates and added
        return [item.model_dump(exclude={"content": {"__all__": {"audio"}}}) for item in self.session._history]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds`."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def turns(self, count: int) -> None:
        """Wait until the model has ended its turn `count` times."""
        await self.until(lambda: self.count("turn_ended") >= count)

    def count(self, model_event: str) -> int:
        """Return how many events of a type came from the model."""
        return sum(event.type == "raw_model_event" and event.data.type == model_event for event in self.events)

    def frames(self) -> list[str]:
        """Return the types of the frames that came."""
        model = (event.data for event in self.events if event.type == "raw_model_event")
        return [event.data["type"] for event in model if event.type == "raw_server_event"]

    async def audio(self, after: str | None = None) -> Any:
        """Return the first audio, or the first of another item than `after`."""

        def found() -> list[Any]:
            return [event for event in self.events if event.type == "audio" and event.item_id != after]

        await self.until(lambda: bool(found()))
        return found()[0]

    async def speak(self) -> None:
        """Say something."""
        for piece in speech():
            await self.session.send_audio(piece)


@asynccontextmanager
async def talking(url: str, **settings: Any) -> AsyncIterator[Talk]:
    """Connect an agent with a tool."""

    @function_tool
    async def get_weather(city: str) -> str:
        """Look up the weather."""
        # The stand-in model calls whenever it must: let the next answer be in words.
        update: Any = {"tool_choice": "auto"}
        await session.model.send_event(RealtimeModelSendSessionUpdate(session_settings=update))
        return f"It is sunny in {city}."

    tracker = RealtimePlaybackTracker()
    agent: RealtimeAgent[None] = RealtimeAgent(name="Assistant", instructions="Be brief.", tools=[get_weather])
    initial: Any = {"model_name": "gpt-realtime", **settings}
    session = await RealtimeRunner(agent).run(
        model_config={"url": url, "api_key": "any", "initial_model_settings": initial, "playback_tracker": tracker}
    )
    async with session:
        talk = Talk(session, tracker)
        listener = asyncio.create_task(talk.listen())
        yield talk
        report("history", items=talk.history())
    await listener


async def spoken_turns(url: str) -> None:
    """Speak twice."""
    async with talking(url) as talk:
        for turn in (1, 2):
            await talk.speak()
            await talk.turns(turn)
            await talk.until(lambda turn=turn: talk.count("input_audio_transcription_completed") >= turn)  # type: ignore[misc]


async def tool(url: str) -> None:
    """Let the model call the tool."""
    async with talking(url, tool_choice="required") as talk:
        await talk.session.send_message("What is the weather in Paris?")
        await talk.turns(2)


async def speaking_over(url: str) -> None:
    """Speak while the reply is playing."""
    async with talking(url) as talk:
        await talk.speak()
        first = await talk.audio()
        talk.tracker.on_play_bytes(first.item_id, first.content_index, first.audio.data[:4800])  # 100 ms
        await talk.speak()
        await talk.until(lambda: any(event.type == "audio_interrupted" for event in talk.events))
        await talk.until(lambda: "conversation.item.truncated" in talk.frames())
        await talk.audio(after=first.item_id)


async def interrupting(url: str) -> None:
    """Stop the reply, which the server is told not to do, and ask again."""
    async with talking(url, turn_detection={"type": "server_vad", "interrupt_response": False}) as talk:
        await talk.session.send_message("Tell me a story.")
        first = await talk.audio()
        talk.tracker.on_play_ms(first.item_id, first.content_index, 100)
        await talk.session.interrupt()
        await talk.turns(1)
        await talk.session.send_message("Tell me another.")
        await talk.audio(after=first.item_id)


async def context(url: str) -> None:
    """Write, delete, and hand over to another agent."""
    async with talking(url) as talk:
        await talk.session.send_message("My name is Alice.")
        await talk.turns(1)
        first = talk.history()[0]["item_id"]
        message: Any = {"type": "conversation.item.delete", "other_data": {"item_id": first}}
        await talk.session.model.send_event(RealtimeModelSendRawMessage(message=message))
        await talk.until(lambda: talk.history()[0]["item_id"] != first)
        await talk.session.update_agent(RealtimeAgent(name="Poet", instructions="Answer in verse."))
        await talk.session.send_message("Who am I?")
        await talk.turns(2)


async def manual(url: str) -> None:
    """End the turns by hand."""
    async with talking(url, turn_detection=None) as talk:
        for turn in (1, 2):
            *pieces, last = speech()
            for piece in pieces:
                await talk.session.send_audio(piece)
            await talk.session.send_audio(last, commit=True)
            message: Any = {"type": "response.create"}
            await talk.session.model.send_event(RealtimeModelSendRawMessage(message=message))
            await talk.turns(turn)


main(
    {
        "spoken_turns": spoken_turns,
        "tool": tool,
        "speaking_over": speaking_over,
        "interrupting": interrupting,
        "context": context,
        "manual": manual,
    }
)
