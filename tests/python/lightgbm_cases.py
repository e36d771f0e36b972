"""The grid of models: what each case trains, and the text its file must then contain."""

from __future__ import annotations

from lightgbm_data import TAME, Spec
from lightgbm_training import (
    RANKING,
    Case,
    Params,
    edit_leaves,
    edit_old,
    edit_tail,
    edit_thresholds,
    train_continued,
    train_custom,
    train_forced,
    train_leaves,
    train_refit,
    train_rollback,
)


def regression_cases() -> list[Case]:
    """Every regression objective, with and without the square-root transform."""
    cases = [
        Case("obj_regression", expect=("objective=regression\n",), quick=True),
        Case("obj_regression_sqrt", {"reg_sqrt": True}, expect=("objective=regression sqrt\n",)),
    ]
    for name in ("regression_l1", "fair", "quantile", "mape"):
        cases.append(Case(f"obj_{name}", {"objective": name}, expect=(f"objective={name}\n",)))
        params: Params = {"objective": name, "reg_sqrt": True}
        cases.append(Case(f"obj_{name}_sqrt", params, expect=(f"objective={name} sqrt\n",)))
    params = {"objective": "huber", "reg_sqrt": True, "alpha": 0.5}
    cases.append(Case("obj_huber", params, expect=("objective=huber\n",)))
    labels = {"poisson": "count", "gamma": "positive", "tweedie": "positive"}
    for name, label in labels.items():
        params = {"objective": name, "tweedie_variance_power": 1.3}
        expect = (f"objective={name}\n",)
        cases.append(Case(f"obj_{name}", params, Spec(label), expect=expect))
    return cases


def classification_cases() -> list[Case]:
    """Every classification, cross-entropy and ranking objective, and a caller's own."""
    cases = []
    for sigmoid in ("1", "0.35", "1.0131"):
        params: Params = {"objective": "binary", "sigmoid": float(sigmoid)}
        expect: tuple[str, ...] = (f"objective=binary sigmoid:{sigmoid}\n",)
        note = "the loader reads 1.0131 one ulp high" if len(sigmoid) > 4 else ""
        name = f"obj_binary_sigmoid_{sigmoid}"
        quick = sigmoid == "0.35"
        case = Case(name, params, Spec("binary"), expect=expect, note=note, quick=quick)
        cases.append(case)
        params = {"objective": "multiclassova", "num_class": 4, "sigmoid": float(sigmoid)}
        expect = (f"objective=multiclassova num_class:4 sigmoid:{sigmoid}\n",)
        name = f"obj_multiclassova_sigmoid_{sigmoid}"
        cases.append(Case(name, params, Spec("class"), 10, expect=expect, note=note))
    params = {"objective": "binary", "is_unbalance": True}
    cases.append(Case("obj_binary_unbalance", params, Spec("rare")))
    expect = ("objective=multiclass num_class:4\n", "num_tree_per_iteration=4\n")
    params = {"objective": "multiclass", "num_class": 4}
    cases.append(Case("obj_multiclass", params, Spec("class"), 10, expect=expect, quick=True))
    params = {"objective": "multiclass", "num_class": 11}
    cases.append(Case("obj_multiclass_11", params, Spec("class", classes=11), 5))
    for name, label in zip(
        ("cross_entropy", "cross_entropy_lambda", *RANKING),
        ("prob", "prob", "class", "class"),
        strict=True,
    ):
        case = Case(f"obj_{name}", {"objective": name}, Spec(label))
        cases.append(Case(case.id, case.params, case.spec, expect=(f"objective={name}\n",)))
    note = "no objective line: the response is the raw score"
    case = Case("obj_custom", spec=Spec("binary"), train=train_custom, note=note, quick=True)
    return [*cases, case]


