"""`antiphon bench turns`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.cli.bench import options

if TYPE_CHECKING:
    from antiphon.bench.corpus import Recording
    from antiphon.bench.report import Report

_PAUSES_MS = [300, 500, 800]


def turns(
    *,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    model: options.Model = None,
    engines: options.Preset = options.EnginePreset.embedded,
    recordings: options.Recordings = None,
    turn_detection: options.Modes = None,
    silence_ms: options.Silence = 500,
    eagerness: options.Eager = options.Eagerness.high,
    pause_ms: Annotated[
        list[int] | None,
        typer.Option(
            min=0, max=5000, help="Pause inside the sentence, ms; may be repeated.", show_default="300, 500, 800"
        ),
    ] = None,
    reply_tokens: options.ReplyTokens = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure how often a turn is closed in a pause inside a sentence, and the wait when it is over."""
    from antiphon.bench.report import Report  # noqa: PLC0415 - keeps `antiphon --help` fast
    from antiphon.bench.turns import as_figures, as_results, measure_turns, one_sentence  # noqa: PLC0415
    from antiphon.cli.bench.running import label, run, serving, setup  # noqa: PLC0415

    pauses = pause_ms or _PAUSES_MS
    modes = turn_detection or [options.TurnDetection.semantic_vad]

    async def measure(said: list[Recording], step: Callable[[], None]) -> Report:
        found = []
        async with serving(url, api_key, model, engines) as (target, _):
            for mode in modes:
                configured = setup(mode, silence_ms, eagerness, reply_tokens=reply_tokens)
                result = await measure_turns(target, configured, one_sentence(said), pauses, step)
                found.append(as_results(label(configured), result))
        return Report("turns", {"configurations": found}, [as_figures(one) for one in found])

    run(measure, recordings, None, as_json=as_json)
