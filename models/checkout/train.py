"""Train the checkout example: net, champion, golden rows, calibration rows, samples, metrics.

Run `python models/checkout/train.py`. All files are written beside this script, and two runs
on one machine write the same bytes. With the simulated payments of the fraud detection
handbook at hand (`--handbook FILE.csv.gz`), both models are also evaluated on those.

The split is by time, with a gap of 7 days: a fraud is known after 7 days.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from features import Floats, matrix
from generate import DAY_SECONDS, Payments, transactions
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import handover as ho

HERE = Path(__file__).resolve().parent
SEED = 20260301
PERIODS = {"train": (30, 90), "calibration": (97, 112), "test": (119, 150)}
CALIBRATION_ROWS = 12_000
CHAMPION = {"learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 100}


def forward(net: Pipeline, x: Floats) -> Floats:
    """Log-odds by the trained weights in double precision."""
    scaler, mlp = net.steps[0][1], net.steps[1][1]
    value = (x - scaler.mean_) / scaler.scale_
    for weights, bias in zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True):
        value = np.maximum(value @ weights + bias, 0.0)
    return np.asarray((value @ mlp.coefs_[-1] + mlp.intercepts_[-1])[:, 0], dtype=np.float64)


def train_net(x: Floats, y: Floats) -> Pipeline:
    """A net of two hidden layers behind a scaler."""
    mlp = MLPClassifier((32, 16), alpha=1e-4, max_iter=12, random_state=7, batch_size=256)
    net = make_pipeline(StandardScaler(), mlp).fit(x, y)
    told = net.predict_proba(x[:1000])[:, 1]
    if np.abs(1 / (1 + np.exp(-forward(net, x[:1000]))) - told).max() > 1e-9:
        raise ValueError("the weights do not give the trainer's probabilities")
    return net


def export(net: Pipeline, names: list[str], path: Path) -> None:
    """Writes the net as ONNX, with an input for each feature."""
    from skl2onnx.common.data_types import FloatTensorType

    width = [("X", FloatTensorType([None, len(names)]))]
    options = {id(net): {"zipmap": False}}
    graph = to_onnx(net, initial_types=width, options=options, target_opset=18)
    inner = graph.graph
    inner.ClearField("input")
    inner.input.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 1])
        for name in names
    )
    joined = onnx.helper.make_node("Concat", names, ["X"], axis=1)
    inner.node.insert(0, joined)
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())


def split(payments: Payments) -> dict[str, Any]:
    """One mask for each period."""
    day = payments.seconds // DAY_SECONDS
    return {name: (day >= start) & (day < end) for name, (start, end) in PERIODS.items()}


def platt(score: Floats, y: Floats) -> Any:
    """Platt's sigmoid, fitted without a penalty."""
    fitted = LogisticRegression(C=1e12, max_iter=1000).fit(score[:, None], y)
    return lambda s: fitted.predict_proba(np.asarray(s)[:, None])[:, 1]


def handbook(path: Path) -> Payments:
    """The handbook's simulated payments of its first 150 days."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = [
            (int(r["TX_TIME_SECONDS"]), int(r["CUSTOMER_ID"]), int(r["TERMINAL_ID"]),
             float(r["TX_AMOUNT"]), r["TX_FRAUD"] == "1")
            for r in csv.DictReader(file)
            if int(r["TX_TIME_DAYS"]) < PERIODS["test"][1]
        ]  # fmt: skip
    seconds, customer, terminal, amount, fraud = (np.array(c) for c in zip(*rows, strict=True))
    return Payments(seconds, customer, terminal, amount, fraud)


def ranks(y: Floats, scores: dict[str, Floats]) -> dict[str, Any]:
    """How well each model ranks."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return ho.rounded(
        {"rows": len(y), "positives_share": y.mean()}
        | {
            name: {"auc": roc_auc_score(y, score), "pr_auc": average_precision_score(y, score)}
            for name, score in scores.items()
        }
    )


