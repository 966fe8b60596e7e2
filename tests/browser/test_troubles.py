"""What the playground says and does when something is wrong: no microphone, no connection, no key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Route, expect

from tests.browser.browsing import browsing, until_true
from tests.browser.microphones import microphone
from tests.browser.playground import Playground, playground
from tests.serving import ServerProcess, free_port, serving

KEY = "sk-which-people-type"

SLOW_MICROPHONE = """
window.opened = [];
window.answerMicrophone = null;
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (how) => {
  const allowed = await new Promise((resolve) => { window.answerMicrophone = resolve; });
  window.answerMicrophone = null;
  if (!allowed) throw new DOMException('no', 'NotAllowedError');
  const stream = await open(how);
  opened.push(...stream.getTracks());
  return stream;
};
null;
"""
"""The browser's question for the microphone, which the test answers."""

SLOW_WORKLETS = """
const load = AudioWorklet.prototype.addModule;
const mayLoad = new Promise((resolve) => { window.letLoad = resolve; });
AudioWorklet.prototype.addModule = async function (...how) { await mayLoad; return load.apply(this, how); };
null;
"""
"""No sound goes in or out, and so no call is connected, before the test lets it."""

HELD_RETRIES = """
window.held = [];
const later = window.setTimeout;
window.setTimeout = (work, ms, ...rest) =>
  [1000, 2000, 4000, 8000].includes(ms) ? -held.push(work) : later(work, ms, ...rest);
window.retry = () => held.splice(0).forEach((work) => work());
null;
"""
"""The page tries to connect again when the test says so, instead of after a while."""

TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "webrtc"])
Transport = Literal["webrtc", "websocket"]


@pytest.fixture(scope="module")
def locked() -> Iterator[ServerProcess]:
    with serving(environment={"ANTIPHON_API_KEYS": KEY}) as server:
        yield server
    assert KEY not in "\n".join(server.output)


async def type_a_turn(page: Playground, text: str, answers: int = 1) -> None:
    """Say something in writing and wait for the answer."""
    await page.page.get_by_label("Message").fill(text)
    await page.page.get_by_label("Message").press("Enter")
    await page.until("response.done", answers)


@TRANSPORTS
async def test_a_refused_microphone(
    transport: Transport, stand_in_server: ServerProcess, chromium: str, artefacts: Path
) -> None:
    async with (
        browsing(chromium, refused=True) as context,
        playground(context, stand_in_server.base_url) as page,
    ):
        await page.start(transport)
        alert = page.page.locator("#banner")
        await expect(alert).to_contain_text("The browser keeps the microphone from this page. Allow it")
        await expect(alert.get_by_role("button", name="Try again")).to_be_visible()
        await page.picture(artefacts, f"microphone-refused-{transport}")
        await type_a_turn(page, "Hello!")  # the call goes on without
        assert len(await page.said("assistant")) == 1
        await alert.get_by_role("button", name="Dismiss").click()
        await expect(alert).to_be_hidden()


async def test_no_microphone_at_all(stand_in_server: ServerProcess, chromium: str) -> None:
    async with browsing(chromium) as context, playground(context, stand_in_server.base_url) as page:
        await page.start("websocket")
        await expect(page.page.locator("#banner")).to_contain_text("No microphone was found. Plug one in")


@TRANSPORTS
async def test_a_lost_connection_comes_back(
    transport: Transport, chromium: str, tmp_path: Path, artefacts: Path
) -> None:
    again = ("--port", str(free_port()))
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context:
        with serving(arguments=again) as server:
            page = await Playground.open(context, server.base_url)
            await page.start(transport)
            await type_a_turn(page, "Remember me.")
            await page.page.evaluate(HELD_RETRIES)
            server.kill()
        await page.status("Connection lost")
        alert = page.page.locator("#banner")
        await expect(alert).to_contain_text("The connection was lost")
        await page.picture(artefacts, f"connection-lost-{transport}")
        with serving(arguments=again) as server:
            await page.page.evaluate("retry()")
            await page.status("Connected")  # by itself
            await expect(alert).to_be_hidden()
            # The new session has been told what was said.
            await page.until("session.created", 2)
            told = page.traffic.sent_of("conversation.item.create")[-2:]
            assert [item["item"]["role"] for item in told] == ["user", "assistant"]
            await type_a_turn(page, "Are you there?", 2)
            assert await page.said("user") == ["Remember me.", "Are you there?"]
            await page.page.get_by_role("button", name="Hang up").click()
            await page.status("Call ended")
        assert page.traffic.failures == []


