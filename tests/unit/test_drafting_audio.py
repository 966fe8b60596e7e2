"""Work ahead with a model that hears: its answers are made from the audio so far, and wait for no transcript."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from antiphon.engines.base import AudioPart, TextPart, Usage
from antiphon.pipeline.cascade import Cascade
from antiphon.session.usage import response_usage
from tests.unit.session_harness import conversing, stand_in_pipeline
from tests.unit.test_session import Deaf, Listener, Recorded, pause


async def hearing_pipeline(llm: Recorded, *, transcribes: bool = False, **parts: Any) -> Cascade:
    llm.supports_audio = True
    pipeline = await stand_in_pipeline(llm=llm, **parts)
    pipeline.transcribes = transcribes
    return pipeline


def heard_s(llm: Recorded, index: int = -1) -> float:
    """How long the last user turn is that the model was given as audio, in s."""
    (part,) = llm.asked[index].messages[-1].content
    assert isinstance(part, AudioPart)
    return part.samples.size / part.rate


@pytest.mark.parametrize("transcribes", [False, True])
async def test_an_answer_is_made_from_the_audio_at_a_pause(transcribes: bool) -> None:
    llm = await Recorded.make(words=3)
    listener = Listener()
    async with conversing(await hearing_pipeline(llm, transcribes=transcribes), observer=listener) as client:
        await client.speak(1.0, silence=0.3)
        await pause(client)
        assert len(llm.asked) == 1
        assert 1.0 < heard_s(llm) < 1.5
        assert "response.created" not in client.kinds()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
    assert len(llm.asked) == 1
    assert listener.drafts == ["adopted"]
    assert listener.turns[0].adopted == "reply"


async def test_speech_that_goes_on_drops_it() -> None:
    llm = await Recorded.make(words=300)
    listener = Listener()
    async with conversing(await hearing_pipeline(llm), observer=listener) as client:
        llm.gate.clear()
        await client.speak(0.5, silence=0.3)
        await pause(client)
        await client.speak(0.5, silence=0)
        await pause(client)
        assert listener.drafts == ["dropped"]
        assert llm.running == 0
        llm.gate.set()
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
        assert heard_s(llm) > 1.2, "all of it"


async def test_dips_make_no_answers() -> None:
    llm = await Recorded.make(words=3)
    async with conversing(await hearing_pipeline(llm)) as client:
        await client.speak(0.5, silence=0.07)
        await pause(client)
        assert not llm.asked
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")


async def test_where_only_transcripts_are_made_ahead_the_answer_waits_for_the_end() -> None:
    llm = await Recorded.make(words=3)
    pipeline = await hearing_pipeline(llm, transcribes=True, drafts="transcription")
    async with conversing(pipeline) as client:
        await client.speak(1.0, silence=0.3)
        await pause(client)
        assert not llm.asked
        await client.append(np.zeros(24_000, np.int16))
        await client.expect("response.done")
        assert heard_s(llm) > 1.0


async def test_a_transcription_that_fails_spoils_no_answer() -> None:
    llm = await Recorded.make(words=3)
    listener = Listener()
    pipeline = await hearing_pipeline(llm, transcribes=True, transcription=Deaf())
    async with conversing(pipeline, observer=listener) as client:
        await client.speak(1.0)
        done = await client.expect("response.done")
        assert done["response"]["status"] == "completed"
    assert listener.drafts == ["adopted"]
    assert len(llm.asked) == 1


async def test_older_turns_have_their_words_although_no_client_reads_them() -> None:
    llm = await Recorded.make(words=3)
    async with conversing(await hearing_pipeline(llm, transcribes=True)) as client:
        await client.speak(1.0)
        await client.expect("response.done")
        await pause(client)
        start = len(client.received)
        await client.speak(1.0)
        await client.expect("response.done", start)
    users = [message.content[0] for message in llm.asked[-1].messages if message.role == "user"]
    assert isinstance(users[0], AudioPart)
    assert (users[0].transcript or "").startswith("Utterance of 1.")
    assert not any(isinstance(part, TextPart) for part in users)


def test_audio_is_counted_once() -> None:
    own = response_usage(Usage(40, 30, 3, 25, 22), heard_ms=9_000, spoken_ms=9_000)
    assert own["input_token_details"]["audio_tokens"] == 25
    assert own["input_token_details"]["text_tokens"] == 15
    assert own["output_token_details"] == {"text_tokens": 8, "audio_tokens": 22}
    assert own["total_tokens"] == 70
    half = response_usage(Usage(40, 30, input_audio_tokens=25), heard_ms=9_000, spoken_ms=1_000)
    assert half["output_token_details"] == {"text_tokens": 30, "audio_tokens": 20}
