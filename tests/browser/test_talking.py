"""Calls in the playground, over both transports, with stand-in engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import expect

from tests.browser.browsing import browsing, until_true
from tests.browser.microphones import microphone, recording
from tests.browser.playground import Playground, playground
from tests.conformance.pipelines import SLOW_ENVIRONMENT
from tests.serving import ServerProcess, serving

Transport = Literal["webrtc", "websocket"]

pytestmark = [pytest.mark.realtime]

TRANSPORTS = pytest.mark.parametrize("transport", ["websocket", "webrtc"])
QUIET_DBFS = -45
SAID = "vm-sorry"

ADOPTED = {
    "reply": "draft adopted: the whole answer",
    "transcript": "draft adopted: the transcript",
    "nothing": "no draft adopted",
}


@pytest.fixture(scope="module")
def slow_server() -> Iterator[ServerProcess]:
    """A server whose answers are long, so that there is time to interrupt them."""
    with serving("stand-in", environment=SLOW_ENVIRONMENT) as server:
        yield server


@pytest.fixture(scope="module")
def relay(stand_in_server: ServerProcess) -> Iterator[ServerProcess]:
    """A server in front of the other one."""
    pipelines = {"relayed": {"upstream": {"base_url": stand_in_server.base_url}}}
    with serving(environment={"ANTIPHON_PIPELINES": json.dumps(pipelines)}) as server:
        yield server


async def heard_it(page: Playground) -> None:
    """Wait until the answer is heard in the page."""
    await until_true(page.page, f"(window.loudest['level-it'] ?? -60) > {QUIET_DBFS}")


@TRANSPORTS
async def test_a_spoken_turn(
    transport: Transport, stand_in_server: ServerProcess, chromium: str, tmp_path: Path, artefacts: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [recording(SAID)])
    async with browsing(chromium, microphone=wav) as context, playground(context, stand_in_server.base_url) as page:
        await page.start(transport)
        assert await page.loudest("it") < QUIET_DBFS
        await page.until("response.done")
        await heard_it(page)
        assert await page.loudest("you") > QUIET_DBFS
        await page.page.locator(".said[data-kind=assistant][data-state=done]").wait_for()
        await page.page.locator(".said[data-kind=user][data-state=done]").wait_for()
        assert (await page.said("user"))[0].startswith("Utterance of")
        (response,) = page.traffic.of("response.done")
        words = response["response"]["output"][0]["content"][0]["transcript"]
        assert await page.said("assistant") == [words]
        # The waterfall is the server's, and the log has both directions.
        timeline = await page.until("antiphon.turn.timeline")
        turn = page.page.locator(".turn[data-source=server]")
        await turn.wait_for()
        stages = await turn.locator("tbody th[scope=row]").all_inner_texts()
        assert stages[0] == "Waiting for silence"
        assert stages[-1] == "Answer begins"
        assert ADOPTED[timeline["adopted"]] in await turn.inner_text()
        assert "Utterance of" in await turn.inner_text()
        await page.page.get_by_role("tab", name="Events").click()
        await page.page.locator(".events .type", has_text="antiphon.turn.timeline").wait_for()
        kinds = await page.page.locator(".events .type").all_inner_texts()
        assert {"session.created", "input_audio_buffer.speech_stopped", "response.done"} <= set(kinds)
        if transport == "websocket":
            assert "input_audio_buffer.append" in kinds
        await page.picture(artefacts, f"call-{transport}")


@TRANSPORTS
async def test_speaking_over_an_answer(
    transport: Transport, slow_server: ServerProcess, chromium: str, tmp_path: Path, artefacts: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [recording(SAID), 5_000, recording("transfer")])
    async with browsing(chromium, microphone=wav) as context, playground(context, slow_server.base_url) as page:
        await page.start(transport)
        cut = await page.until("conversation.item.truncated")
        started = page.traffic.of("input_audio_buffer.speech_started")
        assert len(started) == 2
        # The answer began half a second after the first words and was heard until the second ones, 5 s after them;
        # more than twice as much was made by then.
        assert 500 < cut["audio_end_ms"] < 9_000
        retrieved = await page.until("conversation.item.retrieved")
        heard = retrieved["item"]["content"][0]["transcript"]
        await page.page.locator(".said[data-cut]").wait_for()
        shown = page.page.locator(".said[data-cut] .words")
        assert (await shown.inner_text()).startswith(heard)
        mark = await shown.locator(".cut").inner_text()
        assert mark == f"interrupted at {cut['audio_end_ms'] / 1000:.1f} s"
        cancelled = await page.until("response.done")
        assert cancelled["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        await page.until("response.created", 2)
        if transport == "websocket":
            (truncate,) = page.traffic.sent_of("conversation.item.truncate")
            assert truncate["audio_end_ms"] == cut["audio_end_ms"]
            received = sum(
                len(event["delta"]) * 3 // 4 / 48
                for event in page.traffic.of("response.output_audio.delta")
                if event["item_id"] == cut["item_id"]
            )
            assert cut["audio_end_ms"] <= received
        else:
            assert not page.traffic.sent_of("conversation.item.truncate")
        await heard_it(page)
        await page.picture(artefacts, f"interrupted-{transport}")


@TRANSPORTS
async def test_push_to_talk(
    transport: Transport, stand_in_server: ServerProcess, chromium: str, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [recording(SAID)] * 6)
    async with browsing(chromium, microphone=wav) as context, playground(context, stand_in_server.base_url) as page:
        await page.choose("turns", "none")
        await page.start(transport)
        await page.page.wait_for_timeout(4_000)
        if transport == "webrtc":  # nothing is sent while the button is not held
            assert await page.page.evaluate("calls[0].getSenders()[0].track") is None
        assert not page.traffic.sent_of("input_audio_buffer.append")
        button = page.page.get_by_role("button", name="Hold to talk")
        await button.hover()
        await page.page.mouse.down()
        await page.page.wait_for_timeout(1_500)
        await page.page.mouse.up()
        await page.until("response.done")
        (committed,) = page.traffic.of("input_audio_buffer.committed")
        # The space bar does the same, wherever the focus is not in a field.
        await page.page.locator("body").press("Space", delay=1_200)
        await page.until("response.done", 2)
        assert [event["type"] for event in page.traffic.sent if "append" not in event["type"]].count(
            "input_audio_buffer.commit"
        ) == 2
        assert not page.traffic.of("input_audio_buffer.speech_started")
        transcript = await page.until("conversation.item.input_audio_transcription.completed")
        assert transcript["item_id"] == committed["item_id"]
        assert transcript["transcript"].startswith("Utterance of")
        # A tap is no turn, however long this machine takes for it.
        await page.page.evaluate("const now = performance.now(); performance.now = () => now; null")
        await button.click()
        await page.page.locator(".said[data-kind=notice]", has_text="Hold the button while you speak.").wait_for()
        assert len(page.traffic.sent_of("input_audio_buffer.commit")) == 2


@TRANSPORTS
async def test_typing_and_a_tool(
    transport: Transport, stand_in_server: ServerProcess, chromium: str, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context, playground(context, stand_in_server.base_url) as page:
        await page.page.get_by_role("button", name="Insert an example").click()
        await page.page.get_by_label("Calls tools").select_option("required")
        await page.page.get_by_label("get_weather answers").fill('{"weather": "rain"}')
        await page.start(transport)
        await page.page.get_by_label("Message").fill("What is the weather in Paris?")
        await page.page.get_by_label("Message").press("Enter")
        await page.until("response.done", 2)
        await page.page.locator(".said[data-kind=assistant]").wait_for()
        assert await page.said("user") == ["What is the weather in Paris?"]
        tool = page.page.locator(".said[data-kind=tool]")
        assert "get_weather(" in await tool.inner_text()
        assert '→ {"weather": "rain"}' in await tool.inner_text()
        await heard_it(page)


@pytest.mark.parametrize("relayed", [False, True], ids=["here", "relayed"])
@TRANSPORTS
async def test_a_spoken_turn_with_a_tool(  # noqa: PLR0917 - fixtures
    transport: Transport,
    relayed: bool,
    stand_in_server: ServerProcess,
    relay: ServerProcess,
    chromium: str,
    tmp_path: Path,
    artefacts: Path,
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [recording(SAID)])
    server = relay if relayed else stand_in_server
    async with browsing(chromium, microphone=wav) as context, playground(context, server.base_url) as page:
        await page.page.get_by_role("button", name="Insert an example").click()
        await page.page.get_by_label("Calls tools").select_option("required")
        await page.start(transport)
        await page.until("response.done", 2)
        await heard_it(page)
        turn = page.page.locator(".turn")
        await expect(turn).to_have_count(1)
        await expect(turn).to_contain_text("called get_weather")
        await expect(turn).to_contain_text("after your pause" if not relayed else "after the turn")
        await expect(turn).not_to_contain_text("no spoken answer")
        await page.picture(artefacts, f"tool-{transport}-{'relayed' if relayed else 'here'}")


async def test_each_model_speaks_with_its_own_voice_until_another_is_chosen(chromium: str, tmp_path: Path) -> None:
    config = tmp_path / "antiphon.yaml"
    config.write_text("pipelines: {first: {voice: high}, second: {voice: low}}")
    wav = microphone(tmp_path / "microphone.wav", [])
    with serving(arguments=["--config", str(config)]) as server:
        async with browsing(chromium, microphone=wav) as context, playground(context, server.base_url) as page:
            voice, model = page.page.locator("select[name=voice]"), page.page.get_by_label("Model")
            await expect(voice).to_have_value("high")
            await model.select_option("second")
            await expect(voice).to_have_value("low")
            await model.select_option("first")
            await expect(voice).to_have_value("high")
            await page.start("websocket")
            updated = await page.until("session.updated")
            assert updated["session"]["audio"]["output"]["voice"] == "high"
            await voice.select_option("low")
            updated = await page.until("session.updated", 2)
            assert updated["session"]["audio"]["output"]["voice"] == "low"
            await page.page.reload()
            await expect(voice).to_have_value("low")


def turns(session: dict[str, Any]) -> tuple[str, str | int] | None:
    """Return how a session takes turns: the kind, and how eager it is or how much silence it waits for."""
    detection = session["audio"]["input"]["turn_detection"]
    return detection and (detection["type"], detection.get("eagerness") or detection["silence_duration_ms"])


@TRANSPORTS
async def test_settings_change_the_session_at_once(
    transport: Transport, stand_in_server: ServerProcess, chromium: str, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context, playground(context, stand_in_server.base_url) as page:
        await page.start(transport)
        await page.until("session.updated")  # the first settings
        await page.page.get_by_label("Instructions", exact=True).fill("Be brief.")
        await page.until_session(lambda session: session["instructions"] == "Be brief.")
        await page.choose("turns", "semantic_vad")
        await page.page.get_by_label("Eagerness").select_option("high")
        await page.until_session(lambda session: turns(session) == ("semantic_vad", "high"))
        await page.choose("turns", "server_vad")
        slider = page.page.get_by_label("Silence that ends a turn")
        await slider.focus()
        await slider.press("ArrowRight")
        await page.until_session(lambda session: turns(session) == ("server_vad", 550))
        await page.choose("turns", "none")
        await page.until_session(lambda session: turns(session) is None)
        await page.page.get_by_role("button", name="Hold to talk").wait_for()


@pytest.fixture(scope="module")
def clinic() -> Iterator[ServerProcess]:
    """A server with models that take turns in ways of their own."""
    pipelines = {
        "clinic": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}, "instructions": "You are a clinic."},
        "desk": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 900, "interrupt_response": False}},
        "dictation": {"turn_detection": "off"},
    }
    environment = {"ANTIPHON_PIPELINES": json.dumps(pipelines), "ANTIPHON_DEFAULT_PIPELINE": "clinic"}
    with serving(environment=environment) as server:
        yield server


def detection_of(event: dict[str, Any]) -> Any:
    return event["session"]["audio"]["input"]["turn_detection"]


@TRANSPORTS
async def test_turns_are_the_servers_until_others_are_chosen(
    transport: Transport, clinic: ServerProcess, chromium: str, tmp_path: Path, artefacts: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context, playground(context, clinic.base_url) as page:
        await page.start(transport)
        own = detection_of(await page.until("session.created"))
        assert (own["type"], own["eagerness"]) == ("semantic_vad", "low")
        updated = await page.until("session.updated")
        assert detection_of(updated) == own
        assert updated["session"]["instructions"] == "You are a clinic."
        shown = page.page.locator("#servers-turns")
        await expect(shown).to_contain_text("Eagerness to answer")
        await expect(shown).to_contain_text("low")
        await expect(page.page.locator("#servers-turns-kind")).to_have_text("semantic_vad")
        await page.picture(artefacts, f"servers-turns-{transport}")
        await page.choose("turns", "none")
        assert detection_of(await page.until("session.updated", 2)) is None
        await page.choose("turns", "server")
        assert detection_of(await page.until("session.updated", 3)) == own
        # Who chooses begins with what was in force.
        await page.choose("turns", "semantic_vad")
        assert detection_of(await page.until("session.updated", 4)) == own
        await page.page.get_by_label("Eagerness").select_option("high")
        assert detection_of(await page.until("session.updated", 5))["eagerness"] == "high"


async def test_the_parameters_in_force_are_where_a_choice_begins(
    clinic: ServerProcess, chromium: str, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [])
    async with browsing(chromium, microphone=wav) as context, playground(context, clinic.base_url) as page:
        await page.page.get_by_label("Model").select_option("desk")
        await page.start("websocket")
        await expect(page.page.locator("#servers-turns")).to_contain_text("900 ms")
        await page.choose("turns", "server_vad")
        updated = detection_of(await page.until("session.updated", 2))
        assert (updated["silence_duration_ms"], updated["interrupt_response"]) == (900, False)


@TRANSPORTS
async def test_a_model_whose_turns_are_committed_by_hand_is_pushed_to_talk(
    transport: Transport, clinic: ServerProcess, chromium: str, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "microphone.wav", [recording(SAID)] * 3)
    async with browsing(chromium, microphone=wav) as context, playground(context, clinic.base_url) as page:
        await page.page.get_by_label("Model").select_option("dictation")
        await page.start(transport)
        button = page.page.get_by_role("button", name="Hold to talk")
        await button.hover()
        await page.page.mouse.down()
        await page.page.wait_for_timeout(1_500)
        await page.page.mouse.up()
        await page.until("response.done")


async def test_the_event_log(stand_in_server: ServerProcess, chromium: str, tmp_path: Path) -> None:
    wav = microphone(tmp_path / "microphone.wav", [recording(SAID)])
    async with browsing(chromium, microphone=wav) as context, playground(context, stand_in_server.base_url) as page:
        await page.start("websocket")
        await page.until("response.done")
        await page.page.get_by_role("tab", name="Events").click()
        await page.page.get_by_label("Filter events").fill("response.output_audio.delta")
        row = page.page.locator(".events li")
        await row.first.wait_for()
        assert set(await row.locator(".type").all_inner_texts()) == {"response.output_audio.delta"}
        await row.first.locator("summary").click()
        shown = await row.first.locator("pre").inner_text()
        assert "characters)" in shown
        assert len(shown) < 400
        async with page.page.expect_download() as waiting:
            await page.page.get_by_role("button", name="Download").click()
        download = await waiting.value
        await download.save_as(tmp_path / "events.jsonl")
        lines = (tmp_path / "events.jsonl").read_text("utf-8").splitlines()
        assert lines
        assert all('"response.output_audio.delta"' in line for line in lines)
        await page.page.get_by_role("button", name="Pause").click()
        await page.page.get_by_label("Filter events").fill("")
        before = await row.count()
        await page.page.get_by_role("button", name="Resume (").wait_for()
        assert await row.count() == before
        await page.page.get_by_role("button", name="Clear").click()
        await page.page.get_by_text("Everything that is sent and received shows here.").wait_for()