@TRANSPORTS
async def test_a_server_that_still_loads_is_tried_again(transport: Transport, chromium: str, tmp_path: Path) -> None:
    again = ("--port", str(free_port()))
    wav = microphone(tmp_path / "microphone.wav", [])
    loading: list[str] = []

    async def refuse_once(route: Route) -> None:
        loading.append(route.request.url)
        error = {"message": "The models are being loaded.", "type": "server_error", "param": None, "code": "loading"}
        await route.fulfill(status=503, json={"error": error})

    async with browsing(chromium, microphone=wav) as context:
        with serving(arguments=again) as server:
            page = await Playground.open(context, server.base_url)
            await page.start(transport)
            await page.page.evaluate(HELD_RETRIES)
            server.kill()
        await page.status("Connection lost")
        asked = re.compile(r"/v1/realtime/calls" if transport == "webrtc" else r"/v1/(models|audio/voices)$")
        await page.page.route(asked, refuse_once)
        await page.page.evaluate("retry()")
        # By WebSocket the connection fails, and the page asks why.
        await expect(page.page.locator("#banner")).to_contain_text("The models are being loaded.")
        await page.status("Connection lost")
        await page.page.unroute(asked)
        with serving(arguments=again):
            await page.page.evaluate("retry()")
            await page.status("Connected")
            assert loading


