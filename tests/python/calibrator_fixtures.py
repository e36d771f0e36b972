"""Writes tests/fixtures/calibrators.json: reference fits of the three calibrators.

Isotonic fits come from scikit-learn. Its sigmoid fit stops early and betacal regularises a
little, so those two are solved here to machine precision and only checked against them.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from betacal import BetaCalibration
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

Floats = NDArray[np.float64]
Record = dict[str, Any]

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "calibrators.json"
LIMIT = 300_000


def loss(design: Floats, target: Floats, theta: Floats) -> float:
    """Negative log-likelihood of a logistic model with targets in [0, 1]."""
    z = design @ theta
    return math.fsum(np.logaddexp(0.0, z) - target * z)


def gradient(design: Floats, target: Floats, theta: Floats) -> Floats:
    """Gradient summed in extended precision, so that its zero is the optimum's."""
    wide = design.astype(np.longdouble)
    z = wide @ theta.astype(np.longdouble)
    residual = 1.0 / (1.0 + np.exp(-z)) - target
    return np.asarray(wide.T @ residual, dtype=np.float64)


def newton(design: Floats, target: Floats) -> Floats:
    """Damped Newton steps until they no longer change the parameters."""
    theta = np.zeros(design.shape[1])
    for _ in range(200):
        slope = gradient(design, target, theta)
        prob = expit(design @ theta)
        hessian = (design * (prob * (1.0 - prob))[:, None]).T @ design
        step = np.linalg.solve(hessian, slope)
        scale, before = 1.0, loss(design, target, theta)
        while loss(design, target, theta - scale * step) > before + 1e-9 and scale > 1e-12:
            scale /= 2.0
        theta = theta - scale * step
        if np.all(np.abs(step) <= 4e-16 * (1e-3 + np.abs(theta))):
            break
    left = gradient(design, target, theta)
    if np.max(np.abs(left) / np.abs(design).sum(axis=0)) > 1e-14:
        raise SystemExit(f"not converged: gradient {left}")
    return theta


def platt(x: Floats, y: Floats) -> tuple[float, float]:
    """A and B of p = 1 / (1 + exp(A f + B)) against Platt's smoothed targets."""
    positives = float(np.sum(y > 0))
    negatives = len(y) - positives
    target = np.where(y > 0, (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0))
    if not positives or not negatives:
        return 0.0, -math.log(target[0] / (1.0 - target[0]))
    scale = float(np.max(np.abs(x)))
    theta = newton(np.stack([x / scale, np.ones_like(x)], axis=1), target)
    return -float(theta[0]) / scale, -float(theta[1])


def beta_features(x: Floats) -> Floats:
    """The columns ln s, -ln(1 - s) and 1."""
    return np.stack([np.log(x), -np.log1p(-x), np.ones_like(x)], axis=1)


def beta(x: Floats, y: Floats) -> tuple[tuple[float, float, float], bool]:
    """Maximum likelihood under a, b >= 0, and whether a bound holds it back.

    The problem is convex, so the one face whose optimum is feasible, and whose gradient
    pushes the dropped coefficients further below zero, holds the answer.
    """
    full = beta_features(x)
    for kept in ([0, 1, 2], [1, 2], [0, 2], [2]):
        theta = np.zeros(3)
        theta[kept] = newton(full[:, kept], y)
        slope = gradient(full, y, theta)
        dropped = [j for j in (0, 1) if j not in kept]
        if np.all(theta[:2] >= 0.0) and all(slope[j] >= 0.0 for j in dropped):
            return (float(theta[0]), float(theta[1]), float(theta[2])), bool(dropped)
    raise SystemExit("no face of the constraints is optimal")


def near(name: str, found: Floats, reference: Floats, tolerance: float) -> None:
    """Stops on a disagreement with a library; it would mean the two solve different problems."""
    gap = float(np.max(np.abs(np.asarray(found) - np.asarray(reference))))
    if not gap <= tolerance:
        raise SystemExit(f"{name}: differs from the reference by {gap}")


def listed(values: Floats) -> list[float]:
    """Plain floats, which json writes with all their digits."""
    return [float(value) for value in values]


