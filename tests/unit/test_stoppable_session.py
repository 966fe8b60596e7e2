"""A model that works for long, made here, is stopped in the middle."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from antiphon.engines.stoppable_session import StoppableSession
from antiphon.engines.workers import Cancellation, JobCancelled

SIZE = 400


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand products of matrices, some seconds of work; without them, a model that returns what it is given."""
    matrix = [SIZE, SIZE]
    steps = 1000
    nodes = [helper.make_node("MatMul", [f"x{step}", "x0"], [f"x{step + 1}"]) for step in range(steps)]
    graph = helper.make_graph(
        nodes,
        "long",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, matrix)],
        [helper.make_tensor_value_info(f"x{steps}", TensorProto.FLOAT, matrix)],
    )
    path = tmp_path_factory.mktemp("stoppable") / "long.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_a_run_is_stopped_in_the_middle_and_the_next_is_not(model: Path) -> None:
    session = StoppableSession(model, threads=1)
    inputs = {"x0": np.eye(SIZE, dtype=np.float32)}
    cancellation = Cancellation()
    timer = threading.Timer(0.05, cancellation.cancel)
    timer.start()
    with pytest.raises(JobCancelled), session.stopped_by(cancellation):
        for _ in range(1000):  # more than could end by itself
            session.run(None, inputs)
    timer.join()
    with session.stopped_by(Cancellation()):
        (output,) = session.run(None, inputs)
    assert np.array_equal(output, inputs["x0"])
    assert [given.name for given in session.get_inputs()] == ["x0"]


def test_what_was_cancelled_before_does_not_begin(model: Path) -> None:
    session = StoppableSession(model, threads=1)
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(JobCancelled), session.stopped_by(cancellation):
        pytest.fail("begun")


def test_other_errors_are_not_hidden(model: Path) -> None:
    session = StoppableSession(model, threads=1)
    with pytest.raises(Exception, match="x0"), session.stopped_by(Cancellation()):
        session.run(None, {"y": np.zeros(1, np.float32)})
