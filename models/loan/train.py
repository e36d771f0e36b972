"""Train the loan example: model, golden rows, calibration rows, samples, metrics.

Run `python models/loan/train.py --data FILE`. FILE is the UCI data set 350,
"default of credit card clients" (30,000 clients, Taiwan 2005, CC BY 4.0), as a CSV
file, plain or gzip, with the column names of the UCI sheet. It is not in this
repository. All files are written beside this script; two runs write the same bytes.

The columns SEX, AGE, MARRIAGE and EDUCATION are not read at all.

The data has no time. The split is by a hash of the client id with a fixed seed. So
the metrics say nothing about drift.

The data has no missing values, but live requests have. So values are removed from
the training rows at random. This way the model learns what to do with a gap.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import sys
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import handover as ho

HERE = Path(__file__).resolve().parent

DATA = Path("shared/data/uci_default_credit_card/uci_default_credit_card.csv.gz")
LABEL = "default_payment_next_month"
SPLIT_SEED = "tollgate-loan-1"
ROUNDS = 150
PARAMS = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "lambda_l2": 5.0,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
}
GAP_SHARE = 0.04
FIRST_EVENT_MS = 1_793_577_600_000  # 2 November 2026, 00:00 UTC


def read(path: Path, names: list[str]) -> tuple[list[str], ho.Floats, ho.Floats]:
    """Read ids, the wanted columns and the label."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    x = np.array([[float(row[name]) for name in names] for row in rows])
    return [row["ID"] for row in rows], x, np.array([float(row[LABEL]) for row in rows])


def part_of(client: str) -> str:
    """The part of the split that a client belongs to: 60, 20 and 20 per cent."""
    digest = hashlib.sha256(f"{SPLIT_SEED}:{client}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") % 100
    return "train" if place < 60 else "calibration" if place < 80 else "test"


def with_gaps(bundle: ho.Bundle, x: ho.Floats) -> ho.Floats:
    """Remove single values, and whole months as a broken look-up would."""
    rng = np.random.default_rng(31)
    open_columns = np.array([f.missing == "as_missing" for f in bundle.features])
    gone = (rng.random(x.shape) < GAP_SHARE) & open_columns
    for month in ("2", "3", "4", "5", "6"):
        names = [f"PAY_{month}", f"BILL_AMT{month}", f"PAY_AMT{month}"]
        columns = [bundle.names.index(name) for name in names]
        hit = rng.random(len(x)) < GAP_SHARE
        gone[:, columns] |= hit[:, None]
    return np.where(gone, np.nan, x)


def jitter(bundle: ho.Bundle, x: ho.Floats, clients: ho.Floats, seed: int) -> ho.Floats:
    """Change every amount by some per cent and round it; drop what equals a client's row."""
    rng = np.random.default_rng(seed)
    out = x.copy()
    for i, feature in enumerate(bundle.features):
        unit = 5000 if feature.name == "LIMIT_BAL" else 50
        if feature.kind == "number":
            out[:, i] = np.round(x[:, i] * rng.lognormal(0.0, 0.12, len(x)) / unit) * unit + 0.0
        out[:, i] = np.clip(out[:, i], feature.low, feature.high)
    known = {tuple(row) for row in clients}
    return out[[tuple(row) not in known for row in out]]


def pick_samples(
    bundle: ho.Bundle, booster: lgb.Booster, calibrate: ho.Calibrator, x: ho.Floats
) -> list[dict[str, Any]]:
    """37 complete jittered rows, and three rows that lack features."""
    p = calibrate(ho.margin(booster, x))
    first, second = ho.cutoffs(bundle.policy["costs"])
    # Stay away from the cut-offs: a sample must not hang on the last digit of a fit.
    chosen = ho.spread(0.0, first * 0.85, p, 15)
    chosen += ho.spread(first * 1.15, second * 0.9, p, 12)
    chosen += ho.spread(second * 1.1, 1.0, p, 10)
    np.random.default_rng(77).shuffle(chosen)
    numbers = [*chosen, chosen[0], int(np.argmax(p)), chosen[1]]
    return [request(bundle, n, x[row]) for n, row in enumerate(numbers, 1)]


