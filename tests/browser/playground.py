"""The playground as its users see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self

from playwright.async_api import BrowserContext, Page, expect

from tests.browser.browsing import Traffic

TIMEOUT_MS = 60_000
"""How long to wait for anything, in ms: a bound for what hangs, far above what a slow machine needs."""

expect.set_options(timeout=TIMEOUT_MS)

_WATCH_LEVELS = """
window.loudest = {};
const watch = () => {
  for (const meter of document.querySelectorAll('[role=meter]')) {
    const level = Number(meter.getAttribute('aria-valuenow'));
    window.loudest[meter.id] = Math.max(window.loudest[meter.id] ?? -60, level);
  }
  requestAnimationFrame(watch);
};
addEventListener('DOMContentLoaded', watch);
"""


class Playground:
    """One page with the playground."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.traffic = Traffic()

    @classmethod
    async def open(cls, context: BrowserContext, base_url: str) -> Self:
        """Open the page of the server at `base_url` (with /v1)."""
        page = context.pages[0] if context.pages else await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        playground = cls(page)
        await playground.traffic.watch(page)
        await page.add_init_script(_WATCH_LEVELS)
        await page.goto(base_url.removesuffix("/v1") + "/")
        return playground

    async def choose(self, name: str, value: str) -> None:
        """Choose one of a group of radio buttons."""
        await self.page.locator(f"input[name={name}][value={value}]").check(force=True)

    async def start(self, transport: Literal["webrtc", "websocket"]) -> None:
        """Start a call and wait until it is there."""
        await self.choose("transport", transport)
        await self.page.get_by_role("button", name="Start a call").click()
        await self.status("Connected")

    async def status(self, label: str) -> None:
        """Wait for a state of the call."""
        await self.page.locator("#status", has_text=label).wait_for()

    async def said(self, kind: Literal["user", "assistant", "tool", "notice"]) -> list[str]:
        """Return what one side has said, as the page shows it."""
        return await self.page.locator(f".said[data-kind={kind}] .words").all_inner_texts()

    async def until(self, kind: str, count: int = 1, timeout_s: float = TIMEOUT_MS / 1000) -> dict[str, Any]:
        """Wait for the `count`th event of a type from the server, and return it."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self.traffic.of(kind)) < count:  # noqa: ASYNC110 - Playwright tells of frames by callbacks
                    await asyncio.sleep(0.02)
        except TimeoutError:
            came = [event["type"] for event in self.traffic.received]
            raise AssertionError(f"no {kind} ×{count}; came: {came}; page: {self.traffic.errors}") from None
        return self.traffic.of(kind)[count - 1]

    async def until_session(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the server says that the session is as it is wanted: what is chosen in quick succession is sent
        at once, or not, as the machine has it."""
        try:
            async with asyncio.timeout(TIMEOUT_MS / 1000):
                while not any(  # noqa: ASYNC110 - Playwright tells of frames by callbacks
                    wanted(event["session"]) for event in self.traffic.of("session.updated")[-1:]
                ):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"the session is {self.traffic.of('session.updated')[-1:]}") from None

    async def loudest(self, side: Literal["you", "it"]) -> float:
        """Return the loudest that a meter has shown since the last time, in dBFS."""
        level: float = await self.page.evaluate(
            "(id) => { const level = window.loudest[id] ?? -60; window.loudest[id] = -60; return level; }",
            f"level-{side}",
        )
        return level

    async def picture(self, folder: Path, name: str) -> None:
        """Keep a picture of the page."""
        await self.page.screenshot(path=folder / f"{name}.png")


@asynccontextmanager
async def playground(context: BrowserContext, base_url: str) -> AsyncIterator[Playground]:
    """The playground, hung up afterwards; a wrong frame or a complaint of the page fails the test."""
    page = await Playground.open(context, base_url)
    yield page
    hang_up = page.page.locator("#call[data-state=live]")
    if await hang_up.count():
        await hang_up.click()
    page.traffic.finish()
