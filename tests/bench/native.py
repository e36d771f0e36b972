"""What the peers called through ctypes have in common."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def empty_call(prototype: Any) -> Callable[..., Any]:
    """A function that does next to nothing behind a prototype, so that only the call is left.

    It is C's `abs`, which looks at the first argument only: whatever else the prototype passes is
    marshalled just the same. The conventions of the C ABI let the caller clean up, so that
    arguments too many do no harm.
    """
    address = ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p).value
    return prototype(address)  # type: ignore[no-any-return]


def addresses(rows: NDArray[Any]) -> list[int]:
    """Where each row of a C-contiguous matrix starts."""
    return [rows.ctypes.data + i * rows.strides[0] for i in range(len(rows))]


def tiled(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """The rows over and over, in memory of their own, until there are `count`."""
    times = -(-count // len(rows))
    return np.ascontiguousarray(np.tile(rows, (times, 1))[:count])