@pytest.mark.parametrize("opening", ["the call", "again"])
async def test_no_microphone_is_left_open_after_a_call(
    opening: str, stand_in_server: ServerProcess, chromium: str, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context, playground(context, stand_in_server.base_url) as page:
        await page.page.evaluate(SLOW_MICROPHONE)
        await page.choose("transport", "websocket")
        await page.page.get_by_role("button", name="Start a call").click()
        if opening == "again":
            await until_true(page.page, "window.answerMicrophone !== null")
            await page.page.evaluate("answerMicrophone(false)")
            await page.status("Connected")
            await page.page.locator("#banner").get_by_role("button", name="Try again").click()
        await until_true(page.page, "window.answerMicrophone !== null")
        await page.page.locator("#call").click()
        await page.status("Call ended")
        await expect(page.page.locator("#banner")).to_be_hidden()
        await page.page.evaluate("answerMicrophone(true)")
        await until_true(page.page, "opened.length === 1 && opened.every((track) => track.readyState === 'ended')")


@pytest.mark.parametrize(
    "kept",
    ['{"turns": ', "null", '"words"', '{"turns": 5, "voices": "x", "answers": [1], "eagerness": {}, "model": 0}'],
)
async def test_settings_that_were_kept_and_cannot_be_read(
    kept: str, stand_in_server: ServerProcess, chromium: str
) -> None:
    async with browsing(chromium) as context:
        page = await context.new_page()
        await page.add_init_script(f"localStorage.setItem('antiphon.settings', {json.dumps(kept)})")
        await page.add_init_script("localStorage.setItem('antiphon.theme', '{')")
        async with playground(context, stand_in_server.base_url) as playing:
            await expect(playing.page.get_by_label("Model")).to_have_value("antiphon-stand-in")
            assert await playing.page.locator("input[name=turns]:checked").get_attribute("value") == "server"
            await playing.start("websocket")
            await playing.until("session.updated")


@TRANSPORTS
async def test_pressing_and_choosing_before_and_after_a_call(
    transport: Transport, chromium: str, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context:
        with serving() as server:
            page = await Playground.open(context, server.base_url)
            await page.choose("turns", "none")
            await page.choose("transport", transport)
            button, call = page.page.locator("#push"), page.page.locator("#call")
            body = page.page.locator("body")
            await body.press("Space", delay=400)  # there is no call
            await body.press("Escape")
            await page.page.evaluate(SLOW_WORKLETS)
            await call.click()
            await page.status("Connecting")
            await page.page.evaluate("document.activeElement.blur()")
            for key in ("Escape", "Space"):  # there is no connection yet
                await body.press(key)
            await call.focus()
            await page.page.evaluate("letLoad()")
            await page.status("Connected")
            await page.page.keyboard.down("Space")  # on the button that started the call it would end it
            await expect(button).to_have_attribute("aria-pressed", "true")
            await call.click()  # hung up with the button held
            await page.status("Call ended")
            await page.page.keyboard.up("Space")
            await expect(button).to_have_attribute("aria-pressed", "false")
            await page.page.get_by_label("Noise reduction").select_option("far_field")
            await call.click()
            await page.status("Connected")
            await expect(button).to_have_attribute("aria-pressed", "false")
            await page.page.keyboard.down("Space")
            await expect(button).to_have_attribute("aria-pressed", "true")
            # The call is lost while the answer is being stopped, and while a microphone is being opened.
            await page.page.evaluate(SLOW_MICROPHONE)
            await page.page.evaluate(HELD_RETRIES)
            await page.page.locator("select[name=microphone]").select_option(index=1)
            await until_true(page.page, "window.answerMicrophone !== null")
            server.kill()
        await page.status("Connection lost")
        await page.page.evaluate("answerMicrophone(true)")
        await page.page.keyboard.up("Space")
        await expect(button).to_have_attribute("aria-pressed", "false")
        await page.page.locator("select[name=speaker]").select_option(index=0)
        await page.page.wait_for_timeout(600)  # the settings settle
        await call.click()
        await page.status("Call ended")
        page.traffic.finish(expected_errors=["ERR_CONNECTION_REFUSED", "WebSocket connection to"])


async def test_a_server_that_does_not_come_back(chromium: str, tmp_path: Path) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context:
        with serving() as server:
            page = await Playground.open(context, server.base_url)
            await page.start("websocket")
            await page.page.evaluate(HELD_RETRIES)
            server.kill()
        await page.status("Connection lost")
        await page.page.get_by_role("button", name="Reconnect now").click()
        await expect(page.page.locator("#banner")).to_contain_text("Trying again in 2 s.")
        await page.page.get_by_role("button", name="Cancel").click()
        await page.status("Call ended")
        await page.page.get_by_role("button", name="Start a call").click()
        await expect(page.page.locator("#banner")).to_contain_text("The server cannot be reached. Is it running?")


@TRANSPORTS
async def test_a_server_with_keys(
    transport: Transport, locked: ServerProcess, chromium: str, tmp_path: Path, artefacts: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context:
        page = await Playground.open(context, locked.base_url)
        minted: list[str] = []
        page.page.on("request", lambda request: minted.append(request.url) if "client_secrets" in request.url else None)
        dialog = page.page.get_by_role("dialog", name="This server asks for an API key")
        await expect(dialog).to_be_visible()
        await page.picture(artefacts, "api-key")
        await dialog.get_by_label("API key").fill("sk-a-wrong-one")
        await dialog.get_by_role("button", name="Use this key").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("Incorrect API key provided.")
        await dialog.get_by_label("API key").fill(KEY)
        await dialog.get_by_role("button", name="Use this key").click()
        await expect(dialog).to_be_hidden()
        await page.start(transport)
        await type_a_turn(page, "Hello!")
        assert len(minted) == 1
        kept = await page.page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
        assert KEY not in kept
        assert KEY not in str(page.traffic.sent)
        page.traffic.finish(expected_errors=["401 (Unauthorized)"])


async def test_a_key_that_is_kept_until_the_tab_is_closed(locked: ServerProcess, chromium: str, tmp_path: Path) -> None:
    async with browsing(chromium) as context:
        page = await Playground.open(context, locked.base_url)
        dialog = page.page.get_by_role("dialog", name="This server asks for an API key")
        await dialog.get_by_label("API key").fill(KEY)
        await dialog.get_by_label("Keep it until this tab is closed").check()
        await dialog.get_by_role("button", name="Use this key").click()
        await expect(dialog).to_be_hidden()
        await page.page.reload()
        await expect(page.page.get_by_label("Model")).to_have_value("antiphon-stand-in")
        await expect(dialog).to_be_hidden()
        assert KEY not in await page.page.evaluate("JSON.stringify({ ...localStorage })")
