"""Remote engines against a real server, well and with everything that goes wrong with servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar, cast

import numpy as np
import pytest

from antiphon.engines.base import (
    Engine,
    EngineContext,
    EngineError,
    Finish,
    GenerationRequest,
    Message,
    NamedTool,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Usage,
)
from antiphon.engines.elevenlabs import ElevenLabsSynthesizer
from antiphon.engines.openai.chat import OpenAIChatModel
from antiphon.engines.openai.speech import OpenAISynthesizer
from antiphon.engines.openai.transcription import OpenAITranscriber
from tests.remote_servers import KEY, MODEL, Fault, NoModels, RemoteServer, eventually, remote_server, stand_ins

PATIENCE_S = 20.0
"""A bound for what hangs for ever, far above what is configured."""

IMPATIENCE: dict[str, Any] = {"first_timeout_s": 2.0, "stall_timeout_s": 2.0}
"""Options of an engine that is to find out that a server hangs."""

REQUEST = GenerationRequest((Message("user", (TextPart("Say something."),)),))
ANSWER = "Hello, this is a stand-in. It always gives the same answer, and it gives it at once."
DIAL = Tool("dial", "Dials.", {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]})
LOUD = np.sin(np.arange(16_000 * 2) / 10).astype(np.float32)

E = TypeVar("E", bound=Engine)
T = TypeVar("T")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)
    # What the `openai` package would find by itself must reach nobody.
    monkeypatch.setenv("OPENAI_API_KEY", "somebody-else's")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody-else")


@pytest.fixture
async def server() -> AsyncIterator[RemoteServer]:
    async with remote_server(*await stand_ins()) as remote:
        yield remote


async def load(kind: type[E], server: RemoteServer, **options: Any) -> E:
    """Return an engine that has the patience for a busy machine."""
    patience = {"first_timeout_s": 15.0, "stall_timeout_s": 15.0, "retries": 2}
    place = {"base_url": server.url} if kind is ElevenLabsSynthesizer else {"base_url": server.base_url, "model": MODEL}
    given = {**patience, **place, "api_key": {"env": "REMOTE_KEY"}, **options}
    return await kind.load(EngineContext(NoModels(), options=given))


def patience(fault: Fault) -> dict[str, Any]:
    """Return the options of an engine that such a fault befalls."""
    return IMPATIENCE if fault.kind == "hang" else {}


async def collect(items: AsyncIterator[T], into: list[T] | None = None) -> list[T]:
    got: list[T] = [] if into is None else into
    async with asyncio.timeout(PATIENCE_S):
        async for item in items:
            got.append(item)  # noqa: PERF401 - what came before a failure counts
    return got


def text(deltas: list[Any]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


# --- chat completions ------------------------------------------------------------------------------------------------


async def test_chat(server: RemoteServer) -> None:
    model = await load(OpenAIChatModel, server, temperature=0.5, extra_body={"seed": 7})
    await model.warm_up()
    deltas = await collect(model.generate(REQUEST))
    assert text(deltas) == ANSWER
    assert deltas[-2:] == [Usage(2, 17), Finish("stop")]
    first, second = server.called("/chat/completions")
    assert first.client == second.client, "the connection is used again"
    assert second.body["temperature"] == 0.5
    assert second.body["seed"] == 7
    assert second.headers["authorization"] == f"Bearer {KEY}"
    assert "openai-organization" not in second.headers
    await model.close()


async def test_reasoning_that_the_prompt_began_is_marked(server: RemoteServer) -> None:
    model = await load(OpenAIChatModel, server, opens_reasoning=True)
    assert text(await collect(model.generate(REQUEST))) == f"<think>{ANSWER}"
    request = GenerationRequest(REQUEST.messages, (DIAL,), NamedTool("dial"))
    assert not text(await collect(model.generate(request)))
    await model.close()


async def test_chat_with_limits_and_tools(server: RemoteServer) -> None:
    model = await load(OpenAIChatModel, server, max_tokens=3)
    deltas = await collect(model.generate(REQUEST))
    assert text(deltas) == "Hello, this is"
    assert deltas[-1] == Finish("length")
    request = GenerationRequest(REQUEST.messages, (DIAL,), NamedTool("dial"), max_tokens=100)
    deltas = await collect(model.generate(request))
    assert deltas[0] == ToolCallDelta(0, "dial", '{"number')
    assert "".join(d.arguments for d in deltas if isinstance(d, ToolCallDelta)) == '{"number": 0}'
    assert deltas[-1] == Finish("tool_calls")
    await model.close()


async def test_no_key_is_sent_where_none_is_set(server: RemoteServer) -> None:
    model = await load(OpenAIChatModel, server, api_key=None)
    with pytest.raises(EngineError):
        await collect(model.generate(REQUEST))
    assert "authorization" not in server.calls[0].headers
    await model.close()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", times=2),
        Fault("status", times=1, status=429, headers={"Retry-After": "0.2"}),
        Fault("drop", times=2),
        Fault("drop", after=1, times=1),  # the role has come, but nothing to say
        Fault("end", times=1),
        Fault("malformed", times=1),
        Fault("slow", delay_s=0.02),
        Fault("odd"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.after}-{fault.status}",
)
async def test_chat_gets_over_faults_before_the_first_word(server: RemoteServer, fault: Fault) -> None:
    model = await load(OpenAIChatModel, server)
    calls = fault.times if fault.kind not in ("slow", "odd") else 0
    server.fault = fault
    deltas = await collect(model.generate(REQUEST))
    assert text(deltas) == ANSWER
    assert deltas[-1] == Finish("stop")
    assert len(server.calls) == calls + 1
    assert model.load_now().running == 0
    await model.close()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("hang", after=4), "timeout"),
        (Fault("drop", after=4), "engine_failed"),
        (Fault("end", after=4), "engine_failed"),
        (Fault("malformed", after=4), "engine_failed"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value,
)
async def test_chat_fails_once_it_has_spoken(server: RemoteServer, fault: Fault, code: str) -> None:
    model = await load(OpenAIChatModel, server, **patience(fault))
    server.fault = fault
    deltas: list[Any] = []
    with pytest.raises(EngineError) as error:
        await collect(model.generate(REQUEST), deltas)
    assert text(deltas) == "Hello, this is"
    assert error.value.code == code
    assert len(server.calls) == 1
    assert model.load_now().running == 0
    await model.close()


@pytest.mark.parametrize(
    ("fault", "code", "calls"),
    [
        (Fault("hang"), "timeout", 1),
        (Fault("status"), "engine_failed", 3),
        (Fault("drop"), "engine_failed", 3),
        (Fault("malformed"), "engine_failed", 3),
        (Fault("status", status=429, headers={"Retry-After": "60"}), "rate_limited", 1),
        (Fault("status", status=429, body={"error": {"code": "insufficient_quota"}}), "engine_refused", 1),
        (Fault("status", status=403), "engine_refused", 1),
        (
            Fault("status", status=400, body={"error": {"code": "context_length_exceeded"}}),
            "context_length_exceeded",
            1,
        ),
        (Fault("status", status=500, body="<html>Bad gateway</html>"), "engine_failed", 3),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else str(value),
)
async def test_chat_gives_up(server: RemoteServer, fault: Fault, code: str, calls: int) -> None:
    model = await load(OpenAIChatModel, server, **patience(fault))
    server.fault = fault
    with pytest.raises(EngineError) as error:
        await collect(model.generate(REQUEST))
    assert error.value.code == code
    assert "on fire" not in error.value.message, "what the server says is not for clients"
    assert len(server.calls) == calls
    await model.close()


async def test_a_filtered_request_ends_as_filtered(server: RemoteServer) -> None:
    model = await load(OpenAIChatModel, server)
    server.fault = Fault("status", status=400, body={"error": {"code": "content_filter", "message": "no"}})
    assert await collect(model.generate(REQUEST)) == [Finish("content_filter")]
    await model.close()


async def test_closing_the_reply_closes_the_stream(server: RemoteServer) -> None:
    model = await load(OpenAIChatModel, server, stall_timeout_s=60)
    server.fault = Fault("hang", after=4)
    deltas = cast(AsyncGenerator[Any, None], model.generate(REQUEST))
    assert await anext(deltas) == TextDelta("Hello,")
    assert model.load_now().running == 1
    await deltas.aclose()
    await eventually(lambda: server.calls[0].outcome == "closed")
    assert model.load_now().running == 0
    await model.close()


async def test_cancelling_the_wait_closes_the_stream(server: RemoteServer) -> None:
    model = await load(OpenAIChatModel, server, first_timeout_s=60)
    server.fault = Fault("hang")
    task = asyncio.create_task(collect(model.generate(REQUEST)))
    await eventually(lambda: bool(server.calls))
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await eventually(lambda: server.calls[0].outcome == "closed")
    await model.close()


async def test_a_server_that_starts_anew() -> None:
    async with remote_server(*await stand_ins()) as first:
        model = await load(OpenAIChatModel, first)
        await model.warm_up()
        port = int(first.url.rpartition(":")[2])
    async with remote_server(*await stand_ins(), port=port) as second:
        assert text(await collect(model.generate(REQUEST))) == ANSWER
        assert len(second.calls) == 1
    await model.close()


async def test_closed_engines_say_so(server: RemoteServer) -> None:
    model = await load(OpenAIChatModel, server)
    server.fault = Fault("hang")
    waiting = asyncio.create_task(collect(model.generate(REQUEST)))
    await eventually(lambda: bool(server.calls))
    await model.close()
    await model.close()
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(outcome, EngineError)
    with pytest.raises(EngineError) as error:
        await collect(model.generate(REQUEST))
    assert error.value.code == "closed"


# --- what is told at the start ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAITranscriber, OpenAISynthesizer, ElevenLabsSynthesizer])
async def test_wrong_settings_are_told(
    server: RemoteServer, kind: type[Engine], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def told(**options: Any) -> EngineError:
        engine = await load(kind, server, **options)
        try:
            with pytest.raises(EngineError) as error:
                await engine.warm_up()
            return error.value
        finally:
            await engine.close()

    with caplog.at_level(logging.DEBUG):
        nowhere = await told(base_url="http://127.0.0.1:9/v1")
        assert nowhere.code == "engine_unavailable"
        assert "http://127.0.0.1:9/v1 cannot be reached" in nowhere.message
        astray = await told(base_url=f"{server.url}/wrong")
        assert astray.code == "invalid_option"
        assert "base_url" in astray.message
        monkeypatch.setenv("WRONG_KEY", "sk-wrong-secret")
        refused = await told(api_key={"env": "WRONG_KEY"})
        assert refused.code == "invalid_option"
        assert "refuses the key in the environment variable WRONG_KEY" in refused.message
    assert "sk-wrong-secret" not in caplog.text + refused.message
    assert KEY not in caplog.text

    good = await load(kind, server)
    await good.warm_up()
    await good.close()


@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAITranscriber, OpenAISynthesizer])
async def test_a_wrong_model_is_told_with_those_that_there_are(server: RemoteServer, kind: type[Engine]) -> None:
    engine = await load(kind, server, model="remote-modle")
    with pytest.raises(EngineError, match="has no model 'remote-modle'; it has remote-model") as error:
        await engine.warm_up()
    assert error.value.code == "model_missing"
    await engine.close()


async def test_wrong_options_are_told() -> None:
    async def told(kind: type[Engine], **options: Any) -> str:
        with pytest.raises(EngineError) as error:
            await kind.load(EngineContext(NoModels(), options=options))
        assert error.value.code == "invalid_option"
        return error.value.message

    assert "option 'model' is missing" in await told(OpenAIChatModel)
    assert "there is no option 'modle'" in await told(OpenAIChatModel, model="a", modle="b")
    assert "retries" in await told(OpenAITranscriber, model="a", retries=-1)
    assert "not a URL" in await told(OpenAISynthesizer, model="a", base_url="localhost:8000")
    assert "use api_key" in await told(OpenAISynthesizer, model="a", base_url="http://me:secret@host/v1")
    assert "api_key" in await told(ElevenLabsSynthesizer)
    assert "UNSET is not set" in await told(ElevenLabsSynthesizer, api_key={"env": "UNSET"})


# --- transcription ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_transcription(server: RemoteServer, stream: bool) -> None:
    engine = await load(OpenAITranscriber, server, stream=stream)
    transcript = await engine.transcribe(LOUD, language="de", prompt="Ada")
    assert transcript.text == "Utterance of 2.0 seconds."
    assert transcript.language == "de"
    (call,) = server.calls
    assert call.body["language"] == "de"
    assert call.body["prompt"] == "Ada"
    assert (await engine.transcribe(LOUD[:0])).text == ""
    assert (await engine.transcribe(LOUD[:10])).text == "Utterance of 0.1 seconds."
    await engine.close()


@pytest.mark.parametrize("streams", ["as vLLM", "never"])
async def test_transcripts_of_servers_that_stream_otherwise(server: RemoteServer, streams: Any) -> None:
    engine = await load(OpenAITranscriber, server, stream=True)
    server.streams = streams
    assert (await engine.transcribe(LOUD)).text == "Utterance of 2.0 seconds."
    await engine.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("hang", after=1), "timeout"),
        (Fault("drop", after=1), "engine_failed"),
        (Fault("end", after=1), "engine_failed"),
        (Fault("malformed"), "engine_failed"),
        (Fault("status"), "engine_failed"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value,
)
async def test_transcription_fails(server: RemoteServer, stream: bool, fault: Fault, code: str) -> None:
    engine = await load(OpenAITranscriber, server, stream=stream, retries=0, **patience(fault))
    server.fault = Fault(fault.kind, fault.after)
    with pytest.raises(EngineError) as error:
        await engine.transcribe(LOUD)
    assert error.value.code == code
    await engine.close()


@pytest.mark.parametrize("kind", ["drop", "end", "malformed", "status"])
async def test_transcription_is_tried_again(server: RemoteServer, kind: Any) -> None:
    engine = await load(OpenAITranscriber, server, stream=True)
    server.fault = Fault(kind, after=1, times=2)
    assert (await engine.transcribe(LOUD)).text == "Utterance of 2.0 seconds."
    assert len(server.calls) == 3
    await engine.close()


# --- speech ----------------------------------------------------------------------------------------------------------

SPEAKERS = [OpenAISynthesizer, ElevenLabsSynthesizer]


def samples(chunks: list[Any]) -> Any:
    return np.concatenate([chunk.samples for chunk in chunks])


@pytest.mark.parametrize("kind", SPEAKERS)
async def test_speech(server: RemoteServer, kind: Any) -> None:
    engine = await load(kind, server)
    await engine.warm_up()
    low, high = (voice.name for voice in engine.voices)
    assert (low.lower(), high.lower()) == ("low", "high")
    whole = samples(await collect(engine.synthesize("Good morning, everybody.", voice=high)))
    assert len(whole) == pytest.approx(24 * 60 * 24, abs=2)
    for fault in (Fault("odd"), Fault("slow", delay_s=0.001)):
        server.fault = fault
        again = samples(await collect(engine.synthesize("Good morning, everybody.", voice=high)))
        np.testing.assert_array_equal(whole, again)
    server.fault = None
    fast = samples(await collect(engine.synthesize("Good morning, everybody.", speed=1.2)))
    assert len(fast) == pytest.approx(len(whole) / 1.2, abs=2)
    with pytest.raises(EngineError) as error:
        await collect(engine.synthesize("Hello.", voice="nobody"))
    assert error.value.code == "unsupported"
    spoken = [call for call in server.calls if call.path.endswith(("/speech", "/stream"))]
    assert len({call.client for call in spoken}) == 1, "the connection is used again"
    await engine.close()


@pytest.mark.parametrize("kind", SPEAKERS)
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("hang", after=2), "timeout"),
        (Fault("hang"), "timeout"),
        (Fault("drop", after=2), "engine_failed"),
        (Fault("malformed"), "engine_failed"),
        (Fault("end"), "engine_failed"),
        (Fault("status"), "engine_failed"),
        (Fault("status", status=429, body={"detail": {"status": "quota_exceeded"}}), "engine_refused"),
    ],
    ids=lambda value: f"{value.kind}-{value.after}-{value.status}" if isinstance(value, Fault) else value,
)
async def test_speech_fails(server: RemoteServer, kind: Any, fault: Fault, code: str) -> None:
    engine = await load(kind, server, **patience(fault))
    await engine.warm_up()
    server.fault = Fault(fault.kind, fault.after, status=fault.status, body=fault.body)
    chunks: list[Any] = []
    with pytest.raises(EngineError) as error:
        await collect(engine.synthesize("Good morning, everybody."), chunks)
    assert error.value.code == code
    assert bool(chunks) == (fault.after > 0)
    await engine.close()


@pytest.mark.parametrize("kind", SPEAKERS)
async def test_closing_speech_closes_the_stream(server: RemoteServer, kind: Any) -> None:
    engine = await load(kind, server, stall_timeout_s=60)
    server.fault = Fault("hang", after=2, path="stream" if kind is ElevenLabsSynthesizer else "speech")
    chunks = engine.synthesize("Good morning, everybody.")
    await anext(chunks)
    await chunks.aclose()
    await eventually(lambda: server.calls[-1].outcome == "closed")
    await engine.close()


async def test_elevenlabs_is_asked_as_its_reference_says(server: RemoteServer) -> None:
    settings = {"stability": 0.4, "use_speaker_boost": True}
    engine = await load(ElevenLabsSynthesizer, server, voices={"Ada": "id-of-high"}, voice_settings=settings)
    assert [voice.name for voice in engine.voices] == ["Ada"]
    await collect(engine.synthesize("Hallo.", speed=0.25, language="de"))
    (call,) = server.calls
    assert call.path == "/v1/text-to-speech/id-of-high/stream"
    assert call.headers["xi-api-key"] == KEY
    assert "authorization" not in call.headers
    assert call.body == {
        "text": "Hallo.",
        "model_id": "eleven_flash_v2_5",
        "language_code": "de",
        "voice_settings": {**settings, "speed": 0.7},
    }
    await engine.close()
