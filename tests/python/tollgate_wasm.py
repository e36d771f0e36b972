"""tollgate.wasm in wasmtime: the calls of its ABI page as a small Python class."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from wasmtime import Config, Engine, Func, Linker, Memory, Module, Store, Trap, WasmtimeError

ABI_VERSION = 1
RESULT = struct.Struct("<BBBxI5d16x")
"""The compact result of a decision, 64 bytes."""

Numbers = bytes | Sequence[float]
"""Numbers of rows, as floats or already packed as little-endian f64."""


class TollgateError(Exception):
    """The module said no: the number of the error and its text, `CODE: what`.

    Number 0 stands for a trap. The instance is lost then: make a new one and load again.
    """

    def __init__(self, code: int, text: str) -> None:
        """Keeps number and text."""
        super().__init__(text)
        self.code = code
        self.text = text


class Result(NamedTuple):
    """The compact result of a decision; NaN where there is no number."""

    action: int
    source: int
    degraded: int
    stand_ins: int
    margin: float
    probability: float
    cost_allow: float
    cost_challenge: float
    cost_block: float

    @classmethod
    def all_of(cls, packed: bytes) -> list[Result]:
        """Reads what `score_batch` returns."""
        return [cls(*fields) for fields in RESULT.iter_unpack(packed)]


class Tollgate:
    """One instance of the module, for one thread. Handles are what `load` returns."""

    def __init__(
        self, wasm_bytes: bytes, memory_bytes: int = 512 << 20, fuel: int | None = None
    ) -> None:
        """Compiles the module and starts an instance that may use so much memory.

        With `fuel` it also counts instructions: each takes about one unit.
        """
        config = Config()
        config.consume_fuel = fuel is not None
        config.wasm_simd = True
        config.wasm_relaxed_simd = False
        config.cranelift_nan_canonicalization = True
        engine = Engine(config)
        self._store = Store(engine)
        self._store.set_limits(memory_size=memory_bytes, instances=1, memories=1)
        if fuel is not None:
            self._store.set_fuel(fuel)
        # An empty linker: a module that wants an import is refused here.
        instance = Linker(engine).instantiate(self._store, Module(engine, wasm_bytes))
        exports = instance.exports(self._store)
        memory = exports["memory"]
        if not isinstance(memory, Memory):
            raise TypeError("the module exports no memory")
        self._memory = memory
        self._calls = {name: call for name, call in exports.items() if isinstance(call, Func)}
        self._lost = False
        self._about: dict[int, dict[str, Any]] = {}
        version = self._call("abi_version")
        if version < ABI_VERSION:
            raise ValueError(f"the module has calls of version {version}, not {ABI_VERSION}")

    def load(self, bundle: bytes, keys: bytes, digest: bytes | None = None, now_ms: int = 0) -> int:
        """Verifies and activates a bundle; `keys` has 32 bytes a key. Returns its handle."""
        if digest is not None and len(digest) != 32:
            raise ValueError("a digest has 32 bytes")
        with self._lend(bundle, keys, digest or b"") as (file, trusted, wanted):
            pinned = 0 if digest is None else wanted
            status = self._call("load", file, len(bundle), trusted, len(keys), pinned, now_ms)
        self._about.pop(status, None)
        return self._checked(status)

    @property
    def fuel(self) -> int:
        """What is left of the fuel."""
        return self._store.get_fuel()

    def unload(self, handle: int) -> None:
        """Frees a bundle."""
        self._about.pop(handle, None)
        self._checked(self._call("unload", handle))

    def describe(self, handle: int) -> dict[str, Any]:
        """What a bundle is: name, digest, features, fallback action and more."""
        if handle not in self._about:
            self._checked(self._call("describe", handle))
            self._about[handle] = json.loads(self._output())
        return self._about[handle]

    def score_json(self, handle: int, request: bytes) -> bytes:
        """Decides a JSON request; returns the record, byte for byte."""
        with self._lend(request) as (at,):
            status = self._call("score_json", handle, at, len(request))
        self._checked(status)
        return self._output()

    def score_row(self, handle: int, values: Numbers, tags: bytes | None = None) -> Result:
        """Decides one row in schema order; a shorter row leaves the rest missing."""
        packed, marks = _packed(values), tags or b""
        if tags is not None and len(tags) * 8 != len(packed):
            raise ValueError("not one tag a value")
        with self._lend(packed, marks, bytes(RESULT.size)) as (at, tagged, result):
            marked = 0 if tags is None else tagged
            status = self._call("score_row", handle, at, marked, len(packed) // 8, result)
            row = self._read(result, RESULT.size)
        self._checked(status)
        return Result(*RESULT.unpack(row))

    def score_batch(self, handle: int, values: Numbers, tags: bytes | None = None) -> bytes:
        """Decides full rows, one behind the other; returns 64 bytes a row."""
        packed, marks = _packed(values), tags or b""
        if tags is not None and len(tags) * 8 != len(packed):
            raise ValueError("not one tag a value")
        rows = _rows(packed, len(self.describe(handle)["features"]))
        size = rows * RESULT.size
        with self._lend(packed, marks, bytes(size)) as (at, tagged, results):
            marked = 0 if tags is None else tagged
            status = self._call("score_batch", handle, at, marked, rows, results)
            scored = self._read(results, size)
        self._checked(status)
        return scored

    def record(self, handle: int) -> bytes:
        """The record of the row that was decided last."""
        self._checked(self._call("record", handle))
        return self._output()

    def predict(
        self, handle: int, values: Numbers, response: bool = False, columns: bool = False
    ) -> list[tuple[float, ...]]:
        """The model's outputs for rows of its scored features, a tuple a row.

        With `columns`, all values of the first feature come first, then those of the second.
        """
        packed, about = _packed(values), self.describe(handle)
        rows = _rows(packed, about["scored_features"])
        row = struct.Struct(f"<{about['outputs']}d")
        with self._lend(packed, bytes(rows * row.size)) as (at, results):
            call = "predict_columns" if columns else "predict"
            status = self._call(call, handle, at, rows, int(response), results)
            outputs = self._read(results, rows * row.size)
        self._checked(status)
        return list(row.iter_unpack(outputs))

    def explain_json(self, handle: int, request: bytes) -> bytes:
        """Decides a JSON request; returns the explanation with the record in it, as JSON."""
        with self._lend(request) as (json_text,):
            self._checked(self._call("explain_json", handle, json_text, len(request)))
            return self._output()

    def contributions(self, handle: int, values: Numbers) -> list[tuple[float, ...]]:
        """Per row, what each scored feature adds to each output, then that on average."""
        packed, about = _packed(values), self.describe(handle)
        rows = _rows(packed, about["scored_features"])
        row = struct.Struct(f"<{about['outputs'] * (about['scored_features'] + 1)}d")
        with self._lend(packed, bytes(rows * row.size)) as (numbers, results):
            self._checked(self._call("contributions", handle, numbers, rows, results))
            return list(row.iter_unpack(self._read(results, rows * row.size)))

    def ed25519_verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Verifies a signature as strictly as bundles are."""
        if len(key) != 32 or len(signature) != 64:
            raise ValueError("a key has 32 bytes, a signature 64")
        with self._lend(key, message, signature) as (point, text, signed):
            status = self._call("ed25519_verify", point, text, len(message), signed)
        return self._checked(status) == 1

    @contextmanager
    def _lend(self, *contents: bytes) -> Iterator[list[int]]:
        """Copies into the module's memory, and gives that back unless the call trapped."""
        offsets: list[int] = []
        for content in contents:
            offset = self._call("alloc", len(content)) & 0xFFFF_FFFF
            if offset == 0:
                self._release(offsets, contents)
                raise MemoryError("the module has no memory left")
            self._memory.write(self._store, content, offset)
            offsets.append(offset)
        yield offsets
        self._release(offsets, contents)

    def _release(self, offsets: list[int], contents: Sequence[bytes]) -> None:
        for offset, content in zip(offsets, contents, strict=False):
            self._call("free", offset, len(content))

    def _read(self, offset: int, size: int) -> bytes:
        return bytes(self._memory.read(self._store, offset, offset + size))

    def _output(self) -> bytes:
        offset = self._call("output") & 0xFFFF_FFFF
        return self._read(offset, self._call("output_bytes"))

    def _call(self, name: str, *arguments: int) -> int:
        if self._lost:
            raise TollgateError(0, "TRAP: the instance is lost")
        try:
            # tg_free returns nothing.
            return self._calls[f"tg_{name}"](self._store, *arguments) or 0
        except (Trap, WasmtimeError) as error:
            self._lost = True
            raise TollgateError(0, f"TRAP: {error}") from error

    def _checked(self, status: int) -> int:
        if status < 0:
            raise TollgateError(-status, self._output().decode())
        return status


def _packed(numbers: Numbers) -> bytes:
    packed = numbers if isinstance(numbers, bytes) else struct.pack(f"<{len(numbers)}d", *numbers)
    if len(packed) % 8:
        raise ValueError("not a whole number of f64")
    return packed


def _rows(packed: bytes, width: int) -> int:
    rows, rest = divmod(len(packed), width * 8)
    if rest:
        raise ValueError(f"not a whole number of rows of {width} values")
    return rows
