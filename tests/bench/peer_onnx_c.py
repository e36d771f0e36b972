"""ONNX Runtime's C API, called through ctypes in the library inside the installed package.

No header comes with the package. None is needed: the C API is one table of functions to which
each version only appends, so a function's place in it is part of the interface.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from native import addresses, empty_call
from timing import Sample, measure_calls

Floats = NDArray[np.float64]
P = ctypes.c_void_p
I = ctypes.c_int  # noqa: E741, one letter as in P: they stand in signatures
N = ctypes.c_size_t

API_VERSION = 14
FLOAT = 1
WARNINGS, SEQUENTIAL, ALL_OPTIMISATIONS, ONE = 2, 0, 99, 1
ARENA_ALLOCATOR, DEFAULT_MEMORY = 1, 0
# Place in the table, and what the function takes; each returns a status, null when all is well.
FUNCTIONS: dict[str, tuple[int, tuple[Any, ...]]] = {
    "CreateEnv": (3, (I, ctypes.c_char_p, P)),
    "CreateSessionFromArray": (8, (P, ctypes.c_char_p, N, P, P)),
    "Run": (9, (P, P, P, P, N, P, N, P)),
    "CreateSessionOptions": (10, (P,)),
    "SetSessionExecutionMode": (13, (P, I)),
    "SetSessionGraphOptimizationLevel": (23, (P, I)),
    "SetIntraOpNumThreads": (24, (P, I)),
    "SetInterOpNumThreads": (25, (P, I)),
    "CreateTensorWithDataAsOrtValue": (49, (P, P, N, P, N, I, P)),
    "CreateCpuMemoryInfo": (69, (I, I, P)),
}
GET_ERROR_MESSAGE = 2


class Api:
    """The table of functions."""

    def __init__(self) -> None:
        """Opens the library that the package itself uses."""
        folder = Path(onnxruntime.__file__).parent / "capi"
        found = sorted(folder.glob("libonnxruntime.*"))
        if not found:
            raise RuntimeError("the onnxruntime package holds no shared library of its own")
        lib = ctypes.CDLL(str(found[0]))
        lib.OrtGetApiBase.restype = ctypes.POINTER(P)
        get_api = ctypes.CFUNCTYPE(ctypes.POINTER(P), ctypes.c_uint32)(lib.OrtGetApiBase()[0])
        self.table = get_api(API_VERSION)
        if not self.table:
            raise RuntimeError(f"the library has no API of version {API_VERSION}")
        self._message = ctypes.CFUNCTYPE(ctypes.c_char_p, P)(self.table[GET_ERROR_MESSAGE])

    def function(self, name: str) -> Callable[..., int | None]:
        """One of the functions, which returns its status unchecked."""
        place, takes = FUNCTIONS[name]
        return ctypes.CFUNCTYPE(P, *takes)(self.table[place])

    def check(self, status: int | None) -> None:
        """Stops with the library's own words."""
        if status:
            raise RuntimeError(f"ONNX Runtime: {self._message(status).decode()}")

    def __call__(self, name: str, *arguments: Any) -> None:
        """Calls a function and checks its status."""
        self.check(self.function(name)(*arguments))

    def make(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """Calls a function that makes something: its last argument is where to put it."""
        made = P()
        self(name, *arguments, ctypes.byref(made))
        return made


class OnnxC:
    """`OrtApi::Run` on tensors made before, over memory of ours.

    Only the cost of a call with the same arguments is subtracted: what `Run` itself does before
    it reaches the graph is ONNX Runtime's.
    """

    name = "onnxruntime_c"
    label = "ONNX Runtime C API"
    peer = True

    def __init__(self, model: bytes, rows: Floats, names: tuple[str, str]) -> None:
        """Opens a session with one thread and prepares every argument."""
        self.api = Api()
        self.model = model
        self.rows = np.ascontiguousarray(rows, dtype=np.float32)
        self.out = np.zeros(1, np.float32)
        self.session = self._session()
        self.memory = self.api.make("CreateCpuMemoryInfo", ARENA_ALLOCATOR, DEFAULT_MEMORY)
        self.run = self.api.function("Run")
        self.names = [(ctypes.c_char_p * 1)(name.encode()) for name in names]
        result = self._tensor(self.out.ctypes.data, 1)
        self.result = (P * 1)(result)
        self.inputs = [(P * 1)(self._tensor(at, rows.shape[1])) for at in addresses(self.rows)]
        self.arguments = [self._arguments(row) for row in self.inputs]
        takes = FUNCTIONS["Run"][1]
        # `abs` looks at one argument, so no session is touched.
        self.empty = (empty_call(ctypes.CFUNCTYPE(P, *takes)), self.arguments)

    def _session(self) -> ctypes.c_void_p:
        self.env = self.api.make("CreateEnv", WARNINGS, b"bench")
        options = self.api.make("CreateSessionOptions")
        self.api("SetSessionExecutionMode", options, SEQUENTIAL)
        self.api("SetSessionGraphOptimizationLevel", options, ALL_OPTIMISATIONS)
        self.api("SetIntraOpNumThreads", options, ONE)
        self.api("SetInterOpNumThreads", options, ONE)
        model = self.model
        return self.api.make("CreateSessionFromArray", self.env, model, len(model), options)

    def _tensor(self, at: int, width: int) -> int | None:
        shape = (ctypes.c_int64 * 2)(1, width)
        made = self.api.make(
            "CreateTensorWithDataAsOrtValue", self.memory, at, 4 * width, shape, 2, FLOAT
        )
        return made.value

    def _arguments(self, row: Any) -> tuple[Any, ...]:
        row_name, out_name = (ctypes.cast(name, P) for name in self.names)
        inputs, result = (ctypes.cast(value, P) for value in (row, self.result))
        return (self.session, None, row_name, inputs, 1, out_name, 1, result)

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows, through the measured call."""
        scores = []
        for arguments in self.arguments[:count]:
            self.api.check(self.run(*arguments))
            scores.append(float(self.out[0]))
        return scores

    def measure(self, rows: int) -> Sample:
        """Times the rows, then as many empty calls."""
        return measure_calls((self.run, self.arguments), self.empty, rows)
