"""The grid's graphs with texts: inputs that are texts, and classes that have names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn import ensemble, linear_model
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from onnx_build import DOMAIN, Floats, Shape, model, old_attributes, tensor, thresholds
from onnx_cases import Case, edges, forest

CHANNELS = ["app", "pos", "shop in shop", "web"]
COUNTRIES = ["AT", "CH", "Côte d'Ivoire", "DE", "日本"]
FIRST_TEXT = 2


def data() -> tuple[Any, Any, Any]:
    """Two numbers and two texts; two classes, three classes."""
    rng = np.random.default_rng(11)
    x = np.empty((600, 4), object)
    x[:, 0], x[:, 1] = rng.normal(size=(2, 600)).astype(np.float32)
    x[:, 2], x[:, 3] = rng.choice(CHANNELS, 600), rng.choice(COUNTRIES, 600)
    signal = x[:, 0] + (x[:, 2] == "web") - (x[:, 3] == "日本") + rng.normal(size=600) / 2
    names = np.array(["fine", "fraud", "abuse"])
    signal = signal.astype(float)
    return x, (signal > 0.3).astype(int), names[np.digitize(signal, [-0.3, 0.8])]


def export(pipe: Any, zipmap: bool = False) -> onnx.ModelProto:
    """The graph, with an input a column."""
    import onnx.helper
    from common import numbers  # on the path of the examples
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = [("a", FloatTensorType), ("b", FloatTensorType)]
    kinds += [("channel", StringTensorType), ("country", StringTensorType)]
    last = pipe.steps[-1][1]
    plain = onnx.helper.make_attribute
    onnx.helper.make_attribute = numbers(plain)
    try:
        return convert_sklearn(
            pipe,
            initial_types=[(name, kind([None, 1])) for name, kind in kinds],
            options={id(last): {"zipmap": zipmap}},
        )
    finally:
        onnx.helper.make_attribute = plain


def rows(graph: onnx.ModelProto, known: bool) -> Callable[[np.random.Generator], Floats]:
    """Numbers at thresholds of the first trees, and codes of texts, unknown ones among them."""
    limits: list[list[float]] = [[0.0], [0.0]]
    for node in graph.graph.node:
        found = {a.name: a for a in node.attribute}
        if "nodes_values" in found:
            places = zip(found["nodes_featureids"].ints, found["nodes_values"].floats, strict=True)
            for column, value in places:
                if column < FIRST_TEXT:
                    limits[column].append(value)

    def made(rng: np.random.Generator) -> Floats:
        numbers = edges(limits, special=(0.0, -1e30, 1e30))(rng)
        more = 0 if known else 1
        codes = [rng.integers(0, len(c) + more, len(numbers)) for c in (CHANNELS, COUNTRIES)]
        return np.column_stack([numbers, *codes]).astype(np.float64)

    return made


TEXTS = {"channel": CHANNELS, "country": COUNTRIES}


def pipelines() -> Iterator[Case]:
    """Encoders of texts before trees and linear models."""
    x, two, three = data()
    trees = ensemble.RandomForestClassifier(12, max_depth=6, random_state=3)
    hist = ensemble.HistGradientBoostingClassifier(max_iter=15, random_state=3)
    logistic = linear_model.LogisticRegression(max_iter=500)
    one_hot = OneHotEncoder(handle_unknown="ignore")
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    kinds = (
        ("onehot_forest", one_hot, trees, two, False),
        ("onehot_forest_3", one_hot, trees, three, False),
        ("onehot_logistic", one_hot, logistic, two, False),
        ("onehot_logistic_3", one_hot, logistic, three, False),
        ("onehot_known", OneHotEncoder(), trees, two, True),
        ("ordinal_forest", ordinal, trees, three, False),
        ("ordinal_hist", ordinal, hist, two, False),
        ("target_forest", TargetEncoder(random_state=3), trees, two, False),
    )
    for name, encoder, last, y, known in kinds:
        columns = [("n", StandardScaler() if last is logistic else "passthrough", [0, 1])]
        pipe = make_pipeline(ColumnTransformer([*columns, ("t", encoder, [2, 3])]), last).fit(x, y)
        graph = export(pipe, zipmap=name == "onehot_forest_3")
        yield Case(
            f"text_{name}",
            graph,
            rows(graph, known),
            raw=last is not logistic,
            first=int(y is two),
            tolerance=5e-6,
            texts=TEXTS,
            classes=[str(c) for c in pipe.classes_],
        )


def classes() -> Iterator[Case]:
    """Classes with names of their own, without texts among the inputs."""
    from common import export as plain

    rng = np.random.default_rng(13)
    x = rng.normal(size=(500, 4)).astype(np.float32)
    place = np.digitize(x[:, 0] + rng.normal(size=500) / 2, [-0.5, 0.5])
    given = edges([[0.0]] * 4, special=(0.5, -0.5))
    forest_of = ensemble.RandomForestClassifier(8, max_depth=5, random_state=3)
    logistic = linear_model.LogisticRegression(max_iter=500)
    labels = {"words": np.array(["fine", "fraud", "abuse"]), "numbers": np.array([3, 7, 20])}
    for kind, names in labels.items():
        for last, estimator in (("forest", forest_of), ("logistic", logistic)):
            fitted = estimator.fit(x, names[place])
            raw = last == "forest"
            found = [str(c) for c in fitted.classes_]
            graph = plain(fitted, x)
            yield Case(f"class_{kind}_{last}", graph, given, raw, 0, 5e-6, classes=found)


def hand_made() -> Iterator[Case]:
    """What converters write seldom: tensors of keys, mappers, several texts in one input."""
    node, given = helper.make_node, {"X": (TensorProto.STRING, 2)}
    trees = forest("texts", Shape(features=2, depth=4), 10)
    ensemble_of = node(
        "TreeEnsembleRegressor",
        ["Y"],
        ["P"],
        domain=DOMAIN,
        n_targets=1,
        **old_attributes(trees, "target", False),
    )
    near = [sorted({round(t * 2) / 2 for t in limits}) for limits in thresholds(trees, 2)]
    values = [float(v) for v in (near[0] + near[1])[:3]]
    words = ["one", "two", "three"]

    def codes(rng: np.random.Generator) -> Floats:
        return rng.integers(0, 4, (60, 2)).astype(np.float64)

    keys = helper.make_tensor("k", TensorProto.STRING, [3], [word.encode() for word in words])
    steps: dict[str, list[onnx.NodeProto]] = {
        "labels": [
            node(
                "LabelEncoder",
                ["X"],
                ["Y"],
                domain=DOMAIN,
                keys_strings=words,
                values_floats=values,
                default_float=-7.5,
            )
        ],
        "mapper": [
            node(
                "CategoryMapper",
                ["X"],
                ["I"],
                domain=DOMAIN,
                cats_strings=words,
                cats_int64s=[2, -1, 0],
                default_int64=1,
            ),
            node("Cast", ["I"], ["Y"], to=TensorProto.FLOAT),
        ],
        "tensors": [
            node(
                "LabelEncoder",
                ["X"],
                ["Y"],
                domain=DOMAIN,
                keys_tensor=keys,
                values_tensor=tensor("v", values, False),
                default_tensor=tensor("d", [0.25], False),
            )
        ],
    }
    for name, nodes in steps.items():
        version = 4 if name == "tensors" else 3
        graph = model([*nodes, ensemble_of], {"P": TensorProto.FLOAT}, given, version, [])
        yield Case(f"text_{name}", graph, codes, texts={"f0": words, "f1": words})


def texts() -> Iterator[Case]:
    """All of them."""
    yield from hand_made()
    yield from pipelines()
    yield from classes()
