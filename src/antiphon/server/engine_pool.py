"""Engines that are loaded once, however many pipelines and configurations use them.

An engine is the same when its name, options, keys and cores are. It is loaded when it is first held and closed when
nobody holds it any more; at once, or after having been idle for as long as it may. One that hangs, loading or closing,
is given up after a while, and holds up no other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from antiphon.config.resolved import EnginePlan
from antiphon.engines.base import Engine, EngineContext, EngineError, ModelPaths
from antiphon.engines.registry import find_engine
from antiphon.models import ModelError
from antiphon.server.garbage import free_unloaded
from antiphon.server.process_memory import resident_bytes, return_freed_memory

_LOAD_S = 900.0
"""How long an engine may take to load, and to warm up: the largest models are read from slow disks for minutes."""

_ALONE_S = 60.0
"""How long an engine that loads keeps others waiting, so that what the process grows by is its own."""

_CLOSE_S = 10.0
"""How long an engine may take to close."""

_STOP_S = 2.0
"""How long what is given up may take to stop."""

_log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What makes an engine this one and no other: `options` is JSON of what was `given`, `secrets` the SHA-256 of the
    keys that its options refer to."""

    name: str
    options: str
    cores: int
    given: Mapping[str, Any] = field(compare=False, repr=False)
    secrets: str = field(default="", repr=False)

    @classmethod
    def of(cls, plan: EnginePlan, cores: int, secrets: str = "") -> EngineKey:
        """Return the key of a plan that is given `cores`."""
        return cls(plan.name, options_text(plan), cores, plan.options, secrets)


def options_text(plan: EnginePlan) -> str:
    """Return an engine's options as JSON, always the same text for the same options."""
    return json.dumps(plan.options, sort_keys=True, default=str)


@dataclass
class _Entry:
    key: EngineKey
    holders: int = 0
    grown: int | None = None
    engine: asyncio.Task[Engine] | None = None
    warm: asyncio.Task[None] | None = None
    closing: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None


