"""The audio formats of the wire: PCM16 and G.711."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from antiphon.audio import g711
from antiphon.audio.g711 import Pcm

FormatName = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]

G711_RATE = 8_000
"""Hz; G.711 is defined at this rate only."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How mono audio is written as bytes.

    Attributes:
        type: "audio/pcm" (16-bit signed little-endian), "audio/pcmu" (µ-law) or "audio/pcma" (A-law).
        rate: samples per second.
    """

    type: FormatName
    rate: int

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> AudioFormat:
        """Return the format that a session's `format` object names. PCM without a rate is 24 kHz.

        Raises:
            ValueError: unknown type, or a rate that the type does not have.
        """
        wanted, rate = wire.get("type"), wire.get("rate")
        for candidate in (PCM_24K, PCM_16K, PCMU, PCMA):
            if candidate.type == wanted and rate in (None, candidate.rate):
                return candidate
        raise ValueError(f"unsupported audio format: {dict(wire)!r}")

    def wire(self) -> dict[str, Any]:
        """Return the `format` object of a session: the rate is named for PCM only."""
        return {"type": self.type, "rate": self.rate} if self.type == "audio/pcm" else {"type": self.type}

    @property
    def bytes_per_sample(self) -> int:
        """2 for PCM, 1 for G.711."""
        return 2 if self.type == "audio/pcm" else 1

    def decode(self, data: bytes) -> Pcm:
        """Return the samples (int16[n]) of `data`; the array may be read-only.

        Raises:
            ValueError: PCM with an odd number of bytes.
        """
        if self.type == "audio/pcmu":
            return g711.mulaw_decode(data)
        if self.type == "audio/pcma":
            return g711.alaw_decode(data)
        if len(data) % 2:
            raise ValueError(f"PCM16 audio must have an even number of bytes, got {len(data)}")
        return np.frombuffer(data, "<i2").astype(np.int16, copy=False)

    def encode(self, samples: Pcm) -> bytes:
        """Return the bytes of `samples` (int16[n])."""
        if self.type == "audio/pcmu":
            return g711.mulaw_encode(samples)
        if self.type == "audio/pcma":
            return g711.alaw_encode(samples)
        return samples.astype("<i2", copy=False).tobytes()


PCM_24K = AudioFormat("audio/pcm", 24_000)
PCM_16K = AudioFormat("audio/pcm", 16_000)
PCMU = AudioFormat("audio/pcmu", G711_RATE)
PCMA = AudioFormat("audio/pcma", G711_RATE)