def missing_cases() -> list[Case]:
    """The four ways of treating missing cells, crossed with cells that are missing."""
    ways: dict[str, tuple[Params, Spec]] = {
        "none": ({}, Spec()),
        "nan": ({}, Spec(nan=0.15)),
        "nan_heavy": ({}, Spec(nan=0.7)),
        "zero": ({"zero_as_missing": True}, Spec(zero=0.3)),
        "zero_and_nan": ({"zero_as_missing": True}, Spec(zero=0.2, nan=0.2)),
        "unused": ({"use_missing": False}, Spec(nan=0.15, zero=0.1)),
    }
    masks = {"none": "[02]", "nan": "(8|10)", "zero": "[46]", "unused": "[02]"}
    cases = []
    for name, (params, spec) in ways.items():
        mask = masks.get(name, "(8|10)" if name == "nan_heavy" else "[46]")
        expect = (rf"\ndecision_type=(\d+ )*{mask}\b",)
        quick = name in ("nan", "zero")
        cases.append(Case(f"missing_{name}", params, spec, expect=expect, quick=quick))
    note = "missing cells seen only at prediction, in columns of exact zeros"
    cases.append(Case("missing_sparse", spec=Spec(kinds=("sparse",), zero=0.5), note=note))
    return cases


def categorical_cases() -> list[Case]:
    """One-hot and many-valued splits, small to very wide bitsets."""
    sets: Params = {
        "max_cat_to_onehot": 1,
        "min_data_per_group": 2,
        "cat_smooth": 1.0,
        "max_cat_threshold": 4000,
        "num_leaves": 31,
    }
    wide = Spec("real", rows=6000, categories=(3, 60, 4000), kinds=TAME)
    small = Spec("binary", categories=(3, 7, 40), kinds=TAME)
    only = Spec("real", features=3, rows=1500, categories=(5, 33, 300))
    huge = Spec("real", features=4, rows=2000, categories=(100_000,))
    binary: Params = {"objective": "binary"}
    has = (r"\nnum_cat=[1-9]",)
    cases = [
        Case("cat_onehot_64", {**binary, "max_cat_to_onehot": 64}, small),
        Case("cat_sets", {**sets, **binary}, small, quick=True),
        Case("cat_sets_wide", sets, wide, 15, note="bitsets of many words"),
        Case("cat_onehot_wide", {**sets, "max_cat_to_onehot": 64}, wide, 15),
        Case("cat_only", sets, only, note="no numeric feature at all"),
        Case("cat_huge_ids", sets, huge, 5, note="ids up to 100,000"),
        Case("cat_nan", sets, Spec(nan=0.2, categories=(4, 90), kinds=TAME)),
        Case("cat_zero_as_missing", {**sets, "zero_as_missing": True}, small),
        Case("cat_use_missing_false", {**sets, "use_missing": False}, Spec(categories=(9, 70))),
        Case(
            "cat_multiclass",
            {**sets, "objective": "multiclass", "num_class": 3},
            Spec("class", classes=3, categories=(8, 200), rows=1500),
            8,
            iterations=5,
        ),
    ]
    return [Case(**{**vars(case), "expect": has}) for case in cases]


def boosting_cases() -> list[Case]:
    """The boosting types, and limits on the iterations used to predict."""
    forest: Params = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    many: Params = {"objective": "multiclass", "num_class": 3}
    binary, three = Spec("binary"), Spec("class", classes=3)
    average = ("\naverage_output\n",)
    goss: Params = {"data_sample_strategy": "goss", "learning_rate": 0.4}
    return [
        Case("dart", {"boosting": "dart", "drop_rate": 0.4}, quick=True),
        Case("dart_limit", {"boosting": "dart", "drop_rate": 0.4}, iterations=7),
        Case("dart_multiclass", {**many, "boosting": "dart"}, three, 10),
        Case("rf_regression", forest, expect=average),
        Case("rf_binary", {**forest, "objective": "binary"}, binary, expect=average, quick=True),
        Case("rf_binary_limit", {**forest, "objective": "binary"}, binary, 20, 7, expect=average),
        Case("rf_multiclass_limit", {**forest, **many}, three, 9, 4, expect=average),
        Case("rf_cross_entropy", {**forest, "objective": "cross_entropy"}, Spec("prob")),
        Case("rf_poisson", {**forest, "objective": "poisson"}, Spec("count")),
        Case("goss", {**goss, "objective": "binary"}, binary),
        Case("goss_multiclass", {**goss, **many}, three, 8),
        Case("limit_one", iterations=1, note="only the first tree"),
        Case("limit_more", iterations=500, note="more iterations than the model has"),
        Case("limit_multiclass", many, three, 10, 3),
        Case("limit_lambdarank", {"objective": "lambdarank"}, Spec("class"), iterations=9),
    ]


