"""`antiphon bench accuracy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.bench import options

if TYPE_CHECKING:
    from antiphon.bench.corpus import Recording
    from antiphon.bench.report import Report

_REPLY_TOKENS = 16
"""Short answers: they are made, as in real use, but are not what is measured."""

_GAP_MS = 300
"""Silence between recordings that are joined: shorter than what ends a turn."""

_WHISPER = "whisper-tiny.en"
_REFERENCE_BEAMS = (1, 5)
"""Greedy, as the server decodes, and faster-whisper's own default."""


def accuracy(
    *,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    model: options.Model = None,
    engines: options.Preset = options.EnginePreset.embedded,
    recordings: options.Recordings = None,
    turn_detection: options.Mode = options.TurnDetection.server_vad,
    silence_ms: options.Silence = 500,
    eagerness: options.Eager = options.Eagerness.high,
    join_s: Annotated[
        float | None, typer.Option(min=1, help="Join recordings to ones of this length, s.", show_default=False)
    ] = None,
    sessions: Annotated[int, typer.Option(min=1, help="Sessions at once.")] = 2,
    as_json: options.AsJson = False,
) -> None:
    """Measure word errors through the server, and of Whisper tiny.en given each recording whole."""
    import asyncio  # noqa: PLC0415 - keeps `antiphon --help` fast

    from antiphon.bench.accuracy import as_figures, as_results, hear_offline, hear_through_server  # noqa: PLC0415
    from antiphon.bench.corpus import joined  # noqa: PLC0415
    from antiphon.bench.report import Report  # noqa: PLC0415
    from antiphon.cli.bench.running import label, run, serving, setup  # noqa: PLC0415
    from antiphon.cli.models import pull_with_progress  # noqa: PLC0415
    from antiphon.models import ModelStore  # noqa: PLC0415

    async def measure(said: list[Recording], step: Callable[[], None]) -> Report:
        said = said if join_s is None else joined(said, join_s, _GAP_MS)
        store = ModelStore.default()
        if missing := store.missing([_WHISPER]):
            await asyncio.to_thread(pull_with_progress, store, missing)
        configured = setup(turn_detection, silence_ms, eagerness, reply_tokens=_REPLY_TOKENS)
        async with serving(url, api_key, model, engines) as (target, _):
            through_server = await hear_through_server(
                target,
                configured,
                said,
                label=f"through the server, {label(configured)}",
                sessions=sessions,
                on_turn=step,
            )
        whisper = store.path(_WHISPER)
        offline = [
            await asyncio.to_thread(hear_offline, whisper, said, beam=beam, on_turn=step) for beam in _REFERENCE_BEAMS
        ]
        found = as_results([through_server, *offline], said)
        return Report("accuracy", found, [as_figures(found)])

    run(measure, recordings, None, as_json=as_json)
