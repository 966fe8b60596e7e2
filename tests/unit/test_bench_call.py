"""What the bench hears of a call, and when it speaks."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from antiphon.bench.call import CallMicrophone, Ear
from antiphon.bench.corpus import Recording
from antiphon.transports.webrtc.codecs import OPUS_SILENCE, OpusEncoder, Pcm


def tone(seconds: float, rate: int = 24_000) -> Pcm:
    return (8000 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def test_sound_is_heard_once_after_a_silence() -> None:
    heard: list[float] = []
    ear = Ear(heard.append)
    speech = OpusEncoder(fec=False).encode(tone(0.2))
    pause = [OPUS_SILENCE] * 50
    for number, payload in enumerate([*pause, *speech, OPUS_SILENCE, *speech, b"", *pause, *speech]):
        ear.take(payload, float(number))
    assert heard == [50.0, 122.0], "a gap of one packet is no silence, and a packet without a payload is none at all"


def test_sound_at_the_very_beginning_is_heard() -> None:
    heard: list[float] = []
    Ear(heard.append).take(OpusEncoder(fec=False).encode(tone(0.02))[0], 1.0)
    assert heard == [1.0]


async def test_a_recording_is_spoken_when_it_is_said_to_be() -> None:
    microphone = CallMicrophone()
    frames = [await microphone.recv() for _ in range(3)]
    pcm = np.concatenate([np.zeros(480, np.int16), tone(0.05)])
    spoken = microphone.say(Recording("a.flac", "a", pcm, 480, len(pcm)))
    assert spoken.end - spoken.begin == pytest.approx(0.05)
    for _ in range(5):
        frames.append(await microphone.recv())
        if int(np.abs(frames[-1].to_ndarray()).max()) > 1000:
            break
    # The first loud frame is there when it is full: 20 ms after its speech begins.
    assert time.perf_counter() >= spoken.begin + 0.02
    assert [frame.pts for frame in frames] == [960 * number for number in range(len(frames))]
    assert len(frames) == 5
    assert len(microphone.lateness_s) == 5
    microphone.stop()
    await asyncio.sleep(0)
