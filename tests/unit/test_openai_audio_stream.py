"""From chunks of chat completions with audio to deltas: as OpenAI sends them, as vLLM-Omni does, and nonsense."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.audio.levels import to_float
from antiphon.engines.base import AudioChunk, AudioPart, Finish, GenerationRequest, Message, TextDelta, TextPart, Usage
from antiphon.engines.openai.audio_memory import AudioMemory
from antiphon.engines.openai.audio_stream import AudioChatStream
from antiphon.engines.openai.chat_request import chat_body, estimate_tokens
from antiphon.engines.wav import read_wav, wav_file

PCM = np.arange(-3000, 3000, 7, dtype=np.int16)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(*chunks: dict[str, Any], speech: bool = True) -> tuple[str, np.ndarray[Any, Any], AudioChatStream]:
    stream = AudioChatStream(24_000, speech=speech)
    deltas = [delta for data in chunks for delta in stream.feed(data)]
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    audio = [delta.samples for delta in deltas if isinstance(delta, AudioChunk)]
    return text, np.concatenate([np.zeros(0, np.float32), *audio]), stream


@given(st.lists(st.integers(0, PCM.nbytes), max_size=6))
def test_pcm_may_be_cut_anywhere(cuts: list[int]) -> None:
    data = PCM.astype("<i2").tobytes()
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    _, audio, _ = read(*(chunk({"audio": {"data": b64(piece)}}) for piece in pieces))
    assert np.array_equal(audio, to_float(PCM))


def test_a_reply_as_openai_sends_it() -> None:
    usage = {
        "prompt_tokens": 40,
        "completion_tokens": 30,
        "prompt_tokens_details": {"audio_tokens": 25, "cached_tokens": 3},
        "completion_tokens_details": {"audio_tokens": 22},
    }
    text, audio, stream = read(
        chunk({"role": "assistant", "content": None, "audio": {"id": "audio_1", "transcript": ""}}),
        chunk({"audio": {"transcript": "Hel"}}),
        chunk({"audio": {"transcript": "lo.", "data": b64(PCM.tobytes())}}),
        chunk({"audio": {"expires_at": 1_700_000_000}}),
        chunk({}, "stop"),
    )
    assert (text, audio.size, stream.audio_id, stream.expires_at) == ("Hello.", PCM.size, "audio_1", 1_700_000_000)
    assert stream.ended
    assert not stream.feed({"choices": [], "usage": usage})
    assert stream.finish() == [Usage(40, 30, 3, 25, 22), Finish("stop")]


def test_a_reply_as_vllm_omni_sends_it() -> None:
    wav = b64(wav_file(to_float(PCM), 16_000))
    text, audio, stream = read(
        chunk({"role": "assistant", "content": "Hello."}, modality="text"),
        chunk({"content": ""}, "stop", modality="text", usage={"prompt_tokens": 9, "completion_tokens": 4}),
        chunk({"content": wav}, modality="audio", usage={"prompt_tokens": 9, "completion_tokens": 0}),
        chunk({"content": wav}, "stop", modality="audio"),
    )
    assert text == "Hello."
    assert audio.size == 2 * PCM.size
    assert not stream.ended, "each modality ends by itself"
    assert stream.finish() == [Usage(9, 4), Finish("stop")]


def test_text_that_is_sent_twice_is_taken_once() -> None:
    sound = chunk({"audio": {"data": b64(PCM.tobytes())}})
    both = chunk({"content": "Hello.", "audio": {"transcript": "Hello."}})
    assert read(both, sound)[0] == "Hello."


@pytest.mark.parametrize("data", ["no base64!", "QUJ", b64(b"RIFF and so on")])
def test_malformed_audio(data: str) -> None:
    with pytest.raises(ValueError):
        read(chunk({"audio": {"data": data}}))


def test_a_reply_without_speech() -> None:
    text, _, stream = read(chunk({"content": "Hello."}), chunk({}, "stop"))
    assert text == "Hello."
    with pytest.raises(ValueError, match="no speech"):
        stream.finish()
    assert read(chunk({"content": "Hello."}), chunk({}, "stop"), speech=False)[2].finish() == [Finish("stop")]
    refused = read(chunk({"refusal": "I can't help with that."}), chunk({}, "stop"))
    assert refused[0] == "I can't help with that."
    assert refused[2].finish() == [Finish("stop")]
    assert read(chunk({}, "stop"))[2].finish() == [Finish("stop")], "it has nothing to say"


def test_a_wav_file_comes_back() -> None:
    back = read_wav(wav_file(to_float(PCM), 22_050))
    assert back.rate == 22_050
    assert np.array_equal(back.samples, to_float(PCM))


def test_what_is_sent_as_audio() -> None:
    speech = AudioPart(np.zeros(160, np.float32), 16_000, "Known.")
    unknown = AudioPart(np.zeros(160, np.float32), 16_000)
    request = GenerationRequest(
        (
            Message("user", (unknown,)),
            Message("assistant", (TextPart("One."),)),
            Message("user", (speech,)),
            Message("assistant", (TextPart("Two."),)),
            Message("user", (speech, TextPart("And this."))),
        )
    )

    def contents(audio_turns: int, **more: Any) -> list[Any]:
        messages = chat_body(request, images=False, audio_turns=audio_turns, **more)["messages"]
        return [
            [part["type"] for part in entry["content"]]
            if isinstance(entry.get("content"), list)
            else entry.get("content", entry.get("audio"))
            for entry in messages
        ]

    assert contents(0) == ["", "One.", "Known.", "Two.", "Known.\nAnd this."]
    assert contents(1) == [["input_audio"], "One.", "Known.", "Two.", ["input_audio", "text"]]
    assert contents(2) == [["input_audio"], "One.", ["input_audio"], "Two.", ["input_audio", "text"]]
    assert contents(1, audio_ids={3: "audio_7"})[3] == {"id": "audio_7"}
    assert estimate_tokens(request.messages, (), hears=True) >= 3 * 160 / 16_000 * 10


def test_the_memory_of_audio_ids() -> None:
    memory = AudioMemory()
    memory.remember("a", " Hello. ", "audio_1", 1000.0)
    assert memory.find("a", "Hello.", 900.0) == "audio_1"
    assert memory.find("b", "Hello.", 900.0) is None, "another conversation"
    assert memory.find("a", "Hel", 900.0) is None, "it was cut short"
    assert memory.find("a", "Hello.", 990.0) is None, "it is about to expire"
    assert memory.find("a", "Hello.", 900.0) is None, "and is forgotten then"
    memory.remember("a", "Hello.", "audio_2", 1000.0)
    memory.forget(["audio_2"])
    assert memory.find("a", "Hello.", 0.0) is None
    for number in range(10_001):
        memory.remember("c", f"{number}", f"audio_{number}", 1000.0)
    assert memory.find("c", "0", 0.0) is None, "only so many are kept"
    assert memory.find("c", "10000", 0.0) == "audio_10000"
