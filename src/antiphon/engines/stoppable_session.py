"""A model of ONNX Runtime that stops in the middle of its work when nobody wants the result any more.

It looks like the session that it holds, for packages that run one themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime

from antiphon.engines.workers import Cancellation

_ERRORS_ONLY = 3
"""Severity: neither information nor warnings, which ONNX Runtime has for many models."""


class StoppableSession:
    """A model on the CPU. Thread-safe.

    Args:
        path: of the model.
        threads: how many compute one run.

    Raises:
        Exception: what ONNX Runtime raises for a file that is not a model; it has no base of its own.
    """

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Waiting threads that spin take the cores from other engines.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = _ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._runs = threading.local()

    @contextmanager
    def stopped_by(self, cancellation: Cancellation) -> Iterator[None]:
        """Stop what this thread runs within this block when it is cancelled, between two nodes of the graph.

        Raises:
            JobCancelled: it was, before or while it ran.
        """
        cancellation.check()
        self._runs.options = options = onnxruntime.RunOptions()
        options.log_severity_level = _ERRORS_ONLY + 1  # that it was stopped is no error

        def stop() -> None:
            options.terminate = True

        try:
            with cancellation.stopping(stop):
                yield
        except Exception:
            cancellation.check()
            raise
        finally:
            del self._runs.options

    def run(self, names: Sequence[str] | None, inputs: Mapping[str, Any]) -> list[Any]:
        """Run the model, as ONNX Runtime's session does."""
        outputs: list[Any] = self._session.run(names, inputs, getattr(self._runs, "options", None))
        return outputs

    def __getattr__(self, name: str) -> Any:
        """Return what else the session has, e.g. `get_inputs`."""
        return getattr(self._session, name)
