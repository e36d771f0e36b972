"""What both example models share: hand a trained LightGBM model over to Tollgate.

`bundle.toml` is the single source of the feature list, its order, the monotone
constraints and the costs. The training scripts read it, so the model and the
bundle cannot disagree.

The second half replays the decision policy in plain Python. It is there to write
metrics and to pick sample rows. It is not the module that decides.
"""

from __future__ import annotations

import csv
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

Floats = NDArray[np.float64]
Value = float | int | bool | str | None
Calibrator = Callable[[Floats], Floats]

ACTIONS = ("allow", "challenge", "block")
COST_KEYS = (
    "false_negative",
    "false_block",
    "challenge",
    "completion",
    "lost_user",
    "abuser_pass",
)


@dataclass(frozen=True)
class Feature:
    """One `[[features]]` entry of bundle.toml."""

    name: str
    kind: str
    values: tuple[str, ...]
    low: float
    high: float
    missing: str | float
    at_most: str
    at_least: str
    monotone: int


@dataclass(frozen=True)
class Bundle:
    """The parts of bundle.toml that training and the policy replay need."""

    features: tuple[Feature, ...]
    policy: dict[str, Any]
    fallback: str

    @property
    def names(self) -> list[str]:
        """Feature names in model order."""
        return [feature.name for feature in self.features]


def load_bundle(path: Path) -> Bundle:
    """Read bundle.toml."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    features = tuple(
        Feature(
            name=item["name"],
            kind=item["kind"],
            values=tuple(item.get("values", ())),
            low=float(item.get("min", 0)),
            high=float(item.get("max", 1)),
            missing=item["missing"],
            at_most=item.get("at_most", "challenge"),
            at_least=item.get("at_least", "allow"),
            monotone=item.get("monotone", 0),
        )
        for item in raw["features"]
    )
    return Bundle(features, raw["policy"], raw["bundle"]["fallback_action"])


# ---------------------------------------------------------------- training


def train_booster(
    bundle: Bundle, x: Floats, y: Floats, rounds: int, params: dict[str, Any]
) -> lgb.Booster:
    """Train a binary LightGBM model the same way every time."""
    fixed = {
        "objective": "binary",
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": 20260301,
        "monotone_constraints": [feature.monotone for feature in bundle.features],
        "verbosity": -1,
    }
    categories = [f.name for f in bundle.features if f.kind == "category"]
    data = lgb.Dataset(
        x, label=y, feature_name=bundle.names, categorical_feature=categories or "auto"
    )
    return lgb.train(fixed | params, data, num_boost_round=rounds)


def margin(booster: lgb.Booster, x: Floats) -> Floats:
    """Raw scores, one a row."""
    return np.asarray(booster.predict(x, raw_score=True, num_threads=1), dtype=np.float64)


# ------------------------------------------------------------------- files


def to_value(feature: Feature, number: float) -> Value:
    """Turn a model input back into the value that a caller sends."""
    if math.isnan(number):
        return None
    if feature.kind == "category":
        return feature.values[int(number)]
    if feature.kind == "boolean":
        return bool(number)
    return int(number) if feature.kind == "integer" else float(number)


def to_number(feature: Feature, value: Value) -> float:
    """Turn a sent value into the model input, with the stand-in for a missing one."""
    if value is None:
        return math.nan if feature.missing == "as_missing" else float(feature.missing)
    if isinstance(value, str):
        return float(feature.values.index(value))
    return float(value)


def to_cell(value: Value) -> str:
    """Write a value as a CSV cell; a missing value is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def extreme_rows(bundle: Bundle) -> Floats:
    """Rows at the ends of all ranges, and the row with everything missing."""
    lows, highs, gaps = [], [], []
    for feature in bundle.features:
        top = len(feature.values) - 1 if feature.kind == "category" else feature.high
        lows.append(0.0 if feature.kind == "category" else feature.low)
        highs.append(float(top))
        gaps.append(to_number(feature, None))
    low, high, gap = np.array(lows), np.array(highs), np.array(gaps)
    even = np.arange(len(low)) % 2 == 0
    mixed = [np.where(even, low, high), np.where(even, high, low)]
    return np.vstack([low, high, gap, *mixed, np.where(even, gap, high), np.where(even, low, gap)])


