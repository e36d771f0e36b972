"""Counts the instructions of each call and compares them with `tests/fixtures/fuel.json`.

`fuel.py WASM VECTORS_DIR FUEL_JSON` fails when a call, or the prediction, decision or explanation
of one golden row, takes over 5 % more than stored there; `--write` (`make fuel`) stores what it
counts. Unlike time, fuel is the same on every machine. The golden rows are those of the models
in `models/` that the vectors' bundles were built from.
"""

from __future__ import annotations

import argparse
import csv
import json
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tollgate_wasm import Tollgate

ALLOWED_GROWTH = 1.05
FUEL = 10**15
ROWS = 100
MODELS = Path(__file__).resolve().parents[2] / "models"

Counts = dict[str, int | list[int]]


def main() -> int:
    """Counts, compares or writes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wasm", type=Path)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("fuel", type=Path)
    parser.add_argument("--write", action="store_true", help="store what is counted")
    arguments = parser.parse_args()
    wasm = arguments.wasm.read_bytes()
    folders = sorted(path for path in arguments.vectors.iterdir() if path.is_dir())
    counted = {folder.name: count(wasm, folder) for folder in folders}
    if arguments.write:
        arguments.fuel.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
        return 0
    return compare(counted, json.loads(arguments.fuel.read_text(encoding="utf-8")))


def count(wasm: bytes, folder: Path) -> Counts:
    """Mean fuel of each kind of call over the folder's first rows and requests, and the fuel of
    each golden row."""
    gate = Tollgate(wasm, fuel=FUEL)
    bundle, key = (folder / "bundle.tollgate").read_bytes(), (folder / "trust.key").read_bytes()
    handle = 0

    def load() -> None:
        nonlocal handle
        handle = gate.load(bundle, key)

    found: Counts = {"load": spent(gate, [load])}
    about = gate.describe(handle)
    width, all_width = about["scored_features"], len(about["features"])
    packed = (folder / "rows.f64").read_bytes()
    size = 8 * all_width
    rows = [packed[at : at + size] for at in range(0, min(len(packed), ROWS * size), size)]
    scored = [row[: 8 * width] for row in rows]
    requests = (folder / "requests.ndjson").read_bytes().splitlines()
    good = [line for line in requests if is_scored(gate, handle, line)][:ROWS]
    found["predict"] = spent(gate, [lambda r=r: gate.predict(handle, r) for r in scored])
    found["score_row"] = spent(gate, [lambda r=r: gate.score_row(handle, r) for r in rows])
    found["score_json"] = spent(gate, [lambda q=q: gate.score_json(handle, q) for q in good])
    found["contributions"] = spent(
        gate, [lambda r=r: gate.contributions(handle, r) for r in scored]
    )
    golden = [struct.pack(f"<{width}d", *row) for row in golden_rows(folder.name, about)]
    calls = {"predict": gate.predict, "score": gate.score_row, "contributions": gate.contributions}
    for name, call in calls.items():
        found[f"golden rows, {name}"] = [spent(gate, [partial(call, handle, r)]) for r in golden]
    return found


def golden_rows(model: str, about: dict[str, Any]) -> Iterator[list[float]]:
    """The golden rows of a model as its scored features' numbers."""
    scored = about["features"][: about["scored_features"]]
    with (MODELS / model / "golden.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield [number(row[feature["name"]], feature) for feature in scored]


def number(cell: str, feature: dict[str, Any]) -> float:
    """A cell as a model sees it: empty is missing, a category is its position."""
    values = feature.get("values") or []
    if cell in values:
        return float(values.index(cell))
    words = {"": float("nan"), "true": 1.0, "false": 0.0}
    return words[cell] if cell in words else float(cell)


def is_scored(gate: Tollgate, handle: int, request: bytes) -> bool:
    """Whether a request is one that can be read."""
    try:
        gate.score_json(handle, request)
    except Exception:
        return False
    return True


def spent(gate: Tollgate, calls: list[Callable[[], object]]) -> int:
    """Mean fuel of the calls."""
    before = gate.fuel
    for call in calls:
        call()
    return (before - gate.fuel) // len(calls)


def compare(counted: dict[str, Counts], stored: dict[str, Counts]) -> int:
    """Prints each count beside the stored one; returns the exit code."""
    passed = failed = 0
    for bundle, calls in counted.items():
        for call, found in calls.items():
            limit = stored.get(bundle, {}).get(call)
            grown = grew(found, limit)
            failed, passed = failed + bool(grown), passed + (not grown)
            print(f"{bundle} {call}: {told(found, limit)}{grown}")
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


def grew(found: int | list[int], limit: int | list[int] | None) -> str:
    """Which counts are too high, or nothing stored to compare them with; empty for none."""
    counts = found if isinstance(found, list) else [found]
    limits = limit if isinstance(limit, list) else [limit]
    if limit is None or len(limits) != len(counts):
        return "  NOT STORED, see make fuel"
    rows = [at + 1 for at, fuel in enumerate(counts) if fuel > limits[at] * ALLOWED_GROWTH]
    if not rows:
        return ""
    return "  GREW" if isinstance(found, int) else f"  GREW in rows {rows}"


def told(found: int | list[int], limit: int | list[int] | None) -> str:
    """A count, or the span of several, and how much it changed."""
    total = found if isinstance(found, int) else sum(found)
    before = sum(limit) if isinstance(limit, list) else limit
    change = "" if not before else f", {total / before - 1:+.1%}"
    if isinstance(found, int):
        return f"{found} fuel{change}"
    return f"{min(found)} to {max(found)} fuel over {len(found)} rows{change}"


if __name__ == "__main__":
    sys.exit(main())
