"""What LFM2-Audio is set to and asked: its options, and from messages to the turns of its chat. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from antiphon.engines.base import HEARING_RATE, EngineError, GenerationRequest, Samples
from antiphon.engines.transformers_omni_prompt import omni_prompt

_INTERLEAVED = "Respond with interleaved text and audio."
"""What the instructions have to begin with for a spoken reply (model card)."""

_SHORTEST = HEARING_RATE // 10
"""Samples: the encoder takes no fewer than 9 frames of 10 ms."""


class LiquidAudioOptions(BaseModel):
    """Options of `liquid-audio`.

    Attributes:
        model: a path or a reference of a directory.
        device: where it runs, e.g. "cuda:1"; "auto" for the GPU where there is one.
        dtype: of its weights; "auto" for bfloat16 on a GPU and float32 on the CPU.
        max_tokens: most tokens of a reply, of text and of speech together, where the session sets no limit. A second of
            speech takes 12.5 (model card).
        temperature: sampling temperature of the text where the session sets none; None for the likeliest token.
        top_k: how many of the likeliest tokens of text may be sampled; None for all.
        audio_temperature: sampling temperature of the speech; 0 for the likeliest code.
        audio_top_k: how many of the likeliest codes of speech may be sampled; None for all.
        audio_turns: how many of the user's last turns are heard; older ones stand as their transcripts, where there
            are any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(min_length=1)]
    device: Annotated[str, Field(min_length=1)] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    audio_temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    audio_top_k: Annotated[int, Field(ge=1)] | None = 4
    audio_turns: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the chat: text, and speech as float32[n] at 16 kHz, in the order they were given."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Samples, ...]


def liquid_turns(request: GenerationRequest, *, audio_turns: int, speech: bool) -> list[Turn]:
    """Return the chat that a request continues.

    Args:
        request: what is to be continued.
        audio_turns: how many of the user's last turns are heard; see `older_turns_as_words`.
        speech: whether the reply is to be spoken.

    Raises:
        EngineError: code "unsupported" for an image, or where functions may be called.
    """
    if request.tools and request.tool_choice != "none":
        message = "this model cannot call functions: give it no tools, or tool_choice none"
        raise EngineError(message, code="unsupported")
    prompt = omni_prompt(
        replace(request, tools=(), tool_choice="none"),
        audio_turns=audio_turns,
        lists_tools=False,
        preamble=_INTERLEAVED if speech else None,
    )
    return [
        Turn(
            entry["role"],
            tuple(part["text"] if part["type"] == "text" else _long_enough(part["audio"]) for part in entry["content"]),
        )
        for entry in prompt.messages
    ]


def _long_enough(sound: Samples) -> Samples:
    return np.pad(sound, (0, max(0, _SHORTEST - sound.size)))
