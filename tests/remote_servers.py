"""A server for remote engines to talk to: OpenAI's HTTP API and ElevenLabs', made of our own engines, with faults.

Run as a program (`python -m tests.remote_servers '{"llm": {"words": 400}}'`) it serves stand-in engines, with these
options of the language model, a `fault` and a `port`, in a process that can be killed; with `"preset": "embedded"` it
serves the embedded models. It prints its URL, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from antiphon.audio.levels import to_float, to_pcm
from antiphon.engines.base import (
    AudioChunk,
    EngineContext,
    Finish,
    GenerationRequest,
    LanguageModel,
    Message,
    NamedTool,
    Synthesizer,
    TextDelta,
    TextPart,
    Tool,
    ToolCallDelta,
    Transcriber,
    Usage,
)
from antiphon.engines.hibari import HibariSynthesizer
from antiphon.engines.llamacpp.model import LlamaCppModel
from antiphon.engines.stand_in import StandInLanguageModel, StandInSynthesizer, StandInTranscriber
from antiphon.engines.wav import wav_file
from antiphon.engines.whisper.transcriber import WhisperTranscriber
from antiphon.models import ModelStore

MODEL = "remote-model"
KEY = "a-very-secret-key"

Kind = Literal["status", "hang", "drop", "end", "malformed", "garbled", "slow", "odd", "page", "endless"]


@dataclass
class Fault:
    """What goes wrong.

    Attributes:
        kind: "status" answers with an error, "hang" and "drop" and "end" stop the answer without a word, by closing the
            connection or as if it were complete; "malformed" puts nonsense into it, "garbled" audio that is no base64,
            "slow" waits before every piece, "odd" cuts it into pieces of 7 bytes, "page" is a web page in its place,
            "endless" goes on for ever without the end of a line.
        after: pieces that come before.
        times: how many calls it befalls.
        path: the end of the URLs that it befalls.
    """

    kind: Kind
    after: int = 0
    times: int = 1_000_000
    path: str = ""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    delay_s: float = 0.05


@dataclass
class Call:
    """A request as it came. `outcome` is "complete", or "closed" when the client hung up before."""

    path: str
    client: tuple[str, int]
    headers: dict[str, str]
    body: Any
    outcome: Literal["running", "complete", "closed", "faulty"] = "running"


class FaultError(Exception):
    """Ends a connection in the middle."""


class RemoteServer:
    """The server's state, which tests look into and change.

    Attributes:
        fault: what goes wrong now.
        calls: the requests that came, in order.
        streams: how transcripts are streamed.
        audio: how spoken replies are streamed.
        spoken: what the server said, by the ids of its audio.
    """

    def __init__(self, llm: LanguageModel, transcriber: Transcriber, synthesizer: Synthesizer) -> None:
        self.fault: Fault | None = None
        self.calls: list[Call] = []
        self.url = ""
        self.streams: Literal["as OpenAI", "as vLLM", "never"] = "as OpenAI"
        self.audio: Literal["as OpenAI", "as vLLM-Omni"] = "as OpenAI"
        self.spoken: dict[str, str] = {}
        self._llm = llm
        self._transcriber = transcriber
        self._synthesizer = synthesizer

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def called(self, path: str) -> list[Call]:
        """Return the calls of a path, by its end."""
        return [call for call in self.calls if call.path.endswith(path)]

    def app(self) -> Starlette:
        routes = [
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/audio/transcriptions", self._transcriptions, methods=["POST"]),
            Route("/v1/audio/speech", self._speech, methods=["POST"]),
            Route("/v1/audio/voices", self._voices),
            Route("/v1/voices", self._elevenlabs_voices),
            Route("/v1/text-to-speech/{voice}/stream", self._elevenlabs, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    # --- what goes wrong ---

    def _befalls(self, path: str) -> Fault | None:
        fault = self.fault
        if fault is None or not path.endswith(fault.path) or fault.times <= 0:
            return None
        fault.times -= 1
        return fault

    async def _begin(self, request: Request, body: Any) -> tuple[Call, Fault | None, Response | None]:
        assert request.client is not None
        call = Call(request.url.path, (request.client.host, request.client.port), dict(request.headers), body)
        if request.method == "GET":
            call.outcome = "complete"
        self.calls.append(call)
        key = request.headers.get("xi-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if key != KEY:
            call.outcome = "complete"
            error = {"message": f"Incorrect API key provided: {key}", "code": "invalid_api_key"}
            return call, None, JSONResponse({"error": error}, 401)
        fault = self._befalls(call.path)
        if fault is not None and fault.kind == "status":
            call.outcome = "faulty"
            body = fault.body or {"error": {"message": "it is on fire", "type": "server_error"}}
            return call, fault, JSONResponse(body, fault.status, fault.headers)
        if fault is not None and fault.kind == "page":
            call.outcome = "faulty"
            return call, fault, HTMLResponse("<!doctype html>\n<title>Sign in</title>\n<p>Please sign in first.</p>\n")
        return call, fault, None

    async def _faulty(
        self, call: Call, fault: Fault | None, pieces: AsyncIterator[bytes], nonsense: bytes
    ) -> AsyncIterator[bytes]:
        try:
            count = 0
            async for piece in self._cut(pieces, fault):
                if fault is not None and count == fault.after:
                    call.outcome = "faulty" if fault.kind in ("drop", "end", "malformed", "garbled") else "running"
                    if fault.kind == "hang":
                        await asyncio.Event().wait()
                    elif fault.kind == "drop":
                        raise FaultError
                    elif fault.kind == "end":
                        return
                    elif fault.kind == "malformed":
                        yield nonsense
                    elif fault.kind == "endless":
                        yield b"data: "
                        while True:
                            yield b"x" * 65_536
                            await asyncio.sleep(0)  # once the client is gone, nothing else waits
                    elif fault.kind == "garbled":
                        yield _chunk({"audio": {"data": "this is no base64!"}})
                if fault is not None and fault.kind == "slow":
                    await asyncio.sleep(fault.delay_s)
                yield piece
                count += 1
            if call.outcome == "running":
                call.outcome = "complete"
        finally:
            if call.outcome == "running":
                call.outcome = "closed"

    async def _cut(self, pieces: AsyncIterator[bytes], fault: Fault | None) -> AsyncIterator[bytes]:
        async for piece in pieces:
            step = 7 if fault is not None and fault.kind == "odd" else max(len(piece), 1)
            for start in range(0, len(piece), step):
                yield piece[start : start + step]

    # --- OpenAI ---

    async def _models(self, request: Request) -> Response:
        _, _, refusal = await self._begin(request, None)
        return refusal or JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        call, fault, refusal = await self._begin(request, body)
        if refusal or (refusal := _unknown_model(call, body["model"])):
            return refusal
        request_, heard = await self._read_chat(body)
        if request_ is None:
            call.outcome = "complete"
            return JSONResponse({"error": {"message": "Audio not found.", "code": "audio_not_found"}}, 404)
        chunks = self._spoken_chunks(request_, heard, body) if "audio" in body else _chat_chunks(self._llm, request_)
        return StreamingResponse(
            self._faulty(call, fault, chunks, b"data: {this is no JSON\n\n"), media_type="text/event-stream"
        )

    async def _read_chat(self, body: dict[str, Any]) -> tuple[GenerationRequest | None, int]:
        """Return what a chat asks for, as this server's ears understand it, and how many samples they heard; None for
        audio of its own that it does not know."""
        messages, heard = [], 0
        for entry in body["messages"]:
            text = entry.get("content") or ""
            if "audio" in entry:
                if entry["audio"]["id"] not in self.spoken:
                    return None, 0
                text = self.spoken[entry["audio"]["id"]]
            elif isinstance(text, list):
                words = []
                for part in text:
                    if part["type"] == "input_audio":
                        assert part["input_audio"]["format"] == "wav"
                        pcm = _read_wav(base64.b64decode(part["input_audio"]["data"], validate=True))
                        heard += pcm.size
                        words.append((await self._transcriber.transcribe(to_float(pcm))).text)
                    else:
                        words.append(part["text"])
                text = " ".join(words)
            messages.append(Message(entry["role"], (TextPart(text),), tool_call_id=entry.get("tool_call_id")))
        return _request(tuple(messages), body), heard

    async def _spoken_chunks(
        self, request: GenerationRequest, heard: int, body: dict[str, Any]
    ) -> AsyncIterator[bytes]:
        """Answer in speech: a clause of text, then its audio, and so on."""
        assert body["modalities"] == ["text", "audio"]
        assert body["audio"]["format"] == "pcm16"
        said, unsaid, samples = "", "", 0
        audio_id = f"audio_{len(self.spoken)}"
        usage: dict[str, Any] = {}
        openai = self.audio == "as OpenAI"
        yield _chunk({"role": "assistant", "audio": {"id": audio_id}}) if openai else _labelled("text", "", None)

        async def sound(text: str) -> AsyncIterator[bytes]:
            nonlocal samples
            async for data in self._spoken(text, body["audio"]["voice"], 1.0):
                samples += len(data) // 2
                if openai:
                    yield _chunk({"audio": {"data": base64.b64encode(data).decode()}})
                else:
                    wav = wav_file(to_float(np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16)), 24_000)
                    yield _labelled("audio", base64.b64encode(wav).decode(), None)

        async for delta in self._llm.generate(request):
            match delta:
                case TextDelta(text):
                    said, unsaid = said + text, unsaid + text
                    yield _chunk({"audio": {"transcript": text}}) if openai else _labelled("text", text, None)
                    if openai and unsaid.rstrip().endswith((".", "!", "?")):
                        async for piece in sound(unsaid):
                            yield piece
                        unsaid = ""
                case ToolCallDelta():
                    yield _tool_chunk(delta)
                case Usage(input_tokens, output_tokens):
                    read, spoken = -(-heard // 1_600), -(-samples // 1_200)
                    usage = {
                        "prompt_tokens": input_tokens + read,
                        "completion_tokens": output_tokens + spoken,
                        "prompt_tokens_details": {"audio_tokens": read, "text_tokens": input_tokens},
                        "completion_tokens_details": {"audio_tokens": spoken, "text_tokens": output_tokens},
                    }
                case Finish():
                    finish = delta.reason
        if not openai:
            yield _labelled("text", "", finish)
        if unsaid.strip():
            async for piece in sound(unsaid):
                yield piece
        if openai:
            self.spoken[audio_id] = said
            yield _chunk({"audio": {"expires_at": int(time.time()) + 3600}})
            yield _chunk({}, finish)
        yield _sse({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        yield b"data: [DONE]\n\n"

    async def _transcriptions(self, request: Request) -> Response:
        form = await request.form()
        file = form["file"]
        assert not isinstance(file, str)
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        call, fault, refusal = await self._begin(request, fields)
        if refusal or (refusal := _unknown_model(call, fields["model"])):
            return refusal
        pieces = self._transcribed(await file.read(), fields)
        if self.streams == "never":
            fields.pop("stream", None)
        kind = "text/event-stream" if fields.get("stream") == "true" else "application/json"
        return StreamingResponse(self._faulty(call, fault, pieces, b"data: {]\n\n"), media_type=kind)

    async def _transcribed(self, wav: bytes, fields: dict[str, str]) -> AsyncIterator[bytes]:
        pcm = _read_wav(wav)
        transcript = await self._transcriber.transcribe(
            to_float(pcm),
            language=fields.get("language"),
            prompt=fields.get("prompt"),
            logprobs=fields.get("include[]") == "logprobs",
        )
        logprobs = [{"token": t.token, "logprob": t.logprob, "bytes": list(t.bytes)} for t in transcript.logprobs]
        answer = {"text": transcript.text, **({"logprobs": logprobs} if logprobs else {})}
        if fields.get("stream") != "true":
            whole = json.dumps(answer).encode()
            yield whole[: len(whole) // 2]
            yield whole[len(whole) // 2 :]
            return
        if self.streams == "as vLLM":
            for word in transcript.text.split():
                yield _sse({"object": "transcription.chunk", "choices": [_choice({"content": f" {word}"}, None)]})
            yield _sse({"object": "transcription.chunk", "choices": [_choice({"content": ""}, "stop")]})
            yield b"data: [DONE]\n\n"
            return
        for word in transcript.text.split(" "):
            yield _sse({"type": "transcript.text.delta", "delta": f"{word} "})
        yield _sse({"type": "transcript.text.done", **answer})

    async def _speech(self, request: Request) -> Response:
        body = await request.json()
        call, fault, refusal = await self._begin(request, body)
        if refusal or (refusal := _unknown_model(call, body["model"])):
            return refusal
        assert body["response_format"] == "pcm"
        pieces = self._spoken(body["input"], body["voice"], body.get("speed", 1.0))
        return StreamingResponse(self._faulty(call, fault, pieces, b""), media_type=_speech_type(fault))

    async def _voices(self, request: Request) -> Response:
        _, _, refusal = await self._begin(request, None)
        return refusal or JSONResponse({"voices": [{"id": voice.name} for voice in self._synthesizer.voices]})

    # --- ElevenLabs ---

    async def _elevenlabs_voices(self, request: Request) -> Response:
        _, _, refusal = await self._begin(request, None)
        voices = [
            {
                "voice_id": f"id-of-{voice.name}",
                "name": voice.name.title(),
                "labels": {"accent": "American", "gender": None},
                "verified_languages": [{"language": "en", "model_id": "eleven_flash_v2_5"}],
            }
            for voice in self._synthesizer.voices
        ]
        return refusal or JSONResponse({"voices": voices})

    async def _elevenlabs(self, request: Request) -> Response:
        body = await request.json()
        call, fault, refusal = await self._begin(request, body)
        if refusal:
            return refusal
        voice = request.path_params["voice"].removeprefix("id-of-")
        if voice not in [known.name for known in self._synthesizer.voices]:
            detail = {"status": "voice_not_found", "message": f"A voice with the voice_id {voice} was not found."}
            return JSONResponse({"detail": detail}, 404)
        assert request.query_params["output_format"] == "pcm_24000"
        speed = body.get("voice_settings", {}).get("speed", 1.0)
        pieces = self._spoken(body["text"], voice, speed)
        return StreamingResponse(self._faulty(call, fault, pieces, b""), media_type=_speech_type(fault))

    async def _spoken(self, text: str, voice: str, speed: float) -> AsyncIterator[bytes]:
        async for chunk in self._synthesizer.synthesize(text, voice=voice, speed=speed):
            assert isinstance(chunk, AudioChunk)
            data = to_pcm(chunk.samples).astype("<i2").tobytes()
            for start in range(0, len(data), 4_801):
                yield data[start : start + 4_801]


def _speech_type(fault: Fault | None) -> str:
    return "audio/mpeg" if fault is not None and fault.kind == "malformed" else "audio/pcm"


def _unknown_model(call: Call, name: str) -> Response | None:
    if name == MODEL:
        return None
    call.outcome = "complete"
    error = {"message": f"The model `{name}` does not exist.", "code": "model_not_found", "param": "model"}
    return JSONResponse({"error": error}, 404)


def _sse(data: Any) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _read_wav(data: bytes) -> NDArray[np.int16]:
    with wave.open(io.BytesIO(data)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(np.int16)


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _sse({"object": "chat.completion.chunk", "choices": [_choice(delta, finish)]})


def _labelled(modality: str, content: str, finish: str | None) -> bytes:
    choices = [_choice({"role": "assistant", "content": content}, finish)]
    return _sse({"object": "chat.completion.chunk", "choices": choices, "modality": modality})


def _tool_chunk(delta: ToolCallDelta) -> bytes:
    call: dict[str, Any] = {"index": delta.index, "function": {"arguments": delta.arguments}}
    if delta.name is not None:
        call |= {"id": f"call_{delta.index}", "type": "function"}
        call["function"]["name"] = delta.name
    return _chunk({"tool_calls": [call]})


async def _chat_chunks(llm: LanguageModel, request: GenerationRequest) -> AsyncIterator[bytes]:
    yield _chunk({"role": "assistant", "content": ""})
    async for delta in llm.generate(request):
        match delta:
            case TextDelta(text):
                yield _chunk({"content": text})
            case ToolCallDelta():
                yield _tool_chunk(delta)
            case Usage(input_tokens, output_tokens):
                usage = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
            case Finish(reason):
                yield _chunk({}, reason)
    yield _sse({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _request(messages: tuple[Message, ...], body: dict[str, Any]) -> GenerationRequest:
    tools = tuple(Tool(**tool["function"]) for tool in body.get("tools", ()))
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        choice = NamedTool(choice["function"]["name"])
    return GenerationRequest(messages, tools, choice, max_tokens=body.get("max_tokens"))


class NoModels:
    """Where engines find no models."""

    def path(self, name: str) -> Path:
        raise AssertionError(f"stand-in engines need no model {name}")


async def stand_ins(tts: Mapping[str, Any] | None = None, **llm: Any) -> tuple[LanguageModel, Transcriber, Synthesizer]:
    """Engines without models; `llm` are options of the language model, `tts` of the synthesizer."""
    return (
        await StandInLanguageModel.load(EngineContext(NoModels(), options=llm)),
        await StandInTranscriber.load(EngineContext(NoModels())),
        await StandInSynthesizer.load(EngineContext(NoModels(), options=tts or {})),
    )


@asynccontextmanager
async def remote_server(
    llm: LanguageModel, transcriber: Transcriber, synthesizer: Synthesizer, port: int = 0
) -> AsyncIterator[RemoteServer]:
    """Serve these engines in this event loop, on a free port or a given one."""
    remote = RemoteServer(llm, transcriber, synthesizer)
    # With the protocol named, asyncio turns Nagle's algorithm off; otherwise each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    remote.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(remote.app(), log_config=None, lifespan="off", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        while not server.started:
            assert not task.done(), task
            await asyncio.sleep(0.005)
        yield remote
    finally:
        server.should_exit = True
        await task
        listener.close()


@asynccontextmanager
async def remote_process(**options: Any) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run this module as a program; yield the process and its URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.remote_servers", json.dumps(options)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def eventually(what: Callable[[], bool]) -> None:
    """Wait until `what` holds."""
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - it may be anything
            await asyncio.sleep(0.01)


async def _embedded() -> tuple[LanguageModel, Transcriber, Synthesizer]:
    context = EngineContext(ModelStore.default())
    engines = (
        await LlamaCppModel.load(context),
        await WhisperTranscriber.load(context),
        await HibariSynthesizer.load(context),
    )
    for engine in engines:
        await engine.warm_up()
    return engines


async def _main() -> None:
    options = json.loads(sys.argv[1]) if sys.argv[1:] else {}
    embedded = options.get("preset") == "embedded"
    engines = await (_embedded() if embedded else stand_ins(options.get("tts"), **options.get("llm", {})))
    async with remote_server(*engines, port=options.get("port", 0)) as remote:
        remote.fault = Fault(**options["fault"]) if "fault" in options else None
        print(remote.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
