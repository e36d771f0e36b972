"""The grid's converted models: scikit-learn's, pipelines, LightGBM's, and the examples."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from sklearn import ensemble, linear_model, tree
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, OneHotEncoder, StandardScaler

from onnx_build import Floats
from onnx_cases import Case, edges

EXAMPLES = Path(__file__).resolve().parents[2] / "models" / "sklearn"
SCRIPTS = ("random_forest", "gradient_boosting", "hist_gradient_boosting", "logistic_regression")
TREES = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")


def data(missing: bool, whole: int = 0) -> tuple[Any, Any, Any, Any]:
    """Rows in single precision; a number, two classes, three classes."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(600, 6)) * [1, 10, 0.1, 1, 1, 1] + [0, 50, 0, 0, 0, 0]
    x[:, 6 - whole :] = rng.integers(0, 4, (600, whole))
    signal = x[:, 0] + (x[:, 1] - 50) / 10 + (x[:, 5] > 1) - x[:, 3] * x[:, 4] / 3
    noise = rng.normal(size=600) / 2
    three = np.digitize(signal + noise, [-0.8, 0.8])
    if missing:
        x[rng.random(x.shape) < 0.1] = np.nan
    return x.astype(np.float32), signal + noise, (signal + noise > 0.2).astype(int), three


def tree_limits(graph: onnx.ModelProto, width: int) -> list[list[float]]:
    """Thresholds by column of the tree's input."""
    limits: list[set[float]] = [set() for _ in range(width)]
    for node in graph.graph.node:
        if node.op_type in TREES:
            found = {a.name: a for a in node.attribute}
            places = zip(found["nodes_featureids"].ints, found["nodes_values"].floats, strict=True)
            for (column, value), mode in zip(places, found["nodes_modes"].strings, strict=True):
                if mode != b"LEAF":
                    limits[column].add(value)
    return [sorted(numbers) for numbers in limits]


def plain_rows(
    graph: onnx.ModelProto, width: int, missing: bool
) -> Callable[[np.random.Generator], Floats]:
    """Rows at the thresholds of trees that read features as they are."""
    special = (0.0, -0.0, 1e30, -1e30, *((np.nan,) if missing else ()))
    return edges(tree_limits(graph, width), special=special)


def scaled_rows(
    graph: onnx.ModelProto, x: Any, inverse: Callable[[Any], Any] | None
) -> Callable[[np.random.Generator], Floats]:
    """Training rows, and rows that a scaler takes to within some floats of a threshold."""

    def rows(rng: np.random.Generator) -> Floats:
        base = x[rng.integers(len(x), size=300)].astype(np.float64)
        if inverse is None:
            return base
        limits, found = tree_limits(graph, x.shape[1]), []
        for column, numbers in enumerate(limits):
            for number in numbers[:30]:
                at = np.zeros((1, x.shape[1]))
                at[0, column] = number
                value = np.float32(inverse(at)[0, column])
                for step in range(-6, 7):
                    row = np.nan_to_num(base[int(rng.integers(len(base)))])
                    row[column] = np.float32(value + step * np.spacing(value))
                    found.append(row)
        return np.vstack([base, np.array(found)])

    return rows


def plain() -> Iterator[Case]:
    """Models alone."""
    from common import export  # on the path of the examples

    forests = (
        ("forest", ensemble.RandomForestClassifier, ensemble.RandomForestRegressor, False),
        ("extra", ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor, False),
        (
            "boosting",
            ensemble.GradientBoostingClassifier,
            ensemble.GradientBoostingRegressor,
            False,
        ),
        (
            "hist",
            ensemble.HistGradientBoostingClassifier,
            ensemble.HistGradientBoostingRegressor,
            True,
        ),
    )
    for name, classes, numbers, missing in forests:
        x, y, two, three = data(missing)
        size = {"max_iter": 20} if missing else {"n_estimators": 15, "max_depth": 6}
        for target, kind in ((two, "2"), (three, "3"), (y, "r")):
            model = (numbers if kind == "r" else classes)(random_state=3, **size).fit(x, target)
            graph = export(model, x)
            rows = plain_rows(graph, 6, missing)
            yield Case(f"skl_{name}_{kind}", graph, rows, first=int(kind == "2"))
    x, y, two, three = data(False)
    for target, kind in ((two, "2"), (three, "3")):
        model = tree.DecisionTreeClassifier(max_depth=6, random_state=3).fit(x, target)
        graph = export(model, x)
        yield Case(f"skl_tree_{kind}", graph, plain_rows(graph, 6, False), first=int(kind == "2"))
    model = tree.DecisionTreeRegressor(max_depth=6, random_state=3).fit(x, np.column_stack([y, -y]))
    graph = export(model, x)
    yield Case("skl_tree_two_targets", graph, plain_rows(graph, 6, False))
    for target, kind in ((two, "2"), (three, "3")):
        model = linear_model.LogisticRegression(max_iter=500).fit(x, target)
        rows = scaled_rows(None, x, None)
        yield Case(f"skl_logistic_{kind}", export(model, x), rows, False, int(kind == "2"), 5e-6)
    model = linear_model.LinearRegression().fit(x, y)
    yield Case("skl_linear", export(model, x), scaled_rows(None, x, None), False, 0, 5e-6)


