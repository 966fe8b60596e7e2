"""llama.cpp's server in this process (package `xllamacpp`, MIT), as blocking calls.

The package has calls for completions only. Everything else that the server can do (what it loaded, chat templates,
token counts, what its slots do) it says over HTTP, on a socket that it opens in any case: here a Unix socket in a
directory that only this user can enter, so that nothing listens on the network.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from antiphon.engines.base import EngineError

_SMALL_MODEL = 500 * 1024 * 1024
"""Bytes of a model file below which one thread decodes. Measured on two cores with 98 MB: alone, a second thread
gains 15 %; when something else runs, two do a tenth of what one does, because they wait for each other, spinning."""

_BATCH_PER_THREAD = 8
"""Prompt tokens computed at a time, per thread. A request can stop, and the tokens of others come, only between
batches: for SmolLM2-135M every 40 ms, at 90 % of the speed that large batches have."""

_BATCH_SPARE = 2
"""Prompt tokens that a batch has room for at least, when all other slots generate."""

_BATCH_ON_GPU = 512

_PROMPT_CACHE_MIB = 256
"""Bound of llama.cpp's cache of contexts that lost their slot, in RAM."""

_REQUEST_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How to load a model.

    Attributes:
        model: the GGUF file.
        threads: CPU threads to keep busy at once.
        slots: requests at once.
        context: tokens of context and reply of one request.
        gpu_layers: layers of the model on the GPU; None for all where there is one.
        chat_template: Jinja source to use instead of the model's own.
        reasoning: let the model think before it answers, where its template has a switch for it.
    """

    model: Path
    threads: int
    slots: int
    context: int
    gpu_layers: int | None = None
    chat_template: str | None = None
    reasoning: bool = False


class LlamaServer:
    """A loaded model. Every call blocks and is safe in any thread.

    Attributes:
        context: tokens that one request may take, prompt and reply together.
        knows_tools: whether the chat template lists tools and writes calls itself.
        end_token: the token that ends a turn.
    """

    def __init__(self, config: ServerConfig) -> None:
        """Load the model.

        Raises:
            EngineError: code "missing_package", "model_missing", also for a file of another format, "invalid_option"
                for GPU layers without a GPU, or "engine_failed" when llama.cpp refuses the file.
        """
        _require_gguf(config.model)
        # libgomp reads this when it is loaded. Threads that wait shortly before they sleep lose nothing when the
        # machine is idle, and leave the cores to others when it is not.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        try:
            import xllamacpp  # noqa: PLC0415 - the variable above has to be set before
        except ImportError as error:
            raise EngineError(
                f"xllamacpp cannot be imported: {error}. Try: pip install 'antiphon[local]'", code="missing_package"
            ) from error
        if not xllamacpp.json_schema_to_grammar("{}").startswith("%llguidance"):
            raise EngineError("this build of xllamacpp is without llguidance; install its wheel", code="unsupported")
        gpu = any(device["type"].name.endswith("GPU") for device in xllamacpp.get_device_info())
        if config.gpu_layers and not gpu:
            raise EngineError(
                f"llamacpp: option 'gpu_layers': {config.gpu_layers}: this build of xllamacpp finds no GPU; leave the "
                "option out, or install one of its builds for GPUs",
                code="invalid_option",
            )
        self._directory = tempfile.mkdtemp(prefix="antiphon-")
        self._socket = f"{self._directory}/llama.sock"
        try:
            self._server = xllamacpp.Server(_parameters(xllamacpp, config, self._socket, gpu=gpu))
            self._await_loop()
            self._read_properties()
        except RuntimeError as error:
            self.close()
            raise EngineError(
                f"llama.cpp cannot load {config.model} with {config.slots} slots of {config.context} tokens: "
                "the file is not whole, its kind of model is not known, or there is too little memory, which "
                "a smaller context, fewer slots or fewer layers on the GPU would save"
            ) from error
        except BaseException:
            self.close()
            raise

    def stream(
        self, kind: Literal["chat", "text"], body: Mapping[str, Any], on_chunk: Callable[[dict[str, Any]], bool]
    ) -> None:
        """Generate, and hand each chunk of the stream to `on_chunk`, which returns whether to go on.

        Args:
            kind: "chat" when `body` is for OpenAI's chat completions, "text" when it is for completions.
            body: the request.
            on_chunk: called in this thread, also between the batches of a long prompt. What it raises is raised here.

        Raises:
            EngineError: llama.cpp failed; code "context_length_exceeded" when the prompt is too long.
        """
        failures: list[BaseException] = []

        def receive(data: bytes) -> bool:
            try:
                chunk = orjson.loads(data)
                if "error" in chunk:
                    raise _error(chunk["error"])
                return not on_chunk(chunk)
            except BaseException as failure:  # noqa: BLE001 - raised below; xllamacpp would swallow it
                failures.append(failure)
                return True

        complete = self._server.handle_chat_completions if kind == "chat" else self._server.handle_completions
        streamed = {**body, "stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
        try:
            complete(orjson.dumps(streamed), receive)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"llama.cpp refused the request: {error}") from error
        if failures:
            raise failures[0]

    def ask(self, method: Literal["GET", "POST"], path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask llama.cpp's HTTP interface and return its answer.

        Raises:
            EngineError: llama.cpp refused, or did not answer.
        """
        connection = _UnixConnection(self._socket)
        try:
            content = None if body is None else orjson.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json", "Connection": "close"})
            response = connection.getresponse()
            answer = orjson.loads(response.read())
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
            raise EngineError(f"llama.cpp did not answer {path}: {error!r}") from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise _error(answer["error"])
        return answer

    def _await_loop(self) -> None:
        """Wait until llama.cpp's own thread takes requests. Freed before, it never ends, and this process hangs with
        it: the thread is told to stop, starts all the same, and is waited for without letting go of the interpreter."""
        self.ask("GET", "/slots")

    def _read_properties(self) -> None:
        properties = self.ask("GET", "/props")
        self.context: int = properties["default_generation_settings"]["n_ctx"]
        self.knows_tools: bool = properties["chat_template_caps"]["supports_tools"]
        end = {"content": properties["eos_token"], "parse_special": True}
        tokens: list[int] = self.ask("POST", "/tokenize", end)["tokens"]
        if len(tokens) != 1:
            raise EngineError("the model's vocabulary has no token that ends a turn", code="unsupported")
        self.end_token = tokens[0]

    def close(self) -> None:
        """Free the model and join llama.cpp's threads. No call may be under way. Idempotent."""
        self._server = None
        shutil.rmtree(self._directory, ignore_errors=True)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_REQUEST_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _require_gguf(model: Path) -> None:
    """Raise EngineError, code "model_missing", for what does not begin as GGUF files do (GGUF's specification)."""
    try:
        with model.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise EngineError(f"there is no model file {model}: {error.strerror}", code="model_missing") from error
    if start != b"GGUF":
        raise EngineError(f"{model} is not a GGUF file", code="model_missing")


