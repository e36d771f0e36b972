"""The grid's hand-made ensembles: every branch mode, aggregate and post transform."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx_build import (
    DOMAIN,
    MEMBER,
    MODES,
    Floats,
    Node,
    Shape,
    classifier,
    grow,
    model,
    old_attributes,
    regressor,
    tensor,
    thresholds,
)

TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
SPECIAL = (0.0, -0.0, 1e-40, -1e-40, 1e30, -1e30, np.inf, -np.inf, np.nan)


@dataclass
class Case:
    """A graph with rows to predict."""

    id: str
    model: onnx.ModelProto
    rows: Callable[[np.random.Generator], Floats]
    raw: bool = True
    """Raw scores can be had, and must agree to the bit."""
    first: int = 0
    """The first column that we import; 1 leaves the other class out."""
    tolerance: float = 1e-6


def edges(
    limits: Sequence[Sequence[float]], single: bool = True, special: Sequence[float] = SPECIAL
) -> Callable[[np.random.Generator], Floats]:
    """Rows at and next to thresholds, and usual ones."""
    kind = np.float32 if single else np.float64

    def near(number: float) -> list[float]:
        at = kind(number)
        low, high = np.nextafter(at, kind(-np.inf)), np.nextafter(at, kind(np.inf))
        return [float(low), float(at), float(high)]

    def rows(rng: np.random.Generator) -> Floats:
        width = len(limits)
        usual = np.where(
            rng.random((120, width)) < 0.5,
            rng.integers(-3, 5, (120, width)),
            rng.normal(size=(120, width)) * 2,
        ).astype(kind)
        known = [[x for t in list_ for x in near(t)] + list(special) for list_ in limits]
        mixed = [[rng.choice(numbers) for numbers in known] for _ in range(280)]
        single_edges = []
        for feature, numbers in enumerate(known):
            for number in numbers[:150]:
                row = usual[int(rng.integers(len(usual)))].astype(np.float64)
                row[feature] = number
                single_edges.append(row)
        return np.vstack([usual.astype(np.float64), np.array(mixed), np.array(single_edges)])

    return rows


def forest(name: str, shape: Shape, count: int = 12) -> list[Node]:
    """Random trees that depend on the name alone."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return [grow(rng, shape) for _ in range(count)]


def one(name: str, shape: Shape, version: int, count: int = 12, **more: Any) -> Case:
    """A regressor with one target or several."""
    trees = forest(name, shape, count)
    graph = regressor(trees, shape.features, version, shape.double, n_targets=shape.targets, **more)
    limits = thresholds(trees, shape.features)
    # A double graph of version 1 or 3 gives its sums as float.
    raw = "aggregate_function" not in more or more["aggregate_function"] not in ("AVERAGE", 0)
    raw = raw and not (shape.double and version != 5)
    return Case(name, graph, edges(limits, single=not shape.double), raw)


def modes() -> Iterator[Case]:
    """Every branch mode in every version, single and double."""
    for mode in MODES:
        low = mode.removeprefix("BRANCH_").lower()
        yield one(f"v1_{low}", Shape(modes=[mode]), 1)
        yield one(f"v3_double_{low}", Shape(modes=[mode], double=True), 3)
        yield one(f"v5_{low}", Shape(modes=[mode]), 5)
        yield one(f"v5_double_{low}", Shape(modes=[mode], double=True), 5)
    yield one("v1_mixed", Shape(depth=7), 1, count=30)
    yield one("v3_mixed", Shape(depth=7), 3, count=30)
    yield one("v5_mixed", Shape(depth=7, modes=[*MODES, MEMBER]), 5, count=30)
    yield one("v5_double_mixed", Shape(depth=6, modes=[*MODES, MEMBER], double=True), 5, count=30)
    yield one("v5_member", Shape(modes=[MEMBER]), 5)
    yield one("v5_member_whole", Shape(modes=[MEMBER], whole=True), 5)
    yield one("v1_many_trees", Shape(depth=3), 1, count=300)
    yield one("v1_double_input", Shape(double=True), 1)
    # ONNX Runtime has no shared nodes in version 5.
    for version in (1, 3):
        yield one(f"v{version}_dag_eq", Shape(modes=["BRANCH_EQ"], whole=True, shared=0.6), version)
        yield one(f"v{version}_dag", Shape(modes=["BRANCH_LEQ"], shared=0.5), version)