def drawn(seed: int, count: int, curve: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """Scores in (0, 1) rounded to six digits, and labels drawn from a true curve."""
    rng = np.random.default_rng(seed)
    x = np.clip(np.round(rng.beta(0.8, 0.9, size=count), 6), 1e-6, 1.0 - 1e-6)
    return x, (rng.random(count) < curve(x)).astype(np.float64)


def isotonic_inputs() -> dict[str, tuple[Floats, Floats, Floats | None]]:
    """Ties, plateaus, reversals, weights and the shortest inputs."""
    rng = np.random.default_rng(11)
    x, y = drawn(1, 300, lambda s: s**2)
    coarse = np.round(x, 1)
    weights = np.round(rng.uniform(0.1, 5.0, size=300), 3)
    some = np.where(rng.random(300) < 0.3, 0.0, weights)
    few, ones = np.arange(8.0), np.ones(8)
    steps = np.array([0, 0, 1, 1, 0, 0, 1, 1.0])
    return {
        "tied": (np.array([1, 1, 2, 3, 3, 4.0]), np.array([0, 1, 0, 1, 1, 1.0]), None),
        "single": (np.array([0.3]), np.array([1.0]), None),
        "all_tied": (np.full(5, 0.4), np.array([0, 1, 1, 0, 1.0]), None),
        "increasing": (few, np.array([0, 0, 0, 0, 1, 1, 1, 1.0]), None),
        "decreasing": (few, np.array([1, 1, 1, 1, 0, 0, 0, 0.0]), None),
        "all_ones": (few, ones, None),
        "all_zeros": (few, 0.0 * ones, None),
        "two_plateaus": (few, steps, None),
        "two_plateaus_weighted": (few, steps, np.array([1, 2, 5, 0.5, 3, 1, 0.25, 4])),
        "shuffled_negative": (np.array([3, -2, 0, -5, 1, -2.0]), np.array([1, 0, 1, 0, 0, 1.0]),
                              None),
        "tied_weighted": (np.array([1, 1, 2, 3, 3, 4.0]), np.array([0, 1, 0, 1, 1, 1.0]),
                          np.array([1, 3, 2, 0.5, 1, 1])),
        "medium": (x, y, None),
        "medium_weighted": (x, y, weights),
        "medium_zero_weights": (x, y, some),
        "coarse": (coarse, y, None),
        "coarse_weighted": (coarse, y, weights),
    }  # fmt: skip


def isotonic_probe(x: Floats) -> Floats:
    """Knots, midpoints, neighbours of knots, and points far outside the range."""
    knots = np.unique(x)
    if len(knots) > 25:
        knots = knots[np.linspace(0, len(knots) - 1, 25).astype(int)]
    middle = (knots[1:] + knots[:-1]) / 2.0
    around = [np.nextafter(knots[:6], 9.0), np.nextafter(knots[-6:], -9.0)]
    ends = [knots[0] - 1.0, knots[-1] + 1.0, -1e9, 1e9]
    return np.unique(np.concatenate([knots, middle, *around, ends]))


def isotonic_records() -> list[Record]:
    """Knots and predictions straight from scikit-learn."""
    records = []
    for name, (x, y, w) in isotonic_inputs().items():
        fit = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0)
        fit.fit(x, y, sample_weight=w)
        probe = isotonic_probe(x)
        record: Record = {"name": name, "x": listed(x), "y": listed(y)}
        record["w"] = None if w is None else listed(w)
        record["knots_x"] = listed(fit.X_thresholds_)
        record["knots_y"] = listed(fit.y_thresholds_)
        record |= {"probe": listed(probe), "expected": listed(fit.predict(probe))}
        records.append(record)
    fit = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0)
    tied = isotonic_inputs()["tied"]
    near("tied", fit.fit(tied[0], tied[1]).predict([2.5]), np.array([2.0 / 3.0]), 1e-15)
    return records


