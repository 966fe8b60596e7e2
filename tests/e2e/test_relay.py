"""A served model whose sessions a second Antiphon has."""

from __future__ import annotations

from tests.conformance.audio import tone
from tests.conformance.recorder import RealtimeClient
from tests.serving import ServerProcess, serving_here


async def test_smoke(stand_in_server: ServerProcess) -> None:
    pipelines = {"far": {"upstream": {"base_url": stand_in_server.base_url}, "instructions": "Be far."}}
    async with serving_here(pipelines=pipelines) as here, RealtimeClient(here.ws_url) as client:
        session = (await client.expect("session.created"))["session"]
        print(session)
        await client.speak(tone(800))
        await client.expect("response.done")
        print(client.recording.types())
