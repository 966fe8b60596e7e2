"""The input audio buffer: audio received and not committed yet, on the session clock. Pure.

Audio is kept twice: as it came (int16 at the client's rate, for `conversation.item.retrieve`), and as it is heard
(float32 at 16 kHz, denoised if asked for). Positions are samples at 16 kHz since the session's audio began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.clock import HEARING_RATE, VAD_WINDOW
from antiphon.audio.resampling import StreamResampler
from antiphon.audio.track import Track

Pcm = NDArray[np.int16]
Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CommittedAudio:
    """Audio taken out of the buffer: from `start` to `end` on the session clock, as it came and as it is heard."""

    start: int
    end: int
    pcm: Pcm
    rate: int
    heard: Samples

    @property
    def duration_s(self) -> float:
        """Seconds of audio."""
        return len(self.pcm) / self.rate


class InputAudioBuffer:
    """Audio that waits to be committed.

    Args:
        rate: sample rate, Hz, of the client's audio.
        denoise: maps float32 samples at 16 kHz to as many denoised ones; None to leave them as they are.
    """

    def __init__(self, rate: int, denoise: Callable[[Samples], Samples] | None = None) -> None:
        self._rate = rate
        self.denoise = denoise
        self._received: Track[np.int16] = Track(np.int16)
        self._received_origin = 0.0
        self._heard: Track[np.float32] = Track(np.float32)
        self._resampler = StreamResampler(rate, HEARING_RATE)
        self._next_window = 0

    @property
    def position(self) -> int:
        """The session clock: samples at 16 kHz received so far."""
        return int(self._clock(self._received.end))

    @property
    def start(self) -> int:
        """Where on the session clock the audio that is kept begins."""
        return int(self._clock(self._received.start))

    @property
    def heard_until(self) -> int:
        """Where on the session clock the audio that can be heard ends; the resampler holds back a little."""
        return self._heard.end

    @property
    def duration_s(self) -> float:
        """Seconds of audio received and neither committed nor dropped."""
        return (self._received.end - self._received.start) / self._rate

    def append(self, pcm: Pcm) -> None:
        """Add the client's audio (int16 at the client's rate)."""
        self._received.append(pcm)
        self._hear(_as_float(self._resampler.push(pcm)))

    def set_rate(self, rate: int) -> None:
        """Expect audio at another rate, Hz, from now on; what is buffered is converted."""
        if rate == self._rate:
            return
        self._finish_hearing()
        kept = self._received.slice(self._received.start, self._received.end)
        origin = self._clock(self._received.start)
        converter = StreamResampler(self._rate, rate)
        self._received = Track(np.int16)
        self._received.append(np.concatenate([converter.push(kept), converter.flush()]))
        self._received_origin = origin
        self._rate = rate
        self._resampler = StreamResampler(rate, HEARING_RATE)

    def windows(self) -> Samples:
        """Return the windows, float32[n, 512], that became complete since the last call."""
        count = (self._heard.end - self._next_window) // VAD_WINDOW
        samples = self._heard.slice(self._next_window, self._next_window + count * VAD_WINDOW)
        self._next_window += count * VAD_WINDOW
        return samples.reshape(-1, VAD_WINDOW)

    def heard(self, start: int, end: int) -> Samples:
        """Return what is heard between two positions."""
        return self._heard.slice(start, end)

    def commit(self, start: int | None = None, end: int | None = None) -> CommittedAudio:
        """Take out the audio from `start` to `end`, by default all of it. Audio before it is dropped."""
        if end is None:
            self._finish_hearing()
            self._resampler = StreamResampler(self._rate, HEARING_RATE)
        first = self._received.start if start is None else self._index(start)
        last = self._received.end if end is None else self._index(end)
        start = int(self._clock(first)) if start is None else start
        end = self.position if end is None else end
        pcm = self._received.slice(first, last)
        heard = self._heard.slice(start, end)
        self._received.drop_before(last)
        self._heard.drop_before(min(end, self._next_window))
        return CommittedAudio(start, end, pcm, self._rate, heard)

    def drop_before(self, position: int) -> None:
        """Forget audio before `position`, except what no window has covered yet."""
        self._received.drop_before(self._index(position))
        self._heard.drop_before(min(position, self._next_window))

    def clear(self) -> None:
        """Forget everything that is not committed. The session clock goes on."""
        self._received.drop_before(self._received.end)
        self._heard.drop_before(self._next_window)

    def _hear(self, samples: Samples) -> None:
        self._heard.append(samples if self.denoise is None or not len(samples) else self.denoise(samples))

    def _finish_hearing(self) -> None:
        """Bring what is heard up to the clock, so that nothing said last stays in the resampler."""
        tail = _as_float(self._resampler.flush())
        missing = self.position - self._heard.end
        if missing > 0:
            padded = np.zeros(missing, np.float32)
            padded[: min(len(tail), missing)] = tail[:missing]
            self._hear(padded)

    def _clock(self, index: int) -> float:
        return self._received_origin + index * HEARING_RATE / self._rate

    def _index(self, position: int) -> int:
        return round((position - self._received_origin) * self._rate / HEARING_RATE)


def _as_float(pcm: Pcm) -> Samples:
    return np.multiply(pcm, np.float32(1 / 32768), dtype=np.float32)
