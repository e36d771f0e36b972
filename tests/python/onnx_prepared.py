"""The grid's steps before trees: scalers, imputers, encoders, casts, several inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from onnx_build import DOMAIN, Floats, Shape, model, old_attributes, tensor, thresholds
from onnx_cases import SPECIAL, Case, edges, forest


def prepared() -> Iterator[Case]:
    """Steps before trees, one at a time."""
    node, limits = helper.make_node, {"domain": DOMAIN}
    steps: dict[str, tuple[list[onnx.NodeProto], list[onnx.TensorProto]]] = {
        "scaler": (
            [
                node(
                    "Scaler",
                    ["X"],
                    ["Y"],
                    offset=[0.1, -3.0, 1e3, 0.0],
                    scale=[0.3, -7.0, 1e-3, 1e20],
                    **limits,
                )
            ],
            [],
        ),
        "scaler_one": (
            [node("Scaler", ["X"], ["Y"], offset=[0.7], scale=[-1.0 / 3.0], **limits)],
            [],
        ),
        "mul_add": (
            [node("Mul", ["X", "c"], ["A"]), node("Add", ["A", "d"], ["Y"])],
            [tensor("c", [0.1, -0.2, 3.0, 7e-3], False), tensor("d", [0.05], False)],
        ),
        "sub_div": (
            [node("Sub", ["X", "c"], ["A"]), node("Div", ["A", "d"], ["Y"])],
            [
                tensor("c", [0.1, -0.2, 3.0, 7e-3], False),
                tensor("d", [3.0, -0.7, 11.0, 1.1], False),
            ],
        ),
        "from_constant": (
            [node("Sub", ["c", "X"], ["Y"])],
            [tensor("c", [1.0, 0.3, -0.2, 5.0], False)],
        ),
        "negated": ([node("Neg", ["X"], ["Y"])], []),
        "clip": (
            [node("Clip", ["X", "c", "d"], ["Y"])],
            [tensor("c", [-0.5], False).__class__(), tensor("d", [1.5], False)],
        ),
        "imputer_nan": (
            [
                node(
                    "Imputer",
                    ["X"],
                    ["Y"],
                    imputed_value_floats=[0.5, -1.0, 2.0, 0.0],
                    replaced_value_float=float("nan"),
                    **limits,
                )
            ],
            [],
        ),
        "imputer_zero": (
            [
                node(
                    "Imputer",
                    ["X"],
                    ["Y"],
                    imputed_value_floats=[0.5, -1.0, 2.0, 7.0],
                    replaced_value_float=0.0,
                    **limits,
                )
            ],
            [],
        ),
        "imputer_scaler": (
            [
                node(
                    "Imputer",
                    ["X"],
                    ["A"],
                    imputed_value_floats=[0.5],
                    replaced_value_float=float("nan"),
                    **limits,
                ),
                node("Scaler", ["A"], ["Y"], offset=[0.3], scale=[-1.7], **limits),
            ],
            [],
        ),
        "binarizer": ([node("Binarizer", ["X"], ["Y"], threshold=0.25, **limits)], []),
        "select": (
            [node("ArrayFeatureExtractor", ["X", "i"], ["Y"], **limits)],
            [helper.make_tensor("i", TensorProto.INT64, [4], [3, 0, 2, 2])],
        ),
        "gather_concat": (
            [
                node("Gather", ["X", "i"], ["A"], axis=1),
                node("Slice", ["X", "s", "e", "o"], ["B"]),
                node("Concat", ["A", "B"], ["Y"], axis=1),
            ],
            [
                helper.make_tensor("i", TensorProto.INT64, [2], [3, 1]),
                helper.make_tensor("s", TensorProto.INT64, [1], [1]),
                helper.make_tensor("e", TensorProto.INT64, [1], [-1]),
                helper.make_tensor("o", TensorProto.INT64, [1], [1]),
            ],
        ),
        "vectorizer": (
            [
                node("FeatureVectorizer", ["X"], ["A"], inputdimensions=[4], **limits),
                node("Identity", ["A"], ["Y"]),
            ],
            [],
        ),
        "labels": (
            [
                node(
                    "LabelEncoder",
                    ["X"],
                    ["Y"],
                    keys_floats=[-1.0, 0.0, 1.0, 2.0],
                    values_floats=[3.0, -2.0, 0.5, 1.0],
                    default_float=-0.25,
                    **limits,
                )
            ],
            [],
        ),
    }
    steps["clip"][1][0].CopyFrom(helper.make_tensor("c", TensorProto.FLOAT, [], [-0.5]))
    steps["clip"][1][1].CopyFrom(helper.make_tensor("d", TensorProto.FLOAT, [], [1.5]))
    for name, (nodes, constants) in steps.items():
        shape = Shape(depth=5)
        trees = forest(f"prep_{name}", shape, 10)
        last = node(
            "TreeEnsembleRegressor",
            ["Y"],
            ["P"],
            domain=DOMAIN,
            n_targets=1,
            **old_attributes(trees, "target", False),
        )
        graph = model(
            [*nodes, last], {"P": TensorProto.FLOAT}, {"X": (TensorProto.FLOAT, 4)}, 3, constants
        )
        # ONNX Runtime's Binarizer stops at NaN.
        special = SPECIAL[:-1] if name == "binarizer" else SPECIAL
        yield Case(f"prep_{name}", graph, through(graph, thresholds(trees, 4), special))


def through(
    graph: onnx.ModelProto, limits: list[list[float]], special: Sequence[float]
) -> Callable[[np.random.Generator], Floats]:
    """Rows whose values come next to thresholds after the graph's first steps, by bisection."""
    cut = onnx.ModelProto()
    cut.CopyFrom(graph)
    del cut.graph.node[-1]
    del cut.graph.output[:]
    cut.graph.output.append(helper.make_tensor_value_info("Y", TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(cut.SerializeToString())

    def rows(rng: np.random.Generator) -> Floats:
        base = edges(limits, special=special)(rng)
        grid = np.sort(np.concatenate([rng.normal(size=3000) * 10.0**e for e in (-1, 0, 1, 3)]))
        found = []
        for feature in range(4):
            probe = np.zeros((len(grid), 4), np.float32)
            probe[:, feature] = grid
            out = session.run(None, {"X": probe})[0]
            for column in range(out.shape[1]):
                for t in limits[column][:40]:
                    low, high = _crossing(session, probe, out[:, column] <= t, feature, column, t)
                    for value in np.unique(np.array([low, high], np.float32)):
                        row = rng.integers(-2, 3, 4).astype(np.float64)
                        row[feature] = value
                        found.append(row)
        return np.vstack([base, np.array(found)])

    return rows


def _crossing(
    session: Any, probe: Any, side: Any, feature: int, column: int, t: float
) -> tuple[float, float]:
    """Two neighbours between which the answer changes, or the ends."""
    flips = np.flatnonzero(side[1:] != side[:-1])
    if len(flips) == 0:
        return 0.0, float(probe[-1, feature])
    low, high = probe[flips[0], feature], probe[flips[0] + 1, feature]
    first = side[flips[0]]
    for _ in range(70):
        middle = np.float32((np.float64(low) + np.float64(high)) / 2)
        if middle in (low, high):
            break
        row = np.zeros((1, 4), np.float32)
        row[0, feature] = middle
        if (session.run(None, {"X": row})[0][0, column] <= t) == first:
            low = middle
        else:
            high = middle
    return float(low), float(high)


def types() -> Iterator[Case]:
    """Inputs of other types than float, and of several."""
    node, shape = helper.make_node, Shape(depth=5)
    trees = forest("types", shape, 10)
    limits = thresholds(trees, 4)
    single = old_attributes(trees, "target", False)
    double = old_attributes(trees, "target", True)
    whole = edges([[-1.0, 0.0, 1.0, 2.0]] * 4, special=(-3.0, 5.0, 1e6))

    def integers(rng: np.random.Generator) -> Floats:
        return np.trunc(np.nan_to_num(whole(rng)))

    def ensemble(given: str, attributes: dict[str, Any]) -> onnx.NodeProto:
        name = "TreeEnsembleRegressor"
        return node(name, [given], ["P"], domain=DOMAIN, n_targets=1, **attributes)

    constants = [
        tensor("c", [0.1, -0.2, 3.0, 7e-3], True),
        tensor("d", [3.0, -0.7, 1.1, 9.0], True),
    ]
    steps = [node("Sub", ["X", "c"], ["A"]), node("Div", ["A", "d"], ["Y"])]
    doubles = edges(limits, single=False)
    graph = model([*steps, ensemble("Y", double)], {"P": 1}, {"X": (11, 4)}, 3, constants)
    yield Case("types_double_steps", graph, doubles, raw=False)
    scaler = node("Scaler", ["X"], ["Y"], domain=DOMAIN, offset=[0.1], scale=[-0.7])
    graph = model([scaler, ensemble("Y", single)], {"P": 1}, {"X": (11, 4)}, 3)
    yield Case("types_double_scaler", graph, doubles)
    cast = node("Cast", ["X"], ["Y"], to=1)
    graph = model([cast, ensemble("Y", single)], {"P": 1}, {"X": (11, 4)}, 3)
    yield Case("types_double_cast", graph, doubles)
    cast = node("Cast", ["X"], ["Y"], to=11)
    graph = model([cast, ensemble("Y", double)], {"P": 1}, {"X": (1, 4)}, 3)
    yield Case("types_cast_double", graph, edges(limits), raw=False)
    # ONNX Runtime has no trees on integers, so they are cast.
    cast = node("Cast", ["X"], ["Y"], to=1)
    graph = model([cast, ensemble("Y", single)], {"P": 1}, {"X": (7, 4)}, 3)
    yield Case("types_integer", graph, integers)
    parts = [node("Cast", ["b"], ["B"], to=1), node("Concat", ["a", "B"], ["X"], axis=1)]
    scaler = node("Scaler", ["X"], ["Y"], domain=DOMAIN, offset=[0.3], scale=[1.7])
    inputs = {"a": (1, 3), "b": (7, 1)}
    graph = model([*parts, scaler, ensemble("Y", single)], {"P": 1}, inputs, 3)

    def mixed(rng: np.random.Generator) -> Floats:
        rows = edges(limits)(rng)
        rows[:, 3] = np.trunc(np.clip(np.nan_to_num(rows[:, 3]), -1e6, 1e6))
        return rows

    yield Case("types_mixed", graph, mixed)
    graph = model([*parts, scaler, ensemble("Y", single)], {"P": 1}, {"a": (1, 3), "b": (11, 1)}, 3)
    yield Case("types_mixed_double", graph, edges(limits, single=False))


def tails() -> Iterator[Case]:
    """What graphs do to scores, products with matrices, and one-hot columns before a sum."""
    node, shape = helper.make_node, Shape(targets=3)
    trees = forest("tails", shape, 6)
    rows = edges(thresholds(trees, 4))
    attributes = old_attributes(trees, "target", False)
    name = "TreeEnsembleRegressor"
    first = node(name, ["X"], ["S"], domain=DOMAIN, n_targets=3, **attributes)
    given = {"X": (TensorProto.FLOAT, 4)}
    two = tensor("c", [2.0, 0.5, 3.0], False)
    for kind in ("Sigmoid", "Softmax", "Exp", "Add", "Sub", "Mul", "Div"):
        arithmetic = kind in ("Add", "Sub", "Mul", "Div")
        last = node(kind, ["S", "c"] if arithmetic else ["S"], ["P"])
        graph = model([first, last], {"P": 1}, given, 3, [two] if arithmetic else [])
        yield Case(f"tail_{kind.lower()}", graph, rows, raw=False)
    plain = edges([[0.5]] * 4, special=(0.0, -0.0, np.nan))
    matrix = np.array([[0.5, -1.0], [0.25, 0.3], [-0.7, 0.1], [0.9, 2.0]], np.float32)
    turned = np.ascontiguousarray(matrix.T)
    bias = tensor("b", [0.1, -0.3], False)
    pieces = [node("MatMul", ["X", "m"], ["A"]), node("Add", ["A", "b"], ["P"])]
    constants = [onnx.numpy_helper.from_array(matrix, "m"), bias]
    yield Case("tail_matmul", model(pieces, {"P": 1}, given, 3, constants), plain, False, 0, 2e-6)
    pieces = [node("Gemm", ["X", "m", "b"], ["P"], transB=1)]
    constants = [onnx.numpy_helper.from_array(turned, "m"), bias]
    yield Case("tail_gemm", model(pieces, {"P": 1}, given, 3, constants), plain, False, 0, 2e-6)
    # No imputer: a missing value makes the score NaN, one-hot columns or not.
    one_hot = [
        node("Cast", ["b"], ["B"], to=7),
        node("OneHotEncoder", ["B"], ["C"], domain=DOMAIN, cats_int64s=[0, 1, 2], zeros=1),
        node("Reshape", ["C", "s"], ["D"]),
        node("Concat", ["a", "D"], ["Y"], axis=1),
        node("LinearRegressor", ["Y"], ["P"], domain=DOMAIN, **WEIGHTS),
    ]
    flat = helper.make_tensor("s", TensorProto.INT64, [2], [-1, 3])
    graph = model(one_hot, {"P": 1}, {"a": (1, 2), "b": (1, 1)}, 3, [flat])

    def some_missing(rng: np.random.Generator) -> Floats:
        found = edges([[0.5], [0.5], [0.0, 1.0, 2.0]], special=(0.0, 1.5, np.nan))(rng)
        found[:, 2] = np.nan_to_num(found[:, 2], nan=7.0)
        return found

    yield Case("tail_one_hot_linear", graph, some_missing, False, 0, 2e-6)


WEIGHTS = {"coefficients": [0.5, -1.5, 0.1, 0.2, -0.4], "intercepts": [0.3], "targets": 1}
