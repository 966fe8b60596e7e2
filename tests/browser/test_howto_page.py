"""The web page of the how-to, as people copy it, in Chromium with a recording as its microphone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.browsing import Traffic, browsing, until_true
from tests.browser.microphones import microphone, recording
from tests.e2e.howto import changed, code
from tests.serving import ServerProcess, free_port, serving

pytestmark = [pytest.mark.realtime]

PAGE = "talk-from-a-web-page"
KEY = "sk-one"


@pytest.fixture
def locked() -> Iterator[ServerProcess]:
    with serving(environment={"ANTIPHON_API_KEYS": KEY}) as server:
        yield server


@pytest.fixture
def backend(locked: ServerProcess, tmp_path: Path) -> Iterator[str]:
    """The how-to's backend with its page, run as it says; yields the page's address."""
    where = {"http://127.0.0.1:8080/v1": locked.base_url}
    (tmp_path / "app.py").write_text(changed(code(PAGE, "python"), where))
    (tmp_path / "index.html").write_text(changed(code(PAGE, "html"), where))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "ANTIPHON_KEY": KEY})
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield f"http://localhost:{port}/"
    finally:
        process.terminate()
        process.wait(30)


HEARD = """() => {
  const audio = document.querySelector("#answer");
  if (!audio.srcObject || audio.paused) return false;
  if (window.loudest === undefined) {
    window.loudest = 0;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(audio.srcObject).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      window.loudest = Math.max(window.loudest, ...samples.map(Math.abs));
    }, 20);
  }
  return window.loudest > 0.01;
}"""
"""Whether the answer is playing and there was sound in it."""


async def test_the_page_talks(backend: str, locked: ServerProcess, chromium: str, tmp_path: Path) -> None:
    wav = microphone(tmp_path / "microphone.wav", [recording("vm-sorry")])
    traffic = Traffic()
    async with browsing(chromium, microphone=wav) as context:
        page = await context.new_page()
        await traffic.watch(page)
        await page.goto(backend)
        assert KEY not in await page.content()
        await page.get_by_role("button", name="Talk").click()
        await until_true(page, HEARD)
        await until_true(page, "you.textContent.startsWith('Utterance of') && desk.textContent !== ''")
        (created,) = traffic.of("session.created")
        assert created["session"]["instructions"] == "You are the receptionist of a small hotel."
    traffic.finish(expected_errors=["404"])  # there is no icon
    assert locked.wait_for("call connected")


def test_the_page_needs_no_more_than_twenty_lines() -> None:
    script = code(PAGE, "html").partition('<script type="module">\n')[2].partition("</script>")[0]
    assert len(script.splitlines()) <= 20