def aggregates() -> Iterator[Case]:
    """Aggregates, base values and several targets."""
    for number, name in enumerate(("AVERAGE", "SUM", "MIN", "MAX")):
        low = name.lower()
        yield one(f"agg_{low}", Shape(), 3, aggregate_function=name)
        yield one(f"agg_{low}_base", Shape(), 3, aggregate_function=name, base_values=[0.3])
        yield one(f"agg_{low}_v5", Shape(), 5, aggregate_function=number)
        several = Shape(targets=3)
        yield one(f"agg_{low}_targets", several, 3, aggregate_function=name)
        base = [0.1, -0.7, 2.5]
        yield one(f"agg_{low}_targets_base", several, 1, aggregate_function=name, base_values=base)
    yield one("targets_some", Shape(targets=3, all_targets=False), 3)
    v5 = Shape(targets=3, all_targets=False, modes=[*MODES, MEMBER])
    trees = forest("targets_v5", v5)
    for tree in trees:
        _one_target(tree)
    graph = regressor(trees, 4, 5, n_targets=3)
    yield Case("targets_v5", graph, edges(thresholds(trees, 4)))


def _one_target(tree: Node) -> None:
    from onnx_build import Leaf, walk

    for node in walk(tree):
        if isinstance(node, Leaf):
            target = max(node.weights, key=lambda t: node.weights[t])
            node.weights = {target: node.weights[target]}


def transforms() -> Iterator[Case]:
    """Post transforms of regressors and classifiers."""
    for number, name in enumerate(TRANSFORMS):
        low, small = name.lower(), 0.0 if name == "PROBIT" else -1.0
        count = 1 if name == "PROBIT" else 8
        tolerance = 1e-4 if name == "PROBIT" else 1e-6
        made = [
            one(f"post_{low}", Shape(low=small), 3, count, post_transform=name),
            one(f"post_{low}_targets", Shape(low=small, targets=3), 3, count, post_transform=name),
            one(f"post_{low}_v5", Shape(low=small), 5, count, post_transform=number),
        ]
        for classes in (2, 3):
            shape = Shape(low=small, targets=classes)
            trees = forest(f"class{classes}_{low}", shape, count)
            graph = classifier(trees, 4, classes, post_transform=name)
            made.append(Case(f"class{classes}_{low}", graph, edges(thresholds(trees, 4))))
        base = [0.25] * 3 if name == "PROBIT" else [0.5, -0.25, 0.0]
        trees = forest(f"class3_{low}_base", Shape(low=small, targets=3), count)
        graph = classifier(trees, 4, 3, 1, post_transform=name, base_values=base)
        made.append(Case(f"class3_{low}_base", graph, edges(thresholds(trees, 4))))
        for case in made:
            case.tolerance = tolerance
            yield case


def one_column() -> Iterator[Case]:
    """Two classes with a single column of weights."""
    for name in TRANSFORMS[:4]:
        for low in (-1.0, 0.0):
            for base in (None, [0.125]):
                sign = "mixed" if low else "positive"
                case = f"binary_{name.lower()}_{sign}" + ("_base" if base else "")
                trees = forest(case, Shape(low=low), 6)
                more = {} if base is None else {"base_values": base}
                graph = classifier(trees, 4, 2, 1, post_transform=name, **more)
                yield Case(case, graph, edges(thresholds(trees, 4)), first=1)


