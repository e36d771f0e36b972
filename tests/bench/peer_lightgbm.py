"""LightGBM's own single-row fast path, called in its C API through ctypes."""

from __future__ import annotations

import ctypes
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray

from timing import Sample, sample, time_calls, time_empty_calls

Floats = NDArray[np.float64]

FLOAT64 = 1
RAW_SCORE = 1
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


class LightGbm:
    """`LGBM_BoosterPredictForMatSingleRowFast`, raw score, one thread.

    The overhead is `LGBM_BoosterGetNumClasses` through the very same four-pointer prototype; the
    callee ignores the last two, so both calls marshal the same arguments.
    """

    name = "lightgbm_c"
    label = "LightGBM C API, single-row fast"
    peer = True

    def __init__(self, model: Path, rows: Floats) -> None:
        """Loads the model and prepares every argument."""
        self.lib = library()
        self.rows = np.ascontiguousarray(rows)
        self.scratch = np.zeros_like(self.rows)
        self.out = (ctypes.c_double * 1)()
        self.length = ctypes.c_int64()
        self.booster = self._load(model)
        self.config = self._config(rows.shape[1])
        self.predict_call = CALL(("LGBM_BoosterPredictForMatSingleRowFast", self.lib))
        self.empty_call = CALL(("LGBM_BoosterGetNumClasses", self.lib))
        self.arguments = self._arguments(self.config, self.rows)
        self.empty = self._arguments(self.booster, self.scratch)

    def _check(self, status: int) -> None:
        if status != 0:
            self.lib.LGBM_GetLastError.restype = ctypes.c_char_p
            raise SystemExit(f"LightGBM: {self.lib.LGBM_GetLastError().decode()}")

    def _load(self, model: Path) -> ctypes.c_void_p:
        booster, iterations = ctypes.c_void_p(), ctypes.c_int()
        status = self.lib.LGBM_BoosterCreateFromModelfile(
            str(model).encode(), ctypes.byref(iterations), ctypes.byref(booster)
        )
        self._check(status)
        return booster

    def _config(self, features: int) -> ctypes.c_void_p:
        config = ctypes.c_void_p()
        status = self.lib.LGBM_BoosterPredictForMatSingleRowFastInit(
            self.booster, RAW_SCORE, 0, -1, FLOAT64, features, b"num_threads=1",
            ctypes.byref(config),
        )  # fmt: skip
        self._check(status)
        return config

    def _arguments(self, handle: ctypes.c_void_p, rows: Floats) -> list[tuple[object, ...]]:
        length = ctypes.cast(ctypes.pointer(self.length), ctypes.c_void_p)
        out = ctypes.cast(self.out, ctypes.c_void_p)
        return [
            (handle, ctypes.c_void_p(rows.ctypes.data + i * rows.strides[0]), length, out)
            for i in range(len(rows))
        ]

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows, through the measured call."""
        scores = []
        for arguments in self.arguments[:count]:
            self._check(self.predict_call(*arguments))
            scores.append(self.out[0])
        return scores

    def measure(self, rows: int) -> Sample:
        """Times the rows, then as many empty calls."""
        times = time_calls(self.predict_call, self.arguments, rows)
        empty = (self.empty_call, self.empty)
        return sample(times, time_empty_calls(self.predict_call, self.arguments, empty, rows))
