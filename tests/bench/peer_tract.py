"""tract on its own, in a process of its own; see `tract/`.

Of the tree operators it knows the classifier alone, so it gets the same trees as one. A row takes
it milliseconds, so it times few.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from ours import Child, Timed
from timing import Sample

BINARY = Path(__file__).resolve().parents[2] / "target" / "release" / "bench-tract"
ROWS = 40
SCORED_CLASS = 1


def classifier(regressor: bytes) -> bytes:
    """The trees as a classifier of two classes whose second one has the score."""
    model = onnx.load_model_from_string(regressor)
    graph = model.graph
    node = next(node for node in graph.node if node.op_type == "TreeEnsembleRegressor")
    node.op_type = "TreeEnsembleClassifier"
    node.output.insert(0, "label")
    kept = [attribute for attribute in node.attribute if attribute.name != "n_targets"]
    for attribute in kept:
        attribute.name = attribute.name.replace("target_", "class_")
        if attribute.name == "class_ids":
            attribute.ints[:] = [SCORED_CLASS] * len(attribute.ints)
    del node.attribute[:]
    node.attribute.extend(kept)
    node.attribute.append(onnx.helper.make_attribute("classlabels_int64s", [0, SCORED_CLASS]))
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    return bytes(model.SerializeToString())


def child(regressor: Path, rows: Path, features: int) -> Child:
    """The process, on a model written beside the one it is given."""
    if not BINARY.exists():
        raise RuntimeError("not built, see make bench-tract")
    model = regressor.with_name("model_tract.onnx")
    model.write_bytes(classifier(regressor.read_bytes()))
    return Child([BINARY, model, rows, features])


class Tract(Timed):
    """Its rows, few of them."""

    def __init__(self, process: Child) -> None:
        """Names the peer."""
        super().__init__(process, "tract", True)
        self.checkable = True
        self.label = "tract"

    def measure(self, rows: int) -> Sample:
        """Asks for a few rows."""
        return super().measure(min(rows, ROWS))
