"""Prediction rows that sit where single-precision tree walkers go wrong.

The library rounds doubles to singles before it compares, so the edges are the single
neighbours of a threshold, the double neighbours that round onto it, and the midpoints
that round to the even one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INF = float("inf")
LARGEST = float(np.finfo(np.float32).max)
# The double from which on rounding to a single gives infinity.
OVERFLOW = 3.4028235677973366e38

SPECIALS: Floats = np.array(
    [
        np.nan, INF, -INF, 0.0, -0.0,
        1e-45, -1e-45, 7e-46, -7e-46, 8e-46, 1e-46, -1e-46, 5e-324, -5e-324, 1e-310,
        1e-40, -1e-40, 1.17549435e-38, 1.1754942e-38, 1e-35, -1e-35,
        LARGEST, -LARGEST, OVERFLOW, -OVERFLOW, np.nextafter(OVERFLOW, 0.0), 1e300, -1e300,
        2.0**24, 2.0**24 + 1, 2.0**31, -(2.0**31), 1.0, -1.0, 2.7, -0.5, 0.5, 0.1, 31.0, 32.0,
    ]
)  # fmt: skip

ODD_CATEGORIES: Floats = np.array(
    [
        np.nan, INF, -INF, -1.0, -0.5, -1e-40, -1e-46, -0.0, 0.0, 0.999999, 0.99999999, 2.7, 31.0,
        32.0, 63.9, 64.0, 1e5, 2.0**24 - 2, 2.0**24 - 1, 2.0**24, 2.0**24 + 1, 2.0**31,
        2.0**32, 1e300,
    ]
)  # fmt: skip


@dataclass
class Splits:
    """What a saved model compares against, by feature, and the shape of its trees."""

    thresholds: dict[int, set[float]] = field(default_factory=dict)
    categories: dict[int, set[int]] = field(default_factory=dict)
    trees: int = 0
    depth: int = 0


def tree_depth(left: list[int], right: list[int]) -> int:
    """Length of the longest root-to-leaf path."""
    deepest, stack = 0, [(0, 0)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        if left[node] != -1:
            stack.extend(((left[node], depth + 1), (right[node], depth + 1)))
    return deepest


def trees_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The trees of a model document; a linear booster has none."""
    booster = document["learner"]["gradient_booster"]
    found: list[dict[str, Any]] = booster.get("gbtree", booster)["model"].get("trees", [])
    return found


def read_splits(document: dict[str, Any]) -> Splits:
    """Reads thresholds and category sets back from the model document."""
    splits = Splits()
    for tree in trees_of(document):
        splits.trees += 1
        splits.depth = max(splits.depth, tree_depth(tree["left_children"], tree["right_children"]))
        for node, left in enumerate(tree["left_children"]):
            if left == -1:
                continue
            feature, kind = tree["split_indices"][node], tree["split_type"][node]
            if kind == 0:
                threshold = float(np.float32(tree["split_conditions"][node]))
                splits.thresholds.setdefault(feature, set()).add(threshold)
            else:
                found = splits.categories.setdefault(feature, set())
                at = tree["categories_nodes"].index(node)
                start, size = tree["categories_segments"][at], tree["categories_sizes"][at]
                found.update(tree["categories"][start : start + size])
    return splits


def threshold_edges(thresholds: set[float]) -> Floats:
    """Each threshold, its neighbours in singles and doubles, the midpoints, its mirror."""
    singles = np.array(sorted(thresholds), dtype=np.float32)
    exact = singles.astype(np.float64)
    with np.errstate(all="ignore"):
        above = np.nextafter(singles, np.float32(INF)).astype(np.float64)
        below = np.nextafter(singles, np.float32(-INF)).astype(np.float64)
        doubles = [np.nextafter(exact, INF), np.nextafter(exact, -INF)]
        middles = [(exact + above) / 2.0, (exact + below) / 2.0]
        beside = [np.nextafter(middle, side) for middle in middles for side in (INF, -INF)]
    return np.concatenate([exact, exact, above, below, *doubles, *middles, *beside, -exact])


def category_edges(categories: set[int]) -> Floats:
    """Members of the sets, numbers between and below them, and odd values."""
    members = np.array(sorted(categories), dtype=np.float64)
    around = [members + 0.7, members + 1.0, -members, members - 0.25]
    return np.concatenate([members, members, *around, ODD_CATEGORIES])


def prediction_rows(rng: np.random.Generator, train: Floats, splits: Splits) -> Floats:
    """Realistic rows, rows of one special value, and rows with specials or edges mixed in."""

    def sample(count: int) -> Floats:
        return np.ascontiguousarray(train[rng.integers(len(train), size=count)])

    uniform = np.repeat(SPECIALS[:, None], train.shape[1], axis=1)
    special, edge = sample(90), sample(220)
    share = rng.uniform(min(0.5, 1.0 / train.shape[1]), 0.5, size=(len(special), 1))
    hit = rng.random(special.shape) < share
    special[hit] = rng.choice(SPECIALS, size=int(hit.sum()))
    edges = {feature: threshold_edges(found) for feature, found in splits.thresholds.items()}
    edges |= {feature: category_edges(found) for feature, found in splits.categories.items()}
    for feature, values in edges.items():
        hit = rng.random(len(edge)) < 0.6
        edge[hit, feature] = rng.choice(values, size=int(hit.sum()))
    return np.concatenate([sample(90), uniform, special, edge]).astype("<f8")


def finite(rows: Floats) -> Floats:
    """The rows without what becomes an infinite single, which a DMatrix does not take."""
    with np.errstate(over="ignore"):
        infinite = np.isinf(rows.astype(np.float32))
    return np.where(infinite, np.sign(rows) * 1e6, rows)
