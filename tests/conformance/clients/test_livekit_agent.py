"""A LiveKit `AgentSession` on `RealtimeModel`, with a microphone and a loudspeaker in place of a room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, ConversationItemAddedEvent, function_tool
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities
from livekit.plugins.openai.realtime import RealtimeModel

from tests.conformance.audio import RATE, pieces
from tests.conformance.clients.stimuli import SPEECH, TIMEOUT
from tests.conformance.tap import Tap


class Microphone(AudioInput):
    """Gives the agent what the test says."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.get()

    def speak(self) -> None:
        for piece in pieces(SPEECH, 20):
            self._frames.put_nowait(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))


class Loudspeaker(AudioOutput):
    """Plays a segment from its first frame on: in real time, or `pace` times faster for tests that wait for its end."""

    def __init__(self, pace: float) -> None:
        super().__init__(label="loudspeaker", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE)
        self._pace = pace
        self._captured_s = 0.0
        self._began: float | None = None
        self._end: asyncio.TimerHandle | None = None
        self.playing = asyncio.Event()

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
            self.on_playback_started(created_at=self._began)
            self.playing.set()
        self._captured_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._began is not None:
            end = self._began + self._captured_s / self._pace
            self._end = asyncio.get_running_loop().call_at(end, self._finish, False)

    def clear_buffer(self) -> None:
        if self._began is not None:
            self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        assert self._began is not None
        played_s = (asyncio.get_running_loop().time() - self._began) * self._pace
        if self._end is not None:
            self._end.cancel()
        position_s = min(played_s, self._captured_s)
        self._began, self._end, self._captured_s = None, None, 0.0
        self.playing.clear()
        self.on_playback_finished(playback_position=position_s, interrupted=interrupted)


class Assistant(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="Be brief.")
        self.asked: list[str] = []

    @function_tool
    async def get_weather(self, city: str) -> str:
        """Look up the weather.

        Args:
            city: where
        """
        self.asked.append(city)
        return "It is sunny."


class Talk:
    """An agent's session with its microphone and loudspeaker, and the conversation as the agent has it."""

    def __init__(self, session: AgentSession[None], pace: float) -> None:
        self.session = session
        self.agent = Assistant()
        self.microphone = Microphone()
        self.loudspeaker = Loudspeaker(pace)
        self.items: list[Any] = []
        self._news = asyncio.Event()
        session.input.audio = self.microphone
        session.output.audio = self.loudspeaker
        session.on("conversation_item_added", self._take)

    def _take(self, event: ConversationItemAddedEvent) -> None:
        self.items.append(event.item)
        self._news.set()

    async def messages(self, *roles: str, in_order: bool = True) -> list[Any]:
        """Return the messages once they are by `roles`, in that order unless the agent itself keeps none."""
        async with asyncio.timeout(TIMEOUT):
            while len(found := [item for item in self.items if item.type == "message"]) < len(roles):
                self._news.clear()
                await self._news.wait()
        came = [item.role for item in found]
        assert (came if in_order else sorted(came)) == (list(roles) if in_order else sorted(roles))
        return found


@asynccontextmanager
async def talking(tap: Tap, pace: float = 50.0) -> AsyncIterator[Talk]:
    model = RealtimeModel(base_url=f"http://127.0.0.1:{tap.port}/v1", api_key="any")
    session: AgentSession[None] = AgentSession(
        llm=model,
        vad=None,
        turn_handling={"turn_detection": "realtime_llm"},
        aec_warmup_duration=None,
        user_away_timeout=None,
    )
    talk = Talk(session, pace)
    failures: list[Any] = []
    session.on("error", failures.append)
    await session.start(talk.agent)
    try:
        yield talk
        assert failures == []
    finally:
        await session.aclose()
        await model.aclose()


async def test_spoken_turns(tap: Tap) -> None:
    async with talking(tap) as talk:
        talk.microphone.speak()
        heard, said = await talk.messages("user", "assistant")
        assert heard.text_content.startswith("Utterance of")
        assert said.text_content.startswith("Hello")
        assert not said.interrupted
        talk.microphone.speak()
        await talk.messages(*["user", "assistant"] * 2)


async def test_a_tool_round_trip(tap: Tap) -> None:
    async with talking(tap) as talk:
        await talk.session.generate_reply(user_input="What is the weather in Paris?", tool_choice="required")
        await talk.messages("user", "assistant")
        assert len(talk.agent.asked) == 1
        (call,) = (item for item in talk.session.history.items if item.type == "function_call")
        (result,) = (item for item in talk.session.history.items if item.type == "function_call_output")
        assert (result.call_id, result.output, result.is_error) == (call.call_id, "It is sunny.", False)
    items = [event["item"] for event in tap.connections[0].recording.received("conversation.item.done")]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output", "message"]


async def test_speaking_over_a_reply(tap: Tap) -> None:
    """The whole reply is there at once, so that only what was played tells what the user heard."""
    async with talking(tap, pace=1.0) as talk:
        talk.microphone.speak()
        async with asyncio.timeout(TIMEOUT):
            await talk.loudspeaker.playing.wait()
        await asyncio.sleep(0.2)
        talk.microphone.speak()
        # The agent adds its cut message when its loudspeaker is done, and the user's at the transcript: its own race.
        messages = await talk.messages("user", "user", "assistant", in_order=False)
        (first,) = (message for message in messages if message.role == "assistant")
        assert first.interrupted
        recording = tap.connections[0].recording
        async with asyncio.timeout(TIMEOUT):
            while not (cuts := recording.received("conversation.item.truncated")):  # noqa: ASYNC110 - the client is silent on it
                await asyncio.sleep(0.01)
    (cut,) = cuts
    assert cut["item_id"] == first.id
    assert cut["audio_end_ms"] >= 200
    # It cancels the reply too, which has long been finished.
    assert {event["error"]["code"] for event in recording.received("error")} <= {"response_cancel_not_active"}
