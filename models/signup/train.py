"""Train the signup example: model, golden rows, calibration rows, samples, metrics.

Run `python models/signup/train.py`. All files are written beside this script, and
two runs write the same bytes. The features and the costs come from bundle.toml;
the events come from generate.py.

The split is by time. A label is known after 7 days, so a gap of at least 7 days
lies between the periods: nothing is fitted on labels that were not yet known.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import generate
import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import handover as ho

HERE = Path(__file__).resolve().parent

ROUNDS = 240
PARAMS = {
    "learning_rate": 0.03,
    "num_leaves": 24,
    "min_data_in_leaf": 60,
    "lambda_l2": 5.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "cat_smooth": 20.0,
    "max_cat_to_onehot": 1,
}
PERIODS = {
    "train": (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 7, 11, tzinfo=UTC)),
    "calibration": (datetime(2026, 7, 18, tzinfo=UTC), datetime(2026, 8, 25, tzinfo=UTC)),
    "test": (datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)),
    "drifted": (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
}


def check_categories(bundle: ho.Bundle) -> None:
    """The codes of the generator are positions in the lists of bundle.toml."""
    wanted = {
        "country_group": generate.REGIONS,
        "phone_type": generate.PHONE_TYPES,
        "channel": generate.CHANNELS,
    }
    found = {f.name: f.values for f in bundle.features if f.kind == "category"}
    if wanted != found:
        raise ValueError(f"categories differ: {wanted} and {found}")


def matrix(bundle: ho.Bundle, events: generate.Events) -> ho.Floats:
    """Model inputs in the order of bundle.toml, checked against the ranges."""
    x = np.column_stack([events.columns[name] for name in bundle.names])
    for feature, column in zip(bundle.features, x.T, strict=True):
        top = len(feature.values) - 1 if feature.kind == "category" else feature.high
        if np.nanmin(column) < feature.low or np.nanmax(column) > top:
            raise ValueError(f"{feature.name} leaves its range")
        if feature.missing != "as_missing" and np.isnan(column).any():
            raise ValueError(f"{feature.name} has missing values but no as_missing")
    return x


def split(events: generate.Events) -> dict[str, NDArray[np.bool_]]:
    """One mask for each period."""
    return {
        name: (events.time_ms >= start.timestamp() * 1000)
        & (events.time_ms < end.timestamp() * 1000)
        for name, (start, end) in PERIODS.items()
    }


def by_region(bundle: ho.Bundle, x: ho.Floats, y: ho.Floats, p: ho.Floats) -> dict[str, Any]:
    """Share of the negatives of each region that is challenged or blocked."""
    region = x[:, bundle.names.index("country_group")]
    stopped = np.array([action != "allow" for action in ho.decide_all(bundle, x, p)])
    out: dict[str, Any] = {}
    for code, name in enumerate(generate.REGIONS):
        rows = (region == code) & (y == 0)
        out[name] = {"negatives": int(rows.sum()), "stopped": float(stopped[rows].mean())}
    return ho.rounded(out)


def pick_samples(
    bundle: ho.Bundle, booster: lgb.Booster, calibrate: ho.Calibrator
) -> list[dict[str, Any]]:
    """37 complete rows of a fresh period, and three rows that lack features."""
    rng = np.random.default_rng(404)
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
    events = generate.generate_period(rng, start, end, drift=False)
    x = matrix(bundle, events)
    whole = ~np.isnan(x).any(axis=1)
    x, time_ms = x[whole], events.time_ms[whole]
    p = calibrate(ho.margin(booster, x))
    first, second = ho.cutoffs(bundle.policy["costs"])
    # Stay away from the cut-offs: a sample must not hang on the last digit of a fit.
    chosen = ho.spread(0.0, first * 0.6, p, 14)
    chosen += ho.spread(first * 1.3, second * 0.9, p, 13)
    chosen += ho.spread(second + (1 - second) * 0.3, 1.0, p, 10)
    rng.shuffle(chosen)
    worst = int(np.argmax(ho.margin(booster, x) - 100 * x[:, bundle.names.index("is_tor")]))
    numbers = [*chosen, chosen[0], worst, chosen[1]]
    return [request(bundle, n, x[row], int(time_ms[row])) for n, row in enumerate(numbers, 1)]


def request(bundle: ho.Bundle, number: int, row: ho.Floats, time_ms: int) -> dict[str, Any]:
    """One sample request; the last three lack features."""
    pairs = zip(bundle.features, row, strict=True)
    features = {f.name: ho.to_value(f, v) for f, v in pairs}
    if number == 38:
        features["email_domain_reputation"] = None
    if number == 39:
        del features["asn_risk"], features["device_signups_1d"]
    if number == 40:
        features = {name: features[name] for name in ("ua_entropy", "hour_local")}
    return {"decision_id": f"s-{number:03}", "event_time": time_ms, "features": features}


def write_examples(
    bundle: ho.Bundle, booster: lgb.Booster, calibrate: ho.Calibrator, x_test: ho.Floats
) -> dict[str, str]:
    """Write the golden rows and the sample requests; give back the samples' actions."""
    some = x_test[np.random.default_rng(5).permutation(len(x_test))]
    holed = ho.punch_holes(bundle, some[17:25], seed=6)
    golden = np.vstack([some[:17], holed, ho.extreme_rows(bundle)])
    ho.write_golden(HERE / "golden.csv", bundle, booster, golden)
    rows = pick_samples(bundle, booster, calibrate)
    ho.write_rows(HERE / "rows.ndjson", rows)
    return ho.replay(bundle, booster, calibrate, rows)


def main() -> None:
    """Generate, train, calibrate, evaluate and write."""
    bundle = ho.load_bundle(HERE / "bundle.toml")
    check_categories(bundle)
    events = generate.generate()
    x, y, periods = matrix(bundle, events), events.label, split(events)
    train, fit = periods["train"], periods["calibration"]
    booster = ho.train_booster(bundle, x[train], y[train], ROUNDS, PARAMS)
    booster.save_model(str(HERE / "model.txt"))

    score = ho.margin(booster, x)
    used = ho.write_calibration(HERE / "calibration.csv", score[fit], y[fit])
    calibrate = IsotonicRegression(out_of_bounds="clip").fit(*used).predict
    p = calibrate(score)

    first, second = ho.cutoffs(bundle.policy["costs"])
    report: dict[str, Any] = {"cutoffs": ho.rounded({"t1": first, "t2": second})}
    report["rows"] = {name: int(mask.sum()) for name, mask in periods.items()}
    for name in ("test", "drifted"):
        mask = periods[name]
        report[name] = ho.evaluate(bundle, x[mask], y[mask], score[mask], p[mask])
        report[name]["stopped_negatives_by_region"] = by_region(bundle, x[mask], y[mask], p[mask])
    report["samples"] = write_examples(bundle, booster, calibrate, x[periods["test"]])
    ho.write_json(HERE / "metrics.json", report)
    print(f"signup: AUC {report['test']['auc']} (test), {report['drifted']['auc']} (drifted)")


if __name__ == "__main__":
    main()
