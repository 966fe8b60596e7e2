"""Reading audio files of any format that PyAV (FFmpeg) knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class AudioFileError(Exception):
    """A file cannot be read as audio. The message names the file and says why."""


class AudioFile:
    """An audio file opened for reading, as mono float32 at a rate of the reader's choice.

    Channels are averaged. Memory stays bounded whatever the length: a file is decoded while it is read.
    """

    def __init__(self, path: Path, rate: int) -> None:
        """Open `path` to be read at `rate` Hz.

        Raises:
            AudioFileError: no such file, no audio in it, or a format that is not known.
        """
        self.path = path
        self.rate = rate
        self._container = self._open()
        streams = self._container.streams.audio
        if not streams:
            self._container.close()
            raise AudioFileError(f"{path}: there is no audio in this file")
        self._stream: AudioStream = streams[0]

    @property
    def seconds(self) -> float | None:
        """Length that the file claims; None when it does not say."""
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / av.time_base

    def blocks(self) -> Iterator[Samples]:
        """Yield the whole file as consecutive float32[n], n as the decoder gives them.

        Raises (while iterating):
            AudioFileError: the file is damaged.
        """
        resampler = av.AudioResampler(format="fltp", rate=self.rate)
        try:
            for frame in self._container.decode(self._stream):
                frame.pts = None
                for part in resampler.resample(frame):
                    yield _mono(part)
            for part in resampler.resample(None):
                yield _mono(part)
        except (av.FFmpegError, ValueError) as error:
            raise AudioFileError(f"{self.path}: {_reason(error)}") from error

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> InputContainer:
        if self.path.is_dir():
            raise AudioFileError(f"{self.path}: is a directory")
        try:
            return av.open(str(self.path), "r")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise AudioFileError(f"{self.path}: {_reason(error)}") from error


def read_audio(path: Path, rate: int) -> Samples:
    """Return a whole file as mono float32[n] at `rate` Hz.

    Raises:
        AudioFileError: the file cannot be read as audio.
    """
    with AudioFile(path, rate) as file:
        return np.concatenate([np.zeros(0, np.float32), *file.blocks()])


def _mono(frame: av.AudioFrame) -> Samples:
    # FFmpeg's own downmix keeps the power, so that the same voice in both channels would go over full scale.
    channels = np.asarray(frame.to_ndarray(), np.float32)
    return np.asarray(channels[0] if len(channels) == 1 else channels.mean(axis=0))


def _reason(error: Exception) -> str:
    if isinstance(error, av.InvalidDataError):
        return "not an audio file, or damaged"
    return (getattr(error, "strerror", None) or str(error)).lower()
