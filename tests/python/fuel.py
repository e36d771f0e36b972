"""Counts the instructions of each call and compares them with `tests/fixtures/fuel.json`.

`fuel.py WASM VECTORS_DIR FUEL_JSON` fails when a call takes over 5 % more than stored there;
with `--write` it stores what it counts. Unlike time, fuel is the same on every machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from tollgate_wasm import Tollgate

ALLOWED_GROWTH = 1.05
FUEL = 10**15
ROWS = 100


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


def count(wasm: bytes, folder: Path) -> dict[str, int]:
    """Mean fuel of each kind of call over the folder's first rows and requests."""
    gate = Tollgate(wasm, fuel=FUEL)
    bundle, key = (folder / "bundle.tollgate").read_bytes(), (folder / "trust.key").read_bytes()
    handle = 0

    def load() -> None:
        nonlocal handle
        handle = gate.load(bundle, key)

    found = {"load": spent(gate, [load])}
    width = gate.describe(handle)["scored_features"]
    all_width = len(gate.describe(handle)["features"])
    packed = (folder / "rows.f64").read_bytes()
    size = 8 * all_width
    rows = [packed[at : at + size] for at in range(0, min(len(packed), ROWS * size), size)]
    scored = [row[: 8 * width] for row in rows]
    requests = (folder / "requests.ndjson").read_bytes().splitlines()
    good = [line for line in requests if is_scored(gate, handle, line)][:ROWS]
    # These two ask for the description first, to know the width of a row.
    describe = spent(gate, [lambda: gate.describe(handle)] * len(scored))
    found["predict"] = spent(gate, [lambda r=r: gate.predict(handle, r) for r in scored]) - describe
    found["score_row"] = spent(gate, [lambda r=r: gate.score_row(handle, r) for r in rows])
    found["score_json"] = spent(gate, [lambda q=q: gate.score_json(handle, q) for q in good])
    explained = spent(gate, [lambda r=r: gate.contributions(handle, r) for r in scored])
    found["contributions"] = explained - describe
    return found


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


def compare(counted: dict[str, dict[str, int]], stored: dict[str, dict[str, int]]) -> int:
    """Prints each count beside the stored one; returns the exit code."""
    passed = failed = 0
    for bundle, calls in counted.items():
        for call, fuel in calls.items():
            limit = stored.get(bundle, {}).get(call)
            grown = limit is None or fuel > limit * ALLOWED_GROWTH
            failed, passed = failed + grown, passed + (not grown)
            change = "nothing stored" if limit is None else f"{fuel / limit - 1:+.1%}"
            print(f"{bundle} {call}: {fuel} fuel, {change}{'  GREW' if grown else ''}")
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
