"""Writes a random 64-128-64-1 net as two bundle sources: layers, and the graph as it is.

    python make_net.py OUT_DIR

Each folder has model.onnx, golden.csv, calibration.csv and bundle.toml for `tollgate bundle
build`; OUT_DIR/rows.f64 has rows to run.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WIDTHS = (64, 128, 64, 1)
HEAD = """[bundle]
name = "net"
version = "1"
use_case = "bench"
created = "2026-11-28T00:00:00Z"
fallback_action = "challenge"
[model]
file = "model.onnx"
format = "{how}"
[golden]
rows = "golden.csv"
expected = "raw"
tolerance = 1e-3
[calibrator]
kind = "platt"
input = "margin"
fit = "calibration.csv"
[policy]
cutoffs = {{ challenge = 0.3, block = 0.8 }}
"""
FEATURE = '[[features]]\nname = "f{at}"\nkind = "number"\nmin = -100\nmax = 100\nmissing = 0.0\n'


def net() -> onnx.ModelProto:
    """Gemm and ReLU, a sigmoid at the end."""
    rng = np.random.default_rng(64)
    nodes, constants, value = [], [], "X"
    for number, (inputs, outputs) in enumerate(pairwise(WIDTHS)):
        weights = (rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32)
        bias = (rng.normal(size=outputs) / 10).astype(np.float32)
        constants.append(numpy_helper.from_array(weights, f"w{number}"))
        constants.append(numpy_helper.from_array(bias, f"b{number}"))
        names = [value, f"w{number}", f"b{number}"]
        nodes.append(helper.make_node("Gemm", names, [f"g{number}"]))
        last = number == len(WIDTHS) - 2
        value = "P" if last else f"a{number}"
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [f"g{number}"], [value]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, WIDTHS[0]])],
        [helper.make_tensor_value_info("P", TensorProto.FLOAT, [None, 1])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def main() -> None:
    """Writes everything."""
    out, model = Path(sys.argv[1]), net()
    rows = np.random.default_rng(1).normal(size=(1000, WIDTHS[0])).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    p = session.run(None, {"X": rows})[0][:, 0].astype(np.float64)
    raw = np.log(p / (1 - p))
    for name, how in (("layers", "onnx"), ("graph", "graph")):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        features = "".join(FEATURE.format(at=at) for at in range(WIDTHS[0]))
        (folder / "bundle.toml").write_text(HEAD.format(how=how) + features, encoding="utf-8")
        header = ",".join([*(f"f{at}" for at in range(WIDTHS[0])), "raw"])
        golden = np.column_stack([rows[:20], raw[:20]])
        np.savetxt(folder / "golden.csv", golden, "%.17g", ",", header=header, comments="")
        labels = (np.random.default_rng(2).random(1000) < p).astype(int)
        table = np.column_stack([raw, labels])
        np.savetxt(
            folder / "calibration.csv", table, "%.9g", ",", header="score,label", comments=""
        )
    rows.astype("<f8").tofile(out / "rows.f64")


if __name__ == "__main__":
    main()
