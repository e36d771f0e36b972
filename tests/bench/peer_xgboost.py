"""XGBoost on a model of its own: the same data, trees and leaves as the LightGBM model.

Training writes the model once; `xgboost` itself is optional, so it is imported only here.
"""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

import make_model
from native import addresses, empty_call, tiled
from timing import Sample, measure_batch, measure_calls

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
P = ctypes.c_void_p
PREDICT = ctypes.CFUNCTYPE(ctypes.c_int, P, ctypes.c_char_p, ctypes.c_char_p, P, P, P, P)
MARGIN = 1
CONFIG = {
    "type": MARGIN, "training": False, "iteration_begin": 0, "iteration_end": 0,
    "strict_shape": True, "cache_id": 0, "missing": float("nan"),
}  # fmt: skip
PARAMS: dict[str, Any] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "grow_policy": "lossguide",
    "max_depth": 0,
    "max_leaves": make_model.LEAVES,
    "learning_rate": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "seed": make_model.SEED,
    "nthread": 1,
}


def train(out: Path) -> None:
    """Writes the model as JSON, and one of a single stump for the cost of the call."""
    x, y = make_model.make_data()
    data = xgboost.DMatrix(x[: make_model.TRAIN_ROWS], y[: make_model.TRAIN_ROWS])
    stump = {**PARAMS, "max_leaves": 2, "max_depth": 1}
    xgboost.train(stump, data, num_boost_round=1).save_model(stump_of(out))
    xgboost.train(PARAMS, data, num_boost_round=make_model.TREES).save_model(out)


def stump_of(model: Path) -> Path:
    """Where the stump lies."""
    return model.with_name("xgboost_stump.json")


def open_model(model: Path) -> xgboost.Booster:
    """A booster that uses one thread."""
    booster = xgboost.Booster(model_file=str(model))
    booster.set_param({"nthread": 1})
    return booster


def shape(model: Path) -> dict[str, float | int]:
    """How large the trees came out."""
    trees = json.loads(model.read_text())["learner"]["gradient_booster"]["model"]["trees"]
    leaves = [sum(child == -1 for child in tree["left_children"]) for tree in trees]
    return {"trees": len(trees), "leaves_mean": round(float(np.mean(leaves)), 2)}


class XgboostC:
    """`XGBoosterPredictFromDense` on one row, margin out, through ctypes.

    The row is described in JSON, as this call wants it; the texts are made beforehand. XGBoost
    reads them in every call, and that is XGBoost's own cost, as for every user of it.
    """

    name = "xgboost_c"
    label = "XGBoost C API, PredictFromDense"
    peer = True

    def __init__(self, model: Path, rows: Floats) -> None:
        """Opens the model and prepares every argument."""
        self.booster = open_model(model)
        self.lib = xgboost.core._LIB
        self.rows: Singles = np.ascontiguousarray(rows, dtype=np.float32)
        self.shape, self.width = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        self.out = ctypes.POINTER(ctypes.c_float)()
        self.call = PREDICT(("XGBoosterPredictFromDense", self.lib))
        self.config = json.dumps(CONFIG).encode()
        self.arguments = [self._arguments(at) for at in addresses(self.rows)]
        self.empty = (empty_call(PREDICT), self.arguments)

    def _arguments(self, at: int) -> tuple[Any, ...]:
        row = {"data": [at, True], "shape": [1, self.rows.shape[1]], "typestr": "<f4", "version": 3}
        text = json.dumps(row).encode()
        results = [ctypes.cast(ctypes.byref(o), P) for o in (self.shape, self.width, self.out)]
        return (self.booster.handle, text, self.config, None, *results)

    def predict(self, count: int) -> list[float]:
        """Margins of the first rows, through the measured call."""
        scores = []
        for arguments in self.arguments[:count]:
            if self.call(*arguments) != 0:
                raise RuntimeError("XGBoost refused a row")
            scores.append(float(self.out[0]))
        return scores

    def measure(self, rows: int) -> Sample:
        """Times the rows, then as many empty calls."""
        return measure_calls((self.call, self.arguments), self.empty, rows)


class XgboostInplace:
    """`inplace_predict` on one row from Python; the overhead is a single stump, called so."""

    name = "xgboost_inplace"
    label = "XGBoost inplace_predict"
    peer = True

    def __init__(self, model: Path, rows: Floats) -> None:
        """Opens both models."""
        self.booster, self.stump = open_model(model), open_model(stump_of(model))
        singles: Singles = np.ascontiguousarray(rows, dtype=np.float32)
        self.arguments = [(row[None, :],) for row in singles]

    def _call(self, row: Singles) -> Any:
        return self.booster.inplace_predict(row, predict_type="margin")

    def _empty(self, row: Singles) -> Any:
        return self.stump.inplace_predict(row, predict_type="margin")

    def predict(self, count: int) -> list[float]:
        """Margins of the first rows."""
        return [float(self._call(*arguments).ravel()[0]) for arguments in self.arguments[:count]]

    def measure(self, rows: int) -> Sample:
        """Times the rows, then as many stumps."""
        return measure_calls((self._call, self.arguments), (self._empty, self.arguments), rows)


class XgboostBatch:
    """`inplace_predict` over all rows in one call."""

    name = "xgboost_batch"
    label = "XGBoost inplace_predict, batch"
    peer = True

    def __init__(self, model: Path, rows: Floats, count: int) -> None:
        """Opens the model and lays the rows out."""
        self.booster = open_model(model)
        self.rows = tiled(np.ascontiguousarray(rows, dtype=np.float32), count)

    def _call(self, count: int) -> Any:
        return self.booster.inplace_predict(self.rows[:count], predict_type="margin")

    def predict(self, count: int) -> list[float]:
        """Margins of the first rows."""
        return [float(score) for score in self._call(count)]

    def measure(self, rows: int) -> Sample:
        """Times one call."""
        return measure_batch(self._call, rows)


class XgboostContributions:
    """`pred_contribs` over many rows in one call, its fastest way; the `DMatrix` is made before."""

    name = "xgboost_contribs"
    label = "XGBoost pred_contribs, batch"
    peer = True

    def __init__(self, model: Path, rows: Floats) -> None:
        """Opens the model."""
        self.booster = open_model(model)
        self.rows: Singles = np.ascontiguousarray(rows, dtype=np.float32)
        self.made: dict[int, xgboost.DMatrix] = {}

    def _call(self, count: int) -> Any:
        return self.booster.predict(self._data(count), pred_contribs=True)

    def _data(self, count: int) -> xgboost.DMatrix:
        if count not in self.made:
            self.made[count] = xgboost.DMatrix(tiled(self.rows, count), nthread=1)
        return self.made[count]

    def predict(self, count: int) -> list[float]:
        """Sums of the contributions of the first rows, which are their margins."""
        return [float(total) for total in self._call(count).sum(axis=1)]

    def measure(self, rows: int) -> Sample:
        """Times one call."""
        for count in (rows, 1):
            self._data(count)
        return measure_batch(self._call, rows)