def pipelines() -> Iterator[Case]:
    """Pipelines; raw scores agree to the bit before trees, nearly before linear models."""
    from common import export

    x, _, two, _ = data(False)
    gaps, *_ = data(True)
    mixed, *_ = data(False, whole=2)
    forest = ensemble.RandomForestClassifier(12, max_depth=6, random_state=3)
    boosting = ensemble.GradientBoostingClassifier(n_estimators=20, random_state=3)
    logistic = linear_model.LogisticRegression(max_iter=500)
    for name, scaler in (
        ("standard", StandardScaler()),
        ("minmax", MinMaxScaler()),
        ("minmax_clip", MinMaxScaler(feature_range=(-1, 1), clip=True)),
    ):
        for last, model in (("forest", forest), ("boosting", boosting)):
            pipe = make_pipeline(scaler, model).fit(x, two)
            graph = export(pipe, x)
            inverse = pipe.steps[0][1].inverse_transform
            yield Case(f"pipe_{name}_{last}", graph, scaled_rows(graph, x, inverse), first=1)
    for name, scaler in (("standard", StandardScaler()), ("minmax", MinMaxScaler())):
        pipe = make_pipeline(scaler, logistic).fit(x, two)
        yield Case(
            f"pipe_{name}_logistic", export(pipe, x), scaled_rows(None, x, None), False, 1, 5e-6
        )
    for last, model in (("forest", forest), ("logistic", logistic)):
        raw = last == "forest"
        for strategy in ("mean", "median"):
            pipe = make_pipeline(SimpleImputer(strategy=strategy), StandardScaler(), model)
            pipe.fit(gaps, two)
            rows = scaled_rows(None, gaps, None)
            yield Case(f"pipe_{strategy}_{last}", export(pipe, gaps), rows, raw, 1, 5e-6)
        for scaler, rest in ((StandardScaler(), "drop"), (MinMaxScaler(), "passthrough")):
            columns = [
                ("n", make_pipeline(SimpleImputer(), scaler), [0, 1, 2]),
                ("c", OneHotEncoder(handle_unknown="ignore"), [4, 5]),
            ]
            pipe = make_pipeline(ColumnTransformer(columns, remainder=rest), model).fit(mixed, two)
            rows = unknown_categories(mixed)
            yield Case(f"pipe_columns_{rest}_{last}", export(pipe, mixed), rows, raw, 1, 5e-6)


def bins() -> Iterator[Case]:
    """Features in bins, none of them missing, as the trainer wants them."""
    from common import export

    x, _, two, _ = data(False)
    forest = ensemble.RandomForestClassifier(12, max_depth=6, random_state=3)
    logistic = linear_model.LogisticRegression(max_iter=500)
    for strategy in ("quantile", "uniform"):
        for name, last in (("forest", forest), ("logistic", logistic)):
            cut = KBinsDiscretizer(5, encode="ordinal", strategy=strategy, quantile_method="linear")
            pipe = make_pipeline(cut, last).fit(x, two)
            limits = [list(edges_of) for edges_of in cut.bin_edges_]
            rows = edges(limits, special=(0.0, -0.0, 1e30, -1e30))
            raw = last is forest
            yield Case(f"pipe_bins_{strategy}_{name}", export(pipe, x), rows, raw, 1, 5e-6)


def unknown_categories(x: Any) -> Callable[[np.random.Generator], Floats]:
    """Training rows, some with a category that training never saw."""

    def rows(rng: np.random.Generator) -> Floats:
        base = x[rng.integers(len(x), size=400)].astype(np.float64)
        base[rng.random(400) < 0.1, 4] = 9.0
        base[rng.random(400) < 0.1, 5] = -1.0
        base[rng.random(400) < 0.1, 0] = np.nan
        return base

    return rows


def boosters() -> Iterator[Case]:
    """LightGBM's and XGBoost's models through onnxmltools."""
    import lightgbm as lgb
    import xgboost as xgb
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    types = [("X", FloatTensorType([None, 6]))]

    x, y, two, three = data(True)
    kinds = (
        (lgb.LGBMClassifier, two, "2"),
        (lgb.LGBMClassifier, three, "3"),
        (lgb.LGBMRegressor, y, "r"),
    )
    for made, target, kind in kinds:
        model = made(n_estimators=15, num_leaves=15, verbosity=-1, num_threads=1).fit(x, target)
        graph = convert_lightgbm(model, initial_types=types, zipmap=False, target_opset=15)
        yield Case(f"lgb_{kind}", graph, plain_rows(graph, 6, True), first=int(kind == "2"))
    grown = (
        (xgb.XGBClassifier, two, "2"),
        (xgb.XGBClassifier, three, "3"),
        (xgb.XGBRegressor, y, "r"),
        (xgb.XGBRFClassifier, two, "forest"),
    )
    for made, target, kind in grown:
        model = made(n_estimators=15, max_depth=5, n_jobs=1, random_state=3).fit(x, target)
        graph = convert_xgboost(model, initial_types=types, target_opset=15)
        rows = plain_rows(graph, 6, True)
        yield Case(f"xgb_{kind}", graph, rows, first=int(kind in ("2", "forest")))


def examples(out: Path) -> Iterator[Case]:
    """The example scripts, run as they are."""
    for name in SCRIPTS:
        folder = out.parent / "sklearn" / name
        importlib.import_module(name).main(folder)
        graph = onnx.load(str(folder / "model.onnx"))
        rows = np.genfromtxt(folder / "rows.csv", delimiter=",", skip_header=1)
        raw = not name.startswith("logistic")
        yield Case(f"example_{name}", graph, lambda _, rows=rows: rows, raw, 1, 5e-6)


def converted(out: Path) -> Iterator[Case]:
    """All of them."""
    sys.path.insert(0, str(EXAMPLES))
    yield from plain()
    yield from pipelines()
    yield from bins()
    yield from boosters()
    yield from examples(out)
