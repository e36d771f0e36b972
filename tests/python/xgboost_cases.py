"""The grid of models: what each case trains, and what its file must then contain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xgboost as xgb

import xgboost_edits as edits
from lightgbm_data import TAME, Data, Floats, Spec

Params = dict[str, Any]
Document = dict[str, Any]

VERSION = tuple(map(int, xgb.__version__.split(".")[:2]))

BASE: Params = {"nthread": 1, "verbosity": 0, "seed": 7, "eta": 0.3, "max_depth": 5}


@dataclass(frozen=True)
class Case:
    """One model: its training, an edit of its file, and what must be in it."""

    id: str
    params: Params | None = None
    spec: Spec = field(default_factory=lambda: Spec(kinds=TAME))
    rounds: int = 12
    iterations: int | None = None
    targets: int = 1
    scale: float = 1.0
    depth: int = 0
    expect: tuple[str, ...] = ()
    edit: Callable[[Document], Document] | None = None
    after: Callable[[Document], Document] | None = None
    indent: int | None = None
    names: tuple[str, ...] | None = None
    history: str = ""
    note: str = ""
    finite_rows: bool = False

    @property
    def finite(self) -> bool:
        """Whether predictions need a DMatrix."""
        booster = (self.params or {}).get("booster")
        return self.finite_rows or booster in ("dart", "gblinear")


def labels(case: Case, y: Floats) -> Floats:
    """A column per target, each from the rows in another order."""
    if case.targets == 1:
        return y
    return np.stack([np.roll(y, 3 * target) for target in range(case.targets)], axis=1)


def matrix(case: Case, data: Data) -> xgb.DMatrix:
    """The training data with all that the objective wants to know."""
    kinds = ["c" if j in data.categorical else "q" for j in range(data.x.shape[1])]
    found = xgb.DMatrix(
        data.x,
        feature_types=kinds,
        feature_names=list(case.names) if case.names else None,
        enable_categorical=True,
        nthread=1,
    )
    objective = (case.params or {}).get("objective", "")
    if objective == "survival:aft":
        found.set_float_info("label_lower_bound", data.y)
        found.set_float_info("label_upper_bound", data.y)
    else:
        found.set_label(labels(case, data.y))
    if objective.startswith("rank:"):
        found.set_group([len(data.y) // 8] * 8)
    return found


def train(case: Case, data: Data) -> xgb.Booster:
    """Trains a case, with a second run or a slice where its history says so."""
    params = {**BASE, **(case.params or {})}
    found = matrix(case, data)
    booster = xgb.train(params, found, case.rounds)
    if case.history == "continued":
        return xgb.train({**params, "max_depth": 3}, found, 5, xgb_model=booster)
    if case.history == "refreshed":
        update = {"process_type": "update", "updater": "refresh", "refresh_leaf": True}
        return xgb.train({**params, **update}, found, case.rounds, xgb_model=booster)
    if case.history == "sliced":
        return booster[2:8:3]
    return booster


def objective_cases() -> list[Case]:
    """Every objective, with the base score estimated and given."""
    labels_of = {
        "reg:squarederror": "real", "reg:squaredlogerror": "positive", "reg:logistic": "prob",
        "reg:pseudohubererror": "real", "reg:absoluteerror": "real", "reg:quantileerror": "real",
        "binary:logistic": "binary", "binary:logitraw": "binary", "binary:hinge": "binary",
        "count:poisson": "count", "reg:gamma": "positive", "reg:tweedie": "positive",
        "survival:cox": "positive", "survival:aft": "positive",
        "rank:pairwise": "class", "rank:ndcg": "class", "rank:map": "binary",
    }  # fmt: skip
    cases = []
    for name, label in labels_of.items():
        params: Params = {"objective": name}
        if name == "reg:quantileerror":
            params["quantile_alpha"] = 0.3
        spec = Spec(label, kinds=TAME, nan=0.1)
        short, expect = name.replace(":", "_"), (f'"{name}"',)
        cases.append(Case(f"obj_{short}", params, spec, expect=expect))
        for booster in ("gbtree", "gblinear"):
            given = {**params, "base_score": 0.37, "booster": booster}
            cases.append(Case(f"obj_{short}_{booster}_given", given, spec, 6))
    alphas: Params = {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]}
    # Since 3.4 the quantiles of a row are put in order, which is refused.
    if VERSION < (3, 4):
        cases.append(Case("obj_quantiles", alphas, Spec(kinds=TAME, nan=0.1)))
    base = {"objective": "binary:logistic"}
    for score in (1e-7, 0.001, 0.5, 0.8765432, 0.9999999):
        given = {**base, "base_score": score}
        cases.append(Case(f"base_{score}", given, Spec("binary", kinds=TAME), 6))
    for score in (-3.25, 0.0, 1e-30, 123456.789):
        cases.append(Case(f"base_{score}_real", {"base_score": score}, rounds=6))
    return cases


def class_cases() -> list[Case]:
    """Several outputs: classes and targets, a tree each or leaves that are vectors."""
    cases = []
    vector: Params = {"multi_strategy": "multi_output_tree", "tree_method": "hist"}
    holes = Spec("class", kinds=TAME, nan=0.1)
    for name in ("softmax", "softprob"):
        params: Params = {"objective": f"multi:{name}", "num_class": 4}
        forest = {**params, "num_parallel_tree": 3, "subsample": 0.5}
        cases += [
            Case(f"multi_{name}", params, holes),
            Case(f"multi_{name}_limit", params, holes, iterations=5),
            Case(f"multi_{name}_given", {**params, "base_score": 0.3}, holes, 5),
            Case(f"multi_{name}_vector", {**params, **vector}, holes),
            Case(f"multi_{name}_linear", {**params, "booster": "gblinear"}, holes),
            Case(f"multi_{name}_dart", {**params, "booster": "dart", "rate_drop": 0.4}, holes),
            Case(f"multi_{name}_forest", forest, holes, 4),
        ]
    many: Params = {"objective": "multi:softprob", "num_class": 11}
    cases.append(Case("multi_11", many, Spec("class", kinds=TAME, classes=11), 5))
    for name, label in (("reg:squarederror", "real"), ("binary:logistic", "binary")):
        short = name.split(":")[1]
        spec = Spec(label, kinds=TAME, nan=0.1)
        for way, params in (("each", {}), ("vector", vector)):
            params = {"objective": name, **params}
            case = Case(f"targets_{short}_{way}", params, spec, targets=3)
            size = '"size_leaf_vector": "3"' if way == "vector" else '"num_target": "3"'
            forest = {**params, "num_parallel_tree": 2, "subsample": 0.5}
            cases += [
                replace(case, expect=(size,)),
                replace(case, id=f"{case.id}_limit", iterations=4),
                replace(case, id=f"{case.id}_forest", params=forest, rounds=5, iterations=3),
            ]
    linear: Params = {"booster": "gblinear"}
    cases.append(Case("targets_linear", linear, Spec(kinds=TAME, nan=0.1), targets=2))
    three: Params = {"objective": "count:poisson"}
    cases.append(Case("targets_poisson", three, Spec("count", kinds=TAME), targets=2))
    return cases


def categorical_cases() -> list[Case]:
    """One-hot and partition-based splits, small to wide sets."""
    small = Spec("binary", categories=(3, 7, 40), kinds=TAME)
    wide = Spec(rows=4000, categories=(3, 60, 900), kinds=TAME)
    binary: Params = {"objective": "binary:logistic", "tree_method": "hist"}
    sets: Params = {"max_cat_to_onehot": 1, "max_cat_threshold": 1000, "min_child_weight": 0.1}
    vector = {**sets, "multi_strategy": "multi_output_tree", "tree_method": "hist"}
    classes = {**sets, "objective": "multi:softprob", "num_class": 3}
    expect = ('"categories_nodes": [0',)
    return [
        Case("cat_onehot", {**binary, "max_cat_to_onehot": 2000}, small),
        Case("cat_onehot_nan", {**binary, "max_cat_to_onehot": 64}, replace(small, nan=0.2)),
        Case("cat_sets", {**binary, **sets}, small),
        Case("cat_sets_nan", {**binary, **sets}, replace(small, nan=0.2)),
        Case("cat_sets_wide", sets, wide, 10),
        Case("cat_approx", {**sets, "tree_method": "approx"}, small, 10),
        Case("cat_only", sets, Spec(features=3, rows=1500, categories=(5, 33, 300)), expect=expect),
        Case("cat_default", {}, Spec(nan=0.1, categories=(4, 90), kinds=TAME)),
        Case("cat_classes", classes, Spec("class", classes=3, categories=(8, 200), kinds=TAME), 6),
        Case("cat_targets", sets, small, targets=2),
        Case("cat_vector", vector, Spec(nan=0.1), targets=2, edit=edits.vector_categories),
        Case("cat_dart", {**sets, "booster": "dart", "rate_drop": 0.4}, small),
        Case("cat_table", sets, Spec(features=2, categories=(5, 9)), edit=edits.category_table),
    ]


def booster_cases() -> list[Case]:
    """DART, forests, linear boosters, limits and histories."""
    dart: Params = {"booster": "dart", "rate_drop": 0.4, "skip_drop": 0.1}
    binary: Params = {"objective": "binary:logistic"}
    forest: Params = {"num_parallel_tree": 8, "subsample": 0.6, "colsample_bynode": 0.7, "eta": 1.0}
    holes = Spec("binary", kinds=TAME, nan=0.1)
    sides = {**forest, "objective": "multi:softprob", "num_class": 3}
    three = Spec("class", kinds=TAME, classes=3)
    dropped = ('"weight_drop": [0.',)
    linear: Params = {"booster": "gblinear", "updater": "coord_descent"}
    return [
        Case("dart", {**dart, **binary}, holes, 20, expect=dropped),
        Case("dart_limit", dart, rounds=20, iterations=7),
        Case("dart_forest", {**dart, "normalize_type": "forest", "one_drop": 1}, holes, 20),
        Case("dart_weighted", {**dart, "sample_type": "weighted"}, holes, 20),
        Case("dart_parallel", {**dart, "num_parallel_tree": 3, "subsample": 0.5}, holes, 8),
        Case("dart_targets", dart, holes, targets=2),
        Case("dart_beside", {**dart, **binary}, holes, 15, after=edits.dart_beside),
        Case("dart_inside", {**dart, **binary}, holes, 15, after=edits.dart_inside),
        Case("dart_outside", {**dart, **binary}, holes, 15, after=edits.dart_outside),
        Case("forest", {**forest, **binary}, holes, 1),
        Case("forest_boosted", forest, holes, 4, iterations=2),
        Case("limit_one", iterations=1),
        Case("limit_all", iterations=12),
        Case("limit_forest_old", forest, holes, 6, 2, edit=edits.without_rounds),
        Case("limit_classes_old", sides, three, 5, 2, after=edits.without_parallel),
        Case("linear", linear, Spec(kinds=TAME, nan=0.2)),
        Case("linear_wild", linear, Spec(nan=0.1), note="columns of many scales"),
        Case("linear_many", {"booster": "gblinear"}, Spec(features=40, kinds=TAME)),
        Case("continued", binary, holes, history="continued"),
        Case("continued_limit", binary, holes, history="continued", iterations=14),
        Case("refreshed", binary, holes, history="refreshed"),
        Case("sliced", binary, holes, history="sliced"),
    ]


def shape_cases() -> list[Case]:
    """Shallow to deep, few to many trees, ways of growing, scales of features."""
    cases = []
    grow: Params = {"min_child_weight": 0.0, "lambda": 0.1}
    for depth in (1, 2, 3, 4, 6, 8, 9, 10, 12):
        params = {**grow, "max_depth": depth}
        case = Case(f"depth_{depth}", params, Spec(rows=3000, nan=0.05), 5, depth=depth)
        cases.append(case)
    loss: Params = {"grow_policy": "lossguide", "max_leaves": 60, "max_depth": 0, **grow}
    exact: Params = {"tree_method": "exact", "gamma": 2.0, "max_depth": 6}
    monotone: Params = {"monotone_constraints": "(1,0,-1,0,1)"}
    interact: Params = {"interaction_constraints": "[[0, 1], [2, 3, 4]]"}
    five = Spec(kinds=TAME, features=5)
    small: Params = {"max_depth": 3, "eta": 0.02}
    sharp: Params = {"tree_method": "exact", **grow}
    return [
        *cases,
        Case("lossguide", loss, Spec(rows=3000, nan=0.05), depth=8),
        Case(
            "lossguide_deep", {**loss, "max_leaves": 400}, Spec(rows=3000, features=2), 4, depth=12
        ),
        Case("exact_pruned", exact, Spec(nan=0.1), expect=('"num_deleted": "',)),
        Case("exact", sharp, Spec(rows=2000), 6),
        Case("approx", {"tree_method": "approx"}, Spec(nan=0.2)),
        Case("bins_15", {"max_bin": 15}, Spec(rows=2000)),
        Case("bins_4000", {"max_bin": 4000, **grow, "max_depth": 10}, Spec(rows=6000), 6),
        Case("one_tree", rounds=1),
        Case("trees_1500", small, rounds=1500),
        Case("features_1", spec=Spec(features=1)),
        Case("features_500", spec=Spec(features=500), rounds=10),
        Case("sparse", spec=Spec(features=120, kinds=("sparse",), zero=0.6)),
        Case("missing_heavy", spec=Spec(nan=0.7)),
        Case("missing_none", spec=Spec()),
        Case("scale_tiny", spec=five, scale=1e-40, note="single-precision subnormals"),
        Case("scale_huge", spec=replace(five, kinds=("normal", "uniform")), scale=1e37),
        Case("monotone", monotone, five),
        Case("interaction", interact, five),
        Case("constant_label", spec=Spec("flat", kinds=TAME), rounds=3),
        Case("constant_features", spec=Spec(kinds=("constant",), features=3), rounds=3),
        Case("names", spec=five, names=("a=b", "tab\there", "Größe", "数量", "\\n\"#|%;'")),
        Case("names_again", spec=five, names=("a=b", "tab\there", "Größe", "数量", "\\n\"#|%;'")),
    ]


def edited_cases() -> list[Case]:
    """Files changed by hand: values that training does not produce, older formats."""
    holes = Spec(kinds=TAME, nan=0.2)
    classes: Params = {"objective": "multi:softprob", "num_class": 3}
    vector: Params = {"multi_strategy": "multi_output_tree", "tree_method": "hist"}
    binary: Params = {"objective": "binary:logistic"}
    gaps = Spec("class", kinds=TAME, classes=3)
    old = Case("edited_old", binary, Spec("binary", kinds=TAME, nan=0.1), edit=edits.version_1_0)
    return [
        Case("edited_thresholds", spec=holes, rounds=20, edit=edits.thresholds),
        Case("edited_thresholds_vector", vector, holes, targets=2, edit=edits.thresholds),
        Case("edited_zeros", spec=holes, edit=edits.negative_zeros, note="sums of -0"),
        Case("edited_base", binary, old.spec, edit=edits.single_base),
        Case("edited_base_classes", {**classes, "base_score": 0.4}, gaps, edit=edits.single_base),
        old,
        replace(old, id="edited_old_classes", params=classes, spec=gaps, iterations=4),
        replace(old, id="edited_old_dart", params={"booster": "dart", "rate_drop": 0.5}),
        Case("edited_unequal", classes, gaps, edit=edits.unequal_classes),
        Case("edited_zeros_unequal", classes, gaps, edit=edits.negative_zeros_unequal),
        Case("edited_vector_3_1", vector, holes, targets=3, after=edits.vector_leaves_3_1),
        Case("edited_spaced", binary, old.spec, edit=edits.same, indent=1),
    ]


def newer_cases() -> list[Case]:
    """What only versions after 3.2 train: dropout without a booster of its own, expectiles."""
    if VERSION < (3, 3):
        return []
    dropout: Params = {"rate_drop": 0.4, "skip_drop": 0.1}
    classes: Params = {**dropout, "objective": "multi:softprob", "num_class": 3}
    vector: Params = {**dropout, "multi_strategy": "multi_output_tree", "tree_method": "hist"}
    expectile: Params = {"objective": "reg:expectileerror", "expectile_alpha": 0.3}
    holes = Spec("binary", kinds=TAME, nan=0.1)
    dropped = ('"weight_drop": [',)
    binary = {**dropout, "objective": "binary:logistic"}
    return [
        Case("new_dropout", binary, holes, 20, finite_rows=True, expect=dropped),
        Case("new_dropout_limit", dropout, rounds=20, iterations=7, finite_rows=True),
        Case("new_dropout_classes", classes, Spec("class", classes=3), 8, finite_rows=True),
        Case("new_dropout_vector", vector, holes, targets=2, finite_rows=True),
        Case("new_expectile", expectile, Spec(kinds=TAME, nan=0.1)),
        Case("new_expectile_given", {**expectile, "base_score": 0.37}, Spec(kinds=TAME, nan=0.1)),
    ]


def all_cases() -> list[Case]:
    """The whole grid, in a fixed order."""
    groups = (
        objective_cases,
        class_cases,
        categorical_cases,
        booster_cases,
        shape_cases,
        edited_cases,
        newer_cases,
    )
    return [case for group in groups for case in group()]
