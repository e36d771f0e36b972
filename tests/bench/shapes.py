"""Many shapes of forest: ours against LightGBM and ONNX Runtime, single rows and batches."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import make_model
import make_shapes
import peer_lightgbm
import peer_onnx
from bench import shown
from machine import machine
from make_shapes import Shape
from ours import Child, bench_row, variants
from prepare import Missing
from report_shapes import chart_of, markdown
from rounds import Results, Task, losing
from suites import CHECKED_ROWS, checked

Floats = NDArray[np.float64]
# A round of a contender lasts about as long for every shape, within these bounds of rows.
ROUND_NS = 1.5e8
FEWEST, MOST = 100, 4_000
PROBE_ROWS = 50
# ONNX Runtime computes in single precision: what it may be off by, next to the largest score.
RELATIVE = 1e-4


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=Path, required=True, help="the bench-row binary")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--data", type=Path, default=make_model.DEFAULT_DIR / "shapes")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-rows", type=int, default=2_000, help="rows of one batch")
    parser.add_argument("--only", help="cells whose name holds this text")
    parser.add_argument("--cpu", type=int, help="pin everything to this core")
    parser.add_argument("--quick", action="store_true", help="a short check, figures mean nothing")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.batch_rows = 3, 1_000
    return args


def command(args: argparse.Namespace) -> str:
    """The command line without the folders of this machine."""
    text = f"python tests/bench/shapes.py --ours {shown(args.ours)} --out {shown(args.out)}"
    text += f" --rounds {args.rounds} --batch-rows {args.batch_rows}"
    text += f" --only {args.only}" if args.only else ""
    text += " --quick" if args.quick else ""
    return text if args.cpu is None else f"{text} --cpu {args.cpu}"


def onnx_row(onnx: Path, rows: Floats, missing: Missing) -> list[Any]:
    """ONNX Runtime's C API, or, where that cannot be reached, its faster way from Python.

    From Python an Identity graph is taken off, and with it what ONNX Runtime does in every call;
    beside a small forest that is most of the time, and the rest says little.
    """
    found = missing.attempt("ONNX Runtime C API", lambda: peer_onnx.in_c(onnx, rows))
    return found or [peer_onnx.Onnx(onnx.read_bytes(), rows, "io_binding")]


def tasks(
    shape: Shape, args: argparse.Namespace, child: Child, rows: Floats, missing: Missing
) -> dict[str, Task]:
    """Who is measured on a shape, and with how many rows."""
    model, onnx, _ = shape.files(args.data)
    lightgbm = peer_lightgbm.LightGbm(model, rows)
    expected = np.array(lightgbm.predict(CHECKED_ROWS), dtype=np.float64)
    single = float(np.abs(expected).max()) * RELATIVE
    content = onnx.read_bytes()
    everyone: dict[str, list[Any]] = {
        "row": [
            *variants("row", [child]),
            lightgbm,
            *onnx_row(onnx, rows, missing),
        ],
        "batch": [
            *variants("batch", [child]),
            peer_lightgbm.LightGbmBatch(model, rows, args.batch_rows),
            peer_onnx.OnnxBatch(content, rows, args.batch_rows),
        ],
    }
    probe = lightgbm.measure(PROBE_ROWS).p50
    count = int(min(max(ROUND_NS / probe, FEWEST), MOST))
    counts = {"row": count // 4 if args.quick else count, "batch": args.batch_rows}
    out = {}
    for name, contenders in everyone.items():
        agreeing, _ = checked(contenders, expected, missing, {"onnxruntime": single})
        if any(not c.peer for c in agreeing):
            out[name] = Task(name, agreeing, args.rounds, counts[name], 0)
    return out


def cell(shape: Shape, args: argparse.Namespace, missing: Missing) -> Results:
    """All figures of one shape."""
    model, _, row_file = shape.files(args.data)
    rows = np.fromfile(row_file, dtype="<f8").reshape(-1, shape.features)
    with bench_row(args.ours, model, row_file, shape.features) as child:
        ready = tasks(shape, args, child, rows, missing)
        measured = {name: task.run() for name, task in ready.items()}
        about = {key: child.about.get(key) for key in ("bundle_bytes", "load_ms")}
    for figures in measured.values():
        figures["losing"] = losing(figures)
    return {
        "label": shape.label,
        "short": shape.short,
        "growth": shape.growth,
        "features": shape.features,
        "leaves": shape.leaves,
        "facts": make_shapes.facts(shape, args.data),
        "ours": about,
        **measured,
    }


def main() -> None:
    """Makes what is missing, measures shape after shape, and writes the results."""
    args = arguments()
    chosen = [
        shape
        for shape in make_shapes.shapes(args.quick)
        if args.only is None or args.only in shape.name
    ]
    for shape in chosen:
        print(f"model {shape.label}", file=sys.stderr)
        make_shapes.make(shape, args.data)
    if args.cpu is not None:
        os.sched_setaffinity(0, {args.cpu})
    missing, cells = Missing(), {}
    for shape in chosen:
        print(f"measuring {shape.label}", file=sys.stderr)
        for figures in missing.attempt(shape.label, lambda s=shape: cell(s, args, missing)):
            cells[shape.name] = figures
    results = {
        "command": command(args),
        "machine": machine(),
        "rounds": args.rounds,
        "batch_rows": args.batch_rows,
        "cells": cells,
        "not_measured": missing.reasons,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "shapes.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.out / "shapes.md").write_text(markdown(results))
    for name in ("row", "batch"):
        picture = chart_of(results, name)
        if picture:
            (args.out / f"shapes-{name}.svg").write_text(picture)
    print(markdown(results))


if __name__ == "__main__":
    main()
