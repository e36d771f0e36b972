"""lleaves: the LightGBM model compiled by LLVM; its C entry point called through ctypes.

    python peer_lleaves.py MODEL OBJECT TREES_PER_BLOCK

compiles once, in a process of its own, because it takes minutes. lleaves' own advice is taken:
blocks of 34 trees for batches, all trees in one block for single rows.
"""

from __future__ import annotations

import argparse
import ctypes
from pathlib import Path
from typing import Any

import lleaves
import numpy as np
from numpy.typing import NDArray

from native import addresses, empty_call, tiled
from timing import Sample, measure_batch, measure_calls

Floats = NDArray[np.float64]
BATCH_BLOCK = 34
P = ctypes.c_void_p
ENTRY = ctypes.CFUNCTYPE(None, P, P, ctypes.c_int32, ctypes.c_int32)


def compiled(model: Path, cache: Path, block: int) -> lleaves.Model:
    """The model with its code, made where the cache lacks it."""
    made = lleaves.Model(model_file=str(model))
    made.compile(cache=str(cache), raw_score=True, fblocksize=block)
    return made


class Lleaves:
    """One row, or all rows in one call."""

    peer = True

    def __init__(self, model: Path, cache: Path, rows: Floats, batch: int = 0) -> None:
        """Loads the compiled code and prepares every argument."""
        self.name = "lleaves_batch" if batch else "lleaves"
        self.label = f"lleaves, C entry point{', batch' if batch else ''}"
        self.batch = batch
        self.model = compiled(model, cache, BATCH_BLOCK)
        self.call = ENTRY(ctypes.cast(self.model._c_entry_func, P).value)
        self.rows = tiled(rows, batch or len(rows))
        self.out = np.zeros(len(self.rows))
        out = P(self.out.ctypes.data)
        self.arguments: list[tuple[Any, ...]] = [
            (P(at), out, 0, 1) for at in addresses(self.rows[: len(rows)])
        ]
        self.empty = (empty_call(ENTRY), self.arguments)

    def _all(self, count: int) -> None:
        self.call(P(self.rows.ctypes.data), P(self.out.ctypes.data), 0, count)

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows, through the measured call."""
        if self.batch:
            self._all(count)
            return [float(score) for score in self.out[:count]]
        scores = []
        for arguments in self.arguments[:count]:
            self.call(*arguments)
            scores.append(float(self.out[0]))
        return scores

    def measure(self, rows: int) -> Sample:
        """Times the rows, or the one call."""
        if self.batch:
            return measure_batch(self._all, rows)
        return measure_calls((self.call, self.arguments), self.empty, rows)


def main() -> None:
    """Compiles beside the wanted place and moves it there, so that half an object is never used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("object", type=Path)
    parser.add_argument("block", type=int)
    args = parser.parse_args()
    part = args.object.with_suffix(".part")
    part.unlink(missing_ok=True)
    compiled(args.model, part, args.block)
    part.replace(args.object)


if __name__ == "__main__":
    main()