def _parameters(xllamacpp: Any, config: ServerConfig, socket_path: str, *, gpu: bool) -> Any:
    gpu = gpu and config.gpu_layers != 0
    small = config.model.stat().st_size < _SMALL_MODEL
    flash_attention = xllamacpp.llama_flash_attn_type
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(config.model)
    parameters.n_parallel = config.slots
    parameters.n_ctx = config.context * config.slots
    if config.gpu_layers is not None:
        parameters.n_gpu_layers = config.gpu_layers
    parameters.n_batch = parameters.n_ubatch = (
        _BATCH_ON_GPU if gpu else max(_BATCH_PER_THREAD * config.threads, config.slots + _BATCH_SPARE)
    )
    parameters.cpuparams.n_threads = 1 if small else config.threads
    parameters.cpuparams_batch.n_threads = config.threads
    # On CPUs it halves the speed of long contexts (tried with xllamacpp 2026.10).
    parameters.flash_attn_type = (
        flash_attention.LLAMA_FLASH_ATTN_TYPE_AUTO if gpu else flash_attention.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    parameters.cache_ram_mib = _PROMPT_CACHE_MIB
    parameters.cache_idle_slots = False  # would copy every idle context whenever a request starts
    parameters.prefill_assistant = False  # a reply after the assistant's own words is a new message
    parameters.enable_reasoning = int(config.reasoning)
    if config.chat_template is not None:
        parameters.chat_template = config.chat_template
    parameters.fit_params = False
    parameters.hostnames = [socket_path]
    parameters.n_threads_http = 2
    parameters.ui = False
    parameters.verbosity = -1  # not even errors go to stderr; they come back to the caller
    return parameters


def _error(error: Mapping[str, Any]) -> EngineError:
    message = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error":
        return EngineError(message, code="context_length_exceeded")
    return EngineError(f"llama.cpp: {message}")
