"""Pipelines whose engines run elsewhere, served in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

from antiphon.engines.base import (
    Engine,
    EngineContext,
    LanguageModel,
    Synthesizer,
    Transcriber,
    TurnClassifier,
    VoiceActivityDetector,
)
from antiphon.engines.elevenlabs import ElevenLabsSynthesizer
from antiphon.engines.fallback import fallback
from antiphon.engines.openai.audio_chat import OpenAIAudioChatModel
from antiphon.engines.openai.chat import OpenAIChatModel
from antiphon.engines.openai.speech import OpenAISynthesizer
from antiphon.engines.openai.transcription import OpenAITranscriber
from antiphon.engines.stand_in import StandInTurnClassifier, StandInVad
from antiphon.pipeline.cascade import Cascade
from antiphon.pipeline.direct import Direct
from antiphon.pipeline.reply import Pipeline
from antiphon.server.served_pipeline import ServedPipeline
from tests.remote_servers import MODEL, NoModels, stand_ins
from tests.serving import serving_here

NOTHING = EngineContext(NoModels())
PATIENCE = {"first_timeout_s": 15.0, "stall_timeout_s": 15.0, "connect_timeout_s": 10.0, "retries": 1}
"""Options of engines that wait for a machine that is busy."""

IMPATIENCE = {"first_timeout_s": 2.0, "stall_timeout_s": 0.8}
"""Options of engines that give up early, so that tests of what hangs are quick."""

Engines = dict[str, Engine]


async def remote_engines(
    url: str, tts: type[Synthesizer] = OpenAISynthesizer, *, chat_url: str | None = None, **options: Any
) -> Engines:
    """Return every engine of a turn, each on the server at `url`, except the language model where `chat_url` is given.

    `options` take the place of `PATIENCE`.
    """

    async def load(kind: type[Engine], url: str = url) -> Engine:
        place = {"base_url": url} if kind is ElevenLabsSynthesizer else {"base_url": f"{url}/v1", "model": MODEL}
        return await kind.load(
            EngineContext(NoModels(), options={**PATIENCE, **place, "api_key": {"env": "REMOTE_KEY"}, **options})
        )

    return {
        "transcription": await load(OpenAITranscriber),
        "llm": await load(OpenAIChatModel, chat_url or url),
        "tts": await load(tts),
    }


async def with_fallbacks(engines: Engines) -> Engines:
    """Return engines that have one of this process behind them."""
    llm, transcriber, synthesizer = await stand_ins(reply="The local model speaks.")
    local: Engines = {"transcription": transcriber, "llm": llm, "tts": synthesizer}
    return {role: fallback(role, [engine, local[role]]) for role, engine in engines.items()}


@asynccontextmanager
async def serving_engines(
    engines: Engines, ears: Engines | None = None, drafts: Literal["off", "full"] = "off"
) -> AsyncIterator[str]:
    """Serve a pipeline of these engines and these ears ("vad" and "turn"), stand-ins by default; yield the WebSocket
    URL."""
    ears = ears or {"vad": await StandInVad.load(NOTHING), "turn": await StandInTurnClassifier.load(NOTHING)}
    await asyncio.gather(*(engine.warm_up() for engine in engines.values()))
    cascade = Cascade(
        "remote",
        vad=cast(VoiceActivityDetector, ears["vad"]),
        turn=cast(TurnClassifier, ears["turn"]),
        transcription=cast(Transcriber, engines["transcription"]),
        llm=cast(LanguageModel, engines["llm"]),
        tts=cast(Synthesizer, engines["tts"]),
        drafts=drafts,
    )
    async with serving_pipeline(cascade, *engines.values(), *ears.values()) as url:
        yield url


@asynccontextmanager
async def serving_pipeline(pipeline: Cascade | Direct, *engines: Engine) -> AsyncIterator[str]:
    """Serve a pipeline whose engines are warm, and close `engines` afterwards; yield the WebSocket URL."""
    try:
        async with serving_here() as server:
            assert server.service.models is not None
            served = server.service.models.default
            assert isinstance(served, ServedPipeline)

            async def load(on_ready: Callable[[str], None] | None = None) -> Pipeline:
                return pipeline

            # In place of the stand-ins, whose engines the server keeps and closes.
            served.voices = pipeline.voices
            served.load = load  # type: ignore[method-assign]
            served.release = lambda: None  # type: ignore[method-assign]
            yield server.ws_url
    finally:
        await asyncio.gather(*(engine.close() for engine in engines))


@asynccontextmanager
async def serving_speech_model(
    url: str,
    ears: Engines | None = None,
    transcription: Transcriber | None = None,
    drafts: Literal["off", "transcription", "full"] = "off",
    **options: Any,
) -> AsyncIterator[str]:
    """Serve a model that hears and speaks itself, on the server at `url`; `options` take the place of `PATIENCE`."""
    place = {"base_url": f"{url}/v1", "model": MODEL, "api_key": {"env": "REMOTE_KEY"}, "voices": ("low", "high")}
    speech = await OpenAIAudioChatModel.load(EngineContext(NoModels(), options={**PATIENCE, **place, **options}))
    await speech.warm_up()
    ears = ears or {"vad": await StandInVad.load(NOTHING), "turn": await StandInTurnClassifier.load(NOTHING)}
    pipeline = Direct(
        "speech",
        vad=cast(VoiceActivityDetector, ears["vad"]),
        turn=cast(TurnClassifier, ears["turn"]),
        speech=speech,
        transcription=transcription,
        drafts=drafts,
    )
    async with serving_pipeline(
        pipeline, speech, *ears.values(), *([transcription] if transcription else [])
    ) as served:
        yield served
