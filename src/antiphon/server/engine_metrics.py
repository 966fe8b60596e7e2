"""How much memory each engine took when it was loaded, for Prometheus and for `antiphon models --url`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from antiphon.config.resolved import EnginePlan
from antiphon.server.engine_pool import EnginePool
from antiphon.server.loading import models_of

ENGINE_MEMORY = "antiphon_engine_memory_bytes"


class EngineMemoryCollector(Collector):
    """Tells what `EnginePool.memory` knows. Engines that differ in nothing but options are told as one."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return bytes by engine and by what it loaded: its models' names, a comma between them; none for one without.

        What an engine takes with it that others could use, too, such as libraries, counts for the first one.
        """
        family = GaugeMetricFamily(
            ENGINE_MEMORY,
            "By how much the process grew when it loaded an engine that is in memory now, bytes.",
            labels=["engine", "model"],
        )
        found: dict[tuple[str, str], int] = defaultdict(int)
        for key, size in self._pool.memory.items():
            found[key.name, ",".join(models_of(EnginePlan(key.name, key.given)))] += size
        for labels, size in sorted(found.items()):
            family.add_metric(labels, size)
        yield family