def platt_inputs() -> dict[str, tuple[Floats, Floats]]:
    """Margins and probabilities, separable and one-sided data, and very large scores."""
    rng = np.random.default_rng(12)
    margin = np.round(rng.normal(scale=2.0, size=250), 5)
    label = (rng.random(250) < expit(1.7 * margin - 0.4)).astype(np.float64)
    x, y = drawn(2, 200, lambda s: s)
    few = np.arange(8.0)
    return {
        "margins": (margin, label),
        "probabilities": (x, y),
        "large": (np.round(margin * 1000.0, 2), label),
        "tiny": (np.round(margin, 3) * 1e-6, label),
        "reversed": (-margin, label),
        "rare": (margin, (margin > 3.0).astype(np.float64)),
        "separable": (few, np.array([0, 0, 0, 0, 1, 1, 1, 1.0])),
        "tied": (np.array([1, 1, 2, 3, 3, 4.0]), np.array([0, 1, 0, 1, 1, 1.0])),
        "all_ones": (few, np.ones(8)),
        "all_zeros": (few, np.zeros(8)),
    }


def platt_records() -> list[Record]:
    """Exact optima beside scikit-learn's early-stopped ones."""
    records = []
    for name, (x, y) in platt_inputs().items():
        a, b = platt(x, y)
        fit = _SigmoidCalibration().fit(x, y)
        low, high = float(np.min(x)), float(np.max(x))
        span = high - low
        probe = np.concatenate([np.linspace(low, high, 15), x[:5], [low - span, high + 2 * span]])
        expected = expit(-(a * probe + b))
        near(f"platt {name}", expected, fit.predict(probe), 2e-4)
        record: Record = {"name": name, "x": listed(x), "y": listed(y), "a": a, "b": b}
        record |= {"sklearn_a": float(fit.a_), "sklearn_b": float(fit.b_)}
        record |= {"probe": listed(probe), "expected": listed(expected)}
        records.append(record)
    return records


def beta_inputs() -> dict[str, tuple[Floats, Floats]]:
    """Curves of several shapes, and three where a bound on a or b holds."""
    return {
        "calibrated": drawn(3, 300, lambda s: s),
        "sigmoid": drawn(4, 300, lambda s: expit(6.0 * s - 3.0)),
        "steep": drawn(5, 300, lambda s: expit(2.0 * np.log(s) - 2.5 * np.log1p(-s) + 0.3)),
        "skewed": drawn(6, 250, lambda s: s**3),
        "small": drawn(7, 30, lambda s: 0.2 + 0.6 * s),
        "binds_a": drawn(8, 300, lambda s: expit(-0.7 * np.log(s) - 1.2 * np.log1p(-s) - 1.0)),
        "binds_b": drawn(9, 300, lambda s: expit(1.2 * np.log(s) + 0.7 * np.log1p(-s) + 1.0)),
        "binds_both": drawn(10, 200, lambda s: 1.0 - s),
    }


def beta_records() -> list[Record]:
    """Exact constrained optima; betacal drops at most one coefficient, so it skips one case."""
    edges = [1e-12, 1e-6, 1e-3, 0.01, 0.99, 0.999, 1.0 - 1e-6, 1.0 - 1e-9]
    probe = np.concatenate([edges, np.linspace(0.05, 0.95, 19)])
    records = []
    for name, (x, y) in beta_inputs().items():
        (a, b, c), binds = beta(x, y)
        if binds != name.startswith("binds"):
            raise SystemExit(f"beta {name}: a bound holds or fails to hold, a={a} b={b}")
        expected = expit(a * np.log(probe) - b * np.log1p(-probe) + c)
        if name != "binds_both":
            fit = BetaCalibration(parameters="abm").fit(x, y)
            near(f"beta {name}", expected, fit.predict(probe), 2e-3)
        record: Record = {"name": name, "x": listed(x), "y": listed(y), "a": a, "b": b, "c": c}
        record |= {"probe": listed(probe), "expected": listed(expected)}
        records.append(record)
    return records


def main() -> None:
    """Writes the file, one record a line, and refuses to let it grow."""
    warnings.filterwarnings("ignore")
    groups = {"isotonic": isotonic_records(), "platt": platt_records(), "beta": beta_records()}
    parts = []
    for name, records in groups.items():
        lines = ",\n".join(json.dumps(record, allow_nan=False) for record in records)
        parts.append(f'"{name}":[\n{lines}\n]')
    text = "{" + ",\n".join(parts) + "}\n"
    if len(text) > LIMIT:
        raise SystemExit(f"{len(text)} bytes is more than {LIMIT}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(text, encoding="utf-8")
    for name, records in groups.items():
        print(f"{name}: {', '.join(record['name'] for record in records)}")
    print(f"{len(text)} bytes")


if __name__ == "__main__":
    main()
