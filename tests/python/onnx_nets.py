"""The grid's neural nets: as PyTorch's exporter writes them, and scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx_build import Floats, model
from onnx_cases import Case

ROWS = 10_000
TOLERANCE = 1e-5
ACTIVATIONS: dict[str, dict[str, Any]] = {
    "Relu": {},
    "LeakyRelu": {"alpha": 0.2},
    "Elu": {"alpha": 1.5},
    "Sigmoid": {},
    "Tanh": {},
}


class Graph:
    """Nodes and constants as they are added."""

    def __init__(self, seed: int) -> None:
        """Starts with nothing."""
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: Any) -> str:
        """A constant's name; numbers become single precision."""
        array = np.asarray(values)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node; the name of its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **attributes))
        return name

    def dense(self, value: str, inputs: int, outputs: int, how: str = "gemm") -> str:
        """A fully connected layer in one of the ways that exporters write it."""
        weights = self.rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)
        bias = self.rng.normal(size=outputs) / 4
        if how == "matmul":
            product = self.add("MatMul", value, self.constant(weights))
            return self.add("Add", product, self.constant(bias))
        turned = self.constant(weights.T.copy())
        return self.add("Gemm", value, turned, self.constant(bias), transB=1)

    def finish(self, value: str, inputs: dict[str, tuple[int, int]]) -> onnx.ModelProto:
        """The model, with that value as its output."""
        self.nodes.append(helper.make_node("Identity", [value], ["P"]))
        return model(self.nodes, {"P": TensorProto.FLOAT}, inputs, 3, self.constants)


def normal(width: int, codes: Sequence[int] = ()) -> Callable[[np.random.Generator], Floats]:
    """Rows of numbers, then of codes below a bound each."""

    def rows(rng: np.random.Generator) -> Floats:
        numbers = rng.normal(size=(ROWS, width)).astype(np.float32).astype(np.float64)
        numbers[:50] *= 30
        columns = [rng.integers(0, bound, (ROWS, 1)) for bound in codes]
        return np.hstack([numbers, *columns]).astype(np.float64)

    return rows


def case(name: str, graph: Graph, value: str, width: int, **more: Any) -> Case:
    """A net of one input of numbers."""
    made = graph.finish(value, {"X": (TensorProto.FLOAT, width)})
    return Case(f"net_{name}", made, normal(width), False, tolerance=TOLERANCE, **more)


def plain() -> Iterator[Case]:
    """Layers with every activation, of widths that fill vectors and such that do not."""
    shapes = ((5, 7, 1), (64, 128, 64, 1), (30, 33, 1), (9, 40, 4, 3), (100, 31, 2))
    for number, (name, attributes) in enumerate(ACTIVATIONS.items()):
        for sizes in shapes:
            graph, value = Graph(number), "X"
            for inputs, outputs in pairwise(sizes[:-1]):
                how = "gemm" if number % 2 else "matmul"
                value = graph.add(name, graph.dense(value, inputs, outputs, how), **attributes)
            value = graph.dense(value, sizes[-2], sizes[-1])
            last = sizes[-1]
            value = graph.add("Softmax", value, axis=1) if last > 1 else graph.add("Sigmoid", value)
            yield case(f"{name}_{'_'.join(map(str, sizes))}".lower(), graph, value, sizes[0])


def gelu(graph: Graph, value: str, approximate: str) -> str:
    """The operator of version 20 needs a newer set than `model` names."""
    return graph.add("Gelu", value, approximate=approximate)


def shaped() -> Iterator[Case]:
    """Normalized, residual and gated layers, regressions, and two forms of Gelu."""
    for approximate in ("none", "tanh"):
        graph = Graph(11)
        value = gelu(graph, graph.dense("X", 12, 24), approximate)
        made = case(f"gelu_{approximate}", graph, graph.dense(value, 24, 1), 12)
        made.model.opset_import[0].version = 20
        yield made
    graph = Graph(12)
    value = graph.dense("X", 10, 20)
    numbers = [graph.rng.uniform(0.5, 2, 20) for _ in range(4)]
    value = graph.add("BatchNormalization", value, *(graph.constant(n) for n in numbers))
    value = graph.add("Relu", value)
    yield case("batch_norm", graph, graph.add("Sigmoid", graph.dense(value, 20, 1)), 10)
    graph = Graph(13)
    one = graph.add("Relu", graph.dense("X", 10, 16))
    other = graph.add("Tanh", graph.dense(one, 16, 16))
    value = graph.add("Relu", graph.add("Add", one, other))
    gate = graph.add("Sigmoid", graph.dense(value, 16, 16))
    value = graph.add("Sub", graph.add("Mul", value, gate), one)
    yield case("residual", graph, graph.dense(value, 16, 2), 10)
    graph = Graph(14)
    value = graph.add("Sub", "X", graph.constant(graph.rng.normal(size=8)))
    value = graph.add("Div", value, graph.constant(graph.rng.uniform(0.5, 2, 8)))
    value = graph.add("Concat", value, graph.add("Relu", value), axis=1)
    value = graph.add("Softmax", graph.dense(value, 16, 6), axis=-1)
    value = graph.add("Mul", graph.dense(value, 6, 1), graph.constant(np.array(3.0)))
    yield case("scaled_regression", graph, value, 8)


