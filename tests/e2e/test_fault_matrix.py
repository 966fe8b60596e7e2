"""Everything that goes wrong with servers, for every engine that asks one: the turn ends in time, the session lives on.

In one session for each engine, each fault befalls a turn, and a turn without follows. Every fault is told as its code.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from antiphon.engines.base import Engine, EngineContext, Transcriber
from antiphon.engines.elevenlabs import ElevenLabsSynthesizer
from antiphon.engines.fallback import fallback
from antiphon.engines.openai.chat import OpenAIChatModel
from antiphon.engines.openai.speech import OpenAISynthesizer
from antiphon.engines.openai.transcription import OpenAITranscriber
from antiphon.engines.remote.calls import RemoteCalls
from tests.conformance.audio import tone
from tests.conformance.recorder import Event, RealtimeClient
from tests.remote_pipelines import IMPATIENCE, PATIENCE, Engines, serving_engines, serving_speech_model
from tests.remote_servers import (
    KEY,
    MODEL,
    Fault,
    NoModels,
    RemoteServer,
    eventually,
    remote_process,
    remote_server,
    stand_ins,
)

IN_TIME_S = 20.0
"""Far above the 2.8 s that `IMPATIENCE` allows, for machines that are busy."""

WORDS = 40
"""Enough for several clauses, each a call of a synthesizer."""

FAILED = "conversation.item.input_audio_transcription.failed"

FAULTS = {
    "hangs": Fault("hang"),
    "hangs inside": Fault("hang", after=1),
    "breaks off": Fault("drop"),
    "breaks off inside": Fault("drop", after=1),
    "ends early": Fault("end", after=1),
    "HTTP 500": Fault("status"),
    "HTTP 401": Fault("status", status=401),
    "HTTP 429": Fault("status", status=429, headers={"Retry-After": "60"}),
    "nonsense": Fault("malformed"),
    "nonsense inside": Fault("malformed", after=1),
    "a web page": Fault("page"),
    "an endless line": Fault("endless", after=1),
    "trickles": Fault("slow", delay_s=1.2),
}
TIMEOUTS = ("hangs", "hangs inside", "trickles")
ENDLESS = ("hang", "slow")
"""Kinds of faults that only patience ends."""

CODES = {
    **{name: "timeout" if name in TIMEOUTS else "engine_failed" for name in FAULTS},
    "HTTP 401": "engine_refused",
    "HTTP 429": "rate_limited",
}
NOT_FOR_PCM = ("ends early", "nonsense inside", "an endless line")
"""Faults of lines; what is missing at the end of raw PCM cannot be told."""

INSIDE = {"llm": 12, "speech": 25, "openai-speech": 3, "elevenlabs": 3}
"""Pieces that come before what goes wrong inside; 1 for transcripts."""

KINDS: dict[str, type[Engine]] = {
    "llm": OpenAIChatModel,
    "transcription": OpenAITranscriber,
    "transcription, streamed": OpenAITranscriber,
    "openai-speech": OpenAISynthesizer,
    "elevenlabs": ElevenLabsSynthesizer,
}
ROLES = {name: {"openai-speech": "tts", "elevenlabs": "tts"}.get(name, name.split(",")[0]) for name in KINDS}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_KEY", KEY)


@pytest.fixture
async def remote(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RemoteServer]:
    """A server whose callers give up early while it hangs, and have the patience for a busy machine otherwise."""
    stream = RemoteCalls.stream
    async with remote_server(*await stand_ins(words=WORDS)) as server:

        def call(
            self: RemoteCalls, attempt: Callable[[], AsyncGenerator[Any, None]], **how: Any
        ) -> AsyncGenerator[Any, None]:
            hangs = server.fault is not None and server.fault.kind in ENDLESS
            here = self._options.base_url.startswith(server.url)
            patience = IMPATIENCE if hangs and here else {limit: PATIENCE[limit] for limit in IMPATIENCE}
            self._options = self._options.model_copy(update=patience)
            return stream(self, attempt, **how)

        monkeypatch.setattr(RemoteCalls, "stream", call)
        yield server


async def remote_engine(name: str, url: str, **options: Any) -> Engine:
    kind = KINDS[name]
    place = {"base_url": url} if kind is ElevenLabsSynthesizer else {"base_url": f"{url}/v1", "model": MODEL}
    stream = {"stream": True} if name.endswith("streamed") else {}
    given = {**PATIENCE, "retries": 0, "api_key": {"env": "REMOTE_KEY"}, **place, **stream, **options}
    return await kind.load(EngineContext(NoModels(), options=given))


async def engines_with(name: str, engine: Engine, words: int = WORDS) -> Engines:
    """Engines of this process, but for one."""
    llm, transcriber, synthesizer = await stand_ins(words=words)
    return {"llm": llm, "transcription": transcriber, "tts": synthesizer, ROLES[name]: engine}


@asynccontextmanager
async def serving_with(name: str, url: str, **options: Any) -> AsyncIterator[str]:
    """Serve a pipeline with one engine elsewhere, "speech" for one that hears and speaks; yield the WebSocket URL."""
    if name == "speech":
        async with serving_speech_model(url, retries=0, **options) as served:
            yield served
    else:
        async with serving_engines(await engines_with(name, await remote_engine(name, url, **options))) as served:
            yield served


async def turn(client: RealtimeClient) -> Event:
    """Say something, and return the response once it is done."""
    await client.speak(tone(600))
    response: Event = (await client.expect("response.done", within=IN_TIME_S))["response"]
    return response


def outcome(response: Event) -> str:
    """Return the code of a response that failed, or its status."""
    if response["status"] != "failed":
        return str(response["status"])
    assert response["status_details"]["type"] == "failed"
    assert "on fire" not in response["status_details"]["error"]["message"], "what servers say is not for clients"
    return str(response["status_details"]["error"]["code"])


async def with_fault(remote: RemoteServer, client: RealtimeClient, fault: Fault, inside: int) -> Event:
    """Return the response to a turn that a fault befalls, once the server is at rest."""
    remote.fault = replace(fault, after=fault.after * inside)
    response = await turn(client)
    await eventually(lambda: not any(call.outcome == "running" for call in remote.calls))
    remote.fault = None
    return response


@pytest.mark.parametrize("name", [*KINDS, "speech"])
async def test_every_fault_ends_the_turn_and_the_session_lives_on(remote: RemoteServer, name: str) -> None:
    pcm = ROLES.get(name) == "tts"
    faults = {what: fault for what, fault in FAULTS.items() if not (pcm and what in NOT_FOR_PCM)}
    told: dict[str, str] = {}
    async with serving_with(name, remote.url) as url, RealtimeClient(url) as client:
        if "transcription" in name:
            session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
            await client.send({"type": "session.update", "session": session})
        for what, fault in faults.items():
            told[what] = outcome(await with_fault(remote, client, fault, INSIDE.get(name, 1)))
            after = await turn(client)
            assert after["status"] == "completed", what
            assert len(client.recording.speech(after["id"])) > 24_000, what
    failed = client.recording.received(FAILED)
    if "transcription" in name:
        assert set(told.values()) == {"transcription_failed"}
        told = dict(zip(faults, [event["error"]["code"] for event in failed], strict=True))
    assert told == {what: CODES[what] for what in faults}


async def test_a_transcript_beside_a_model_that_hears_fails_alone(remote: RemoteServer) -> None:
    async with remote_server(*await stand_ins(words=WORDS)) as healthy:
        ears = cast(Transcriber, await remote_engine("transcription", remote.url))
        await ears.warm_up()
        async with serving_speech_model(healthy.url, transcription=ears) as url, RealtimeClient(url) as client:
            session = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
            await client.send({"type": "session.update", "session": session})
            for fault in FAULTS.values():
                remote.fault = fault
                before = len(client.recording.received(FAILED))
                assert (await turn(client))["status"] == "completed"
                async with asyncio.timeout(IN_TIME_S):
                    while len(client.recording.received(FAILED)) == before:  # noqa: ASYNC110 - it may be there by now
                        await asyncio.sleep(0.01)
    failed = client.recording.received(FAILED)
    assert [event["error"]["code"] for event in failed] == list(CODES.values())


@pytest.mark.parametrize("name", KINDS)
async def test_the_fallback_does_what_a_fault_left_undone(remote: RemoteServer, name: str) -> None:
    llm, transcriber, synthesizer = await stand_ins(reply="The local model speaks.")
    local = {"llm": llm, "transcription": transcriber, "tts": synthesizer}[ROLES[name]]
    engine = fallback(ROLES[name], [await remote_engine(name, remote.url), local], failures=100)
    async with serving_engines(await engines_with(name, engine, words=5)) as url, RealtimeClient(url) as client:
        for what, fault in FAULTS.items():
            if ROLES[name] == "llm" and (fault.after or what == "trickles"):
                continue  # a model that fails once it has said a word fails
            if ROLES[name] == "tts" and what == "ends early":
                continue  # speech without an end of its own, which looks whole
            response = await with_fault(remote, client, fault, 1)
            assert response["status"] == "completed", what
            said = response["output"][0]["content"][0]["transcript"]
            assert said.startswith("The local model speaks." if name == "llm" else "Hello, this is"), what
            assert len(client.recording.speech(response["id"])) > 12_000, what


@pytest.mark.parametrize("name", KINDS)
async def test_the_circuit_opens_and_closes(remote: RemoteServer, name: str) -> None:
    llm, transcriber, synthesizer = await stand_ins(reply="One clause.")
    local = {"llm": llm, "transcription": transcriber, "tts": synthesizer}
    engine = fallback(ROLES[name], [await remote_engine(name, remote.url), local[ROLES[name]]], failures=2, rest_s=600)
    engines: Engines = {**local, ROLES[name]: engine}
    async with serving_engines(engines) as url, RealtimeClient(url) as client:
        asked = []
        for _ in range(4):
            remote.fault = Fault("status")
            before = len(remote.calls)
            assert (await turn(client))["status"] == "completed"
            asked.append(len(remote.calls) - before)
        assert asked == [1, 1, 0, 0], "it rests"
        remote.fault = None
        cast(Any, engine)._breakers[0]._rest_s = 0.0  # its rest is over, however long the turns took
        for _ in range(2):
            before = len(remote.calls)
            assert (await turn(client))["status"] == "completed"
            assert len(remote.calls) == before + 1, "it is asked again"


@pytest.mark.parametrize("name", [*KINDS, "speech"])
async def test_a_server_that_is_killed_inside_a_call_and_started_again(name: str) -> None:
    # So slow that no call is over when the server is killed.
    slow = {"kind": "slow", "delay_s": 2.0 if "transcription" in name else 0.1}
    async with (
        remote_process(llm={"words": 10 * WORDS}, fault=slow) as (process, remote_url),
        serving_with(name, remote_url) as url,
        RealtimeClient(url) as client,
    ):
        await client.speak(tone(600))
        if "transcription" in name:
            await client.expect("input_audio_buffer.committed")
            await asyncio.sleep(0.15)
        else:
            await client.expect("response.output_audio.delta")
        process.send_signal(signal.SIGKILL)
        await process.wait()
        response = (await client.expect("response.done", within=IN_TIME_S))["response"]
        codes = ("engine_failed", "engine_unavailable", "transcription_failed")
        assert outcome(response) in codes
        assert outcome(await turn(client)) in codes, "nobody is there"
        async with remote_process(port=int(remote_url.rpartition(":")[2])):
            assert (await turn(client))["status"] == "completed"
