"""LightGBM's own prediction, called in its C API through ctypes, and once from its Python."""

from __future__ import annotations

import ctypes
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray

from native import addresses, tiled
from timing import Sample, measure_batch, measure_calls

Floats = NDArray[np.float64]

FLOAT64 = 1
RAW_SCORE = 1
CONTRIBUTIONS = 3
ROW_MAJOR = 1
CALL = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)


def library() -> ctypes.CDLL:
    """The shared library inside the installed package."""
    folder = Path(lightgbm.__file__).parent
    found = sorted(folder.glob("lib/*lightgbm.*")) + sorted(folder.glob("bin/*lightgbm.*"))
    if not found:
        raise SystemExit("the lightgbm package holds no shared library")
    return ctypes.CDLL(str(found[0]))


class Api:
    """The library and a booster loaded with it."""

    def __init__(self, model: Path) -> None:
        """Loads the model."""
        self.lib = library()
        self.lib.LGBM_GetLastError.restype = ctypes.c_char_p
        self.booster, iterations = ctypes.c_void_p(), ctypes.c_int()
        status = self.lib.LGBM_BoosterCreateFromModelfile(
            str(model).encode(), ctypes.byref(iterations), ctypes.byref(self.booster)
        )
        self.check(status)

    def check(self, status: int) -> None:
        """Stops with LightGBM's own words."""
        if status != 0:
            raise SystemExit(f"LightGBM: {self.lib.LGBM_GetLastError().decode()}")


class LightGbm:
    """`LGBM_BoosterPredictForMatSingleRowFast`, one thread: raw scores, or contributions.

    The overhead is `LGBM_BoosterGetNumClasses` through the very same four-pointer prototype; the
    callee ignores the last two, so both calls marshal the same arguments.
    """

    peer = True

    def __init__(self, model: Path, rows: Floats, kind: int = RAW_SCORE) -> None:
        """Loads the model and prepares every argument."""
        explains = kind == CONTRIBUTIONS
        self.name = "lightgbm_contrib" if explains else "lightgbm_c"
        self.label = f"LightGBM C API, {'pred_contrib' if explains else 'single-row fast'}"
        self.api = Api(model)
        self.rows = np.ascontiguousarray(rows)
        self.scratch = np.zeros_like(self.rows)
        self.out = np.zeros(rows.shape[1] + 1 if explains else 1)
        self.length = ctypes.c_int64()
        self.config = self._config(rows.shape[1], kind)
        self.predict_call = CALL(("LGBM_BoosterPredictForMatSingleRowFast", self.api.lib))
        empty_call = CALL(("LGBM_BoosterGetNumClasses", self.api.lib))
        self.arguments = self._arguments(self.config, self.rows)
        self.empty = (empty_call, self._arguments(self.api.booster, self.scratch))

    def _config(self, features: int, kind: int) -> ctypes.c_void_p:
        config = ctypes.c_void_p()
        status = self.api.lib.LGBM_BoosterPredictForMatSingleRowFastInit(
            self.api.booster, kind, 0, -1, FLOAT64, features, b"num_threads=1",
            ctypes.byref(config),
        )  # fmt: skip
        self.api.check(status)
        return config

    def _arguments(self, handle: ctypes.c_void_p, rows: Floats) -> list[tuple[object, ...]]:
        length = ctypes.cast(ctypes.pointer(self.length), ctypes.c_void_p)
        out = ctypes.c_void_p(self.out.ctypes.data)
        return [(handle, ctypes.c_void_p(at), length, out) for at in addresses(rows)]

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows, or the sums of their contributions."""
        scores = []
        for arguments in self.arguments[:count]:
            self.api.check(self.predict_call(*arguments))
            scores.append(float(self.out.sum()))
        return scores

    def measure(self, rows: int) -> Sample:
        """Times the rows, then as many empty calls."""
        return measure_calls((self.predict_call, self.arguments), self.empty, rows)


class LightGbmBatch:
    """`LGBM_BoosterPredictForMat` over all rows in one call."""

    name = "lightgbm_c_batch"
    label = "LightGBM C API, batch"
    peer = True

    def __init__(self, model: Path, rows: Floats, count: int) -> None:
        """Loads the model and lays the rows out."""
        self.api = Api(model)
        self.rows = tiled(rows, count)
        self.out = np.zeros(count)
        self.length = ctypes.c_int64()

    def _call(self, count: int) -> None:
        status = self.api.lib.LGBM_BoosterPredictForMat(
            self.api.booster, ctypes.c_void_p(self.rows.ctypes.data), FLOAT64, count,
            self.rows.shape[1], ROW_MAJOR, RAW_SCORE, 0, -1, b"num_threads=1",
            ctypes.byref(self.length), ctypes.c_void_p(self.out.ctypes.data),
        )  # fmt: skip
        self.api.check(status)

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows."""
        self._call(count)
        return [float(score) for score in self.out[:count]]

    def measure(self, rows: int) -> Sample:
        """Times one call."""
        return measure_batch(self._call, rows)


class LightGbmPython:
    """`Booster.predict` over all rows in one call, as most programs batch."""

    name = "lightgbm_python_batch"
    label = "LightGBM Booster.predict, batch"
    peer = True

    def __init__(self, model: Path, rows: Floats, count: int) -> None:
        """Loads the model and lays the rows out."""
        self.booster = lightgbm.Booster(model_file=str(model))
        self.rows = tiled(rows, count)

    def _call(self, count: int) -> object:
        return self.booster.predict(self.rows[:count], raw_score=True, num_threads=1)

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows."""
        return [float(score) for score in np.asarray(self._call(count))]

    def measure(self, rows: int) -> Sample:
        """Times one call."""
        return measure_batch(self._call, rows)