def embedded() -> Iterator[Case]:
    """Categories as integers, looked up in tables, beside numbers."""
    inputs = {
        "X": (TensorProto.FLOAT, 6),
        "country": (TensorProto.INT64, 1),
        "device": (TensorProto.INT64, 1),
    }
    graph = Graph(21)
    parts = [graph.add("Relu", graph.dense("X", 6, 8))]
    for name, rows, width in (("country", 40, 5), ("device", 7, 3)):
        table = graph.constant(graph.rng.normal(size=(rows, width)))
        found = graph.add("Gather", table, name)
        parts.append(graph.add("Flatten", found, axis=1))
    value = graph.add("Concat", *parts, axis=1)
    value = graph.add("Relu", graph.dense(value, 16, 32))
    made = graph.finish(graph.add("Sigmoid", graph.dense(value, 32, 1)), inputs)
    yield Case("net_embedded", made, normal(6, (40, 7)), False, tolerance=TOLERANCE)


def scikit() -> Iterator[Case]:
    """scikit-learn's nets through skl2onnx, alone and behind a scaler."""
    from common import export  # on the path of the examples
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from onnx_sklearn import data

    x, y, two, three = data(False)

    def rows(rng: np.random.Generator) -> Floats:
        return x[rng.integers(len(x), size=ROWS)].astype(np.float64)

    for activation in ("relu", "tanh", "logistic"):
        settings = {"activation": activation, "max_iter": 30, "random_state": 3}
        for target, kind in ((two, "2"), (three, "3")):
            net = MLPClassifier((24, 12), **settings)
            graph = export(make_pipeline(StandardScaler(), net).fit(x, target), x)
            first = int(kind == "2")
            yield Case(f"net_mlp_{activation}_{kind}", graph, rows, False, first, TOLERANCE)
        net = make_pipeline(
            SimpleImputer(), StandardScaler(), MLPRegressor(hidden_layer_sizes=(20,), **settings)
        )
        graph = export(net.fit(x, y), x)
        yield Case(f"net_mlp_{activation}_r", graph, rows, False, 0, TOLERANCE)


def foreign() -> Iterator[Case]:
    """Graphs that are not lowered, for the ONNX module."""
    graph = Graph(31)
    value = graph.add("Unsqueeze", "X", graph.constant(np.array([1])))
    kernel = graph.constant(graph.rng.normal(size=(4, 1, 3)))
    value = graph.add("Relu", graph.add("Conv", value, kernel, kernel_shape=[3]))
    value = graph.dense(graph.add("Flatten", value), 4 * 6, 1)
    yield fixed(case("conv", graph, graph.add("Sigmoid", value), 8), 1)
    graph = Graph(32)
    value = graph.dense("X", 10, 16)
    scale, bias = (graph.constant(graph.rng.uniform(0.5, 2, 16)) for _ in range(2))
    value = graph.add("LayerNormalization", value, scale, bias)
    value = graph.add("Softmax", graph.dense(graph.add("Selu", value), 16, 3), axis=-1)
    yield fixed(case("layer_norm", graph, value, 10), 3)
    graph = Graph(33)
    found = graph.add("Gather", graph.constant(graph.rng.normal(size=(9, 4))), "kind")
    parts = ["X", graph.add("Flatten", found, axis=1)]
    value = graph.add("Softplus", graph.dense(graph.add("Concat", *parts, axis=1), 9, 12))
    inputs = {"X": (TensorProto.FLOAT, 5), "kind": (TensorProto.INT64, 1)}
    made = graph.finish(graph.add("Sigmoid", graph.dense(value, 12, 1)), inputs)
    yield fixed(Case("net_codes", made, normal(5, (9,)), False, tolerance=TOLERANCE), 1)


def sequences() -> Iterator[Case]:
    """Rows read as four steps of two numbers: recurrent layers and attention."""
    for kind, gates in (("LSTM", 4), ("GRU", 3)):
        graph = Graph(30 + gates)
        steps = graph.add("Reshape", "X", graph.constant(np.array([0, 4, 2])))
        steps = graph.add("Transpose", steps, perm=[1, 0, 2])
        numbers = [graph.rng.normal(size=(1, gates * 6, width)) / 2 for width in (2, 6)]
        value = graph.add(kind, steps, *(graph.constant(n) for n in numbers), hidden_size=6)
        value = graph.add("Gather", value, graph.constant(np.array(3)), axis=0)
        value = graph.add("Squeeze", value, graph.constant(np.array([0])))
        value = graph.add("Sigmoid", graph.dense(value, 6, 1))
        yield fixed(case(kind.lower(), graph, value, 8), 1)
    graph = Graph(35)
    steps = graph.add("Reshape", "X", graph.constant(np.array([0, 4, 2])))
    query, key, own = (
        graph.add("MatMul", steps, graph.constant(graph.rng.normal(size=(2, 6)))) for _ in range(3)
    )
    near = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 2, 1]))
    near = graph.add("Softmax", graph.add("Div", near, graph.constant(np.array(6**0.5))), axis=-1)
    value = graph.add("Flatten", graph.add("MatMul", near, own), axis=1)
    value = graph.add("Sigmoid", graph.dense(value, 24, 1))
    yield fixed(case("attention", graph, value, 8), 1)


def fixed(of: Case, columns: int) -> Case:
    """With the width of the output, which a graph that is not lowered must tell."""
    of.id = of.id.replace("net_", "graph_")
    output = helper.make_tensor_value_info("P", TensorProto.FLOAT, [None, columns])
    of.model.graph.output[0].CopyFrom(output)
    return of


def nets() -> Iterator[Case]:
    """All of them; `converted` has put the examples on the path."""
    yield from plain()
    yield from shaped()
    yield from embedded()
    yield from foreign()
    yield from sequences()
    yield from scikit()
