"""Speech as a WAV file in memory, which is how servers want it."""

from __future__ import annotations

import io
import wave

import numpy as np

from antiphon.audio.levels import to_float, to_pcm
from antiphon.engines.base import AudioChunk, Samples


def wav_file(audio: Samples, rate: int) -> bytes:
    """Return float32[n] at `rate` Hz as a WAV file of 16-bit PCM, mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(to_pcm(audio).astype("<i2").tobytes())
    return file.getvalue()


def read_wav(data: bytes) -> AudioChunk:
    """Return the speech of a WAV file of 16-bit PCM; the first channel counts.

    Raises:
        ValueError: it is no such file.
    """
    try:
        with wave.open(io.BytesIO(data)) as reader:
            if reader.getsampwidth() != 2:
                raise ValueError(f"the WAV file has {8 * reader.getsampwidth()} bits a sample, not 16")
            pcm = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")[:: reader.getnchannels()]
            return AudioChunk(to_float(pcm.astype(np.int16, copy=False)), reader.getframerate())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"this is no WAV file: {error}") from error
