"""Real speech in the playground, with the embedded models, over both transports."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import jiwer
import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from tests.browser.browsing import browsing, until_true
from tests.browser.microphones import microphone, recording, words_of
from tests.browser.playground import playground
from tests.serving import ServerProcess

pytestmark = [pytest.mark.models, pytest.mark.realtime]

TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "webrtc"])
ENOUGH = 0.2
"""Word error rate at most: two words of ten may be wrong."""

EARLIER_MS = 3_000
"""More silence before the first words: a call that takes long to connect must not miss any."""

TALKATIVE = "Whatever the user says, tell a very long story of at least twenty sentences about the sea."


def errors(said: str, understood: str) -> float:
    """Return the word error rate, written forms of the same words counted as the same."""
    normal = EnglishTextNormalizer()
    return float(jiwer.wer(normal(said), normal(understood)))


@TRANSPORTS
async def test_what_is_said_is_understood_and_answered(
    transport: Literal["webrtc", "websocket"],
    embedded_server: ServerProcess,
    chromium: str,
    tmp_path: Path,
    artefacts: Path,
) -> None:
    said = "ss-noservice"
    wav = microphone(tmp_path / "microphone.wav", [EARLIER_MS, recording(said)])
    async with browsing(chromium, microphone=wav) as context, playground(context, embedded_server.base_url) as page:
        # Its two sentences are one turn.
        await page.choose("turns", "server_vad")
        await page.page.get_by_label("Silence that ends a turn").fill("1000")
        await page.start(transport)
        await page.until("response.done")
        await page.page.locator(".said[data-kind=user][data-state=done]").wait_for()
        assert errors(words_of(said), " ".join(await page.said("user"))) <= ENOUGH
        await until_true(page.page, "(window.loudest['level-it'] ?? -60) > -40")
        answer = page.traffic.of("response.output_audio_transcript.done")[0]["transcript"]
        assert answer
        await page.page.locator(".turn[data-source=server]").wait_for()
        await page.page.wait_for_timeout(1_500)
        await page.picture(artefacts, f"understood-{transport}")


@TRANSPORTS
async def test_an_answer_is_interrupted_by_speech(
    transport: Literal["webrtc", "websocket"],
    embedded_server: ServerProcess,
    chromium: str,
    tmp_path: Path,
    artefacts: Path,
) -> None:
    first, second = "conf-onlyone", "privacy-unident"
    wav = microphone(tmp_path / "microphone.wav", [EARLIER_MS, recording(first), 5_000, recording(second)])
    async with browsing(chromium, microphone=wav) as context, playground(context, embedded_server.base_url) as page:
        await page.page.get_by_label("Instructions", exact=True).fill(TALKATIVE)
        await page.start(transport)
        cut = await page.until("conversation.item.truncated")
        assert 0 < cut["audio_end_ms"] < 9_000
        retrieved = await page.until("conversation.item.retrieved")
        await page.page.locator(".said[data-cut] .cut").wait_for()
        shown = await page.page.locator(".said[data-cut] .words").inner_text()
        heard = retrieved["item"]["content"][0]["transcript"]
        assert heard
        assert shown.startswith(heard)
        assert await page.page.locator(".said[data-cut] .unheard").count() == 1
        await page.until("response.created", 2)
        await page.until("conversation.item.input_audio_transcription.completed", 2)
        await until_true(page.page, "document.querySelectorAll('.said[data-kind=user][data-state=done]').length > 1")
        user = await page.said("user")
        assert errors(words_of(first), user[0]) <= ENOUGH
        assert errors(words_of(second), user[1]) <= ENOUGH
        await page.picture(artefacts, f"interrupted-speech-{transport}")
