"""Chromium driven by Playwright, and what passes between a page and the server."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import BrowserContext, Page, WebSocket, async_playwright

from tests.conformance.frames import parse_server_frame, validate_server_event
from tests.conformance.recorder import FrameChecker

Event = dict[str, Any]

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)

TAP_DATA_CHANNELS = """
window.calls = [];
const create = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (...how) {
  const channel = create.apply(this, how);
  calls.push(this);
  const send = channel.send;
  channel.send = function (data) { passed('sent', data); return send.call(this, data); };
  channel.addEventListener('message', ({ data }) => passed('received', data));
  return channel;
};
"""
"""Tells the test of every frame of a data channel, as Playwright does of a WebSocket's, and keeps the connections."""


PLAYOUT = frozenset(f"output_audio_buffer.{what}" for what in ("started", "stopped", "cleared"))
"""Events that only a call has, so the checks of WebSocket frames do not know them."""


def _playout_event(event: Event) -> None:
    assert set(event) == {"type", "event_id", "response_id"}, event


class Traffic:
    """The events between a page and the server. Every frame of the server is checked as it comes."""

    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.received: list[Event] = []
        self.failures: list[AssertionError] = []
        self.errors: list[str] = []

    async def watch(self, page: Page) -> None:
        """Follow everything that a page says and complains about."""
        page.on("websocket", self._follow)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        await page.expose_function("passed", self._passed)
        await page.add_init_script(TAP_DATA_CHANNELS)

    def of(self, *kinds: str) -> list[Event]:
        """Return the server's events of `kinds`."""
        return [event for event in self.received if event["type"] in kinds]

    def sent_of(self, *kinds: str) -> list[Event]:
        """Return the page's events of `kinds`."""
        return [event for event in self.sent if event["type"] in kinds]

    def finish(self, *, expected_errors: Sequence[str] = ()) -> None:
        """Raise what was wrong with any frame, and what the page complained of."""
        if self.failures:
            raise self.failures[0]
        unexpected = [error for error in self.errors if not any(known in error for known in expected_errors)]
        assert not unexpected, unexpected
        refused = [event for event in self.of("error") if event["error"]["code"] == "response_cancel_not_active"]
        wrong = [event for event in self.of("error") if event not in refused]
        assert not wrong, wrong
        assert len(refused) <= self._late_cancels(), refused

    def _late_cancels(self) -> int:
        """Return how often the page wanted to stop an answer that may have been over when the server heard of it."""
        over = {event["response"]["id"] for event in self.of("response.done")}
        return sum(event.get("response_id") in over for event in self.sent_of("response.cancel"))

    def _follow(self, socket: WebSocket) -> None:
        checker = FrameChecker()

        def sent(data: str | bytes) -> None:
            self._check(checker.sent, data)
            self.sent.append(json.loads(data))

        def received(data: str | bytes) -> None:
            self._check(checker.received, data)
            self.received.append(json.loads(data))

        socket.on("framesent", sent)
        socket.on("framereceived", received)

    def _passed(self, direction: Literal["sent", "received"], data: str) -> None:
        if direction == "sent":
            self.sent.append(json.loads(data))
            return
        event = json.loads(data)
        self.received.append(event)
        if event["type"] in PLAYOUT:
            self._check(_playout_event, event)
        else:
            self._check(lambda frame: validate_server_event(parse_server_frame(frame)), data)

    def _check(self, check: Callable[[Any], object], data: object) -> None:
        if self.failures:
            return
        try:
            check(data)
        except AssertionError as failure:
            self.failures.append(failure)


async def until_true(page: Page, expression: str) -> None:
    """Wait until a JavaScript expression, or function without parameters, is true in `page`. Playwright's own
    `wait_for_function` asks again by `eval`, which pages with a content security policy refuse."""
    async with asyncio.timeout(60):
        while not await page.evaluate(expression):  # noqa: ASYNC110 - the page tells nobody
            await asyncio.sleep(0.05)


@asynccontextmanager
async def browsing(
    chromium: str,
    *,
    microphone: Path | None = None,
    refused: bool = False,
    phone: bool = False,
    dark: bool = False,
) -> AsyncIterator[BrowserContext]:
    """A browser of its own.

    Args:
        chromium: its path.
        microphone: the WAV file that it hears, from when a page opens the microphone; None for no microphone at all.
        refused: whether the user says no when a page asks for the microphone.
        phone: a screen of 375 by 740 that is touched, instead of a desktop's.
        dark: whether the system's colours are dark.
    """
    flags = list(FLAGS)
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    if microphone is not None or refused:
        flags.append("--use-fake-device-for-media-stream")
    flags.append("--deny-permission-prompts" if refused else "--use-fake-ui-for-media-stream")
    async with async_playwright() as playwright:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path=chromium,
                args=flags,
                viewport={"width": 375, "height": 740} if phone else {"width": 1440, "height": 900},
                has_touch=phone,
                device_scale_factor=2 if phone else 1,
                color_scheme="dark" if dark else "light",
            )
            try:
                yield context
            finally:
                await context.close()
