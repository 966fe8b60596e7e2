"""Pictures of the playground, and whether everybody can use it: axe, the keyboard, small screens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.browsing import browsing
from tests.browser.microphones import microphone, recording
from tests.browser.playground import Playground, playground
from tests.serving import ServerProcess, serving

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(600)]  # the first run installs axe

REPLY = (
    "Good morning! The first train to the coast leaves at seven, and the next one an hour later. "
    "Shall I reserve a seat by the window for you?"
)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    options = json.dumps({"reply": REPLY, "token_ms": 25.0})
    with serving(environment={"ANTIPHON_ENGINES__LLM__OPTIONS": options}) as server:
        yield server


FADED_IN = """() => {
  for (const animation of document.getAnimations()) {
    if (animation.effect.getComputedTiming().iterations !== Infinity) animation.finish();
  }
}"""


async def violations(page: Playground, axe: str) -> list[str]:
    """Return what axe finds wrong, as it is now; words that are just being faded in are taken as they will be."""
    await page.page.evaluate(FADED_IN)
    found: list[dict[str, Any]] = await page.page.evaluate(
        f"(() => {{ {axe} }})() ?? axe.run().then((r) => r.violations)"
    )
    return [f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}" for one in found]


@pytest.fixture(scope="session")
def axe(client_packages: Path) -> str:
    return (client_packages / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
async def test_a_conversation_on_every_screen(  # noqa: PLR0917 - fixtures
    phone: bool, dark: bool, server: ServerProcess, chromium: str, axe: str, tmp_path: Path, artefacts: Path
) -> None:
    name = f"{'phone' if phone else 'desktop'}-{'dark' if dark else 'light'}"
    wav = microphone(tmp_path / "microphone.wav", [recording("vm-sorry"), 4_000, recording("conf-onlyone")])
    async with (
        browsing(chromium, microphone=wav, phone=phone, dark=dark) as context,
        playground(context, server.base_url) as page,
    ):
        views = page.page.get_by_role("navigation", name="Views")
        await expect(page.page.get_by_role("heading", name="You call, it responds.")).to_be_visible()
        await page.page.wait_for_timeout(300)
        await page.picture(artefacts, f"{name}-idle")
        assert await violations(page, axe) == []
        await page.page.get_by_role("button", name="Start a call").click()
        await page.status("Connected")
        await page.until("conversation.item.truncated")
        await page.until("response.created", 2)
        await page.page.wait_for_timeout(2_500)
        await page.picture(artefacts, f"{name}-talk")
        assert await violations(page, axe) == []
        if phone:
            await views.get_by_role("button", name="Inspect").click()
            await page.picture(artefacts, f"{name}-turns")
        await page.page.get_by_role("tab", name="Events").click()
        await page.page.locator(".events summary").last.click()
        await page.picture(artefacts, f"{name}-events")
        assert await violations(page, axe) == []
        if phone:
            await views.get_by_role("button", name="Settings").click()
            await page.picture(artefacts, f"{name}-settings")
            assert await violations(page, axe) == []
            await views.get_by_role("button", name="Talk").click()
        assert not await page.page.evaluate("document.documentElement.scrollWidth > innerWidth")


LONG_LABELS = """() => {
  const fields = ['model', 'voice', 'microphone'].map((name) => document.querySelector(`[name=${name}]`));
  if (fields.some((field) => field.selectedOptions.length === 0)) return false;
  for (const field of fields) field.selectedOptions[0].textContent = 'a label that goes on and on '.repeat(9);
  return true;
}"""
"""Once each field has its options, which come one after the other."""

INSIDE = """() => {
  const room = document.querySelector('.settings').clientWidth;
  const wide = [...document.querySelectorAll('.settings select')].filter((field) => field.offsetWidth > room - 20);
  return document.documentElement.scrollWidth <= innerWidth && wide.length === 0;
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [375, 1000, 1440])
async def test_long_labels_stay_in_their_fields(  # noqa: PLR0917 - fixtures
    width: int, dark: bool, server: ServerProcess, chromium: str, tmp_path: Path, artefacts: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with (
        browsing(chromium, microphone=wav, phone=width == 375, dark=dark) as context,
        playground(context, server.base_url) as page,
    ):
        await page.page.set_viewport_size({"width": width, "height": 800})
        await expect(page.page.locator("[name=model]")).to_have_value("antiphon-stand-in")
        if width == 375:
            await page.page.get_by_role("button", name="Settings").click()
        await page.page.wait_for_function(LONG_LABELS)
        assert await page.page.evaluate(INSIDE)
        await page.picture(artefacts, f"long-labels-{width}-{'dark' if dark else 'light'}")


async def test_push_to_talk_on_a_phone(server: ServerProcess, chromium: str, tmp_path: Path, artefacts: Path) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with (
        browsing(chromium, microphone=wav, phone=True) as context,
        playground(context, server.base_url) as page,
    ):
        views = page.page.get_by_role("navigation", name="Views")
        await views.get_by_role("button", name="Settings").click()
        await page.choose("turns", "none")
        await views.get_by_role("button", name="Talk").click()
        await page.page.get_by_role("button", name="Start a call").click()
        await page.status("Connected")
        await expect(page.page.get_by_text("Hold the button")).to_be_visible()
        for button in ("#call", "#push"):  # one line each
            assert await page.page.locator(button).evaluate("(button) => button.offsetHeight") <= 56
        assert not await page.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        await page.picture(artefacts, "phone-push-to-talk")


async def test_a_banner_does_not_hide_the_last_words(server: ServerProcess, chromium: str, tmp_path: Path) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context, playground(context, server.base_url) as page:
        await page.page.set_viewport_size({"width": 1200, "height": 620})
        await page.start("websocket")
        for answers in (1, 2):
            await page.page.get_by_label("Message").fill("Tell me more.")
            await page.page.get_by_label("Message").press("Enter")
            await page.until("response.done", answers)
        last = page.page.locator(".said .words").last
        await expect(last).to_be_in_viewport(ratio=1)
        await context.grant_permissions(["clipboard-read"])  # nothing else: the microphone is taken away
        await expect(page.page.locator("#banner")).to_be_visible()
        await expect(last).to_be_in_viewport(ratio=1)


async def test_light_and_dark_by_a_switch(server: ServerProcess, chromium: str) -> None:
    async with browsing(chromium, dark=True) as context, playground(context, server.base_url) as page:
        ground = "getComputedStyle(document.body).backgroundColor"
        switch = page.page.get_by_role("button", name="Dark theme")
        await expect(switch).to_have_attribute("aria-pressed", "true")
        dark = await page.page.evaluate(ground)
        await switch.click()
        await expect(switch).to_have_attribute("aria-pressed", "false")
        light = await page.page.evaluate(ground)
        assert dark != light
        await page.page.reload()
        assert await page.page.evaluate(ground) == light


async def test_by_keyboard_alone(server: ServerProcess, chromium: str, tmp_path: Path) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context, playground(context, server.base_url) as page:
        keyboard = page.page.keyboard
        await expect(page.page.get_by_label("Model")).to_have_value("antiphon-stand-in")
        await keyboard.press("Tab")
        await expect(page.page.get_by_role("link", name="Skip to the conversation")).to_be_focused()
        await keyboard.press("Enter")
        await expect(page.page.get_by_label("Message")).to_be_focused()
        await keyboard.type("Hello!")
        await keyboard.press("Enter")  # starts the call
        await page.status("Connected")
        await page.until(
            "response.output_audio.delta"
            if await page.page.locator("[value=websocket]").is_checked()
            else "output_audio_buffer.started"
        )
        await keyboard.press("Escape")  # stops the answer
        cut = await page.until("conversation.item.truncated")
        assert cut["audio_end_ms"] >= 0
        await expect(page.page.locator("[aria-live=polite]")).to_contain_text("Antiphon: ")
        tab = page.page.get_by_role("tab", name="Turns")
        await tab.focus()
        await keyboard.press("ArrowRight")
        await expect(page.page.get_by_role("tab", name="Events")).to_be_focused()
        await expect(page.page.get_by_role("tabpanel", name="Events")).to_be_visible()