def linear_cases() -> list[Case]:
    """Leaves that hold linear models; the first tree of a run holds constants only."""
    linear: Params = {"linear_tree": True, "linear_lambda": 0.01, "num_leaves": 7}
    tame = Spec(kinds=TAME)
    holes = Spec(kinds=TAME, nan=0.1)
    mixed = Spec(kinds=TAME, categories=(6, 50))
    flags = ("is_linear=1\n", r"\[linear_tree: 1\]", r"\nnum_features=(\d+ )*[1-9]")
    cases = [
        Case("linear", linear, tame, quick=True),
        Case("linear_nan", linear, holes, quick=True),
        Case("linear_limit", linear, tame, iterations=6),
        Case("linear_many", {**linear, "num_leaves": 31}, Spec(kinds=TAME, rows=2000), 80),
        Case("linear_categorical", linear, mixed),
        Case("linear_l1_reg", {**linear, "linear_lambda": 50.0, "lambda_l1": 1.0}, tame),
        Case("linear_binary", {**linear, "objective": "binary"}, Spec("binary", kinds=TAME)),
        Case("linear_poisson", {**linear, "objective": "poisson"}, Spec("count", kinds=TAME)),
        Case(
            "linear_multiclass_nan",
            {**linear, "objective": "multiclass", "num_class": 3},
            Spec("class", classes=3, kinds=TAME, nan=0.1),
            8,
        ),
        Case("linear_continued", linear, tame, train=train_continued),
    ]
    return [Case(**{**vars(case), "expect": flags}) for case in cases]


def shape_cases() -> list[Case]:
    """Few to many trees, shallow to deep, narrow to wide, coarse to fine."""
    deep: Params = {"num_leaves": 500, "max_depth": 20, "min_data_in_leaf": 1}
    deep |= {"min_sum_hessian_in_leaf": 0.0, "learning_rate": 1.0}
    stump: Params = {"num_leaves": 2, "max_depth": 1}
    fine = Spec(kinds=TAME, features=4, rows=20_000)
    leaves: Params = {"num_leaves": 600, "min_data_in_leaf": 1}
    empty = Spec(kinds=("constant",), features=3)
    zeros = Spec("zeros")
    return [
        Case("one_tree", rounds=1),
        Case("stumps", stump, rounds=60),
        Case("small_trees_2000", {"num_leaves": 6, "learning_rate": 0.02}, rounds=2000),
        Case("depth_20", deep, Spec("real", features=3, rows=3000), 4, depth=20, quick=True),
        Case("wide_tree", leaves, Spec(rows=5000), 3),
        Case("features_1", spec=Spec(features=1), quick=True),
        Case("features_2", {"max_depth": 3}, Spec(features=2)),
        # The kernel looks up ranks of up to 48 rules one way, of up to 64 another.
        Case("features_40", {"num_leaves": 31}, Spec(features=40), rounds=60),
        Case("features_60", {"num_leaves": 31}, Spec(features=60), rounds=60),
        Case("features_500", spec=Spec(features=500), rounds=15),
        Case("features_120_sparse", spec=Spec(features=120, kinds=("sparse",), zero=0.6)),
        Case("bins_15", {"max_bin": 15}, Spec(rows=2000)),
        Case("bins_1023", {"max_bin": 1023, **leaves}, Spec(rows=5000), 8),
        Case("bins_65535", {"max_bin": 65_535, "min_data_in_bin": 1, **leaves}, fine, 8),
        Case("scale_huge", spec=Spec(kinds=("huge", "normal"), features=4)),
        Case("scale_infinite", spec=Spec(kinds=("infinite", "normal"), features=4)),
        Case("scale_tiny", spec=Spec(kinds=("tiny",), features=3)),
        Case("scale_tiny_nan", spec=Spec(kinds=("tiny",), features=3, nan=0.2)),
        Case("constant_label", spec=Spec("flat"), expect=("num_leaves=1\n",), quick=True),
        Case("constant_zero", spec=zeros, expect=("num_leaves=1\n",)),
        Case("constant_binary", {"objective": "binary"}, Spec("ones")),
        Case("constant_poisson", {"objective": "poisson"}, Spec("flat")),
        Case("constant_class_gap", {"objective": "multiclass", "num_class": 4}, Spec("gap"), 6),
        Case("constant_features", spec=empty, expect=("num_leaves=1\n", "feature_infos=none")),
        Case("constant_linear", {"linear_tree": True}, Spec("flat", kinds=TAME)),
    ]


