"""Engines that are loaded once, and unloaded when nobody needs them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
import structlog

from antiphon.config import EngineSettings, Settings
from antiphon.config.resolved import EnginePlan
from antiphon.engines.base import EngineContext, EngineError
from antiphon.engines.stand_in import StandInSynthesizer
from antiphon.models import ModelError, ModelStore
from antiphon.server import engine_pool
from antiphon.server.engine_pool import EngineKey, EnginePool
from antiphon.server.garbage import freeze_what_stays
from antiphon.server.service import Service
from tests.engine_packages import install_engines


class Counted(StandInSynthesizer):
    """Notes what happens to it; `character_ms` 404 cannot be loaded, 405 has no model, 503 cannot be closed, 408 hangs
    when it is loaded, 504 when it is closed, 425 when it is warmed up; 409 hangs and does not heed being cancelled."""

    told: ClassVar[list[str]] = []
    numbers: ClassVar[Any] = itertools.count()
    gate: ClassVar[asyncio.Event | None] = None
    over: ClassVar[asyncio.Event]
    cold: ClassVar[bool] = False

    @classmethod
    async def load(cls, context: EngineContext) -> Self:
        name = f"{context.options['character_ms']}"
        cls.told.append(f"load {name}")
        if cls.gate is not None:
            await cls.gate.wait()
        if name == "404":
            raise EngineError("404 is broken")
        if name == "408":
            await asyncio.Event().wait()
        if name == "409":
            await deaf()
        if name == "405":
            raise ModelError("405 is missing", code="model_missing")
        engine = await super().load(context)
        engine.label = name
        return engine

    label: str

    async def warm_up(self) -> None:
        self.told.append(f"warm {self.label}")
        if self.label == "425":
            await asyncio.Event().wait()
        if self.cold:
            raise EngineError(f"{self.label} is not ready")

    async def close(self) -> None:
        self.told.append(f"close {self.label}")
        if self.label == "503":
            raise RuntimeError("stuck")
        if self.label == "504":
            await deaf()


async def deaf() -> None:
    """Wait for `Counted.over`, whatever comes."""
    while not Counted.over.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await Counted.over.wait()


@pytest.fixture(autouse=True)
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    install_engines(tmp_path, "counted", {"counted": f"{__name__}:Counted"})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(Counted, "told", [])
    monkeypatch.setattr(Counted, "gate", None)
    monkeypatch.setattr(Counted, "cold", False)
    monkeypatch.setattr(Counted, "over", asyncio.Event(), raising=False)
    return Counted.told


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    pool = EnginePool(ModelStore.default())
    yield pool
    await pool.close()
    Counted.over.set()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have little patience with engines that hang: none but that for loading, which is over with `a_minute_later`."""
    for name in ("_LOAD_S", "_CLOSE_S", "_STOP_S", "_ALONE_S"):
        monkeypatch.setattr(engine_pool, name, {"_LOAD_S": 60.0, "_ALONE_S": 0.1}.get(name, 0.05))


