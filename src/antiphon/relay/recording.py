"""Recordings of sessions: events as JSON lines, and what both sides said as WAV files.

A thread of each recording writes; the session only hands over, and never waits. What cannot be written ends the
recording, not the session.
"""

from __future__ import annotations

import base64
import binascii
import os
import queue
import threading
import time
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import structlog
from numpy.typing import NDArray

from antiphon.audio.formats import AudioFormat
from antiphon.audio.resampling import StreamResampler
from antiphon.protocol.frames import AudioDelta, ServerEvent
from antiphon.relay.settings import RecordingSettings

RATE = 24_000
"""Sample rate, Hz, of the WAV files, whatever the session's formats are."""

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""What waits to be written at most: a disk that is further behind ends the recording."""

EVENTS_FILE = "events.jsonl"

Side = Literal["user", "assistant"]

_ENTRY_OVERHEAD = 256

_log = structlog.get_logger("antiphon.relay")


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event that passed, and the audio that it carried.

    Attributes:
        at_ms: since the beginning of the recording.
        audio: base64 or bytes, in `audio_format`.
    """

    at_ms: float
    direction: Literal["up", "down"]
    event: dict[str, Any]
    side: Side | None = None
    audio: bytes | str = b""
    audio_format: AudioFormat | None = None

    @property
    def size(self) -> int:
        return _ENTRY_OVERHEAD + len(self.audio)


class Recorder:
    """Records one session. `up` and `down` are called on the event loop and return at once.

    Args:
        settings: where to and how much.
        session_id: names the folder; letters, digits and _ only.
    """

    def __init__(self, settings: RecordingSettings, session_id: str) -> None:
        self._settings = settings
        self._began = time.monotonic()
        started = datetime.now(UTC)
        self.directory = settings.directory / f"{started:%Y%m%dT%H%M%S}-{session_id}"
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._taken = 0
        self._written = 0  # by the thread alone, as `_taken` is by the event loop
        self._over = False
        self._context = structlog.contextvars.get_contextvars()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=False)
        self._thread.start()

    def up(self, frame: Mapping[str, Any], audio_format: AudioFormat) -> None:
        """Take a frame that goes upstream; `audio_format` is that of the session's input."""
        if frame["type"] == "input_audio_buffer.append" and isinstance(frame.get("audio"), str):
            event = {key: value for key, value in frame.items() if key != "audio"}
            self._put("up", event, "user", frame["audio"], audio_format)
        else:
            self._put("up", frame)

    def down(self, event: ServerEvent, audio_format: AudioFormat) -> None:
        """Take an event that goes to the client; `audio_format` is that of the session's output."""
        if isinstance(event, AudioDelta):
            told = {
                "type": event.type,
                "event_id": event.event_id,
                "response_id": event.response_id,
                "item_id": event.item_id,
                "output_index": event.output_index,
                "content_index": event.content_index,
            }
            self._put("down", told, "assistant", event.audio, audio_format)
        else:
            self._put("down", event)

    def close(self) -> None:
        """Write what waits, and end; nobody waits for it."""
        if not self._over:
            self._over = True
            self._entries.put(None)

    def _put(
        self,
        direction: Literal["up", "down"],
        event: Mapping[str, Any],
        side: Side | None = None,
        audio: bytes | str = b"",
        audio_format: AudioFormat | None = None,
    ) -> None:
        if self._over:
            return
        at_ms = round((time.monotonic() - self._began) * 1000, 1)
        entry = _Entry(at_ms, direction, _without_audio(event), side, audio, audio_format)
        if self._taken - self._written > MAX_WAITING_BYTES:
            _log.warning("the recording ends here: its disk is too slow", directory=str(self.directory))
            self.close()
            return
        self._taken += entry.size
        self._entries.put(entry)

    def _write(self) -> None:
        structlog.contextvars.bind_contextvars(**self._context)
        files: _Files | None = None
        try:
            files = _Files.create(self.directory)
            most = self._settings.max_mb * 1e6
            while (entry := self._entries.get()) is not None:
                files.write(entry)
                self._written += entry.size
                if files.size > most:
                    _log.warning("the recording ends here: it is as large as it may be", directory=str(self.directory))
                    break
        except OSError as error:
            reason = error.strerror or str(error)
            _log.error("the recording ends here: it cannot be written", directory=str(self.directory), reason=reason)
        finally:
            self._over = True
            while not self._entries.empty():
                self._entries.get()
            if files is not None:
                files.close()


@dataclass
class _Sound:
    """A WAV file, and the resampler from the format that comes now."""

    name: str
    file: wave.Wave_write
    samples: int = 0
    audio_format: AudioFormat | None = None
    resampler: StreamResampler | None = None

    def write(self, data: bytes, audio_format: AudioFormat) -> int:
        """Add audio; returns the bytes that were written."""
        if audio_format != self.audio_format or self.resampler is None:
            self.audio_format, self.resampler = audio_format, StreamResampler(audio_format.rate, RATE)
        whole = len(data) - len(data) % audio_format.bytes_per_sample
        pcm: NDArray[np.int16] = self.resampler.push(audio_format.decode(data[:whole]))
        self.file.writeframes(pcm.astype("<i2", copy=False).tobytes())  # which keeps the header right
        self.samples += len(pcm)
        return pcm.nbytes


@dataclass
class _Files:
    """The open files of a recording.

    Attributes:
        size: bytes that were written.
    """

    events: Any
    sounds: dict[Side, _Sound] = field(default_factory=dict)
    size: int = 0

    @classmethod
    def create(cls, directory: Path) -> _Files:
        """Make the folder and its files, for this user alone.

        Raises:
            OSError: it cannot be.
        """
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
        files = cls(_opened(directory / EVENTS_FILE))
        try:
            for side in ("user", "assistant"):
                file = wave.open(_opened(directory / f"{side}.wav"), "wb")  # noqa: SIM115 - closed by `close`
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                files.sounds[side] = _Sound(f"{side}.wav", file)
        except BaseException:
            files.close()
            raise
        return files

    def write(self, entry: _Entry) -> None:
        line: dict[str, Any] = {"at_ms": entry.at_ms, "direction": entry.direction, "event": entry.event}
        if entry.side is not None and entry.audio_format is not None:
            sound = self.sounds[entry.side]
            begin = sound.samples
            self.size += sound.write(_bytes(entry.audio), entry.audio_format)
            line["audio"] = {
                "file": sound.name,
                "begin_ms": round(begin * 1000 / RATE, 1),
                "end_ms": round(sound.samples * 1000 / RATE, 1),
            }
        text = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        self.events.write(text)
        self.size += len(text)

    def close(self) -> None:
        for file in (self.events, *(sound.file for sound in self.sounds.values())):
            try:
                file.close()
            except OSError as error:
                _log.error("a recording was not closed", reason=error.strerror or str(error))


def _opened(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _bytes(audio: bytes | str) -> bytes:
    if isinstance(audio, bytes):
        return audio
    try:
        return base64.b64decode(audio, validate=True)
    except binascii.Error:
        return b""  # the upstream refuses it too


def _without_audio(value: Any) -> Any:
    """Return an event without the audio in its items."""
    if isinstance(value, Mapping):
        return {
            key: f"{len(inner)} characters, left out"
            if key == "audio" and isinstance(inner, str)
            else _without_audio(inner)
            for key, inner in value.items()
        }
    return [_without_audio(inner) for inner in value] if isinstance(value, list) else value
