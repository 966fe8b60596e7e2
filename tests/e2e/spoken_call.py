"""A call that says recordings and returns what the server understood; also a program: base URL, share and shares.

As a program it takes every recording whose number is `share` modulo `shares` and prints JSON: expected and heard.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.bench.corpus import SHIPPED, Recording, load_recordings
from tests.calling import RATE, Caller
from tests.conformance.audio import Pcm

SPEECH = Path(__file__).parents[1] / "data" / "speech"

_PAUSE_S = 1.2
"""Silence after each recording: long enough to end the turn."""

_SESSION = {
    "type": "realtime",
    "audio": {
        "input": {
            "transcription": {"model": "whisper-1"},
            "turn_detection": {"type": "server_vad", "create_response": False},
        }
    },
}


def recordings() -> list[Recording]:
    """Every recording there is, each once."""
    found = {recording.name: recording for recording in [*load_recordings(SPEECH), *load_recordings(SHIPPED)]}
    return [found[name] for name in sorted(found)]


async def understood(base_url: str, said: Sequence[Recording], **how: Any) -> str:
    """Say recordings in one call and return the transcripts of all turns in their order, joined."""
    caller = Caller()
    try:
        await caller.connect(base_url, session=_SESSION, **how)
        end_s = caller.microphone.position_s
        for recording in said:
            pcm = np.concatenate([_at_48k(recording.pcm), np.zeros(round(_PAUSE_S * RATE), np.int16)])
            caller.microphone.say(pcm)
            end_s += len(pcm) / RATE
        await caller.microphone.reaches(end_s + 1.0)
        async with asyncio.timeout(60):
            while len(_transcripts(caller)) < caller.kinds().count("input_audio_buffer.speech_started"):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        order = [event["item_id"] for event in caller.events if event["type"] == "input_audio_buffer.committed"]
        texts = _transcripts(caller)
        return " ".join(texts[item_id] for item_id in order)
    finally:
        await caller.close()


def _at_48k(pcm: Pcm) -> Pcm:
    """Double the rate of PCM16 at 24 kHz, by linear interpolation: speech has little near 12 kHz."""
    positions = np.arange(2 * len(pcm)) / 2
    return np.interp(positions, np.arange(len(pcm)), pcm).astype(np.int16)


def _transcripts(caller: Caller) -> dict[str, str]:
    kind = "conversation.item.input_audio_transcription.completed"
    return {event["item_id"]: event["transcript"] for event in caller.events if event["type"] == kind}


if __name__ == "__main__":
    mine = recordings()[int(sys.argv[2]) :: int(sys.argv[3])]
    text = asyncio.run(understood(sys.argv[1], mine))
    print(json.dumps({"expected": " ".join(recording.text for recording in mine), "heard": text}))
