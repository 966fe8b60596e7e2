"""CPU time by thread."""

from __future__ import annotations

import sys
import threading

import pytest
from prometheus_client import CollectorRegistry

from antiphon.server.thread_metrics import ThreadCpuCollector


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's accounts")
def test_threads_are_counted_by_kind() -> None:
    done, ready = threading.Event(), threading.Barrier(3)

    def work() -> None:
        sum(range(200_000))
        ready.wait(30)
        done.wait(30)

    threads = [threading.Thread(target=work, name=f"busy-engine-{number}") for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        ready.wait(30)
        registry = CollectorRegistry()
        registry.register(ThreadCpuCollector())
        used = registry.get_sample_value("antiphon_thread_cpu_seconds", {"thread": "busy-engine"})
        assert used is not None
        assert used > 0
        assert registry.get_sample_value("antiphon_thread_cpu_seconds", {"thread": "MainThread"})
    finally:
        done.set()
        for thread in threads:
            thread.join()