def training_cases() -> list[Case]:
    """Options and histories that leave a mark on the file."""
    odd = ("a=b", "tab\there", "Größe", "数量", "Tree=0", "end of trees", "-1e5", "\\n#|%;'")
    small = Spec(kinds=TAME, features=5)
    binary: Params = {"objective": "binary"}
    monotone: Params = {"monotone_constraints": [1, 0, -1, 0, 1]}
    advanced = {**monotone, "monotone_constraints_method": "advanced"}
    note = "leaf outputs set by hand"
    return [
        Case("monotone", monotone, small, expect=("\nmonotone_constraints=1 0 -1 0 1\n",)),
        Case("monotone_advanced", advanced, small),
        Case("interaction", {"interaction_constraints": [[0, 1], [2, 3, 4]]}, small),
        Case("forced_splits", spec=small, train=train_forced),
        Case("extra_trees", {"extra_trees": True, **binary}, Spec("binary", nan=0.05)),
        Case("path_smooth", {"path_smooth": 5.0, "feature_fraction": 0.5, "lambda_l2": 3.0}),
        Case("refit", spec=small, train=train_refit),
        Case("refit_multiclass", {"objective": "multiclass", "num_class": 4}, Spec("class"), 6,
             train=train_refit),
        Case("continued", binary, Spec("binary"), train=train_continued, quick=True),
        Case("continued_limit", spec=small, iterations=13, train=train_continued),
        Case("rollback", spec=small, train=train_rollback),
        Case("set_leaves", spec=small, train=train_leaves, note=note),
        Case("no_average", {**binary, "boost_from_average": False}, Spec("binary")),
        Case("quantized", {"use_quantized_grad": True}, small),
        Case("names_odd", names=odd, expect=("feature_names=a=b tab\there Größe",)),
    ]  # fmt: skip


def edited_cases() -> list[Case]:
    """Files changed by hand after training, for values training does not produce."""
    note = "thresholds edited into the zero band"
    exp: dict[str, str] = {"poisson": "count", "cross_entropy_lambda": "prob", "binary": "binary"}
    cases = [
        Case("edited_thresholds", edit=edit_thresholds, note=note, quick=True),
        Case("edited_thresholds_nan", spec=Spec(nan=0.2), edit=edit_thresholds, note=note),
        Case(
            "edited_thresholds_zero",
            {"zero_as_missing": True},
            Spec(zero=0.2),
            edit=edit_thresholds,
            note=note,
        ),
        Case("edited_old", edit=edit_old, note="the shape of a version 3 file"),
        Case("edited_tail", edit=edit_tail, note="trailing category list"),
        Case(
            "edited_leaves_multiclass",
            {"objective": "multiclass", "num_class": 4},
            Spec("class"),
            6,
            edit=edit_leaves,
            note="softmax of huge scores",
        ),
    ]
    for name, label in exp.items():
        case = Case(f"edited_leaves_{name}", {"objective": name}, Spec(label), edit=edit_leaves)
        cases.append(Case(**{**vars(case), "note": "exp overflows"}))
    return cases


def all_cases() -> list[Case]:
    """The whole grid, in a fixed order."""
    groups = (
        regression_cases,
        classification_cases,
        missing_cases,
        categorical_cases,
        boosting_cases,
        linear_cases,
        shape_cases,
        training_cases,
        edited_cases,
    )
    return [case for group in groups for case in group()]