def prepared() -> Iterator[Case]:
    """Steps before trees, one at a time."""
    node, limits = helper.make_node, {"domain": DOMAIN}
    steps: dict[str, tuple[list[onnx.NodeProto], list[onnx.TensorProto]]] = {
        "scaler": ([node("Scaler", ["X"], ["Y"], offset=[0.1, -3.0, 1e3, 0.0], scale=[0.3, -7.0, 1e-3, 1e20], **limits)], []),
        "scaler_one": ([node("Scaler", ["X"], ["Y"], offset=[0.7], scale=[-1.0 / 3.0], **limits)], []),
        "mul_add": ([node("Mul", ["X", "c"], ["A"]), node("Add", ["A", "d"], ["Y"])], [tensor("c", [0.1, -0.2, 3.0, 7e-3], False), tensor("d", [0.05], False)]),
        "sub_div": ([node("Sub", ["X", "c"], ["A"]), node("Div", ["A", "d"], ["Y"])], [tensor("c", [0.1, -0.2, 3.0, 7e-3], False), tensor("d", [3.0, -0.7, 11.0, 1.1], False)]),
        "from_constant": ([node("Sub", ["c", "X"], ["Y"])], [tensor("c", [1.0, 0.3, -0.2, 5.0], False)]),
        "negated": ([node("Neg", ["X"], ["Y"])], []),
        "clip": ([node("Clip", ["X", "c", "d"], ["Y"])], [tensor("c", [-0.5], False).__class__(), tensor("d", [1.5], False)]),
        "imputer_nan": ([node("Imputer", ["X"], ["Y"], imputed_value_floats=[0.5, -1.0, 2.0, 0.0], replaced_value_float=float("nan"), **limits)], []),
        "imputer_zero": ([node("Imputer", ["X"], ["Y"], imputed_value_floats=[0.5, -1.0, 2.0, 7.0], replaced_value_float=0.0, **limits)], []),
        "imputer_scaler": ([node("Imputer", ["X"], ["A"], imputed_value_floats=[0.5], replaced_value_float=float("nan"), **limits), node("Scaler", ["A"], ["Y"], offset=[0.3], scale=[-1.7], **limits)], []),
        "binarizer": ([node("Binarizer", ["X"], ["Y"], threshold=0.25, **limits)], []),
        "select": ([node("ArrayFeatureExtractor", ["X", "i"], ["Y"], **limits)], [helper.make_tensor("i", TensorProto.INT64, [4], [3, 0, 2, 2])]),
        "gather_concat": ([node("Gather", ["X", "i"], ["A"], axis=1), node("Slice", ["X", "s", "e", "o"], ["B"]), node("Concat", ["A", "B"], ["Y"], axis=1)], [helper.make_tensor("i", TensorProto.INT64, [2], [3, 1]), helper.make_tensor("s", TensorProto.INT64, [1], [1]), helper.make_tensor("e", TensorProto.INT64, [1], [-1]), helper.make_tensor("o", TensorProto.INT64, [1], [1])]),
        "vectorizer": ([node("FeatureVectorizer", ["X"], ["A"], inputdimensions=[4], **limits), node("Identity", ["A"], ["Y"])], []),
        "labels": ([node("LabelEncoder", ["X"], ["Y"], keys_floats=[-1.0, 0.0, 1.0, 2.0], values_floats=[3.0, -2.0, 0.5, 1.0], default_float=-0.25, **limits)], []),
    }
    steps["clip"][1][0].CopyFrom(helper.make_tensor("c", TensorProto.FLOAT, [], [-0.5]))
    steps["clip"][1][1].CopyFrom(helper.make_tensor("d", TensorProto.FLOAT, [], [1.5]))
    for name, (nodes, constants) in steps.items():
        shape = Shape(depth=5)
        trees = forest(f"prep_{name}", shape, 10)
        last = node("TreeEnsembleRegressor", ["Y"], ["P"], domain=DOMAIN, n_targets=1, **old_attributes(trees, "target", False))
        graph = model([*nodes, last], {"P": TensorProto.FLOAT}, {"X": (TensorProto.FLOAT, 4)}, 3, constants)
        # ONNX Runtime's Binarizer stops at NaN.
        special = SPECIAL[:-1] if name == "binarizer" else SPECIAL
        yield Case(f"prep_{name}", graph, through(graph, thresholds(trees, 4), special))


def through(graph: onnx.ModelProto, limits: list[list[float]], special: Sequence[float]) -> Callable[[np.random.Generator], Floats]:
    """Rows whose values come next to thresholds after the graph's first steps, by bisection."""
    import onnxruntime

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


def _crossing(session: Any, probe: Any, side: Any, feature: int, column: int, t: float) -> tuple[float, float]:
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


def linear() -> Iterator[Case]:
    """Linear operators, single scores and several."""
    usual = edges([[0.5]] * 3, special=(0.0, -0.0, np.nan))
    for name in TRANSFORMS[:4]:
        for rows in (1, 3):
            coefficients = [0.5, -1.25, 0.3, 0.1, 0.7, -0.2, 0.9, 0.4, -0.6][: 3 * rows]
            node = helper.make_node("LinearRegressor", ["X"], ["P"], domain=DOMAIN, coefficients=coefficients, intercepts=[0.1, -0.2, 0.3][:rows], targets=rows, post_transform=name)
            graph = model([node], {"P": 1}, {"X": (1, 3)}, 1)
            yield Case(f"linear_{name.lower()}_{rows}", graph, usual, raw=False, tolerance=2e-6)
        for rows, opposite in ((1, False), (2, False), (2, True), (3, False)):
            first = [0.5, -1.25, 0.3]
            all_rows = [first, [-x for x in first] if opposite else [0.1, 0.7, -0.2], [0.9, 0.4, -0.6]]
            bias = [0.1, -0.1 if opposite else 0.7, 0.3][:rows]
            node = helper.make_node("LinearClassifier", ["X"], ["L", "P"], domain=DOMAIN, coefficients=sum(all_rows[:rows], []), intercepts=bias, classlabels_ints=list(range(max(rows, 2))), post_transform=name)
            graph = model([node], {"L": 7, "P": 1}, {"X": (1, 3)}, 1)
            case = f"linear_class_{name.lower()}_{rows}" + ("_opposite" if opposite else "")
            one_output = rows == 1 or (opposite and name in ("LOGISTIC", "SOFTMAX"))
            yield Case(case, graph, usual, raw=False, first=int(one_output), tolerance=2e-6)


def hand_made() -> Iterator[Case]:
    """All of them."""
    for group in (modes, aggregates, transforms, one_column, prepared, linear):
        yield from group()
