"""Writes small models of a newer XGBoost than Python 3.11 can have, with its own predictions.

Needs Python 3.12 or newer, `xgboost-cpu`, `numpy`, `scipy` and `pandas`; see `make xgboost-newest`.
The layout of a folder is that of `xgboost_grid.py`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

import xgboost_grid as grid
from xgboost_cases import Case, all_cases
from xgboost_rows import Floats

CASES = (
    "base_0.8765432",
    "cat_sets_nan",
    "cat_vector",
    "dart",
    "linear",
    "multi_softprob_forest",
    "multi_softprob_vector",
    "new_dropout",
    "new_dropout_vector",
    "new_expectile",
    "targets_logistic_each",
    "targets_squarederror_vector",
)
EVERY = 6
COLORS = ["ash", "birch", "elm", "fir", "oak"]


def small(case: Case) -> Case:
    """The case with few, shallow trees."""
    return replace(case, rounds=min(case.rounds, 5), params={**(case.params or {}), "max_depth": 3})


def data_frame(out: Path) -> None:
    """A model trained on a data frame, whose categories are in its file."""
    import pandas as pd

    rng = np.random.default_rng(5)
    codes = rng.integers(0, len(COLORS), 600)
    sizes = rng.integers(0, 9, 600)
    number = rng.normal(size=600)
    frame = pd.DataFrame(
        {
            "color": pd.Categorical.from_codes(codes, COLORS),
            "size": pd.Categorical.from_codes(sizes, list(range(90, 0, -10))),
            "number": number,
        }
    )
    y = number + (codes % 2) - (sizes % 3) + rng.normal(size=600) / 4
    params = {"nthread": 1, "max_depth": 3, "max_cat_to_onehot": 1}
    booster = xgb.train(params, xgb.DMatrix(frame, y, enable_categorical=True), 5)
    rows = np.column_stack([codes, sizes, number])[:80].astype(np.float64)
    rows[::7, 0] = np.nan
    rows[::11, 1] = np.nan
    raw = bytes(booster.save_raw("json"))
    if '"cats":{"enc":[{' not in raw.decode().replace(" ", ""):
        raise SystemExit("the model lacks the categories of its data frame")
    case = Case("cat_frame")
    document: dict[str, Any] = json.loads(raw)
    margins = grid.predict(case, grid.load(raw), rows, margin=True)
    write(out / case.id, raw, document["version"], rows, margins, margins)


def write(
    folder: Path, raw: bytes, version: list[int], rows: Floats, margins: Floats, response: Floats
) -> None:
    """One folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_bytes(raw)
    for name, values in (("X", rows), ("raw", margins), ("response", response)):
        (folder / f"{name}.f64").write_bytes(np.ascontiguousarray(values, dtype="<f8").tobytes())
    meta = {"model": "model.json", "rows": len(rows), "xgboost": version}
    (folder / "meta.json").write_text(json.dumps(meta) + "\n", encoding="utf-8")


def thin(folder: Path) -> None:
    """Keeps every sixth row, and the version that wrote the model."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    raw = (folder / meta["model"]).read_bytes()
    for name in ("X", "raw", "response"):
        values = np.fromfile(folder / f"{name}.f64", "<f8").reshape(meta["rows"], -1)[::EVERY]
        (folder / f"{name}.f64").write_bytes(np.ascontiguousarray(values).tobytes())
    for name in ("explained_X", "contributions"):
        (folder / f"{name}.f64").unlink(missing_ok=True)
    rows = -(-meta["rows"] // EVERY)
    version = json.loads(bytes(grid.load(raw).save_raw("json")))["version"]
    meta = {
        "model": meta["model"],
        "rows": rows,
        "iterations": meta["iterations"],
        "xgboost": version,
    }
    (folder / "meta.json").write_text(json.dumps(meta) + "\n", encoding="utf-8")


def main() -> None:
    """Writes all folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    args = parser.parse_args()
    known = {case.id: case for case in all_cases()}
    for name in CASES:
        if name not in known:
            raise SystemExit(f"no case {name}; XGBoost {xgb.__version__} may be too old")
        print(grid.write_case(small(known[name]), args.out))
        thin(args.out / name)
    data_frame(args.out)


if __name__ == "__main__":
    main()
