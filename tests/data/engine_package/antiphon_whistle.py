"""A voice that whistles: a tone for every word, higher for longer words."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from antiphon.engines.base import AudioChunk, EngineContext, Samples, Synthesizer, Voice
from antiphon.engines.options import read_options


class WhistleOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pitch_hz: float = 440.0


class Whistle(Synthesizer):
    name = "whistle"
    options_type = WhistleOptions
    voices = (Voice("robin", "whistles a tone for every word"),)
    sample_rate = 24_000

    def __init__(self, pitch_hz: float) -> None:
        self.pitch_hz = pitch_hz

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        return cls(read_options(cls.name, WhistleOptions, context.options).pitch_hz)

    async def synthesize(self, text: str, *, speed: float = 1.0, **_: Any) -> AsyncIterator[AudioChunk]:
        for word in text.split():
            yield AudioChunk(await asyncio.to_thread(self.tone, len(word), 0.2 / speed), self.sample_rate)

    def tone(self, letters: int, seconds: float) -> Samples:
        time = np.arange(int(seconds * self.sample_rate)) / self.sample_rate
        wave = np.sin(2 * np.pi * (self.pitch_hz + 40 * letters) * time)
        return (0.3 * wave * np.hanning(len(time))).astype(np.float32)