def punch_holes(bundle: Bundle, x: Floats, seed: int) -> Floats:
    """Remove one to three values from each row, where the model knows missing values."""
    rng = np.random.default_rng(seed)
    open_columns = [i for i, f in enumerate(bundle.features) if f.missing == "as_missing"]
    out = x.copy()
    for row in out:
        row[rng.choice(open_columns, size=int(rng.integers(1, 4)), replace=False)] = math.nan
    return out


def write_golden(path: Path, bundle: Bundle, booster: lgb.Booster, x: Floats) -> None:
    """Write feature rows and the trainer's raw score for each of them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*bundle.names, "raw"])
        for row, raw in zip(x, margin(booster, x), strict=True):
            values = [to_value(f, v) for f, v in zip(bundle.features, row, strict=True)]
            out.writerow([*map(to_cell, values), repr(float(raw))])


def write_calibration(path: Path, scores: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """Write the calibration file; give back what a reader of it will see."""
    lines = [f"{s:.9g},{int(y)}" for s, y in zip(scores, labels, strict=True)]
    path.write_text("score,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return np.array([float(line.split(",")[0]) for line in lines]), labels


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write requests, one JSON object a line."""
    lines = [json.dumps(row, separators=(",", ":")) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write indented JSON."""
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


# ------------------------------------------------------------------ policy


def cutoffs(costs: dict[str, float]) -> tuple[float, float]:
    """The two cut-offs at which the cheapest action changes."""
    fn, fb, challenge, completion, lost, passed = (float(costs[key]) for key in COST_KEYS)
    leave = (1.0 - completion) * lost
    first = (challenge + leave) / ((1.0 - passed) * fn + leave)
    second = (fb - leave - challenge) / (fb - leave + passed * fn)
    if not 0.0 < first < second < 1.0:
        raise ValueError(f"cut-offs out of order: {first}, {second}")
    return first, second


def holds(condition: dict[str, Any], row: dict[str, Value]) -> bool:
    """Whether one segment condition holds; a missing value never matches."""
    value: Any = row.get(condition["feature"])
    if value is None:
        return False
    tests: dict[str, Callable[[Any], bool]] = {
        "equals": lambda want: bool(value == want),
        "not_equals": lambda want: bool(value != want),
        "in": lambda want: value in want,
        "less": lambda want: bool(value < want),
        "at_most": lambda want: bool(value <= want),
        "more": lambda want: bool(value > want),
        "at_least": lambda want: bool(value >= want),
    }
    return all(tests[key](want) for key, want in condition.items() if key != "feature")


def decide(bundle: Bundle, row: dict[str, Value], probability: float) -> str:
    """Replay the policy for one row: required groups, cut-offs, caps, floors."""
    for group in bundle.policy.get("required", []):
        if all(row.get(name) is None for name in group["features"]):
            return bundle.fallback
    segments = bundle.policy.get("segments", [])
    matching = (s for s in segments if all(holds(c, row) for c in s["when"]))
    segment: dict[str, Any] = next(matching, {})
    first, second = cutoffs(segment.get("costs", bundle.policy["costs"]))
    level = int(probability >= first) + int(probability >= second)
    level = min(level, ACTIONS.index(segment.get("at_most", "block")))
    gone = [feature for feature in bundle.features if row.get(feature.name) is None]
    for feature in gone:
        level = min(level, ACTIONS.index(feature.at_most))
    for feature in gone:
        level = max(level, ACTIONS.index(feature.at_least))
    return ACTIONS[level]


def decide_all(bundle: Bundle, x: Floats, probability: Floats) -> list[str]:
    """Replay the policy for a matrix of model inputs."""
    actions = []
    for numbers, p in zip(x, probability, strict=True):
        row = {f.name: to_value(f, v) for f, v in zip(bundle.features, numbers, strict=True)}
        actions.append(decide(bundle, row, float(p)))
    return actions


def replay(
    bundle: Bundle, booster: lgb.Booster, calibrate: Calibrator, rows: list[dict[str, Any]]
) -> dict[str, str]:
    """The action that the policy gives to each sample request, by decision id."""
    actions = {}
    for row in rows:
        sent = row["features"]
        x = np.array([[to_number(f, sent.get(f.name)) for f in bundle.features]])
        action = decide(bundle, sent, float(calibrate(margin(booster, x))[0]))
        actions[row["decision_id"]] = action
    return actions


def spread(low: float, high: float, p: Floats, count: int) -> list[int]:
    """Row numbers with a probability in the band, evenly spaced over the band's rows."""
    inside = np.flatnonzero((p >= low) & (p <= high))
    if len(inside) < count:
        raise ValueError(f"only {len(inside)} rows between {low} and {high}")
    inside = inside[np.argsort(p[inside], kind="stable")]
    return [int(i) for i in inside[np.linspace(0, len(inside) - 1, count).astype(int)]]


# ----------------------------------------------------------------- metrics


def lift(score: Floats, y: Floats, share: float) -> float:
    """Positive rate in the top share of scores, over the positive rate of all."""
    top = np.argsort(-score, kind="stable")[: max(1, round(len(y) * share))]
    return float(y[top].mean() / y.mean())


def cost_per_decision(costs: dict[str, float], actions: Sequence[str], y: Floats) -> float:
    """Mean cost of the actions, with the stated costs and the true labels."""
    fn, fb, challenge, completion, lost, passed = (float(costs[key]) for key in COST_KEYS)
    bad = {"allow": fn, "challenge": challenge + passed * fn, "block": 0.0}
    good = {"allow": 0.0, "challenge": challenge + (1 - completion) * lost, "block": fb}
    total = sum(bad[a] if label else good[a] for a, label in zip(actions, y, strict=True))
    return float(total / len(y))


def evaluate(bundle: Bundle, x: Floats, y: Floats, score: Floats, p: Floats) -> dict[str, Any]:
    """Ranking, calibration, rates by action and cost on one period."""
    actions = decide_all(bundle, x, p)
    brier, constant = float(np.mean((p - y) ** 2)), float(y.mean() * (1 - y.mean()))
    taken = np.array(actions)
    costs = bundle.policy["costs"]
    out: dict[str, Any] = {
        "rows": len(y),
        "positives_share": y.mean(),
        "auc": roc_auc_score(y, score),
        "pr_auc": average_precision_score(y, score),
        "brier": brier,
        "brier_of_constant": constant,
        "brier_skill": 1 - brier / constant,
        "mean_probability": p.mean(),
        "lift_at_1_percent": lift(score, y, 0.01),
        "action_rates": {a: (taken == a).mean() for a in ACTIONS},
        "action_rates_negatives": {a: (taken[y == 0] == a).mean() for a in ACTIONS},
        "action_rates_positives": {a: (taken[y == 1] == a).mean() for a in ACTIONS},
        "cost_per_decision": {"policy": cost_per_decision(costs, actions, y)}
        | {f"{a}_all": cost_per_decision(costs, [a] * len(y), y) for a in ACTIONS},
    }
    return rounded(out)


def rounded(data: dict[str, Any]) -> dict[str, Any]:
    """Round every figure to six digits after the point."""
    return {
        key: rounded(item) if isinstance(item, dict) else _round(item) for key, item in data.items()
    }


def _round(item: Any) -> Any:
    return item if isinstance(item, int | str) else round(float(item), 6)
