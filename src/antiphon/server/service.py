"""What the server is doing: loading its models, serving sessions, draining, stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry

from antiphon.config import Settings
from antiphon.config.engine_checks import check_pipeline_voice
from antiphon.config.resolved import pipeline_plans
from antiphon.engines.base import EngineError
from antiphon.models import ModelError, ModelStore
from antiphon.server.engine_pool import EngineKey, EnginePool, raise_failures
from antiphon.server.loading import engines_of, serving_plan
from antiphon.server.metrics import Metrics
from antiphon.server.served_model import ServedModel, unavailable
from antiphon.server.served_models import ServedModels
from antiphon.server.served_pipeline import ServedPipeline
from antiphon.server.served_relay import served_relay
from antiphon.session.contract import RunningSession

_CLOSE_S = 5.0
"""How long sessions that were told to end may take."""

NOT_RELOADED = "not reloaded: the old configuration stays in force"

State = Literal["starting", "ready", "failed", "draining"]

_log = structlog.get_logger(__name__)


_AT_START = ("host", "port", "api_keys", "api_keys_file", "allow_anonymous", "allowed_origins", "log", "webrtc")
"""Settings that only count when the server starts."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """What is served under one configuration.

    Attributes:
        kept: engines that it holds for as long as it is in force.
        idle_s: how long its other engines may be idle, in s.
    """

    models: ServedModels
    kept: Collection[EngineKey]
    idle_s: Mapping[EngineKey, float]


class Service:
    """One server's engines and sessions. Lives on the event loop.

    Attributes:
        state: where it stands; sessions are only opened when "ready".
        failure: why loading failed.
        loaded: set when loading is over, well or not.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics(CollectorRegistry())
        self.state: State = "starting"
        self.failure: str | None = None
        self.loaded = asyncio.Event()
        self._waiting_for = list(engines_of(settings))
        self._pool = EnginePool(ModelStore.default())
        self._offer: _Offer | None = None
        self._sessions: set[RunningSession] = set()
        self._reserved = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def models(self) -> ServedModels | None:
        """The served models, once they are ready."""
        return None if self._offer is None else self._offer.models

    @property
    def engines(self) -> EnginePool:
        """The engines in memory."""
        return self._pool

    async def load(self) -> None:
        """Load and warm up the engines."""
        started = time.monotonic()
        try:
            self._take(await self._prepare(self.settings))
        except (EngineError, ModelError) as error:
            self._fail(error.message)
        except Exception as error:  # noqa: BLE001 - a broken engine of a third party must not leave the server waiting
            _log.exception("loading failed")
            self._fail(f"{type(error).__name__}: {error}")
        else:
            if self.state == "starting":
                self.state = "ready"
            if self.settings.engines.preset == "stand-in":
                _log.warning("stand-in engines: replies are a script and a tone, there are no models")
            _log.info("ready", models=self._names(), seconds=round(time.monotonic() - started, 2))
        finally:
            self.loaded.set()

    async def reload(self, settings: Settings) -> bool:
        """Serve new sessions under other settings; those that run keep theirs. Engines that both need stay loaded.

        Returns whether it was done; if not, the log says why, and everything stays as it was.
        """
        if self.state != "ready":
            _log.warning("not reloaded: the server is not ready", state=self.state)
            return False
        restart = [name for name in _AT_START if getattr(settings, name) != getattr(self.settings, name)]
        settings = settings.model_copy(update={name: getattr(self.settings, name) for name in _AT_START})
        try:
            offer = await self._prepare(settings)
        except (EngineError, ModelError) as error:
            _log.error(NOT_RELOADED, reason=error.message)
            return False
        except Exception as error:  # noqa: BLE001 - as in `load`; what is served must go on
            _log.exception(NOT_RELOADED, reason=f"{type(error).__name__}: {error}")
            return False
        self.settings = settings
        self._take(offer)
        _log.info("reloaded", models=self._names())
        if restart:
            _log.warning("these settings only change when the server starts anew", settings=restart)
        return True

    async def _prepare(self, settings: Settings) -> _Offer:
        """Load what the settings ask for.

        Raises:
            EngineError, ModelError: it cannot be; one error tells of all.
        """
        plans = pipeline_plans(settings)
        serving = await asyncio.to_thread(serving_plan, plans.values())  # which imports engines
        self._pool.idle_s = {**self._pool.idle_s, **serving.idle_s}
        await self._pool.hold(serving.all_keys)
        idle = serving.idle_s.keys()
        try:
            served: dict[str, ServedModel] = {}
            for name, plan in plans.items():
                upstream = plan.settings.upstream
                if upstream is None:
                    served[name] = ServedPipeline(plan, serving.keys[name], self._pool)
                else:
                    served[name] = await asyncio.to_thread(served_relay, plan, upstream)  # which reads its key
            loading = (
                self._open_once(model, several=len(plans) > 1)
                for model in served.values()
                if isinstance(model, ServedPipeline)
            )
            outcomes = await asyncio.gather(*loading, return_exceptions=True)
            raise_failures([outcome for outcome in outcomes if outcome is not None])
            checks = (check_pipeline_voice(plan.settings, name, served[name].voices) for name, plan in plans.items())
            wrong = [told for told in checks if told is not None]
            if wrong:
                raise EngineError("; ".join(wrong), code="invalid_option")
        except BaseException:
            self._pool.idle_s = {} if self._offer is None else self._offer.idle_s
            self._pool.release(serving.all_keys)
            raise
        self._pool.release(idle)
        models = ServedModels(served, created=int(time.time()))
        return _Offer(models, serving.all_keys - idle, serving.idle_s)

    async def _open_once(self, pipeline: ServedPipeline, *, several: bool) -> None:
        def ready(role: str) -> None:
            label = f"{pipeline.name}.{role}" if several else role
            self._waiting_for = [name for name in self._waiting_for if name.partition("[")[0] != label]

        await pipeline.load(ready)
        pipeline.release()

    def _take(self, offer: _Offer) -> None:
        """Put a configuration into force in place of the one before."""
        before, self._offer = self._offer, offer
        self._pool.idle_s = offer.idle_s
        if before is not None:
            offer.models.follow(before.models)
            self._pool.release(before.kept)
        self._pool.settle()

    def _names(self) -> list[str]:
        return [] if self._offer is None else self._offer.models.names

    def _fail(self, message: str) -> None:
        self.state = "failed"
        self.failure = message

    def readiness(self) -> dict[str, Any]:
        """Return what `/readyz` tells."""
        body: dict[str, Any] = {"status": self.state}
        if self.state == "starting":
            body["waiting_for"] = list(self._waiting_for)
        if self.failure is not None:
            body["reason"] = self.failure
        if self._offer is not None:
            body["models"] = self._names()
        return body

    def ready_models(self) -> ServedModels:
        """Return the served models.

        Raises:
            UnavailableError: not ready, or stopping.
        """
        if self._offer is None or self.state != "ready":
            message = {
                "starting": "The server is still loading its models.",
                "failed": "The server could not load its models.",
            }.get(self.state, "The server is shutting down.")
            raise unavailable(message, "server_not_ready", 2)
        return self._offer.models

    @contextmanager
    def slot(self) -> Iterator[ServedModels]:
        """Take one of the places for sessions.

        Raises:
            UnavailableError: not ready, stopping, or full.
        """
        models = self.ready_models()
        if self._reserved >= self.settings.max_sessions:
            message = f"All {self.settings.max_sessions} sessions of this server are in use."
            raise unavailable(message, "session_limit_reached", 5)
        self._reserved += 1
        self._idle.clear()
        self.metrics.sessions_open.inc()
        try:
            yield models
        finally:
            self._reserved -= 1
            self.metrics.sessions_open.dec()
            if not self._reserved:
                self._idle.set()

    @contextmanager
    def running(self, session: RunningSession) -> Iterator[None]:
        """Know `session` while it runs, so that it can be told to end."""
        self._sessions.add(session)
        try:
            yield
        finally:
            self._sessions.discard(session)

    async def drain(self) -> None:
        """Open no more sessions, give those that run `drain_s` to end, then end them."""
        self.state = "draining"
        if self._reserved:
            _log.info("waiting for sessions to end", sessions=self._reserved, seconds=self.settings.drain_s)
            await self._wait_until_idle(self.settings.drain_s)
        if self._sessions:
            _log.info("ending sessions", sessions=len(self._sessions))
            for session in list(self._sessions):
                session.end("shutdown")
            await self._wait_until_idle(_CLOSE_S)

    async def _wait_until_idle(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            _log.debug("sessions still open", sessions=self._reserved)

    async def close(self) -> None:
        """Close the engines."""
        await self._pool.close()
