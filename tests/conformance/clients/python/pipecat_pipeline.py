"""Pipecat's OpenAI realtime services in a pipeline, as a program."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    LLMUpdateSettingsFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat.workers.runner import WorkerRunner
from reports import main, report, speech

RATE = 24_000
WEATHER = FunctionSchema(
    name="get_weather",
    description="Look up the weather.",
    properties={"city": {"type": "string"}},
    required=["city"],
)


class Watch(BaseObserver):
    """Reports what the service pushes into the pipeline."""

    def __init__(self, service: FrameProcessor) -> None:
        super().__init__()
        self._service = service
        self._news = asyncio.Event()
        self.frames: list[Frame] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        """Take a frame."""
        if data.source is not self._service:
            return
        frame = data.frame
        self.frames.append(frame)
        match frame:
            case TTSAudioRawFrame():
                report("audio", bytes=len(frame.audio))
            case TranscriptionFrame() | InterimTranscriptionFrame() | TTSTextFrame():
                report(type(frame).__name__, text=frame.text)
            case (
                LLMFullResponseStartFrame()
                | LLMFullResponseEndFrame()
                | ProposedUserStartedSpeakingFrame()
                | ProposedUserStoppedSpeakingFrame()
                | InterruptionFrame()
            ):
                report(type(frame).__name__)
            case ErrorFrame():
                report("error", error=frame.error)
        self._news.set()

    def count(self, kind: type[Frame]) -> int:
        """Return how many frames of a type there were."""
        return sum(isinstance(frame, kind) for frame in self.frames)

    async def until(self, kind: type[Frame], count: int = 1) -> None:
        """Wait for the frames of a type to be `count`."""
        while self.count(kind) < count:
            self._news.clear()
            await self._news.wait()


class Talk:
    """A running pipeline."""

    def __init__(self, service: Any, worker: PipelineWorker, watch: Watch) -> None:
        self.service = service
        self.worker = worker
        self.watch = watch

    async def queue(self, *frames: Frame) -> None:
        """Put frames in at the front."""
        await self.worker.queue_frames(frames)

    def items(self) -> list[str]:
        """Return a list that gets the id of every item that is created from now on."""
        items: list[str] = []

        @self.service.event_handler("on_conversation_item_created")
        async def on_created(service: OpenAIRealtimeLLMService, item_id: str, item: Any) -> None:
            items.append(item_id)

        return items

    async def speak(self) -> None:
        """Say something."""
        await self.queue(*(InputAudioRawFrame(audio=piece, sample_rate=RATE, num_channels=1) for piece in speech()))


@asynccontextmanager
async def running(
    service: FrameProcessor, *before: FrameProcessor, after: tuple[FrameProcessor, ...] = ()
) -> AsyncIterator[Talk]:
    """Run a pipeline around `service`."""
    watch = Watch(service)
    worker = PipelineWorker(
        Pipeline([*before, service, *after]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
        observers=[watch],
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_started(worker: PipelineWorker, frame: Frame) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    task = asyncio.create_task(runner.run())
    await started.wait()
    yield Talk(service, worker, watch)
    await worker.queue_frame(EndFrame())
    await task


@asynccontextmanager
async def talking(
    url: str, messages: list[Any], tool_choice: Any = "auto", turn_detection: Any = None
) -> AsyncIterator[Talk]:
    """Run the realtime service between the aggregators of a context."""
    hearing = AudioInput(transcription=InputAudioTranscription(model="whisper-1"), turn_detection=turn_detection)
    properties = SessionProperties(audio=AudioConfiguration(input=hearing), tool_choice=tool_choice)
    settings = OpenAIRealtimeLLMService.Settings(
        model="gpt-realtime", system_instruction="Be brief.", session_properties=properties
    )
    service = OpenAIRealtimeLLMService(api_key="any", base_url=url, settings=settings)

    async def get_weather(call: FunctionCallParams) -> None:
        report("tool", name=call.function_name, arguments=call.arguments)
        # The stand-in model calls whenever it must: let the next answer be in words.
        changed = SessionProperties(audio=AudioConfiguration(input=hearing), tool_choice="auto")
        update = OpenAIRealtimeLLMService.Settings(session_properties=changed)
        await service.queue_frame(LLMUpdateSettingsFrame(delta=update))
        await call.result_callback({"weather": "sunny"})

    service.register_function("get_weather", get_weather)
    context = LLMContext(messages, ToolsSchema(standard_tools=[WEATHER]))
    aggregators = LLMContextAggregatorPair(context)
    async with running(service, aggregators.user(), after=(aggregators.assistant(),)) as talk:
        await _ready(lambda: service._api_session_ready)
        yield talk
        report("context", messages=[dict(message) for message in context.get_messages()])


async def _ready(holds: Callable[[], bool]) -> None:
    """Wait for the service to have configured its session; it sends speech before that too, and says it nowhere."""
    while not holds():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.01)


async def spoken_turns(url: str) -> None:
    """Greet, then hear and answer twice."""
    async with talking(url, [{"role": "user", "content": "Greet the user."}]) as talk:
        await talk.queue(LLMRunFrame())
        await talk.watch.until(LLMFullResponseEndFrame)
        for turn in (1, 2):
            await talk.speak()
            await talk.watch.until(TranscriptionFrame, turn)
            await talk.watch.until(LLMFullResponseEndFrame, turn + 1)


async def tool(url: str) -> None:
    """Let the model call the tool."""
    async with talking(url, [{"role": "user", "content": "Weather?"}], tool_choice="required") as talk:
        await talk.queue(LLMRunFrame())
        await talk.watch.until(TTSTextFrame)
        await talk.watch.until(LLMFullResponseEndFrame, 2)


async def speaking_over(url: str) -> None:
    """Speak while the reply is coming."""
    async with talking(url, [{"role": "user", "content": "Tell me a story."}]) as talk:
        items = talk.items()
        await talk.queue(LLMRunFrame())
        await talk.watch.until(TTSAudioRawFrame)
        await talk.speak()
        await talk.watch.until(ProposedUserStartedSpeakingFrame)
        await talk.watch.until(LLMFullResponseEndFrame)
        heard = talk.watch.count(TTSAudioRawFrame)
        await talk.watch.until(TTSAudioRawFrame, heard + 1)
        # The client says nothing of the truncation that it asked for; what it asks later is answered later.
        await talk.service.retrieve_conversation_item(items[0])


async def context(url: str) -> None:
    """Begin with a history, add to it, and look items up."""
    history = [
        {"role": "user", "content": "My name is Alice."},
        {"role": "assistant", "content": "Nice to meet you!"},
        {"role": "user", "content": "Who am I?"},
    ]
    async with talking(url, history) as talk:
        items = talk.items()
        await talk.queue(LLMRunFrame())
        await talk.watch.until(LLMFullResponseEndFrame)
        message: Any = {"role": "user", "content": "And where do I live?"}
        await talk.service.queue_frame(LLMMessagesAppendFrame(messages=[message], run_llm=True))
        await talk.watch.until(LLMFullResponseEndFrame, 2)
        for item_id in items:
            item = await talk.service.retrieve_conversation_item(item_id)
            report("item", role=item.role, content=[part.model_dump(exclude_none=True) for part in item.content])
        try:
            await talk.service.retrieve_conversation_item("nothing")
        except Exception as error:  # noqa: BLE001 - it raises no other
            report("refused", text=str(error))


async def manual(url: str) -> None:
    """Begin and end the turns by hand."""
    async with talking(url, [{"role": "user", "content": "Greet the user."}], turn_detection=False) as talk:
        await talk.queue(LLMRunFrame())
        await talk.watch.until(LLMFullResponseEndFrame)
        for turn in (1, 2):
            await talk.queue(UserStartedSpeakingFrame(), InterruptionFrame())
            await talk.speak()
            await talk.queue(UserStoppedSpeakingFrame())
            await talk.watch.until(TranscriptionFrame, turn)
            await talk.watch.until(LLMFullResponseEndFrame, turn + 1)


async def transcription(url: str) -> None:
    """Transcribe turns that the server ends."""
    settings = OpenAIRealtimeSTTService.Settings(model="gpt-transcribe", noise_reduction="near_field")
    service = OpenAIRealtimeSTTService(
        api_key="any", base_url=url, turn_detection={"type": "server_vad"}, settings=settings
    )
    await _transcribe(service)


async def transcription_by_hand(url: str) -> None:
    """Transcribe turns that the pipeline ends."""
    await _transcribe(OpenAIRealtimeSTTService(api_key="any", base_url=url), VADUserStoppedSpeakingFrame)


async def _transcribe(service: FrameProcessor, end: Callable[[], Frame] | None = None) -> None:
    async with running(service) as talk:
        await _ready(lambda: service._session_ready)
        for turn in (1, 2):
            await talk.speak()
            if end is not None:
                await talk.queue(end())
            await talk.watch.until(TranscriptionFrame, turn)


logger.remove()
logger.add(sys.stderr, level="INFO")
main(
    {
        "spoken_turns": spoken_turns,
        "tool": tool,
        "speaking_over": speaking_over,
        "context": context,
        "manual": manual,
        "transcription": transcription,
        "transcription_by_hand": transcription_by_hand,
    }
)
