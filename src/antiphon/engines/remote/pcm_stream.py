"""Speech that comes over HTTP as raw PCM, in chunks cut anywhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np

from antiphon.audio.levels import to_float
from antiphon.engines.base import AudioChunk, Samples

_NOT_PCM = {b"RIFF": "WAV", b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3\x03": "MP3", b"ID3\x04": "MP3"}
_LONGEST_MARK = 4

_OTHER_AUDIO = ("mpeg", "mp3", "wav", "wave", "ogg", "opus", "flac", "aac", "mp4", "webm")


class NotPcmError(ValueError):
    """What came is not raw PCM; played as such it would be noise."""


def check_content_type(value: str | None) -> None:
    """Raise NotPcmError when a Content-Type says that the body is no raw PCM; servers have many names for what is."""
    kind = (value or "").split(";")[0].strip().lower()
    family, _, name = kind.partition("/")
    if family == "text" or kind.endswith("json") or (family == "audio" and name.removeprefix("x-") in _OTHER_AUDIO):
        raise NotPcmError(f"the speech came as {kind}, not as PCM")


class PcmDecoder:
    """Turns bytes of signed 16-bit little-endian PCM, cut anywhere, into samples."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, data: bytes) -> Samples:
        """Return the samples, float32[n], that are complete with `data`.

        Raises:
            NotPcmError: the stream begins like a file of another format.
        """
        data = self._rest + data
        if not self._begun:
            if len(data) < _LONGEST_MARK:
                self._rest = data
                return np.zeros(0, np.float32)
            self._begun = True
            for mark, name in _NOT_PCM.items():
                if data.startswith(mark):
                    raise NotPcmError(f"the speech came as {name}, not as PCM")
        whole = len(data) & ~1
        self._rest = data[whole:]
        return to_float(np.frombuffer(data[:whole], "<i2").astype(np.int16, copy=False))

    def finish(self) -> Samples:
        """Return what a stream of less than two samples held back. Half a sample at the end is dropped."""
        rest, self._rest = self._rest[: len(self._rest) & ~1], b""
        return to_float(np.frombuffer(rest, "<i2").astype(np.int16, copy=False))


async def read_speech(
    text: str, content_type: str | None, body: AsyncIterator[bytes], rate: int
) -> AsyncGenerator[AudioChunk, None]:
    """Give the speech of an HTTP answer as it comes.

    Args:
        text: what is to be said.
        content_type: the header of the answer.
        body: 16-bit PCM at `rate` Hz, cut anywhere.

    Raises:
        NotPcmError: it is not what was asked for, or there is no speech although there is something to say.
    """
    check_content_type(content_type)
    decoder = PcmDecoder()
    silent = True
    async for data in body:
        samples = decoder.feed(data)
        if samples.size:
            silent = False
            yield AudioChunk(samples, rate)
    samples = decoder.finish()
    if samples.size:
        yield AudioChunk(samples, rate)
    elif silent and any(map(str.isalnum, text)):
        raise NotPcmError("there was no speech in the answer")
