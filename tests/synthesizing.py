"""Speaking with a synthesizer in tests, and what every one of them does when nobody listens any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from antiphon.engines.base import EngineError, Samples, Synthesizer


async def speak(engine: Synthesizer, text: str, **how: Any) -> Samples:
    """Return all speech of `text`, float32."""
    parts = [chunk.samples async for chunk in engine.synthesize(text, **how)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what worker threads do, which set no event."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def check_closing_the_iterator(engine: Synthesizer, text: str, **how: Any) -> None:
    """Check that work on `text`, which is several pieces, stops when its reader closes it or goes away."""
    stream = engine.synthesize(text, **how)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    reader = asyncio.create_task(speak(engine, text, **how))
    await until(lambda: engine.load_now().running > 0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await until(lambda: engine.load_now().running == 0)
    assert engine.load_now().waiting == 0


async def check_closing_the_engine(engine: Synthesizer, text: str) -> None:
    """Check that it can be closed twice, and says so to whoever comes later."""
    await engine.warm_up()
    await engine.close()
    await engine.close()
    with pytest.raises(EngineError) as closed:
        await speak(engine, text)
    assert closed.value.code == "closed"
