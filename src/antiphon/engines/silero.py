"""Silero voice activity detection (version 6, MIT) with the windows of all open streams in one model call.

The model is small and recurrent: 32 ms of one stream take about 75 µs alone, and half of that among 16 streams. One
thread runs it. Each call takes at most one window of every stream that waits, so a stream that pushes minutes of audio
goes through many calls and delays nobody by more than its share of each.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from antiphon.engines.base import (
    HEARING_RATE,
    VAD_WINDOW,
    EngineContext,
    EngineError,
    EngineLoad,
    Samples,
    VadStream,
    VoiceActivityDetector,
)
from antiphon.engines.options import NoOptions, read_options

CONTEXT = 64
"""Samples (4 ms) of the window before that the model reads again (silero_vad.utils_vad.OnnxWrapper)."""

LARGEST_BATCH = 128
"""Windows in one model call: about 5 ms of work. More waiting streams take turns."""

_STATE = 128


@dataclass(slots=True)
class _State:
    """What the model remembers of a stream: float32[2, 128] and the last 64 samples."""

    recurrent: NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, _STATE), np.float32))
    context: Samples = field(default_factory=lambda: np.zeros(CONTEXT, np.float32))


@dataclass(eq=False, slots=True)
class _Push:
    """Consecutive windows of one stream on their way through the model."""

    state: _State
    windows: Samples
    probabilities: Samples
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Samples]
    done: int = 0
    dropped: bool = False


class SileroStream(VadStream):
    """Voice activity of one stream."""

    def __init__(self, batcher: _Batcher) -> None:
        """Start with silence before the first window."""
        self._batcher = batcher
        self._state = _State()
        self._busy = False

    async def push(self, windows: Samples) -> Samples:
        """Return the probability of speech of each of `windows`; see `VadStream.push`.

        Cancelling it stops the work; windows that the model has heard by then stay heard.

        Raises:
            EngineError: code "closed" when the detector is closed, "engine_failed" when the model fails.
            RuntimeError: another push on this stream has not ended.
        """
        if windows.ndim != 2 or windows.shape[1] != VAD_WINDOW:
            raise ValueError(f"windows must be float32[n, {VAD_WINDOW}], not {windows.dtype}{list(windows.shape)}")
        if self._busy:
            raise RuntimeError("pushes on one stream must not overlap")
        if not len(windows):
            return np.zeros(0, np.float32)
        self._busy = True
        try:
            return await self._batcher.run(self._state, windows)
        finally:
            self._busy = False


class SileroVad(VoiceActivityDetector):
    """Silero for every session: one model, one thread, whatever `cores` says. It has no options."""

    name: ClassVar[str] = "silero"
    options_type: ClassVar[type[NoOptions]] = NoOptions
    required_models: ClassVar[tuple[str, ...]] = ("silero-vad",)

    def __init__(self, model: onnxruntime.InferenceSession) -> None:
        """Start the thread that runs a loaded model."""
        self._batcher = _Batcher(model)

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        """Load the model from the catalog.

        Raises:
            EngineError: code "invalid_option" for any option, "model_missing" when the file is no such model.
        """
        read_options(cls.name, cls.options_type, context.options)
        return cls(await asyncio.to_thread(_load_model, context.models.path("silero-vad")))

    async def warm_up(self) -> None:
        """Run a second of silence, so that onnxruntime lays out its memory now."""
        await self.open().push(np.zeros((HEARING_RATE // VAD_WINDOW, VAD_WINDOW), np.float32))

    def open(self) -> SileroStream:
        """Start a new stream with a fresh state."""
        return SileroStream(self._batcher)

    def load_now(self) -> EngineLoad:
        """Return how many streams have a window in the model and how many wait with theirs."""
        return self._batcher.load()

    async def close(self) -> None:
        """Fail what waits and join the thread. Idempotent."""
        await self._batcher.close()


class _Batcher:
    """The thread that runs the model, and the pushes that wait for it, the longest waiting first."""

    def __init__(self, model: onnxruntime.InferenceSession) -> None:
        self._model = model
        self._rate = np.array(HEARING_RATE, np.int64)
        self._waiting: deque[_Push] = deque()
        self._running = 0
        self._closed = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="silero", daemon=True)
        self._thread.start()

    async def run(self, state: _State, windows: Samples) -> Samples:
        loop = asyncio.get_running_loop()
        push = _Push(state, windows, np.zeros(len(windows), np.float32), loop, loop.create_future())
        with self._condition:
            if self._closed:
                raise EngineError("the voice activity detector is closed", code="closed")
            self._waiting.append(push)
            self._condition.notify()
        try:
            return await push.future
        except asyncio.CancelledError:
            push.dropped = True
            raise

    def load(self) -> EngineLoad:
        with self._condition:
            return EngineLoad(self._running, len(self._waiting), LARGEST_BATCH)

    async def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify()
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                self._advance(batch)
            except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no base of their own; the askers get it
                failure = EngineError(f"the voice activity model failed: {error}")
                failure.__cause__ = error
                _settle(batch, failure)
                continue
            _settle([push for push in batch if push.done == len(push.windows)])
            with self._condition:
                self._waiting.extend(push for push in batch if push.done < len(push.windows))
        _settle(list(self._waiting), EngineError("the voice activity detector is closed", code="closed"))
        self._waiting.clear()

    def _next_batch(self) -> list[_Push]:
        """Wait for work and take it; empty once closed."""
        batch: list[_Push] = []
        with self._condition:
            self._running = 0
            while not batch and not self._closed:
                while self._waiting and len(batch) < LARGEST_BATCH:
                    push = self._waiting.popleft()
                    if not push.dropped:
                        batch.append(push)
                if not batch:
                    self._condition.wait()
            if self._closed:
                self._waiting.extend(batch)
                return []
            self._running = len(batch)
        return batch

    def _advance(self, batch: list[_Push]) -> None:
        """Run the next window of each push."""
        audio = np.empty((len(batch), CONTEXT + VAD_WINDOW), np.float32)
        recurrent = np.empty((2, len(batch), _STATE), np.float32)
        for row, push in enumerate(batch):
            audio[row, :CONTEXT] = push.state.context
            audio[row, CONTEXT:] = push.windows[push.done]
            recurrent[:, row] = push.state.recurrent
        feed = {"input": audio, "state": recurrent, "sr": self._rate}
        probabilities, recurrent = self._model.run(["output", "stateN"], feed)
        for row, push in enumerate(batch):
            push.state.recurrent = recurrent[:, row].copy()
            push.state.context = audio[row, -CONTEXT:].copy()
            push.probabilities[push.done] = probabilities[row, 0]
            push.done += 1


def _settle(pushes: list[_Push], error: EngineError | None = None) -> None:
    """Give each asker its answer, waking each event loop once."""

    def answer(group: list[_Push]) -> None:
        for push in group:
            if push.future.done():
                continue
            if error is None:
                push.future.set_result(push.probabilities)
            else:
                push.future.set_exception(error)

    for loop, group in groupby(sorted(pushes, key=lambda push: id(push.loop)), key=attrgetter("loop")):
        if not loop.is_closed():
            loop.call_soon_threadsafe(answer, list(group))


def _load_model(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # the file makes onnxruntime warn about constants that it cannot fold
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base below Exception
        raise EngineError(f"{path} cannot be loaded as an ONNX model: {error}", code="model_missing") from error
