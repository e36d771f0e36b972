"""What the scikit-learn examples share: a synthetic risk data set, and the hand-over.

The data are card payments, drawn from a fixed seed. A payment is fraud more often when
many payments came from the same address within the hour, when the amount is far above
the customer's usual one, when the account is young, and at night; the last column is
noise. One value in twenty of `account_age_days` is missing where an example allows it.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx.helper
from numpy.typing import NDArray
from skl2onnx import to_onnx

Floats = NDArray[np.float32]

FEATURES = (
    "payments_1h",
    "amount_ratio",
    "account_age_days",
    "hour",
    "basket_items",
)
GOLDEN_ROWS = 200


def payments(rows: int = 4000, *, missing: bool = False) -> tuple[Floats, NDArray[np.int64]]:
    """Features in single precision, as the ONNX model takes them, and whether it was fraud."""
    rng = np.random.default_rng(20260301)
    x = np.column_stack(
        [
            rng.poisson(1.5, rows),
            rng.lognormal(0.0, 0.8, rows),
            rng.exponential(400.0, rows),
            rng.integers(0, 24, rows),
            1 + rng.poisson(2.0, rows),
        ]
    )
    night = (x[:, 3] < 6).astype(float)
    odds = -4.5 + 0.5 * x[:, 0] + 0.9 * x[:, 1] - 0.004 * x[:, 2] + 0.8 * night
    fraud = (rng.random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int64)
    if missing:
        x[rng.random(rows) < 0.05, 2] = math.nan
    return x.astype(np.float32), fraud


def numbers(plain: Callable[..., Any]) -> Callable[..., Any]:
    """skl2onnx 1.20 hands over booleans where onnx 1.23 asks for integers."""

    def convert(key: str, value: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(value, list) and any(isinstance(item, bool | np.bool_) for item in value):
            value = [int(item) for item in value]
        return plain(key, value, *rest, **more)

    return convert


def export(model: Any, x: Floats) -> Any:
    """The ONNX graph of a fitted model; a classifier's with plain probabilities."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    options = {id(last): {"zipmap": False}} if hasattr(last, "predict_proba") else None
    plain = onnx.helper.make_attribute
    onnx.helper.make_attribute = numbers(plain)
    try:
        return to_onnx(model, x[:1], options=options)
    finally:
        onnx.helper.make_attribute = plain


def hand_over(model: Any, x: Floats, out: Path) -> None:
    """Writes model.onnx, rows.csv and expected.csv, and says how to check them."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.onnx").write_bytes(export(model, x).SerializeToString())
    golden = x[:GOLDEN_ROWS]
    with (out / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(FEATURES)
        rows.writerows([["" if math.isnan(v) else repr(float(v)) for v in row] for row in golden])
    # The trainer's own word, not ONNX Runtime's.
    probabilities = model.predict_proba(golden)[:, 1]
    lines = ["probability", *(repr(float(p)) for p in probabilities)]
    (out / "expected.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"cd {out}")
    print("tollgate model predict model.onnx --rows rows.csv --output probability")
    print(
        "tollgate model check model.onnx --rows rows.csv --expected expected.csv"
        " --output probability --abs 1e-6"
    )


def folder(name: str) -> Path:
    """Where to write: the argument, or a folder below target/."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path, nargs="?", default=Path("target/sklearn") / name)
    return parser.parse_args().out
