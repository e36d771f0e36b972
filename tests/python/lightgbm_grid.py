"""Writes a grid of models trained by the official library, with its own predictions.

Every folder holds the text model, the rows, and both outputs as raw little-endian float64.
Predictions come from the reloaded file, because loading is where numbers change.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import warnings
import zlib
from pathlib import Path

import lightgbm as lgb
import numpy as np

from lightgbm_cases import all_cases
from lightgbm_data import make_data
from lightgbm_rows import Floats, Splits, prediction_rows, read_splits
from lightgbm_training import Case, train_plain


def check(case: Case, text: str, splits: Splits) -> None:
    """A case whose model lost its point would pass for the wrong reason, so it fails here."""
    for pattern in case.expect:
        if not re.search(pattern, text):
            raise SystemExit(f"{case.id}: the model text lacks {pattern!r}")
    if splits.depth < case.depth:
        raise SystemExit(f"{case.id}: depth {splits.depth}, not {case.depth}")
    if case.id == "obj_custom" and re.search(r"^objective=", text, re.MULTILINE):
        raise SystemExit("a custom objective was expected to leave no objective line")


def predict(case: Case, path: Path, rows: Floats, *, raw: bool) -> Floats:
    """Predicts on one thread with a freshly loaded booster, shaped rows x outputs."""
    booster = lgb.Booster(model_file=str(path))
    with np.errstate(all="ignore"):
        found = booster.predict(rows, raw_score=raw, num_iteration=case.iterations, num_threads=1)
    return np.asarray(found, dtype="<f8").reshape(len(rows), -1)


def explain(case: Case, path: Path, rows: Floats) -> Floats:
    """Shapley values with a freshly loaded booster: per output each feature, then the mean."""
    booster = lgb.Booster(model_file=str(path))
    with np.errstate(all="ignore"):
        found = booster.predict(
            rows, pred_contrib=True, num_iteration=case.iterations, num_threads=1
        )
    return np.asarray(found, dtype="<f8").reshape(len(rows), -1)


def save_text(booster: lgb.Booster, case: Case, path: Path) -> str:
    """Saves every tree, then applies the case's hand edit, if any."""
    booster.save_model(str(path), num_iteration=-1)
    text = path.read_bytes().decode("utf-8")
    if case.edit is not None:
        edited = case.edit(text)
        if edited == text:
            raise SystemExit(f"{case.id}: the edit changed nothing")
        path.write_bytes(edited.encode("utf-8"))
        text = edited
    return text


def write_case(case: Case, out: Path) -> str:
    """Trains, saves, predicts and writes one folder; returns a line of its figures."""
    folder = out / case.id
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(case.id.encode()))
    data = make_data(rng, case.spec)
    booster = (case.train or train_plain)(case, data)
    text = save_text(booster, case, folder / "model.txt")
    splits = read_splits(text)
    check(case, text, splits)
    rows = prediction_rows(rng, data.x, splits)
    raw = predict(case, folder / "model.txt", rows, raw=True)
    response = predict(case, folder / "model.txt", rows, raw=False)
    arrays = {"X": rows, "raw": raw, "response": response}
    # LightGBM explains linear leaves as if they were plain, which does not add up.
    if "is_linear=1" not in text:
        arrays["contributions"] = explain(case, folder / "model.txt", rows)
    for name, values in arrays.items():
        (folder / f"{name}.f64").write_bytes(np.ascontiguousarray(values).tobytes())
    meta = {
        "id": case.id,
        "rows": len(rows),
        "features": rows.shape[1],
        "outputs": raw.shape[1],
        "iterations": case.iterations,
        "note": case.note,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    distinct = max((len(found) for found in splits.thresholds.values()), default=0)
    return (
        f"{case.id}: rows={len(rows)} features={rows.shape[1]} outputs={raw.shape[1]}"
        f" trees={splits.trees} depth={splits.depth} thresholds={distinct}"
        f" distinct={len(np.unique(raw))} nonfinite={int((~np.isfinite(raw)).sum())}"
    )


def main() -> None:
    """Runs the grid, or its quick subset, and prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--quick", action="store_true", help="about fifteen cases only")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    cases = [case for case in all_cases() if case.quick or not args.quick]
    if len({case.id for case in cases}) != len(cases):
        raise SystemExit("two cases share an id")
    started = time.perf_counter()
    for case in cases:
        begun = time.perf_counter()
        line = write_case(case, args.out)
        print(f"{line} seconds={time.perf_counter() - begun:.2f}", flush=True)
    print(f"{len(cases)} cases in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
