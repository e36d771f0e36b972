"""ONNX Runtime on the converted model: one thread, sequential, two ways to call it from Python.

Each way has its own overhead: the same way on an Identity graph with the same input shape.
`run_with_ort_values` is left out: the same graph time behind some 30 µs more of Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

from native import tiled
from peer_onnx_c import OnnxC
from timing import Contender, Prepared, Sample, measure_batch, measure_calls

Floats = NDArray[np.float64]


def open_session(model: bytes) -> ort.InferenceSession:
    """One intra-op thread, sequential execution, every graph optimisation."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def identity_model(like: bytes, features: int) -> bytes:
    """The smallest graph with the same input, in the same format version as the model."""
    shape = [1, features]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["row"], ["copy"])],
        "identity",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("copy", TensorProto.FLOAT, shape)],
    )
    version = onnx.load_model_from_string(like).ir_version
    opset = [helper.make_opsetid("", 15)]
    model = helper.make_model(graph, ir_version=version, opset_imports=opset)
    return bytes(model.SerializeToString())


def plain(session: ort.InferenceSession, rows: list[NDArray[np.float32]]) -> Prepared:
    """`run` with a prepared numpy array."""
    name, out = session.get_inputs()[0].name, [session.get_outputs()[0].name]
    return session.run, [(out, {name: row}) for row in rows]


def io_binding(session: ort.InferenceSession, rows: list[NDArray[np.float32]]) -> Prepared:
    """`run_with_iobinding`: input and output memory bound before, nothing allocated by Python."""
    name, out = session.get_inputs()[0].name, session.get_outputs()[0]
    result = ort.OrtValue.ortvalue_from_numpy(np.zeros(out.shape, np.float32))
    bindings = []
    for row in rows:
        binding = session.io_binding()
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(row))
        binding.bind_ortvalue_output(out.name, result)
        bindings.append((binding,))
    return session.run_with_iobinding, bindings


WAYS = {"run": plain, "io_binding": io_binding}


class Onnx:
    """One way of calling the converted model."""

    peer = True

    def __init__(self, model: bytes, rows: Floats, way: str) -> None:
        """Opens both sessions and prepares every argument."""
        self.name = f"onnxruntime_{way}"
        self.label = f"ONNX Runtime, {way}"
        self.way = way
        self.rows = [np.ascontiguousarray(row[None, :], dtype=np.float32) for row in rows]
        self.session = open_session(model)
        self.identity = open_session(identity_model(model, rows.shape[1]))
        self.call, self.arguments = WAYS[way](self.session, self.rows)
        self.empty = WAYS[way](self.identity, self.rows)

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows, through the measured call."""
        return [
            self._read(self.call(*arguments), arguments) for arguments in self.arguments[:count]
        ]

    def _read(self, returned: Any, arguments: tuple[Any, ...]) -> float:
        if self.way == "io_binding":
            returned = arguments[0].get_outputs()
            return float(returned[0].numpy().ravel()[0])
        return float(returned[0].ravel()[0])

    def measure(self, rows: int) -> Sample:
        """Times the rows, then as many calls of the Identity graph."""
        return measure_calls((self.call, self.arguments), self.empty, rows)


class OnnxBatch:
    """`run` over all rows in one call."""

    name = "onnxruntime_batch"
    label = "ONNX Runtime, batch"
    peer = True

    def __init__(self, model: bytes, rows: Floats, count: int) -> None:
        """Opens a session on the same graph with the number of rows left open."""
        self.session = open_session(any_rows(model))
        self.rows = tiled(np.ascontiguousarray(rows, dtype=np.float32), count)
        self.input = self.session.get_inputs()[0].name
        self.output = [self.session.get_outputs()[0].name]

    def _call(self, count: int) -> Any:
        return self.session.run(self.output, {self.input: self.rows[:count]})

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows."""
        return [float(score) for score in self._call(count)[0].ravel()]

    def measure(self, rows: int) -> Sample:
        """Times one call."""
        return measure_batch(self._call, rows)


def any_rows(model: bytes) -> bytes:
    """The same graph for any number of rows."""
    graph = onnx.load_model_from_string(model)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "rows"
    return bytes(graph.SerializeToString())


def contenders(model: Path, rows: Floats) -> list[Contender]:
    """Every way from Python."""
    content = model.read_bytes()
    return [Onnx(content, rows, way) for way in WAYS]


def in_c(model: Path, rows: Floats) -> OnnxC:
    """The same model through the C API."""
    content = model.read_bytes()
    graph = onnx.load_model_from_string(content).graph
    return OnnxC(content, rows, (graph.input[0].name, graph.output[0].name))
