"""How much CPU time each kind of thread has used: which engine keeps the cores busy."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_TASKS = Path("/proc/self/task")
_NUMBER = re.compile(r"(?<=\D)[-_]?\d+$")


class ThreadCpuCollector(Collector):
    """Reads Linux's own accounts (proc(5), `schedstat`); elsewhere there is nothing to collect."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return CPU seconds by name of thread, its number left out; threads of libraries have the process's name."""
        family = GaugeMetricFamily(
            "antiphon_thread_cpu_seconds", "CPU time of the threads that live now, s.", labels=["thread"]
        )
        for name, seconds in sorted(_cpu_seconds().items()):
            family.add_metric([name], seconds)
        yield family


def _cpu_seconds() -> dict[str, float]:
    named = {thread.native_id: thread.name for thread in threading.enumerate()}
    found: dict[str, float] = defaultdict(float)
    if not _TASKS.is_dir():
        return found
    for task in _TASKS.iterdir():
        try:
            nanoseconds = int((task / "schedstat").read_text().split()[0])
            name = named.get(int(task.name)) or (task / "comm").read_text().strip()
        except (OSError, ValueError, IndexError):
            continue  # it ended just now, or this kernel keeps no such accounts
        found[_NUMBER.sub("", name)] += nanoseconds / 1e9
    return found
