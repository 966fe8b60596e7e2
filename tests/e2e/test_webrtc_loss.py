"""What a lossy, jittery network does to a call: the clock is kept, and the words are understood.

Between network namespaces, where the clean call comes before the bad one, only half of the recordings are said. All:
`ANTIPHON_TEST_EVERY_RECORDING=1 pytest tests/e2e/test_webrtc_loss.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from antiphon.bench.words import word_errors
from tests.calling import RATE, Caller, calling, loud
from tests.e2e.spoken_call import recordings, understood
from tests.lossy import Link, Quality, lossy
from tests.remote_servers import eventually
from tests.serving import ServerProcess, serving, serving_here

BAD = Quality(loss=0.05, delay_s=0.06, jitter_s=0.06)

WER_POINTS = 3.0
"""How much worse the transcript may be than over a clean network, in points of word error rate."""


@contextlib.asynccontextmanager
async def calling_over(link: Link, base_url: str) -> AsyncIterator[Caller]:
    async with calling(base_url, rewrite_offer=link.offer, rewrite=link.answer) as caller:
        yield caller


async def test_the_session_clock_is_kept_over_a_bad_network() -> None:
    async with serving_here() as server, lossy(BAD) as link, calling_over(link, server.base_url) as caller:
        detection = {"type": "server_vad", "create_response": False, "prefix_padding_ms": 0}
        update = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        caller.send({"type": "session.update", "session": update})
        await caller.expect("session.updated")
        # By the clock of the microphone, so that it does not matter when this task runs.
        for _ in range(4):
            caller.microphone.say(np.concatenate([loud(1.0), np.zeros(RATE, np.int16)]))
        await caller.microphone.reaches(caller.microphone.position_s + 9.0)
        await eventually(lambda: caller.kinds().count("input_audio_buffer.speech_stopped") >= 4)
        started = [event["audio_start_ms"] for event in caller.events if event["type"].endswith("speech_started")]
        stopped = [event["audio_end_ms"] for event in caller.events if event["type"].endswith("speech_stopped")]
        assert len(started) == len(stopped) == 4, "losses in the middle of speech do not split it"
        for earlier, later in itertools.pairwise(started):
            assert later - earlier == pytest.approx(2000, abs=120)
        for begin, end in zip(started, stopped, strict=True):
            assert end - begin == pytest.approx(1500, abs=120)
        assert link.lost > 20


async def test_a_whole_turn_over_a_bad_network() -> None:
    async with serving_here() as server, lossy(BAD) as link, calling_over(link, server.base_url) as caller:
        caller.microphone.say(loud(0.5))
        await caller.expect("output_audio_buffer.started")
        await caller.hears(1000)
        caller.microphone.say(loud(0.5))
        truncated = await caller.expect("conversation.item.truncated")
        assert truncated["audio_end_ms"] > 500
        await caller.expect("output_audio_buffer.stopped", timeout_s=30)


async def test_a_tool_call_over_a_bad_network() -> None:
    # Large enough for the data channel to need many packets, some of which are lost.
    described = {"type": "object", "properties": {"city": {"type": "string", "description": "Which city. " * 2000}}}
    weather = {"type": "function", "name": "get_weather", "parameters": described}
    async with serving_here() as server, lossy(BAD) as link, calling_over(link, server.base_url) as caller:
        session = {"type": "realtime", "tools": [weather], "tool_choice": "required"}
        caller.send({"type": "session.update", "session": session})
        updated = await caller.expect("session.updated", timeout_s=30)
        assert updated["session"]["tools"][0]["parameters"] == described
        caller.microphone.say(loud(0.5))
        called = await caller.expect("response.function_call_arguments.done", timeout_s=30)
        assert set(json.loads(called["arguments"])) == {"city"}
        await caller.expect("response.done", timeout_s=30)
        output = {"type": "function_call_output", "call_id": called["call_id"], "output": "Sunny."}
        caller.send({"type": "conversation.item.create", "item": output})
        caller.send({"type": "response.create", "response": {"tool_choice": "none"}})
        await caller.expect("output_audio_buffer.started", timeout_s=30)
        assert link.lost > 10


@pytest.fixture
def embedded() -> Iterator[ServerProcess]:
    with serving("embedded") as server:
        yield server


@pytest.mark.models
@pytest.mark.realtime
@pytest.mark.timeout(400)
async def test_words_are_understood_over_a_bad_network(embedded: ServerProcess) -> None:
    shares = [recordings()[number::2] for number in range(2)]
    expected = [" ".join(recording.text for recording in share) for share in shares]
    async with lossy(BAD, seed=1) as one, lossy(BAD, seed=2) as two:
        heard = await asyncio.gather(
            *(understood(embedded.base_url, share) for share in shares),
            *(
                understood(embedded.base_url, share, rewrite_offer=link.offer, rewrite=link.answer)
                for share, link in zip(shares, (one, two), strict=True)
            ),
        )
        assert one.lost + two.lost > 100
    check_words(expected, heard[:2], heard[2:])


def check_words(expected: list[str], clean: list[str], bad: list[str]) -> None:
    """Compare the word error rates of the same words over two networks."""
    over_clean, over_bad = word_errors(expected, clean), word_errors(expected, bad)
    print(f"WER of {over_clean.words} words: clean {over_clean.percent} %, bad network {over_bad.percent} %")
    assert over_bad.percent <= over_clean.percent + WER_POINTS, f"clean: {clean}\nbad: {bad}"


@pytest.mark.models
@pytest.mark.realtime
@pytest.mark.timeout(400)
def test_words_are_understood_across_network_namespaces() -> None:
    """The same between two namespaces of Linux, with the kernel's own loss and jitter (`tc netem`)."""
    with namespaces() as (here, inside):
        environment = {"ANTIPHON_WEBRTC__INTERFACES": here}
        arguments = ["--host", here, "--allow-anonymous"]
        with serving("embedded", arguments, environment) as server:
            base_url = f"http://{here}:{server.port}/v1"
            clean = say_inside(inside, base_url)
            for enter, device in zip(([], ["ip", "netns", "exec", inside]), LINKS, strict=True):
                netem = ["tc", "qdisc", "add", "dev", device, "root", "netem", "delay", "60ms", "60ms", "loss", "5%"]
                run_or_skip([*enter, *netem])
            bad = say_inside(inside, base_url)
    expected = [said["expected"] for said in clean]
    check_words(expected, [said["heard"] for said in clean], [said["heard"] for said in bad])