@dataclass
class EnginePool:
    """The engines of a server. Lives on the event loop.

    Attributes:
        models: where model files are.
        idle_s: how long each engine may be idle before it is closed; those that are not there are closed at once.
    """

    models: ModelPaths
    idle_s: Mapping[EngineKey, float] = field(default_factory=dict)
    _entries: dict[EngineKey, _Entry] = field(default_factory=dict)
    _closed: bool = False
    _closing: int = 0
    _garbage: bool = False
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the engine that loads, so that what the process grows by is its own."""
    _loading_since: float = 0.0
    _loads: str = ""
    _beside: int = 0

    @property
    def memory(self) -> dict[EngineKey, int]:
        """By how many bytes the process grew when it loaded the engines that are in memory; not of engines that work
        elsewhere, and nothing where the system does not tell. Warming up, which is not counted, adds some."""
        return {key: entry.grown for key, entry in self._entries.items() if entry.engine and entry.grown is not None}

    @property
    def loaded(self) -> list[EngineKey]:
        """The engines in memory, or on their way."""
        return [key for key, entry in self._entries.items() if entry.engine is not None]

    async def hold(self, keys: Iterable[EngineKey]) -> dict[EngineKey, Engine]:
        """Return engines, loaded where they were not; none of them is closed until `release`.

        Raises:
            EngineError, ModelError: one could not be loaded. When several could not, one error tells of all. None of
                them is held then.
        """
        wanted = list(dict.fromkeys(keys))
        for key in wanted:
            entry = self._entries.setdefault(key, _Entry(key))
            entry.holders += 1
            if entry.timer is not None:
                entry.timer.cancel()
                entry.timer = None
            if entry.engine is None:
                entry.engine = asyncio.create_task(self._load(entry, entry.closing), name=f"load {key.name}")
        try:
            outcomes = await _all([entry.engine for key in wanted if (entry := self._entries[key]).engine])
            return dict(zip(wanted, outcomes, strict=True))
        except BaseException:
            self.release(wanted)
            raise

    async def warm_up(self, key: EngineKey) -> None:
        """Warm up an engine that is held, unless it is warm. What failed before is tried again.

        Raises:
            EngineError, ModelError: as the engine says.
        """
        entry = self._entries[key]
        if entry.engine is None:
            raise RuntimeError(f"{key.name} is not held")
        if entry.warm is None or _failed(entry.warm):
            engine = await entry.engine
            if entry.warm is None or _failed(entry.warm):
                work = _in_time(engine.warm_up(), _LOAD_S, f"{key.name} did not warm up")
                entry.warm = asyncio.create_task(work, name=f"warm up {key.name}")
        await asyncio.shield(entry.warm)

    def release(self, keys: Iterable[EngineKey]) -> None:
        """Let go of engines that were held."""
        for key in dict.fromkeys(keys):
            entry = self._entries.get(key)
            if entry is not None:  # else the pool was closed
                entry.holders -= 1
                self._settle(entry)

    def settle(self) -> None:
        """Close what nobody holds, as `idle_s` says now."""
        for entry in list(self._entries.values()):
            self._settle(entry)

    async def close(self) -> None:
        """Close all engines, whoever holds them."""
        self._closed = True
        for entry in list(self._entries.values()):
            self._unload(entry)
        closings = [entry.closing for entry in self._entries.values() if entry.closing is not None]
        await asyncio.gather(*closings)

    def _settle(self, entry: _Entry) -> None:
        if entry.holders or entry.engine is None:
            return
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        idle_s = self.idle_s.get(entry.key)
        if idle_s is None or _failed(entry.engine):
            self._unload(entry)
        else:
            entry.timer = asyncio.get_running_loop().call_later(idle_s, self._unload, entry)

    def _unload(self, entry: _Entry) -> None:
        engine, warm = entry.engine, entry.warm
        entry.engine = entry.warm = entry.timer = entry.grown = None
        if engine is not None:
            self._closing += 1
            entry.closing = asyncio.create_task(self._close(entry, engine, warm), name=f"close {entry.key.name}")

    async def _load(self, entry: _Entry, closing: asyncio.Task[None] | None) -> Engine:
        if closing is not None:
            await asyncio.shield(closing)  # never twice in memory
        key = entry.key
        kind = await asyncio.to_thread(find_engine, key.name, Engine)  # which imports it
        context = EngineContext(self.models, key.cores, key.given)
        failure = f"{key.name} did not load"
        if kind.remote:
            return await _in_time(kind.load(context), _LOAD_S, failure)
        if not await self._turn_to_load():
            _log.warning("loading beside an engine that takes long", engine=key.name, other=self._loads)
            return await _in_time(kind.load(context), _LOAD_S, failure)
        try:
            self._loads, beside = key.name, self._beside
            before = resident_bytes()
            engine = await _in_time(kind.load(context), _LOAD_S, failure)
            after = resident_bytes()
        finally:
            self._loading.release()
        if before is not None and after is not None and beside == self._beside:
            entry.grown = max(0, after - before)
        return engine

    async def _turn_to_load(self) -> bool:
        """Wait until no other engine loads, with `_loading` held then, or until the one that does has taken too long to
        be waited for; return which."""
        clock = asyncio.get_running_loop().time
        while True:
            since = self._loading_since if self._loading.locked() else clock()
            try:
                async with asyncio.timeout_at(since + _ALONE_S):
                    await self._loading.acquire()
            except TimeoutError:
                if self._loading.locked() and clock() >= self._loading_since + _ALONE_S:
                    self._beside += 1
                    return False
            else:
                self._loading_since = clock()
                return True

    async def _close(self, entry: _Entry, engine: asyncio.Task[Engine], warm: asyncio.Task[None] | None) -> None:
        for task in (warm, engine):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        if not engine.cancelled() and engine.exception() is None:
            try:
                await _in_time(engine.result().close(), _CLOSE_S, f"{entry.key.name} did not close")
            except Exception:  # noqa: BLE001 - of any engine; told here, for nobody waits for it
                _log.exception("closing an engine failed", engine=entry.key.name)
            else:
                _log.info("engine unloaded", engine=entry.key.name)
            self._garbage = True
        del engine, warm, task  # whose result it is
        self._closing -= 1
        if self._garbage and not self._closing and not self._closed:
            self._garbage = False
            free_unloaded()  # once for all that are unloaded together: it holds up every session
            await asyncio.to_thread(return_freed_memory)
        if entry.engine is None and entry.closing is asyncio.current_task():
            del self._entries[entry.key]


async def _in_time(work: Coroutine[Any, Any, T], limit_s: float, failure: str) -> T:
    """Return what an engine's work returns; it is stopped when it takes longer than `limit_s`.

    Raises:
        EngineError: code "timeout", with `failure` as its message.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
        if not done:
            raise EngineError(f"{failure} within {limit_s:g} s", code="timeout")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_STOP_S)  # some do not heed it


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _all(tasks: Sequence[asyncio.Task[Engine]]) -> list[Engine]:
    """Wait for all tasks, which others may wait for too, and return their results.

    Raises:
        EngineError, ModelError: one of them failed; see `raise_failures`.
    """
    if tasks:
        await asyncio.wait(tasks)
    raise_failures([error for task in tasks if (error := task.exception())])
    return [task.result() for task in tasks]


def raise_failures(errors: Sequence[BaseException]) -> None:
    """Raise nothing, the only error, one that is not an engine's or a model's, or one that tells of all."""
    told = [error for error in errors if isinstance(error, (EngineError, ModelError))]
    for error in errors:
        if len(errors) == 1 or error not in told:
            raise error
    if told:
        messages = dict.fromkeys(error.message for error in told)
        raise EngineError("; ".join(messages), code=told[0].code)
