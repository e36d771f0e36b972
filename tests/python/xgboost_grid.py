"""Writes a grid of models trained by the official library, with its own predictions.

Every folder holds the model, the rows, and both outputs as raw little-endian float64.
Predictions come from the reloaded file, because loading is where numbers change.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from lightgbm_data import make_data
from xgboost_cases import Case, all_cases, train
from xgboost_rows import Floats, Splits, finite, prediction_rows, read_splits

EXPLAINED_ROWS = 100


def load(document: dict[str, Any] | bytes) -> xgb.Booster:
    """A freshly loaded booster on one thread."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    booster = xgb.Booster(model_file=bytearray(raw))
    booster.set_param({"nthread": 1})
    return booster


def predict(case: Case, booster: xgb.Booster, rows: Floats, *, margin: bool) -> Floats:
    """The library's predictions, shaped rows x outputs.

    In place, where a DMatrix would not take infinities. DART adds in another order there
    than everywhere else, and linear boosters know no prediction in place.
    """
    limit = (0, case.iterations or 0)
    if case.finite:
        matrix = xgb.DMatrix(rows)
        found = booster.predict(
            matrix, output_margin=margin, iteration_range=limit, validate_features=False
        )
    else:
        kind = "margin" if margin else "value"
        found = booster.inplace_predict(
            rows, predict_type=kind, iteration_range=limit, validate_features=False
        )
    return np.asarray(found, dtype="<f8").reshape(len(rows), -1)


def explain(case: Case, booster: xgb.Booster, rows: Floats) -> Floats:
    """Shapley values: per output each feature, then the bias; none where it knows none."""
    try:
        found = booster.predict(
            xgb.DMatrix(rows),
            pred_contribs=True,
            iteration_range=(0, case.iterations or 0),
            validate_features=False,
        )
    except xgb.core.XGBoostError:
        return np.zeros((0, 0), dtype="<f8")
    return np.asarray(found, dtype="<f8").reshape(len(rows), -1)


def responses(case: Case, document: dict[str, Any], rows: Floats) -> Floats:
    """Responses; where the library tells a class, the probabilities it chooses by."""
    objective = document["learner"]["objective"]
    if objective["name"] == "multi:softmax":
        objective["name"] = "multi:softprob"
    return predict(case, load(document), rows, margin=False)


def check(case: Case, document: dict[str, Any], splits: Splits) -> None:
    """A case whose model lost its point would pass for the wrong reason, so it fails here."""
    text = json.dumps(document)
    for part in case.expect:
        if part not in text:
            raise SystemExit(f"{case.id}: the model lacks {part!r}")
    if splits.depth < case.depth:
        raise SystemExit(f"{case.id}: depth {splits.depth}, not {case.depth}")


def write_case(case: Case, out: Path) -> str:
    """Trains, saves, predicts and writes one folder; returns a line of its figures."""
    folder = out / case.id
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(case.id.encode()))
    data = make_data(rng, case.spec)
    data.x *= case.scale
    booster = train(case, data)
    binary = case.edit is None and case.after is None and zlib.crc32(case.id.encode()) % 2 == 1
    raw = bytes(booster.save_raw("ubj" if binary else "json"))
    if case.edit is not None:
        raw = json.dumps(case.edit(json.loads(raw)), indent=case.indent).encode()
    document: dict[str, Any] = json.loads(bytes(load(raw).save_raw("json")))
    splits = read_splits(document)
    check(case, document, splits)
    rows = prediction_rows(rng, data.x, splits)
    rows = finite(rows) if case.finite else rows
    margins = predict(case, load(raw), rows, margin=True)
    if case.after is not None:
        # The same model as another version writes it, which this version cannot read.
        raw = json.dumps(case.after(json.loads(raw))).encode()
    file = "model.ubj" if binary else "model.json"
    (folder / file).write_bytes(raw)
    response = responses(case, document, rows)
    arrays = {"X": rows, "raw": margins, "response": response}
    if case.after is None and case.edit is None:
        # A DMatrix, which explanations need, takes no infinities.
        arrays["explained_X"] = finite(rows)[:EXPLAINED_ROWS]
        arrays["contributions"] = explain(case, load(raw), arrays["explained_X"])
    for name, values in arrays.items():
        (folder / f"{name}.f64").write_bytes(np.ascontiguousarray(values).tobytes())
    meta = {
        "id": case.id,
        "model": file,
        "rows": len(rows),
        "outputs": margins.shape[1],
        "iterations": case.iterations,
        "note": case.note,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return (
        f"{case.id}: {file} rows={len(rows)} features={rows.shape[1]} outputs={margins.shape[1]}"
        f" trees={splits.trees} depth={splits.depth} distinct={len(np.unique(margins))}"
    )


def main() -> None:
    """Runs the grid and prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--only", help="cases whose name contains this")
    args = parser.parse_args()
    cases = [case for case in all_cases() if not args.only or args.only in case.id]
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
