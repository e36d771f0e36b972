"""Synthetic training sets: columns of many scales, and a label that depends on all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAME = ("normal", "count", "sparse", "uniform")
WILD = (*TAME, "heavy", "tiny", "ternary", "shifted")


@dataclass(frozen=True)
class Spec:
    """What a training set looks like; `categories` adds one id column per entry."""

    label: str = "real"
    rows: int = 800
    features: int = 8
    kinds: tuple[str, ...] = WILD
    nan: float = 0.0
    zero: float = 0.0
    categories: tuple[int, ...] = ()
    classes: int = 4


@dataclass
class Data:
    """A training set as the library takes it."""

    x: Floats
    y: Floats
    categorical: list[int]


def column(rng: np.random.Generator, kind: str, rows: int) -> Floats:
    """One numeric column; `tiny` straddles the zero band, `sparse` has an exact-zero bin."""
    normal = rng.normal(size=rows)
    made = {
        "normal": normal,
        "count": rng.poisson(3.0, size=rows).astype(np.float64),
        "sparse": np.where(rng.random(rows) < 0.6, 0.0, normal),
        "uniform": rng.random(rows),
        "heavy": np.exp(3.0 * normal),
        "tiny": np.where(rng.random(rows) < 0.2, 0.0, normal * 4e-35),
        "ternary": rng.integers(-1, 2, size=rows).astype(np.float64),
        "shifted": 1e6 + normal,
        "huge": normal * 1e300,
        "infinite": np.where(np.abs(normal) > 1.2, np.sign(normal) * np.inf, normal),
        "constant": np.full(rows, 3.0),
    }
    return made[kind]


def ranks(values: Floats) -> Floats:
    """Ranks scaled to [-1, 1], so that no column's scale dominates the label."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return 2.0 * order / max(len(values) - 1, 1) - 1.0


def id_column(rng: np.random.Generator, cardinality: int, rows: int) -> tuple[Floats, Floats]:
    """Category ids spread over a range wider than their number, and their effects."""
    ids = np.sort(rng.choice(cardinality, size=min(cardinality, max(2, rows // 4)), replace=False))
    effect = rng.normal(size=len(ids))
    pick = rng.integers(len(ids), size=rows)
    return ids[pick].astype(np.float64), effect[pick]


def make_label(rng: np.random.Generator, spec: Spec, score: Floats) -> Floats:
    """Turns the score into whatever the objective demands of its labels."""
    prob = 1.0 / (1.0 + np.exp(-2.0 * score))
    cuts = np.quantile(score, np.linspace(0.0, 1.0, spec.classes + 1)[1:-1])
    made = {
        "real": 3.0 * score + 5.0,
        "positive": np.exp(score) + 0.01,
        "count": rng.poisson(np.exp(score)).astype(np.float64),
        "binary": (rng.random(len(score)) < prob).astype(np.float64),
        "rare": (prob > np.quantile(prob, 0.95)).astype(np.float64),
        "prob": prob,
        "class": np.digitize(score, cuts).astype(np.float64),
        "gap": np.where(np.digitize(score, cuts) == 1, 0, np.digitize(score, cuts)).astype(float),
        "ones": np.ones(len(score)),
        "zeros": np.zeros(len(score)),
        "flat": np.full(len(score), 3.25),
    }
    return made[spec.label]


def make_data(rng: np.random.Generator, spec: Spec) -> Data:
    """Builds the columns, the label, and the missing cells (after the label is known)."""
    numeric = spec.features - len(spec.categories)
    columns = [column(rng, spec.kinds[j % len(spec.kinds)], spec.rows) for j in range(numeric)]
    score = rng.normal(scale=0.2, size=spec.rows)
    for weight, values in zip(np.geomspace(1.0, 0.2, 12), columns, strict=False):
        score += weight * ranks(values)
    for cardinality in spec.categories:
        ids, effect = id_column(rng, cardinality, spec.rows)
        columns.append(ids)
        score += effect
    x = np.stack(columns, axis=1)
    y = make_label(rng, spec, score)
    x[rng.random(x.shape) < spec.zero] = 0.0
    x[rng.random(x.shape) < spec.nan] = np.nan
    return Data(x, y, list(range(numeric, spec.features)))
