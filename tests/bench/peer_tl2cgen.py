"""tl2cgen: the LightGBM model as C, compiled by gcc.

    python peer_tl2cgen.py MODEL LIBRARY

compiles once, in a process of its own. One row calls `predict` of that library through ctypes,
a batch goes through tl2cgen's own predictor. Quantised inputs (`quantize=1`) are left out: that
code overwrites the row it is given, so that every call would need a fresh copy.
"""

from __future__ import annotations

import argparse
import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import tl2cgen
import treelite
from numpy.typing import NDArray

from native import addresses, empty_call, tiled
from timing import Sample, measure_batch, measure_calls

Floats = NDArray[np.float64]
P = ctypes.c_void_p
PREDICT = ctypes.CFUNCTYPE(None, P, ctypes.c_int, P)
UNITS = 8
MISSING = 0xFFFF_FFFF


def entries(rows: Floats) -> Floats:
    """Rows as the C code wants them: -1 in the low half of a number says that it is missing."""
    packed = np.ascontiguousarray(rows).copy()
    packed.view(np.uint64)[np.isnan(packed)] = MISSING
    return packed


class Tl2cgen:
    """One row through the generated function."""

    name = "tl2cgen"
    label = "tl2cgen, compiled C"
    peer = True

    def __init__(self, library: Path, rows: Floats) -> None:
        """Loads the library and prepares every argument."""
        self.rows = entries(rows)
        self.out = np.zeros(1)
        self.lib = ctypes.CDLL(str(library))
        self.call = PREDICT(("predict", self.lib))
        out = P(self.out.ctypes.data)
        self.arguments: list[tuple[Any, ...]] = [(P(at), 1, out) for at in addresses(self.rows)]
        self.empty = (empty_call(PREDICT), self.arguments)

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows; the generated code adds to what is there."""
        scores = []
        for arguments in self.arguments[:count]:
            self.out[0] = 0.0
            self.call(*arguments)
            scores.append(float(self.out[0]))
        return scores

    def measure(self, rows: int) -> Sample:
        """Times the rows, then as many empty calls."""
        return measure_calls((self.call, self.arguments), self.empty, rows)


class Tl2cgenBatch:
    """All rows through tl2cgen's predictor, one thread; the matrix is made before."""

    name = "tl2cgen_batch"
    label = "tl2cgen, compiled C, batch"
    peer = True

    def __init__(self, library: Path, rows: Floats, count: int) -> None:
        """Loads the library and lays the rows out."""
        self.predictor = tl2cgen.Predictor(str(library), nthread=1)
        self.rows = tiled(rows, count)
        self.made: dict[int, Any] = {}

    def _data(self, count: int) -> Any:
        if count not in self.made:
            self.made[count] = tl2cgen.DMatrix(self.rows[:count], dtype="float64")
        return self.made[count]

    def _call(self, count: int) -> Any:
        return self.predictor.predict(self._data(count), pred_margin=True)

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows."""
        return [float(score) for score in self._call(count).ravel()]

    def measure(self, rows: int) -> Sample:
        """Times one call."""
        for count in (rows, 1):
            self._data(count)
        return measure_batch(self._call, rows)


def main() -> None:
    """Compiles the library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("library", type=Path)
    args = parser.parse_args()
    model = treelite.frontend.load_lightgbm_model(args.model)
    part = args.library.with_name(f"part-{args.library.name}")
    params = {"parallel_comp": UNITS}
    tl2cgen.export_lib(model, toolchain="gcc", libpath=part, params=params, nthread=2)
    part.replace(args.library)


if __name__ == "__main__":
    main()
