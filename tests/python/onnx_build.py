"""Trees as plain objects, and the ONNX graphs that hold them in each version of the operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float64]
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
MEMBER = "BRANCH_MEMBER"
DOMAIN = "ai.onnx.ml"


@dataclass(eq=False)
class Leaf:
    """Weights by target."""

    weights: dict[int, float]


@dataclass(eq=False)
class Branch:
    """A test with two children; a child may have several parents."""

    feature: int
    mode: str
    threshold: float
    missing_true: bool
    yes: Branch | Leaf
    no: Branch | Leaf
    members: tuple[float, ...] = ()


Node = Branch | Leaf


@dataclass
class Shape:
    """What random trees look like."""

    features: int = 4
    depth: int = 4
    modes: Sequence[str] = MODES
    targets: int = 1
    low: float = -1.0
    missing: bool = True
    all_targets: bool = True
    whole: bool = False
    shared: float = 0.0
    double: bool = False
    pool: list[Node] = field(default_factory=list)

    def number(self, rng: np.random.Generator) -> float:
        """A threshold; whole ones are hit by whole values."""
        if self.whole or rng.random() < 0.4:
            return float(rng.integers(-2, 4))
        value = rng.normal()
        return float(value) if self.double else float(np.float32(value))

    def weight(self, rng: np.random.Generator) -> float:
        """A leaf's weight."""
        value = rng.uniform(self.low, 1.0)
        return float(value) if self.double else float(np.float32(value))


def grow(rng: np.random.Generator, shape: Shape, depth: int | None = None) -> Node:
    """A random tree; parts are shared with the given probability."""
    left = shape.depth if depth is None else depth
    if depth is not None and (left == 0 or rng.random() < 0.15):
        count = shape.targets if shape.all_targets else int(rng.integers(1, shape.targets + 1))
        targets = sorted(rng.choice(shape.targets, size=count, replace=False).tolist())
        return Leaf({int(t): shape.weight(rng) for t in targets})
    mode = str(rng.choice(list(shape.modes)))
    # ONNX Runtime takes whole members only, and with members below 1 it takes fractions for
    # them, against the specification.
    members = tuple(float(rng.integers(1, 6)) for _ in range(3)) if mode == MEMBER else ()
    node = Branch(
        feature=int(rng.integers(shape.features)),
        mode=mode,
        threshold=0.0 if members else shape.number(rng),
        missing_true=bool(shape.missing and rng.random() < 0.5),
        yes=grow(rng, shape, left - 1),
        no=grow(rng, shape, left - 1),
        members=members,
    )
    if shape.shared and rng.random() < shape.shared:
        node.no = Branch(node.feature, node.mode, shape.number(rng), False, node.yes, node.no)
        node.no.members = tuple(float(rng.integers(1, 6)) for _ in members)
    return node


def walk(node: Node, seen: dict[int, Node] | None = None) -> Iterator[Node]:
    """Every node once, parents first."""
    seen = {} if seen is None else seen
    if id(node) in seen:
        return
    seen[id(node)] = node
    yield node
    if isinstance(node, Branch):
        yield from walk(node.yes, seen)
        yield from walk(node.no, seen)


def thresholds(trees: Sequence[Node], features: int) -> list[list[float]]:
    """Numbers that values are compared with, by feature."""
    found: list[set[float]] = [set() for _ in range(features)]
    for tree in trees:
        for node in walk(tree):
            if isinstance(node, Branch):
                found[node.feature].update(node.members or (node.threshold,))
    return [sorted(numbers) for numbers in found]


def tensor(name: str, values: Sequence[float], double: bool) -> onnx.TensorProto:
    """A vector of floats or doubles."""
    return numpy_helper.from_array(np.array(values, np.float64 if double else np.float32), name)