def stand_in(bundle: ho.Bundle, row: dict[str, Any]) -> Floats:
    """The row as the net sees it."""
    numbers = [ho.to_number(f, row.get(f.name)) for f in bundle.features]
    return np.array([numbers])


def samples(bundle: ho.Bundle, x: Floats, p: Floats) -> list[dict[str, Any]]:
    """37 whole requests and three that lack features."""
    first, second = ho.cutoffs(bundle.policy["costs"])
    chosen = ho.spread(0.0, first * 0.6, p, 14)
    chosen += ho.spread(first * 1.5, second * 0.9, p, 13)
    chosen += ho.spread(second + (1 - second) * 0.3, 1.0, p, 10)
    np.random.default_rng(4).shuffle(chosen)
    requests = []
    for number, row in enumerate([*chosen, *chosen[:3]], 1):
        pairs = zip(bundle.features, x[row], strict=True)
        features = {f.name: ho.to_value(f, float(v)) for f, v in pairs}
        if number == 38:
            features["amount"] = None
        if number == 39:
            del features["terminal_risk_7d"], features["customer_mean_1d"]
        if number == 40:
            features = {name: features[name] for name in ("amount", "is_night")}
        requests.append({"decision_id": f"c-{number:03}", "features": features})
    return requests


def write_golden(bundle: ho.Bundle, net: Pipeline, x: Floats) -> None:
    """Feature rows and the trainer's log-odds."""
    rows = np.vstack([x, ho.extreme_rows(bundle)[2:3]])
    with (HERE / "golden.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*bundle.names, "raw"])
        for row, raw in zip(rows, forward(net, rows), strict=True):
            values = [ho.to_value(f, float(v)) for f, v in zip(bundle.features, row, strict=True)]
            out.writerow([*map(ho.to_cell, values), repr(float(raw))])


def main() -> None:
    """Generate, train, calibrate, evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--handbook", type=Path, help="the handbook's payments, one CSV")
    args = parser.parse_args()
    bundle = ho.load_bundle(HERE / "bundle.toml")
    payments = transactions(SEED)
    x, y, periods = matrix(payments, bundle.names), payments.fraud.astype(float), split(payments)
    train, test = periods["train"], periods["test"]
    net = train_net(x[train], y[train])
    export(net, bundle.names, HERE / "model.onnx")
    champion = ho.train_booster(bundle, x[train], y[train], 80, CHAMPION)
    champion.save_model(str(HERE / "champion.txt"))
    score = forward(net, x)
    some = np.flatnonzero(periods["calibration"])
    some = np.random.default_rng(3).permutation(some)[:CALIBRATION_ROWS]
    used = ho.write_calibration(HERE / "calibration.csv", score[some], y[some])
    calibrate = platt(*used)
    scores = {"net": score[test], "champion": ho.margin(champion, x[test])}
    report: dict[str, Any] = {"rows": {name: int(mask.sum()) for name, mask in periods.items()}}
    report["ranks_test"] = ranks(y[test], scores)
    p = calibrate(score[test])
    report["test"] = ho.evaluate(bundle, x[test], y[test], score[test], p)
    if args.handbook:
        there = handbook(args.handbook)
        hx, late = matrix(there, bundle.names), split(there)["test"]
        scores = {"net": forward(net, hx[late]), "champion": ho.margin(champion, hx[late])}
        report["ranks_handbook"] = ranks(there.fraud[late].astype(float), scores)
    requests = samples(bundle, x[test], p)
    ho.write_rows(HERE / "rows.ndjson", requests)
    seen = np.random.default_rng(5).permutation(np.flatnonzero(test))[:24]
    write_golden(bundle, net, x[seen])
    report["samples"] = {
        r["decision_id"]: ho.decide(
            bundle, r["features"], calibrate(forward(net, stand_in(bundle, r["features"])))[0]
        )
        for r in requests
    }
    ho.write_json(HERE / "metrics.json", report)
    print(report["ranks_test"], report.get("ranks_handbook"))


if __name__ == "__main__":
    main()
