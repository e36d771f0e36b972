"""Prediction rows that sit where tree walkers go wrong.

Rows drawn from the training distribution alone almost never touch an exact threshold, the
zero band, or an unseen category, so a wrong comparison could pass unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The library compares against a float32 literal widened to float64, not against 1e-35.
ZERO_BAND = float(np.float32(1e-35))
INF = float("inf")

SPECIALS: Floats = np.array(
    [
        np.nan, INF, -INF, 0.0, -0.0,
        5e-324, -5e-324, 1e-310, -1e-310, 1e-40, -1e-40, 1e-36, -1e-36, 1e-35, -1e-35,
        ZERO_BAND, -ZERO_BAND,
        np.nextafter(ZERO_BAND, 0.0), np.nextafter(ZERO_BAND, 1.0),
        np.nextafter(-ZERO_BAND, 0.0), np.nextafter(-ZERO_BAND, -1.0),
        1e300, -1e300, 1.7976931348623157e308, 2.0**31, 2.0**31 - 1, 2.0**32, -(2.0**31),
        -(2.0**31) - 1, 2.0**63, 1.0, -1.0, 2.7, -0.5, -0.999999, 0.5, -1.5, 31.0, 32.0,
    ]
)  # fmt: skip

ODD_CATEGORIES: Floats = np.array(
    [
        np.nan, INF, -INF, -1.0, -7.0, 2.7, -0.5, -0.999999, 0.0, -0.0, 1e-36, 31.0, 32.0, 63.9,
        64.0, 1e5, 2.0**31, 2.0**31 - 1, 2.0**32, 2.0**32 + 1, -(2.0**31), -(2.0**31) - 1, 1e300,
    ]
)  # fmt: skip


@dataclass
class Splits:
    """What a saved model compares against, by feature, and the shape of its trees."""

    thresholds: dict[int, set[float]] = field(default_factory=dict)
    categories: dict[int, set[int]] = field(default_factory=dict)
    trees: int = 0
    depth: int = 0


def tree_blocks(text: str) -> Iterator[dict[str, str]]:
    """Yields the key/value lines of each tree."""
    body = text.split("\nend of trees", 1)[0]
    for block in body.split("\nTree=")[1:]:
        lines = (line.partition("=") for line in block.splitlines()[1:] if "=" in line)
        yield {key: value for key, _, value in lines}


def tree_depth(left: list[int], right: list[int]) -> int:
    """Length of the longest root-to-leaf path; leaves are the negative children."""
    deepest, stack = 0, [(0, 1)] if left else []
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        stack.extend((child, depth + 1) for child in (left[node], right[node]) if child >= 0)
    return deepest


def add_categorical(splits: Splits, tree: dict[str, str], feature: int, index: int) -> None:
    """Records both the members of a split's bitset and the values around its word edges."""
    bounds = [int(word) for word in tree["cat_boundaries"].split()]
    words = [int(word) for word in tree["cat_threshold"].split()]
    words = words[bounds[index] : bounds[index + 1]]
    found = splits.categories.setdefault(feature, set())
    edge = 32 * len(words)
    found.update((edge - 1, edge, edge + 1))
    for position, word in enumerate(words):
        found.update(32 * position + bit for bit in range(32) if word >> bit & 1)


def read_splits(text: str) -> Splits:
    """Reads thresholds and category sets back from the model text."""
    splits = Splits()
    for tree in tree_blocks(text):
        splits.trees += 1
        left, right, features = (
            [int(word) for word in tree.get(key, "").split()]
            for key in ("left_child", "right_child", "split_feature")
        )
        splits.depth = max(splits.depth, tree_depth(left, right))
        decisions = [int(word) for word in tree.get("decision_type", "").split()]
        thresholds = [float(word) for word in tree.get("threshold", "").split()]
        for feature, decision, threshold in zip(features, decisions, thresholds, strict=True):
            if decision & 1:
                add_categorical(splits, tree, feature, int(threshold))
            else:
                splits.thresholds.setdefault(feature, set()).add(threshold)
    return splits


def threshold_edges(thresholds: set[float]) -> Floats:
    """Each threshold with its two neighbours and its mirror image."""
    exact = np.array(sorted(thresholds))
    with np.errstate(over="ignore"):
        return np.concatenate([exact, np.nextafter(exact, INF), np.nextafter(exact, -INF), -exact])


def category_edges(categories: set[int]) -> Floats:
    """Members of the sets, their truncating fractions, their negatives and odd values."""
    members = np.array(sorted(categories), dtype=np.float64)
    return np.concatenate([members, members, members + 0.7, -members, ODD_CATEGORIES])


def special_cells(rng: np.random.Generator, rows: Floats) -> None:
    """Puts specials into a few random cells of each row, leaving the rest realistic."""
    count, features = rows.shape
    share = rng.uniform(min(0.5, 1.0 / features), 0.5, size=(count, 1))
    hit = rng.random(rows.shape) < share
    rows[hit] = rng.choice(SPECIALS, size=int(hit.sum()))


def edge_cells(rng: np.random.Generator, rows: Floats, splits: Splits) -> None:
    """Puts exact split values into about half of the cells whose feature is split on."""
    edges = {feature: threshold_edges(found) for feature, found in splits.thresholds.items()}
    edges |= {feature: category_edges(found) for feature, found in splits.categories.items()}
    for feature, values in edges.items():
        hit = rng.random(len(rows)) < 0.5
        rows[hit, feature] = rng.choice(values, size=int(hit.sum()))


def prediction_rows(rng: np.random.Generator, train: Floats, splits: Splits) -> Floats:
    """Realistic rows, rows of one special value, and rows with specials or edges mixed in."""

    def sample(count: int) -> Floats:
        return np.ascontiguousarray(train[rng.integers(len(train), size=count)])

    uniform = np.repeat(SPECIALS[:, None], train.shape[1], axis=1)
    special, edge = sample(90), sample(150)
    special_cells(rng, special)
    edge_cells(rng, edge, splits)
    return np.concatenate([sample(90), uniform, special, edge]).astype("<f8")