def old_attributes(trees: Sequence[Node], kind: str, double: bool) -> dict[str, Any]:
    """Attributes of versions 1 and 3."""
    out: dict[str, list[Any]] = {}

    def put(name: str, value: Any) -> None:
        out.setdefault(name, []).append(value)

    for number, tree in enumerate(trees):
        nodes = list(walk(tree))
        ids = {id(node): index for index, node in enumerate(nodes)}
        for node in nodes:
            branch = isinstance(node, Branch)
            put("nodes_treeids", number)
            put("nodes_nodeids", ids[id(node)])
            put("nodes_featureids", node.feature if branch else 0)
            put("nodes_modes", node.mode if branch else "LEAF")
            put("nodes_values", node.threshold if branch else 0.0)
            put("nodes_truenodeids", ids[id(node.yes)] if branch else 0)
            put("nodes_falsenodeids", ids[id(node.no)] if branch else 0)
            put("nodes_missing_value_tracks_true", int(branch and node.missing_true))
            for target, weight in [] if branch else node.weights.items():
                put(f"{kind}_treeids", number)
                put(f"{kind}_nodeids", ids[id(node)])
                put(f"{kind}_ids", target)
                put(f"{kind}_weights", weight)
    attributes: dict[str, Any] = dict(out)
    for name in ("nodes_values", f"{kind}_weights") if double else ():
        attributes[f"{name}_as_tensor"] = tensor(name, attributes.pop(name), True)
    return attributes


def new_attributes(trees: Sequence[Node], double: bool) -> dict[str, Any]:
    """Attributes of version 5; a leaf has one target."""
    branches = [n for tree in trees for n in walk(tree) if isinstance(n, Branch)]
    leaves = [n for tree in trees for n in walk(tree) if isinstance(n, Leaf)]
    at = {id(node): index for nodes in (branches, leaves) for index, node in enumerate(nodes)}
    modes = [(*MODES, MEMBER).index(node.mode) for node in branches]
    attributes: dict[str, Any] = {
        "tree_roots": [at[id(tree)] for tree in trees],
        "nodes_featureids": [node.feature for node in branches],
        "nodes_truenodeids": [at[id(node.yes)] for node in branches],
        "nodes_trueleafs": [int(isinstance(node.yes, Leaf)) for node in branches],
        "nodes_falsenodeids": [at[id(node.no)] for node in branches],
        "nodes_falseleafs": [int(isinstance(node.no, Leaf)) for node in branches],
        "nodes_missing_value_tracks_true": [int(node.missing_true) for node in branches],
        "nodes_modes": numpy_helper.from_array(np.array(modes, np.uint8), "modes"),
        "nodes_splits": tensor("splits", [node.threshold for node in branches], double),
        "leaf_targetids": [next(iter(leaf.weights)) for leaf in leaves],
        "leaf_weights": tensor("weights", [next(iter(x.weights.values())) for x in leaves], double),
    }
    members = [number for node in branches for number in (*node.members, np.nan) if node.members]
    if members:
        attributes["membership_values"] = tensor("members", members, double)
    return attributes


def model(
    nodes: Sequence[onnx.NodeProto],
    outputs: dict[str, int],
    inputs: dict[str, tuple[int, int]],
    version: int,
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    """A graph; inputs by name with type and width, outputs with type."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(n, t, [None, w]) for n, (t, w) in inputs.items()],
        [helper.make_tensor_value_info(n, t, None) for n, t in outputs.items()],
        list(constants),
    )
    sets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, version)]
    return helper.make_model(graph, opset_imports=sets, ir_version=9)


def regressor(
    trees: Sequence[Node], features: int, version: int = 3, double: bool = False, **more: Any
) -> onnx.ModelProto:
    """A graph of one ensemble; `double` is about tensors and inputs."""
    kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
    if version == 5:
        attributes = new_attributes(trees, double)
        node = helper.make_node("TreeEnsemble", ["X"], ["P"], domain=DOMAIN, **attributes, **more)
        return model([node], {"P": kind}, {"X": (kind, features)}, 5)
    attributes = old_attributes(trees, "target", double and version == 3)
    name = "TreeEnsembleRegressor"
    node = helper.make_node(name, ["X"], ["P"], domain=DOMAIN, **attributes, **more)
    return model([node], {"P": TensorProto.FLOAT}, {"X": (kind, features)}, version)


def classifier(
    trees: Sequence[Node], features: int, classes: int, version: int = 3, **more: Any
) -> onnx.ModelProto:
    """A graph of one ensemble with labels."""
    attributes = old_attributes(trees, "class", False)
    labels = list(range(classes))
    name = "TreeEnsembleClassifier"
    node = helper.make_node(
        name, ["X"], ["L", "P"], domain=DOMAIN, classlabels_int64s=labels, **attributes, **more
    )
    outputs = {"L": TensorProto.INT64, "P": TensorProto.FLOAT}
    return model([node], outputs, {"X": (TensorProto.FLOAT, features)}, version)