def request(bundle: ho.Bundle, number: int, row: ho.Floats) -> dict[str, Any]:
    """One sample request; the last three lack features."""
    pairs = zip(bundle.features, row, strict=True)
    features = {f.name: ho.to_value(f, v) for f, v in pairs}
    if number == 38:
        del features["BILL_AMT3"]
    if number == 39:
        features["PAY_2"], features["PAY_3"] = None, None
    if number == 40:
        features = {name: features[name] for name in ("LIMIT_BAL", "PAY_AMT1")}
    time_ms = FIRST_EVENT_MS + (number - 1) * 3_671_000
    return {"decision_id": f"l-{number:03}", "event_time": time_ms, "features": features}


def fit_platt(score: ho.Floats, label: ho.Floats) -> tuple[float, float]:
    """Fit p = 1 / (1 + exp(A f + B)) to Platt's targets by Newton's method."""
    positives = float(label.sum())
    negatives = len(label) - positives
    target = np.where(label == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.column_stack([score, np.ones_like(score)])
    w = np.array([-1.0, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(design @ w))
        gradient = design.T @ (target - p)
        curvature = (design * (p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(curvature, gradient)
        w = w - step
        if np.abs(step).max() < 1e-13:
            break
    return float(w[0]), float(w[1])


def write_examples(
    bundle: ho.Bundle, booster: lgb.Booster, calibrate: ho.Calibrator, invented: ho.Floats
) -> dict[str, str]:
    """Write the golden rows and the sample requests; give back the samples' actions."""
    some = invented[np.random.default_rng(5).permutation(len(invented))]
    holed = ho.punch_holes(bundle, some[17:25], seed=6)
    golden = np.vstack([some[:17], holed, ho.extreme_rows(bundle)])
    ho.write_golden(HERE / "golden.csv", bundle, booster, golden)
    rows = pick_samples(bundle, booster, calibrate, invented)
    ho.write_rows(HERE / "rows.ndjson", rows)
    return ho.replay(bundle, booster, calibrate, rows)


def run(path: Path) -> None:
    """Read, train, calibrate, evaluate and write."""
    bundle = ho.load_bundle(HERE / "bundle.toml")
    ids, x, y = read(path, bundle.names)
    part = np.array([part_of(client) for client in ids])
    train, fit, test = (part == name for name in ("train", "calibration", "test"))
    booster = ho.train_booster(bundle, with_gaps(bundle, x[train]), y[train], ROUNDS, PARAMS)
    booster.save_model(str(HERE / "model.txt"))

    score = ho.margin(booster, x)
    a, b = fit_platt(*ho.write_calibration(HERE / "calibration.csv", score[fit], y[fit]))

    def calibrate(f: ho.Floats) -> ho.Floats:
        return np.asarray(1 / (1 + np.exp(a * f + b)), dtype=np.float64)

    first, second = ho.cutoffs(bundle.policy["costs"])
    report: dict[str, Any] = {"cutoffs": ho.rounded({"t1": first, "t2": second})}
    report["platt"] = ho.rounded({"a": a, "b": b})
    report["rows"] = {name: int((part == name).sum()) for name in ("train", "calibration", "test")}
    for name, rows in (("test", x[test]), ("test_with_gaps", with_gaps(bundle, x[test]))):
        raw = ho.margin(booster, rows)
        report[name] = ho.evaluate(bundle, rows, y[test], raw, calibrate(raw))
    invented = jitter(bundle, x[test], x, seed=12)
    report["samples"] = write_examples(bundle, booster, calibrate, invented)
    ho.write_json(HERE / "metrics.json", report)
    print(f"loan: AUC {report['test']['auc']} (test)")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the loan example.")
    parser.add_argument("--data", type=Path, default=HERE.parents[1].parent / DATA)
    run(parser.parse_args().data)


if __name__ == "__main__":
    main()
