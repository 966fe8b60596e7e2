"""A streaming transducer for sherpa-onnx that hears noise: each burst is the word "TONES", its end the last letter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, TensorProto, ValueInfoProto, helper, numpy_helper

WINDOW_MS = 90
"""What it hears at once."""

_LOUD = -6.0
"""Mean log-mel energy above which there is noise; silence is at -16."""


def make_tiny_sherpa(folder: Path, *, tokens: tuple[str, ...] = ("▁TONE", "S")) -> None:
    """Write such a model: icefall's streaming LSTM transducer by its metadata, inputs and outputs."""
    folder.mkdir(parents=True, exist_ok=True)
    state = ["h", "c"]
    encoder = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["encoder_out"], axes=[1, 2], keepdims=1),
            *(helper.make_node("Identity", [name], [f"next_{name}"]) for name in state),
        ],
        "encoder",
        [_floats("x", "N", 9, 80), *(_floats(name, 1, "N", 1) for name in state)],
        [_floats("encoder_out", "N", 1, 1), *(_floats(f"next_{name}", 1, "N", 1) for name in state)],
    )
    sizes = {"num_encoder_layers": 1, "T": 9, "decode_chunk_len": 4, "rnn_hidden_size": 1, "d_model": 1}
    _save(encoder, {"model_type": "lstm", **sizes}, folder / "encoder.onnx")
    decoder = helper.make_graph(
        [
            helper.make_node("Slice", ["y", "from", "to", "axis"], ["last"]),
            helper.make_node("Cast", ["last"], ["decoder_out"], to=TensorProto.FLOAT),
        ],
        "decoder",
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["N", 2])],
        [_floats("decoder_out", "N", 1)],
        [_constant("from", [1]), _constant("to", [2]), _constant("axis", [1])],
    )
    _save(decoder, {"vocab_size": 3, "context_size": 2}, folder / "decoder.onnx")
    # A word begins where it is loud and none has begun, and ends where it is quiet and one has. Else: blank, at 0.
    joiner = helper.make_graph(
        [
            helper.make_node("Sub", ["encoder_out", "threshold"], ["loud"]),
            helper.make_node("Neg", ["loud"], ["quiet"]),
            helper.make_node("Sub", ["decoder_out", "one"], ["off"]),
            helper.make_node("Abs", ["off"], ["distance"]),
            helper.make_node("Min", ["distance", "one"], ["outside"]),
            helper.make_node("Sub", ["one", "outside"], ["inside"]),
            helper.make_node("Mul", ["inside", "never"], ["not_begun"]),
            helper.make_node("Mul", ["outside", "never"], ["not_ended"]),
            helper.make_node("Sub", ["loud", "not_begun"], ["begin"]),
            helper.make_node("Sub", ["quiet", "not_ended"], ["end"]),
            helper.make_node("Sub", ["loud", "loud"], ["blank"]),
            helper.make_node("Concat", ["blank", "begin", "end"], ["logit"], axis=1),
        ],
        "joiner",
        [_floats("encoder_out", "N", 1), _floats("decoder_out", "N", 1)],
        [_floats("logit", "N", 3)],
        [_constant("threshold", _LOUD), _constant("one", 1.0), _constant("never", 1000.0)],
    )
    _save(joiner, {"joiner_dim": 1}, folder / "joiner.onnx")
    names = ("<blk>", *tokens)
    (folder / "tokens.txt").write_text("".join(f"{token} {index}\n" for index, token in enumerate(names)), "utf-8")


def _floats(name: str, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _constant(name: str, value: float | list[int]) -> TensorProto:
    return numpy_helper.from_array(np.array(value, np.int64 if isinstance(value, list) else np.float32), name)


def _save(graph: GraphProto, metadata: Mapping[str, object], path: Path) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {name: str(value) for name, value in metadata.items()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
