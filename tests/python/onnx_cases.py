"""The grid's hand-made ensembles: every branch mode, aggregate and post transform."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnx_build import (
    DOMAIN,
    MEMBER,
    MODES,
    Floats,
    Leaf,
    Node,
    Shape,
    classifier,
    grow,
    model,
    regressor,
    thresholds,
    walk,
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
    texts: dict[str, list[str]] | None = None
    """Of inputs that are texts, the texts by their codes in the rows."""
    classes: list[str] | None = None
    """Names of the classes as the trainer has them."""


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


def shares() -> Iterator[Case]:
    """Two classes whose weights add up to one: the probability of the second is imported."""
    trees = forest("class2_shares", Shape(low=0.0, targets=2), 10)
    for leaf in (node for tree in trees for node in walk(tree) if isinstance(node, Leaf)):
        leaf.weights = {0: (1.0 - leaf.weights[1]) / 10, 1: leaf.weights[1] / 10}
    graph = classifier(trees, 4, 2)
    yield Case("class2_shares", graph, edges(thresholds(trees, 4)), first=1)


def linear() -> Iterator[Case]:
    """Linear operators, single scores and several."""
    usual = edges([[0.5]] * 3, special=(0.0, -0.0, np.nan))
    for name in TRANSFORMS[:4]:
        for rows in (1, 3):
            coefficients = [0.5, -1.25, 0.3, 0.1, 0.7, -0.2, 0.9, 0.4, -0.6][: 3 * rows]
            node = helper.make_node(
                "LinearRegressor",
                ["X"],
                ["P"],
                domain=DOMAIN,
                coefficients=coefficients,
                intercepts=[0.1, -0.2, 0.3][:rows],
                targets=rows,
                post_transform=name,
            )
            graph = model([node], {"P": 1}, {"X": (1, 3)}, 1)
            yield Case(f"linear_{name.lower()}_{rows}", graph, usual, raw=False, tolerance=2e-6)
        for rows, opposite in ((1, False), (2, False), (2, True), (3, False)):
            first = [0.5, -1.25, 0.3]
            all_rows = [
                first,
                [-x for x in first] if opposite else [0.1, 0.7, -0.2],
                [0.9, 0.4, -0.6],
            ]
            bias = [0.1, -0.1 if opposite else 0.7, 0.3][:rows]
            node = helper.make_node(
                "LinearClassifier",
                ["X"],
                ["L", "P"],
                domain=DOMAIN,
                coefficients=[number for row in all_rows[:rows] for number in row],
                intercepts=bias,
                classlabels_ints=list(range(max(rows, 2))),
                post_transform=name,
            )
            graph = model([node], {"L": 7, "P": 1}, {"X": (1, 3)}, 1)
            case = f"linear_class_{name.lower()}_{rows}" + ("_opposite" if opposite else "")
            one_output = rows == 1 or (opposite and name in ("LOGISTIC", "SOFTMAX"))
            yield Case(case, graph, usual, raw=False, first=int(one_output), tolerance=2e-6)


def hand_made() -> Iterator[Case]:
    """All of them."""
    for group in (modes, aggregates, transforms, one_column, shares, linear):
        yield from group()
