"""Trains the benchmark model once: 500 trees x 31 leaves x 40 numeric columns, one fixed seed.

Writes `model.txt` (LightGBM), `model.onnx` (the same trees, raw score out) and `rows.f64`
(1,000 test rows, row-major little-endian float64) to a folder, skipping whatever is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEED = 20_240_229
TREES = 500
LEAVES = 31
FEATURES = 40
TRAIN_ROWS = 30_000
TEST_ROWS = 1_000
MISSING_SHARE = 0.08
POSITIVE_SHARE = 0.2
FAMILIES = ("amount", "count", "share", "sparse", "score")
DEFAULT_DIR = Path(__file__).resolve().parents[2] / "target" / "bench"
OBJECTIVES = {
    "objective=binary sigmoid:1": "objective=regression",
    "[objective: binary]": "[objective: regression]",
}
FILES = ("model.txt", "model.onnx", "rows.f64")

PARAMS: dict[str, str | int | float | bool] = {
    "objective": "binary",
    "num_leaves": LEAVES,
    "learning_rate": 0.1,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": SEED,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def column(rng: np.random.Generator, family: str, latent: Floats) -> Floats:
    """One column as an application form or a ledger would hold it: rounded, skewed, gappy."""
    noisy = 0.5 * latent + rng.normal(size=latent.size)
    if family == "amount":
        return np.round(np.exp(5.0 + 1.3 * noisy), 2).astype(np.float64)
    if family == "count":
        return rng.poisson(np.exp(0.6 + 0.5 * noisy)).astype(np.float64)
    if family == "share":
        return np.round(1.0 / (1.0 + np.exp(-noisy)), 4)
    if family == "sparse":
        return np.where(rng.random(latent.size) < 0.7, 0.0, np.round(np.exp(4.0 + noisy), 2))
    score = np.round(600.0 + 80.0 * noisy)
    return np.where(rng.random(latent.size) < MISSING_SHARE, np.nan, score)


def ranks(values: Floats) -> Floats:
    """Ranks scaled to [-1, 1], missing values in the middle, so no column's scale dominates."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    scaled = 2.0 * order / max(values.size - 1, 1) - 1.0
    return np.where(np.isnan(values), 0.0, scaled)


def make_data() -> tuple[Floats, Floats]:
    """All rows and their rare positive label, which depends on every column to some degree."""
    rng = np.random.default_rng(SEED)
    total = TRAIN_ROWS + TEST_ROWS
    latent = rng.normal(size=(4, total))
    columns = [column(rng, FAMILIES[i % 5], latent[i % 4]) for i in range(FEATURES)]
    scaled = np.stack([ranks(values) for values in columns])
    weights = rng.normal(size=FEATURES)
    tails = rng.uniform(0.6, 0.97, size=FEATURES)
    risk = weights @ scaled + 2.0 * (weights[:, None] * (scaled > tails[:, None])).sum(axis=0)
    risk += 3.0 * scaled[0] * scaled[6] - 3.0 * scaled[2] * scaled[9]
    risk += rng.normal(scale=2.0, size=total)
    label = (risk > np.quantile(risk, 1.0 - POSITIVE_SHARE)).astype(np.float64)
    return np.stack(columns, axis=1), label


def train(x: Floats, y: Floats) -> lgb.Booster:
    """The booster; every tree must have its full number of leaves."""
    booster = lgb.train(PARAMS, lgb.Dataset(x, y), num_boost_round=TREES)
    leaves = {tree["num_leaves"] for tree in booster.dump_model()["tree_info"]}
    if booster.num_trees() != TREES or leaves != {LEAVES}:
        raise SystemExit(f"unexpected shape: {booster.num_trees()} trees, leaves {leaves}")
    return booster


def write_onnx(model: Path, out: Path) -> None:
    """Converts the trees with onnxmltools.

    The objective is replaced first, so that the graph is one tree ensemble that returns the
    raw score, with no sigmoid and no class label that ONNX Runtime would have to spend time on.
    """
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    text = model.read_text()
    for binary, plain in OBJECTIVES.items():
        text = text.replace(f"\n{binary}\n", f"\n{plain}\n")
    booster = lgb.Booster(model_str=text)
    types = [("row", FloatTensorType([1, booster.num_feature()]))]
    converted = convert_lightgbm(booster, name="bench", initial_types=types)
    nodes = converted.graph.node
    if [node.op_type for node in nodes] != ["TreeEnsembleRegressor", "Identity"]:
        raise SystemExit("the converted graph is not one tree ensemble")
    nodes[0].output[0] = nodes.pop().output[0]
    out.write_bytes(converted.SerializeToString())


def depths(node: dict[str, Any], depth: int = 0) -> list[tuple[int, int]]:
    """Depth and training rows of every leaf below a node of `dump_model`."""
    if "leaf_value" in node:
        return [(depth, node.get("leaf_count", 0))]
    return depths(node["left_child"], depth + 1) + depths(node["right_child"], depth + 1)


def shape(model: Path) -> dict[str, float | int]:
    """How chain-like the trees are, for the report."""
    trees = lgb.Booster(model_file=str(model)).dump_model()["tree_info"]
    leaves = np.array([leaf for tree in trees for leaf in depths(tree["tree_structure"])])
    return {
        "trees": len(trees),
        "leaves_per_tree": LEAVES,
        "features": FEATURES,
        "leaf_depth_max": int(leaves[:, 0].max()),
        "leaf_depth_mean": round(float(leaves[:, 0].mean()), 2),
        "leaf_depth_mean_by_rows": round(float(np.average(leaves[:, 0], weights=leaves[:, 1])), 2),
    }


def make(out: Path) -> None:
    """Writes the missing files."""
    model, onnx, rows = (out / name for name in FILES)
    out.mkdir(parents=True, exist_ok=True)
    if not (model.exists() and rows.exists()):
        x, y = make_data()
        if not rows.exists():
            rows.write_bytes(x[TRAIN_ROWS:].astype("<f8").tobytes())
        if not model.exists():
            train(x[:TRAIN_ROWS], y[:TRAIN_ROWS]).save_model(model)
    if not onnx.exists():
        write_onnx(model, onnx)


def main() -> None:
    """Command line: an optional folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, default=DEFAULT_DIR)
    out = parser.parse_args().out
    make(out)
    print(*(f"{key}: {value}" for key, value in shape(out / FILES[0]).items()), sep="\n")


if __name__ == "__main__":
    main()
