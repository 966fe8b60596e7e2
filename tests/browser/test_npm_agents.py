"""@openai/agents-realtime from npm in a browser, over WebRTC with a client secret, unmodified."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from playwright.async_api import Page

from tests.browser.browsing import Traffic, browsing, until_true
from tests.browser.microphones import microphone, recording
from tests.serving import ServerProcess, serving

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(600)]  # the first run installs the client

KEY = "sk-of-the-app-behind-the-page"


@pytest.fixture(scope="session")
def app_url(client_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a web app with the bundled client is served: an origin of its own."""
    folder = tmp_path_factory.mktemp("app")
    bundle = ["node", "node_modules/esbuild/bin/esbuild", "agents_call.mjs", "--bundle", "--format=esm"]
    subprocess.run([*bundle, "--platform=browser", f"--outfile={folder}/app.js"], cwd=client_packages, check=True)
    (folder / "index.html").write_text('<!doctype html><title>App</title><script type="module" src="app.js"></script>')
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving(environment={"ANTIPHON_API_KEYS": KEY}) as server:
        yield server


class App:
    """The page of the app, and what the client in it has reported."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.traffic = Traffic()
        self.reports: list[tuple[str, dict[str, Any]]] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [told for reported, told in self.reports if reported == kind]

    async def until(self, kind: str) -> dict[str, Any]:
        """Wait for the first report of a kind."""
        try:
            async with asyncio.timeout(60):
                while not self.of(kind):  # noqa: ASYNC110 - Playwright calls back
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"no {kind}; reports: {self.reports}; page: {self.traffic.errors}") from None
        return self.of(kind)[0]

    async def heard(self) -> None:
        """Wait until the answer is heard."""
        await until_true(self.page, "window.loudest > -40")

    async def until_history(self, wanted: Callable[[], bool]) -> None:
        """Wait until the client's history is as it is wanted."""
        try:
            async with asyncio.timeout(60):
                while not (self.of("history") and wanted()):  # noqa: ASYNC110 - Playwright calls back
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"the history is {self.of('history')[-1:]}") from None

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return the items of a type in the client's history, as it was last told."""
        return [item for item in self.of("history")[-1]["items"] if item["type"] == kind]


@asynccontextmanager
async def calling(
    chromium: str, wav: Path, app_url: str, server: ServerProcess, tool_choice: str = "auto"
) -> AsyncIterator[App]:
    """The app in a call, with a client secret that its own server has asked for; hung up afterwards."""
    answer = httpx.post(
        f"{server.base_url}/realtime/client_secrets",
        json={"session": {"type": "realtime", "model": "gpt-realtime"}},
        headers={"Authorization": f"Bearer {KEY}"},
    )
    secret = answer.json()["value"]
    assert secret.startswith("ek_")
    async with browsing(chromium, microphone=wav) as context:
        app = App(context.pages[0])
        await app.traffic.watch(app.page)
        await app.page.expose_function("reported", lambda kind, told: app.reports.append((kind, json.loads(told))))
        await app.page.goto(app_url)
        await until_true(app.page, "window.call !== undefined")
        await app.page.evaluate(
            "([url, secret, choice]) => call(url, secret, choice)",
            [f"{server.base_url}/realtime/calls", secret, tool_choice],
        )
        await app.until("connected")
        yield app
        await app.page.evaluate("hangUp()")
        assert app.of("error") == []
        app.traffic.finish(expected_errors=["favicon.ico", "404 (File not found)"])


def spoken(messages: list[dict[str, Any]]) -> list[str]:
    """Return who has said something that is over, and whose words are known."""
    return [item["role"] for item in messages if item["status"] == "completed" and item["content"][0].get("transcript")]


async def test_a_spoken_turn(chromium: str, app_url: str, server: ServerProcess, tmp_path: Path) -> None:
    # Longer than what a data channel can carry of its audio: the client retrieves the item for its words.
    wav = microphone(tmp_path / "microphone.wav", [recording("ss-noservice"), recording("vm-sorry")])
    async with calling(chromium, wav, app_url, server) as app:
        ended = await app.until("agent_end")
        await app.heard()
        await app.until_history(lambda: spoken(app.items("message")) == ["user", "assistant"])
        user, assistant = app.items("message")
        assert (user["role"], user["status"]) == ("user", "completed")
        assert user["content"][0]["transcript"].startswith("Utterance of")
        assert assistant["content"][0]["transcript"] == ended["output"]


async def test_a_tool_round_trip(chromium: str, app_url: str, server: ServerProcess, tmp_path: Path) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with calling(chromium, wav, app_url, server, "required") as app:
        await app.page.evaluate("say('What is the weather in Paris?')")
        ended = await app.until("tool_end")
        assert ended["name"] == "get_weather"
        await app.until("agent_end")
        await app.heard()
        await app.until_history(lambda: [item["role"] for item in app.items("message")] == ["user", "assistant"])
        (call,) = app.items("function_call")
        assert (call["status"], call["output"]) == ("completed", ended["result"])
        assert [item["role"] for item in app.items("message")] == ["user", "assistant"]
