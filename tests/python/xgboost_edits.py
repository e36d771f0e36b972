"""Model documents changed by hand: values training does not produce, other versions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from xgboost_rows import trees_of

Document = dict[str, Any]


def same(document: Document) -> Document:
    """The document as it is, to be written with other white space."""
    return document


def thresholds(document: Document) -> Document:
    """Thresholds at zeros, infinities, subnormals and NaN."""
    odd = (0.0, -0.0, 1e-45, -1e-45, float("inf"), -float("inf"), float("nan"), 1e-40, 3.4028235e38)
    supply = itertools.cycle((*odd, -3.4028235e38, 0.1, 1.0, -1.1754944e-38))
    for tree in trees_of(document):
        for node, left in enumerate(tree["left_children"]):
            if left != -1:
                tree["split_conditions"][node] = next(supply)
    return document


def negative_zeros(document: Document) -> Document:
    """Leaves of -0, which only sums that begin with -0 show."""
    document["learner"]["learner_model_param"]["base_score"] = "[-0E0]"
    for number, tree in enumerate(trees_of(document)):
        for node, left in enumerate(tree["left_children"]):
            if left == -1:
                tree["split_conditions"][node] = 1e-45 if number == 5 and node % 2 else -0.0
    return document


def negative_zeros_unequal(document: Document) -> Document:
    """Sums of -0 in classes of unequal numbers of trees."""
    document = unequal_classes(negative_zeros(document))
    document["learner"]["learner_model_param"]["base_score"] = "[-0E0,-0E0,-0E0]"
    return document


def single_base(document: Document) -> Document:
    """The base score as it was written before it became a list."""
    parameters = document["learner"]["learner_model_param"]
    parameters["base_score"] = parameters["base_score"].strip("[]").split(",")[0]
    return document


def model_of(document: Document) -> Document:
    """The model of a booster of trees."""
    booster = document["learner"]["gradient_booster"]
    found: Document = booster.get("gbtree", booster)["model"]
    return found


def without_rounds(document: Document) -> Document:
    """Before 2.0 no file told where rounds begin."""
    del model_of(document)["iteration_indptr"]
    return document


def without_parallel(document: Document) -> Document:
    """Before 1.4 no file told either how many trees grow side by side."""
    del model_of(document)["gbtree_model_param"]["num_parallel_tree"]
    return without_rounds(document)


def version_1_0(document: Document) -> Document:
    """The shape of a file of version 1.0."""
    document = without_rounds(single_base(document))
    model = model_of(document)
    del model["cats"]
    for tree in trees_of(document):
        for name in ("split_type", "categories", "categories_nodes"):
            tree.pop(name)
        del tree["categories_segments"], tree["categories_sizes"]
        tree["default_left"] = [flag == 1 for flag in tree["default_left"]]
        tree["tree_param"]["size_leaf_vector"] = "0"
    learner = document["learner"]
    del learner["feature_names"], learner["feature_types"]
    del learner["learner_model_param"]["num_target"]
    del learner["learner_model_param"]["boost_from_average"]
    document["version"] = [1, 0, 0]
    return document


def unequal_classes(document: Document) -> Document:
    """Some trees of one class count for another one, so that classes have unequal numbers."""
    model = model_of(document)
    model["tree_info"][4] = 0
    model["tree_info"][7] = 2
    return document


def vector_categories(document: Document) -> Document:
    """Roots that split by category; training does not yet grow such trees of vectors."""
    for tree in trees_of(document):
        tree["split_type"][0] = 1
        tree["categories"] = [0, 2, 3, 40]
        tree["categories_nodes"], tree["categories_segments"] = [0], [0]
        tree["categories_sizes"] = [4]
    return document


def category_table(document: Document) -> Document:
    """The categories of a data frame: texts for one feature, integers for the other."""
    names = ["ash", "birch", "elm", "fir", "oak"]
    offsets = [0, *itertools.accumulate(len(name) for name in names)]
    texts = {"offsets": offsets, "values": list("".join(names).encode())}
    numbers = {"type": 15, "values": [90, 80, 70, 60, 50, 40, 30, 20, 10]}
    order = [*range(5), *range(8, -1, -1)]
    table = {"enc": [texts, numbers], "feature_segments": [0, 5, 14], "sorted_idx": order}
    model_of(document)["cats"] = table
    return document


def weights_of(document: Document) -> list[float]:
    """The weights of DART's trees, taken out of wherever this version puts them."""
    booster, model = document["learner"]["gradient_booster"], model_of(document)
    found: list[float] = booster.pop("weight_drop", None) or model.pop("weight_drop")
    return found


def dart_inside(document: Document) -> Document:
    """DART as 3.4 writes it: a booster of trees with its weights in the model."""
    model = {**model_of(document), "weight_drop": weights_of(document)}
    document["learner"]["gradient_booster"] = {"name": "gbtree", "model": model}
    document["version"] = [3, 4, 1]
    return document


def dart_beside(document: Document) -> Document:
    """DART as 3.3 writes it: a booster of trees with its weights beside the model."""
    document = dart_inside(document)
    booster = document["learner"]["gradient_booster"]
    booster["weight_drop"] = booster["model"].pop("weight_drop")
    document["version"] = [3, 3, 0]
    return document


def dart_outside(document: Document) -> Document:
    """DART as it was up to 3.2: its weights beside a booster of trees."""
    model, weights = model_of(document), weights_of(document)
    model.pop("weight_drop", None)
    inner = {"name": "gbtree", "model": model}
    moved = {"name": "dart", "gbtree": inner, "weight_drop": weights}
    document["learner"]["gradient_booster"] = moved
    document["version"] = [3, 2, 0]
    return document


def vector_leaves_3_1(document: Document) -> Document:
    """Vector leaves among the weights of all nodes, as they were up to 3.1."""
    for tree in trees_of(document):
        size = int(tree["tree_param"]["size_leaf_vector"])
        leaves = np.array(tree.pop("leaf_weights")).reshape(-1, size)
        weights = np.array(tree["base_weights"]).reshape(-1, size)
        for node, left in enumerate(tree["left_children"]):
            if left == -1:
                weights[node] = leaves[tree["right_children"][node]]
                tree["right_children"][node] = -1
        tree["base_weights"] = weights.reshape(-1).tolist()
    document["version"] = [3, 1, 0]
    return document
