"""Token counts as `response.done` and `input_audio_transcription.completed` report them. Pure.

Text tokens are the language model's own, and so are those of audio where it hears or speaks itself and tells. Other
audio is counted as OpenAI does: a token per 100 ms heard, a token per
50 ms spoken (Realtime costs guide).
"""

from __future__ import annotations

import math
from typing import Any

from antiphon.engines.base import Usage

_HEARD_MS_PER_TOKEN = 100
_SPOKEN_MS_PER_TOKEN = 50


def response_usage(usage: Usage | None, *, heard_ms: int, spoken_ms: int) -> dict[str, Any]:
    """Return the `usage` of a response.

    Args:
        usage: the language model's count; None when it did no work or was stopped before it counted.
        heard_ms: milliseconds of user audio in the context, which count where the model does not count them itself.
        spoken_ms: milliseconds of speech that the response sent, likewise.
    """
    text_in = usage.input_tokens if usage else 0
    text_out = usage.output_tokens if usage else 0
    audio_in = math.ceil(heard_ms / _HEARD_MS_PER_TOKEN) if usage else 0
    audio_out = math.ceil(spoken_ms / _SPOKEN_MS_PER_TOKEN)
    if usage is not None and usage.input_audio_tokens is not None:
        audio_in = min(usage.input_audio_tokens, text_in)
        text_in -= audio_in
    if usage is not None and usage.output_audio_tokens is not None:
        audio_out = min(usage.output_audio_tokens, text_out)
        text_out -= audio_out
    cached = min(usage.cached_tokens, text_in) if usage else 0
    return {
        "total_tokens": text_in + audio_in + text_out + audio_out,
        "input_tokens": text_in + audio_in,
        "output_tokens": text_out + audio_out,
        "input_token_details": {
            "text_tokens": text_in,
            "audio_tokens": audio_in,
            "image_tokens": 0,
            "cached_tokens": cached,
            "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
    }


def transcription_usage(duration_s: float) -> dict[str, Any]:
    """Return the `usage` of a transcription: the whole seconds begun, as whisper-1 is counted."""
    return {"type": "duration", "seconds": math.ceil(duration_s)}
