"""Measures Tollgate and its peers in interleaved rounds: one row, batch, explanation, start."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import make_model
import peer_tract
import start
from charts import write_charts
from machine import machine
from ours import Child, bench_row
from prepare import HERE, ORT_WEB, Files, Missing, compile_peers, export, models, train_xgboost
from report import markdown
from rounds import Results, Task, losing
from suites import LightGbmModel, XgboostModel, assemble

Floats = NDArray[np.float64]
LOADS = 20
WARM_UP_ROWS = 200
ABOUT = ("load_ms", "bundle_bytes", "module_bytes")
TITLES = {"row": "One row", "batch": "Batch, one row's share", "explain": "Explanation of one row"}


def arguments(text: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=Path, required=True, help="the bench-row binary")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--data", type=Path, default=make_model.DEFAULT_DIR, help="model folder")
    parser.add_argument("--ort-web", type=Path, default=ORT_WEB, help="the unpacked npm package")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=2_000, help="rows of a contender in a round")
    parser.add_argument("--batch-rounds", type=int, default=7)
    parser.add_argument("--batch-rows", type=int, default=100_000, help="rows of one batch")
    parser.add_argument("--explain-rows", type=int, default=200)
    parser.add_argument("--cpu", type=int, help="pin everything to this core")
    parser.add_argument("--quick", action="store_true", help="a short check, figures mean nothing")
    args = parser.parse_args(text)
    if args.quick:
        args.rounds = args.batch_rounds = 3
        args.rows, args.batch_rows, args.explain_rows = 400, 2_000, 20
    return args


def shown(path: Path) -> str:
    """A path below the repository, or else only its name."""
    root = make_model.DEFAULT_DIR.parents[1]
    full = path.resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else path.name


def command(args: argparse.Namespace) -> str:
    """The command line without the folders of this machine."""
    text = f"python tests/bench/bench.py --ours {shown(args.ours)} --out {shown(args.out)}"
    text += f" --rounds {args.rounds} --rows {args.rows} --batch-rounds {args.batch_rounds}"
    text += f" --batch-rows {args.batch_rows} --explain-rows {args.explain_rows}"
    return text if args.cpu is None else f"{text} --cpu {args.cpu}"


def task(name: str, contenders: Sequence[Any], args: argparse.Namespace) -> Task:
    """How much of what."""
    sizes = {
        "row": (args.rounds, args.rows, WARM_UP_ROWS),
        "batch": (args.batch_rounds, args.batch_rows, 0),
        "explain": (args.rounds, args.explain_rows, 0),
    }
    return Task(TITLES[name], contenders, *sizes[name])


def node_children(files: Files, key: str | None, ort_web: Path) -> dict[str, Any]:
    """How to start the two Node processes, ours first; what cannot be started is not there."""
    width = make_model.FEATURES
    out: dict[str, Any] = {}
    if key is not None:
        ours = [files.module, files.bundle, key, files.rows, width]
        out["node_tollgate"] = partial(Child, ["node", HERE / "node_tollgate.mjs", *ours])
    if (ort_web / "package.json").exists():
        graphs = [files.onnx, files.identity, files.onnx_any_rows, files.rows, width]
        out["ort_web"] = partial(Child, ["node", HERE / "node_ort.mjs", ort_web, *graphs])
    return out


def run_tasks(
    model: LightGbmModel | XgboostModel,
    children: Sequence[Child],
    args: argparse.Namespace,
    missing: Missing,
) -> Results:
    """All tasks on one model."""
    out = {}
    for name in TITLES:
        contenders, differences = assemble(model, name, children, missing)
        if contenders:
            print(f"{TITLES[name]}: {', '.join(c.name for c in contenders)}", flush=True)
            figures = task(name, contenders, args).run()
            out[name] = {**figures, "differences": differences, "losing": losing(figures)}
    return out


def on_lightgbm(
    args: argparse.Namespace, files: Files, rows: Floats, missing: Missing
) -> tuple[Results, Results]:
    """The LightGBM model: tasks, and what is said of size and start."""
    key = missing.attempt("Tollgate in Node", lambda: export(args.ours, files))
    fresh = node_children(files, key[0] if key else None, args.ort_web)
    if "ort_web" not in fresh:
        missing.note("onnxruntime-web", "not installed")
    with ExitStack() as stack:
        ours = stack.enter_context(bench_row(args.ours, files.model, files.rows, rows.shape[1]))
        nodes = {
            name: stack.enter_context(child)
            for name, make in fresh.items()
            for child in missing.attempt(name, make)
        }
        mine = [ours, *(nodes[name] for name in nodes if name != "ort_web")]
        web = [nodes[name] for name in nodes if name == "ort_web"]
        start_tract = partial(peer_tract.child, files.onnx, files.rows, rows.shape[1])
        tract = [stack.enter_context(child) for child in missing.attempt("tract", start_tract)]
        model = LightGbmModel(files, rows, args.batch_rows, web, tract)
        tasks = run_tasks(model, mine, args, missing)
        about = {key: ours.about.get(key) for key in ABOUT}
        about["load_p50_ms"] = ours.ask(f"load {LOADS}")["p50_ms"]
        runtime = next((child.about["runtime"] for child in nodes.values()), None)
    started = {name: make for name, make in fresh.items() if name in nodes}
    beginning: Results = {"ours": about, "runtime": runtime}
    if started:
        beginning["starts"] = start.starts(started, args.batch_rounds)
    paths = {"model.txt": files.model, "model.onnx": files.onnx}
    if "node_tollgate" in nodes:
        paths |= {"tollgate.wasm": files.module, "bundle": files.bundle}
    if "ort_web" in nodes:
        paths["onnxruntime-web"] = args.ort_web / "dist" / "ort-wasm-simd-threaded.wasm"
    measured = missing.attempt("sizes", lambda: start.sizes(paths, args.data))
    beginning["sizes"] = measured[0] if measured else {}
    return tasks, beginning


def on_xgboost(
    args: argparse.Namespace, files: Files, rows: Floats, missing: Missing
) -> tuple[Results, Results]:
    """XGBoost's own model; ours takes part if it reads that format."""
    made = missing.attempt("XGBoost", lambda: XgboostModel(files, rows, args.batch_rows))
    if not made or not files.xgboost.exists():
        return {}, {}
    with ExitStack() as stack:
        start_ours = partial(bench_row, args.ours, files.xgboost, files.rows, rows.shape[1])
        ours = [
            stack.enter_context(child)
            for child in missing.attempt("Tollgate on the XGBoost model", start_ours)
        ]
        # XGBoost takes many times as long for a single row as anyone else.
        fewer = argparse.Namespace(**{**vars(args), "rows": -(-args.rows // 4)})
        return run_tasks(made[0], ours, fewer, missing), made[0].peer.shape(files.xgboost)


def run(args: argparse.Namespace) -> Results:
    """The whole measurement."""
    missing = Missing()
    files = models(args.data)
    train_xgboost(files, missing)
    compile_peers(files, missing)
    if args.cpu is not None:
        # Only now: compiling may use every core.
        os.sched_setaffinity(0, {args.cpu})
    rows = np.fromfile(files.rows, dtype="<f8").reshape(-1, make_model.FEATURES)
    lightgbm, beginning = on_lightgbm(args, files, rows, missing)
    # A failure here is reported; it does not throw away what was measured so far.
    other = missing.attempt("XGBoost model", lambda: on_xgboost(args, files, rows, missing))
    xgboost, xgboost_shape = other[0] if other else ({}, {})
    facts = machine()
    facts["node"] = beginning.pop("runtime")
    package = args.ort_web / "package.json"
    if package.exists():
        facts["onnxruntime_web"] = f"onnxruntime-web {json.loads(package.read_text())['version']}"
    return {
        "command": command(args),
        "machine": facts,
        "model": {**make_model.shape(files.model), "seed": make_model.SEED, "sha256": files.sha256},
        "xgboost_model": xgboost_shape,
        "lightgbm": lightgbm,
        "xgboost": xgboost,
        "start": beginning,
        "not_measured": missing.reasons,
    }


def main() -> None:
    """Makes what is missing, measures, and writes the results."""
    args = arguments()
    results = run(args)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.out / "results.md").write_text(markdown(results))
    write_charts(results, args.out)
    print(markdown(results))


if __name__ == "__main__":
    main()