def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every patience of up to a minute be over now."""
    loop = asyncio.get_running_loop()
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + 60)


def key(number: int, cores: int = 1) -> EngineKey:
    return EngineKey.of(EnginePlan("counted", {"character_ms": number}), cores)


async def until(told: list[str], what: str) -> None:
    async with asyncio.timeout(10):
        while what not in told:  # noqa: ASYNC110 - engines know no event of ours
            await asyncio.sleep(0)


async def test_an_engine_is_loaded_once_and_closed_after_its_last_holder(pool: EnginePool, told: list[str]) -> None:
    first, second = await asyncio.gather(pool.hold([key(1)]), pool.hold([key(1), key(2)]))
    assert first[key(1)] is second[key(1)]
    await asyncio.gather(pool.warm_up(key(1)), pool.warm_up(key(1)))
    assert sorted(told) == ["load 1", "load 2", "warm 1"]
    pool.release([key(1)])
    assert set(pool.loaded) == {key(1), key(2)}
    pool.release([key(1), key(2)])
    assert pool.loaded == []
    await until(told, "close 1")
    await until(told, "close 2")


async def test_other_options_and_other_cores_are_another_engine(pool: EnginePool) -> None:
    engines = await pool.hold([key(1), key(1, cores=2), key(2)])
    assert len({id(engine) for engine in engines.values()}) == 3


async def test_an_idle_engine_stays_for_a_while_and_comes_back(pool: EnginePool, told: list[str]) -> None:
    pool.idle_s = {key(1): 0.05}
    await pool.hold([key(1)])
    pool.release([key(1)])
    assert pool.loaded == [key(1)]
    again = await pool.hold([key(1)])
    await asyncio.sleep(0.1)
    assert told == ["load 1"]
    pool.release([key(1)])
    await until(told, "close 1")
    assert pool.loaded == []
    assert (await pool.hold([key(1)]))[key(1)] is not again[key(1)]
    assert told == ["load 1", "close 1", "load 1"]


async def test_what_was_idle_is_closed_when_it_is_not_wanted_any_more(pool: EnginePool, told: list[str]) -> None:
    pool.idle_s = {key(1): 3600}
    await pool.hold([key(1)])
    pool.release([key(1)])
    pool.idle_s = {}
    pool.settle()
    await until(told, "close 1")


async def test_failures_are_told_together_and_hold_nothing(pool: EnginePool, told: list[str]) -> None:
    with pytest.raises(EngineError, match="404 is broken; 405 is missing") as caught:
        await pool.hold([key(404), key(1), key(405)])
    assert caught.value.code == "engine_failed"
    await until(told, "close 1")
    assert pool.loaded == []
    with pytest.raises(ModelError, match="405 is missing"):
        await pool.hold([key(405)])
    told.clear()
    with pytest.raises(EngineError):
        await pool.hold([key(404)])
    assert told == ["load 404"]  # anew: it may be mended by now


async def test_a_failed_warm_up_is_tried_again(
    pool: EnginePool, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.idle_s = {key(1): 3600}
    monkeypatch.setattr(Counted, "cold", True)
    await pool.hold([key(1)])
    for outcome in await asyncio.gather(pool.warm_up(key(1)), pool.warm_up(key(1)), return_exceptions=True):
        assert isinstance(outcome, EngineError)
    assert told == ["load 1", "warm 1"]
    pool.release([key(1)])
    monkeypatch.setattr(Counted, "cold", False)  # its server is there again
    await pool.hold([key(1)])
    await pool.warm_up(key(1))
    await pool.warm_up(key(1))
    assert told == ["load 1", "warm 1", "warm 1"]


async def test_one_who_gives_up_does_not_take_it_from_others(pool: EnginePool, told: list[str]) -> None:
    Counted.gate = asyncio.Event()
    impatient = asyncio.create_task(pool.hold([key(1)]))
    patient = asyncio.create_task(pool.hold([key(1)]))
    await until(told, "load 1")
    impatient.cancel()
    await asyncio.wait({impatient})
    Counted.gate.set()
    assert list(await patient) == [key(1)]
    assert told == ["load 1"]


async def test_a_load_that_nobody_waits_for_is_stopped(pool: EnginePool, told: list[str]) -> None:
    Counted.gate = asyncio.Event()
    waiting = asyncio.create_task(pool.hold([key(1)]))
    await until(told, "load 1")
    waiting.cancel()
    await asyncio.wait({waiting})
    assert pool.loaded == []
    Counted.gate.set()
    await pool.hold([key(1)])
    assert told == ["load 1", "load 1"]


async def test_closing_closes_everything_even_when_one_fails(told: list[str]) -> None:
    pool = EnginePool(ModelStore.default())
    await pool.hold([key(503), key(1)])
    await pool.close()
    assert sorted(told[2:]) == ["close 1", "close 503"]
    pool.release([key(503)])  # by a session that ended late
    assert pool.loaded == []


async def test_an_unloaded_engine_leaves_memory_though_the_collector_was_to_leave_it_alone(pool: EnginePool) -> None:
    engine: Any = (await pool.hold([key(1)]))[key(1)]
    engine.itself = engine
    watched = weakref.ref(engine)
    freeze_what_stays()
    try:
        del engine
        pool.release([key(1)])
        async with asyncio.timeout(10):
            while watched() is not None:  # noqa: ASYNC110 - the collector knows no event of ours
                await asyncio.sleep(0)
    finally:
        gc.unfreeze()


async def test_engines_that_are_unloaded_together_are_collected_once(pool: EnginePool, told: list[str]) -> None:
    await pool.hold([key(1), key(2), key(3)])
    freeze_what_stays()
    collected: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            collected.append("all")

    gc.callbacks.append(note)
    gc.disable()  # else the interpreter may think of a collection itself
    try:
        pool.release([key(1), key(2), key(3)])
        for number in (1, 2, 3):
            await until(told, f"close {number}")
        async with asyncio.timeout(10):
            while not collected:  # noqa: ASYNC110 - the collector knows no event of ours
                await asyncio.sleep(0)
        await pool.close()
    finally:
        gc.enable()
        gc.callbacks.remove(note)
        gc.unfreeze()
    assert collected == ["all"]


async def test_a_reload_loads_and_warms_up_nothing_that_was_there_also_as_a_fallback(told: list[str]) -> None:
    first, second = ({"engine": "counted", "character_ms": number} for number in (1, 2))

    def settings(instructions: str) -> Settings:
        return Settings(
            engines=EngineSettings(preset="stand-in"),
            pipelines={
                "chain": {"tts": [first, second], "instructions": instructions},
                "other": {"tts": [second, first]},
                "alone": {"tts": second},
            },
        )

    service = Service(settings("Be kind."))
    try:
        await service.load()
        assert service.failure is None
        assert sorted(told) == ["load 1", "load 2", "warm 1", "warm 2"]
        assert await service.reload(settings("Be brief."))
        assert sorted(told) == ["load 1", "load 2", "warm 1", "warm 2"]
    finally:
        await service.close()


async def test_a_fallback_that_was_not_ready_is_asked_again_by_a_reload(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipelines = {"chain": {"tts": ["stand-in-tts", {"engine": "counted", "character_ms": 1}]}}
    settings = Settings(engines=EngineSettings(preset="stand-in"), pipelines=pipelines)
    monkeypatch.setattr(Counted, "cold", True)
    service = Service(settings)
    try:
        await service.load()
        assert service.failure is None
        monkeypatch.setattr(Counted, "cold", False)
        for _ in range(2):
            assert await service.reload(settings)
        assert told == ["load 1", "warm 1", "warm 1"]
    finally:
        await service.close()


@pytest.mark.parametrize("stuck", [408, 409])
@pytest.mark.usefixtures("hurried")
async def test_an_engine_that_hangs_when_it_is_loaded_holds_up_no_other(
    pool: EnginePool, told: list[str], stuck: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = asyncio.create_task(pool.hold([key(stuck)]))
    await until(told, f"load {stuck}")
    assert list(await pool.hold([key(1), key(2)])) == [key(1), key(2)]
    assert not hanging.done()
    assert pool.memory == {}  # of engines that were loaded at once
    a_minute_later(monkeypatch)
    with pytest.raises(EngineError, match="counted did not load within 60 s") as caught:
        await hanging
    assert caught.value.code == "timeout"
    await pool.hold([key(3)])
    assert set(pool.loaded) == {key(1), key(2), key(3)}


@pytest.mark.usefixtures("hurried")
async def test_an_engine_that_hangs_when_it_is_closed_holds_up_neither_others_nor_the_end(told: list[str]) -> None:
    pool = EnginePool(ModelStore.default())
    await pool.hold([key(504), key(1)])
    pool.release([key(504), key(1)])
    await until(told, "close 1")
    assert list(await pool.hold([key(504)])) == [key(504)]  # anew, once the first has been given up
    with structlog.testing.capture_logs() as logs:
        await pool.close()
    assert [(line["event"], line["engine"]) for line in logs] == [("closing an engine failed", "counted")]
    Counted.over.set()


@pytest.mark.usefixtures("hurried")
async def test_an_engine_that_hangs_when_it_is_warmed_up_is_given_up(
    pool: EnginePool, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.hold([key(425), key(1)])
    warming = asyncio.create_task(pool.warm_up(key(425)))
    await until(told, "warm 425")
    a_minute_later(monkeypatch)
    with pytest.raises(EngineError, match="counted did not warm up within"):
        await warming
    await pool.warm_up(key(1))
