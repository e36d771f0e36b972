"""Models of many shapes for `shapes.py`, LightGBM text and ONNX, each made once and kept.

Two kinds of trees. Chain-like: leaf-wise growth on a target with a long tail, which splits off
the few largest values one after the other. Balanced: growth to a limited depth on uniform columns
that count for about the same, where the best split is near the middle of what is left; slow
learning keeps it so in late trees. On noise alone the best splits are near the ends, and trees of
limited depth stay half empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from make_model import FAMILIES, SEED, TEST_ROWS, column, depths, ranks, write_onnx

Floats = NDArray[np.float64]
TRAIN_ROWS = 20_000
# How long the tail of the chain-like target is: a factor in its exponent.
TAIL = 2.5
# How much of the balanced target all trees together learn.
LEARNT = 3.0
GROWTHS = ("chain", "balanced")
# Every axis from the common middle, then corners. A full grid would take hours and say no more.
SIZES = (
    (31, 500, 40),
    (31, 100, 40),
    (31, 1000, 40),
    (31, 5000, 40),
    (31, 500, 10),
    (31, 500, 500),
    (64, 100, 40),
    (64, 500, 40),
    (64, 1000, 500),
    (255, 100, 10),
    (255, 500, 40),
    (255, 500, 500),
)
QUICK = ((31, 100, 10), (64, 100, 40))


@dataclass(frozen=True)
class Shape:
    """One cell of the grid."""

    leaves: int
    trees: int
    features: int
    growth: str

    @property
    def name(self) -> str:
        """A file name."""
        return f"{self.leaves}x{self.trees}x{self.features}-{self.growth}"

    @property
    def short(self) -> str:
        """As charts show it."""
        return f"{self.leaves} x {self.trees} x {self.features} {self.growth}"

    @property
    def label(self) -> str:
        """As tables show it."""
        return f"{self.leaves} x {self.trees}, {self.features} features, {self.growth}"

    def files(self, folder: Path) -> tuple[Path, Path, Path]:
        """Model, converted model and rows."""
        rows = f"{self.features}-{self.growth}.f64"
        return folder / f"{self.name}.txt", folder / f"{self.name}.onnx", folder / rows


def shapes(quick: bool) -> list[Shape]:
    """The cells that are measured."""
    return [Shape(*size, growth) for size in (QUICK if quick else SIZES) for growth in GROWTHS]


def chain_data(features: int) -> tuple[Floats, Floats]:
    """Columns as in the other benchmark, and a target whose largest values dwarf the rest."""
    rng = np.random.default_rng(SEED)
    total = TRAIN_ROWS + TEST_ROWS
    latent = rng.normal(size=(4, total))
    columns = [column(rng, FAMILIES[i % len(FAMILIES)], latent[i % 4]) for i in range(features)]
    scaled = np.stack([ranks(values) for values in columns])
    weights = rng.normal(size=features) / np.sqrt(features)
    risk = weights @ scaled + 0.5 * scaled[0] * scaled[6 % features]
    risk = risk / risk.std() + rng.normal(scale=0.5, size=total)
    return np.stack(columns, axis=1), np.exp(TAIL * risk)


def even_data(features: int) -> tuple[Floats, Floats]:
    """Uniform columns, and a target that depends on all of them, about equally, with noise."""
    rng = np.random.default_rng(SEED + features)
    x = rng.uniform(size=(TRAIN_ROWS + TEST_ROWS, features))
    weights = rng.choice([-1.0, 1.0], size=features) * rng.uniform(0.7, 1.3, size=features)
    return x, x @ weights + rng.normal(scale=0.3, size=len(x))


def params(shape: Shape) -> dict[str, str | int | float | bool]:
    """How the trees grow."""
    balanced = shape.growth == "balanced"
    return {
        "objective": "regression",
        "num_leaves": shape.leaves,
        "max_depth": (shape.leaves - 1).bit_length() if balanced else -1,
        "min_data_in_leaf": 2 if balanced else 5,
        "learning_rate": min(LEARNT / shape.trees, 0.05) if balanced else 0.05,
        "feature_fraction": 0.8 if shape.features < 100 else 0.2,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": SEED,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def make(shape: Shape, folder: Path) -> None:
    """Writes what is missing."""
    model, onnx, rows = shape.files(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (model.exists() and rows.exists()):
        x, y = (chain_data if shape.growth == "chain" else even_data)(shape.features)
        rows.write_bytes(x[TRAIN_ROWS:].astype("<f8").tobytes())
        data = lgb.Dataset(x[:TRAIN_ROWS], y[:TRAIN_ROWS])
        lgb.train(params(shape), data, num_boost_round=shape.trees).save_model(model)
    if not onnx.exists():
        write_onnx(model, onnx)


def facts(shape: Shape, folder: Path) -> dict[str, float | int]:
    """What came out: leaves a tree, and how deep they lie."""
    model, onnx, _ = shape.files(folder)
    trees = lgb.Booster(model_file=str(model)).dump_model()["tree_info"]
    leaves = np.array([leaf for tree in trees for leaf in depths(tree["tree_structure"])])
    return {
        "trees": len(trees),
        "leaves_mean": round(float(np.mean([tree["num_leaves"] for tree in trees])), 1),
        "leaf_depth_mean": round(float(leaves[:, 0].mean()), 2),
        "leaf_depth_max": int(leaves[:, 0].max()),
        "model_bytes": model.stat().st_size,
        "onnx_bytes": onnx.stat().st_size,
    }
