"""Writes a model of 5,000 trees x 255 leaves with LightGBM's own predictions, ready to be built.

A hundred trees are trained and written fifty times over, each time with other leaf values:
as large as if all were trained, in seconds. The folder has what `tollgate bundle build` needs, and
`X.f64` and `raw.f64` as the grids have them.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

TRAINED, TIMES, LEAVES = 100, 50, 255
FEATURES, ROWS, SCORED, GOLDEN = 40, 20_000, 400, 32

Floats = NDArray[np.float64]


def train(rng: np.random.Generator) -> tuple[lgb.Booster, Floats]:
    """The trained part, and its rows; one value in twenty is missing."""
    x = rng.normal(size=(ROWS, FEATURES)).round(3)
    x[rng.random(x.shape) < 0.05] = np.nan
    filled = np.nan_to_num(x)
    signal = filled[:, :20].sum(axis=1) + 3 * np.sin(3 * filled[:, 20]) * filled[:, 21]
    y = (signal + rng.normal(size=ROWS) > 2).astype(int)
    params = {
        "objective": "binary",
        "num_leaves": LEAVES,
        "min_data_in_leaf": 5,
        "learning_rate": 0.02,
        "num_threads": 1,
        "deterministic": True,
        "seed": 5,
        "verbosity": -1,
    }
    return lgb.train(params, lgb.Dataset(x, y), TRAINED), x


def repeated(text: str) -> str:
    """The model's text with all its trees many times over."""
    head, rest = text.split("Tree=", 1)
    trees, tail = rest.split("end of trees", 1)
    sections = [part.split("\n", 1)[1].rstrip("\n") for part in f"Tree={trees}".split("Tree=")[1:]]
    written = []
    for time in range(TIMES):
        factor = 1 + (time - TIMES // 2) / 128
        for section in sections:
            number = len(written)
            written.append(f"Tree={number}\n{scaled(section, factor)}\n\n\n")
    sizes = " ".join(str(len(section)) for section in written)
    lines = [f"tree_sizes={sizes}" if x.startswith("tree_sizes=") else x for x in head.split("\n")]
    return "\n".join(lines) + "".join(written) + "end of trees" + tail


def scaled(section: str, factor: float) -> str:
    """A tree whose leaves are so many times as large."""
    lines = section.split("\n")
    for at, line in enumerate(lines):
        if line.startswith("leaf_value="):
            values = [repr(float(value) * factor) for value in line[11:].split(" ")]
            lines[at] = "leaf_value=" + " ".join(values)
    return "\n".join(lines)


def bundle_toml() -> str:
    """A bundle as plain as can be."""
    feature = '[[features]]\nname = "{}"\nkind = "number"\nmissing = "as_missing"\n'
    features = "".join(feature.format(f"Column_{index}") for index in range(FEATURES))
    return f"""[bundle]
name = "large"
version = "1"
use_case = "size"
created = "2026-01-01T00:00:00Z"
fallback_action = "challenge"
[model]
file = "model.txt"
[golden]
rows = "golden.csv"
expected = "raw"
[calibrator]
kind = "identity"
[policy.cutoffs]
challenge = 0.5
block = 0.9
{features}"""


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(17)
    booster, x = train(rng)
    text = repeated(booster.model_to_string())
    (out / "model.txt").write_text(text, encoding="utf-8")
    large = lgb.Booster(model_str=text)
    rows = x[rng.integers(0, len(x), SCORED)]
    rows[SCORED // 2 :] += rng.normal(size=rows[SCORED // 2 :].shape).round(2)
    raw = large.predict(rows, raw_score=True, num_threads=1)
    full = text.count(f"\nnum_leaves={LEAVES}\n")
    if (large.num_trees(), full) != (TRAINED * TIMES, TRAINED * TIMES):
        raise SystemExit(f"{full} of {large.num_trees()} trees are as large as they should be")
    (out / "X.f64").write_bytes(np.ascontiguousarray(rows, dtype="<f8").tobytes())
    (out / "raw.f64").write_bytes(np.ascontiguousarray(raw, dtype="<f8").tobytes())
    (out / "bundle.toml").write_text(bundle_toml(), encoding="utf-8")
    with (out / "golden.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*large.feature_name(), "raw"])
        for row, score in zip(rows[:GOLDEN], raw, strict=False):
            cells = ["" if np.isnan(value) else repr(float(value)) for value in row]
            table.writerow([*cells, repr(float(score))])


if __name__ == "__main__":
    main()