NAMESPACE = f"antiphon-{os.getpid()}"
LINKS = (f"aph{os.getpid()}", f"apn{os.getpid()}")
"""The ends of the link: ours, and the namespace's."""

SHARES = 2 if os.environ.get("ANTIPHON_TEST_EVERY_RECORDING") == "1" else 4
"""Into how many shares the recordings are divided; two are said."""


@contextlib.contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """A namespace that is linked to this one; yields our address on the link and the namespace's name."""
    if shutil.which("tc") is None or shutil.which("ip") is None:
        pytest.skip("NOT TESTED: ip and tc are not installed (package iproute2)")
    run_or_skip(["ip", "netns", "add", NAMESPACE])
    try:
        inside = ["ip", "netns", "exec", NAMESPACE]
        # Asked first, so that nothing is started in vain.
        run_or_skip([*inside, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "0%"])
        run_or_skip(["ip", "link", "add", LINKS[0], "type", "veth", "peer", "name", LINKS[1], "netns", NAMESPACE])
        run_or_skip(["ip", "addr", "add", "10.213.77.1/30", "dev", LINKS[0]])
        run_or_skip(["ip", "link", "set", LINKS[0], "up"])
        run_or_skip([*inside, "ip", "addr", "add", "10.213.77.2/30", "dev", LINKS[1]])
        run_or_skip([*inside, "ip", "link", "set", LINKS[1], "up"])
        run_or_skip([*inside, "ip", "link", "set", "lo", "up"])
        yield "10.213.77.1", NAMESPACE
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=False)


def run_or_skip(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NOT TESTED: this machine does not allow `{' '.join(command)}`: {done.stderr.strip()}")


def say_inside(namespace: str, base_url: str) -> list[dict[str, str]]:
    """Say recordings from inside a namespace, in two calls at once."""
    program = ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.e2e.spoken_call", base_url]
    with contextlib.ExitStack() as stack:
        programs = []
        for share in range(2):
            process = subprocess.Popen([*program, str(share), str(SHARES)], stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            programs.append(process)
        return [json.loads(process.communicate(timeout=150)[0].splitlines()[-1]) for process in programs]
