"""Measures one row on Tollgate, LightGBM's C API and ONNX Runtime in one interleaved run."""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import make_model
import peer_onnx
from chart import chart
from ours import Child, Ours
from peer_lightgbm import LightGbm
from report import machine, markdown, summarise
from timing import Contender, Sample

CHECKED_ROWS = 100
ONNX_TOLERANCE = 1e-4
WARM_UP_ROWS = 200
LOADS = 20
ABOUT = ("load_ms", "bundle_bytes", "module_brotli_bytes")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=Path, required=True, help="the bench-row binary")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--data", type=Path, default=make_model.DEFAULT_DIR, help="model folder")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=2_000, help="rows of a contender in a round")
    parser.add_argument("--cpu", type=int, help="pin everything to this core")
    return parser.parse_args()


def shown(path: Path) -> str:
    """A path below the repository, or else only its name."""
    root = make_model.DEFAULT_DIR.parents[1]
    full = path.resolve()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else path.name


def command(args: argparse.Namespace) -> str:
    """The command line without the folders of this machine."""
    text = f"python tests/bench/bench.py --ours {shown(args.ours)} --out {shown(args.out)}"
    text += f" --rounds {args.rounds} --rows {args.rows}"
    return text if args.cpu is None else f"{text} --cpu {args.cpu}"


def agreement(
    child: Child, lightgbm: LightGbm, onnx: Sequence[peer_onnx.Onnx]
) -> dict[str, float | int]:
    """Stops unless ours is bit-equal to LightGBM and ONNX Runtime is close to it."""
    expected = np.array(lightgbm.predict(CHECKED_ROWS), dtype=np.float64)
    mine = np.array(child.ask("predict"), dtype=np.float64)
    if mine.tobytes() != expected.tobytes():
        raise SystemExit("our raw scores are not bit-equal to LightGBM's")
    worst = max(float(np.abs(peer.predict(CHECKED_ROWS) - expected).max()) for peer in onnx)
    if not worst <= ONNX_TOLERANCE:
        raise SystemExit(f"ONNX Runtime differs from LightGBM by {worst}")
    return {"rows": CHECKED_ROWS, "onnx_max_difference": worst}


def measure(contenders: Sequence[Contender], rounds: int, rows: int) -> dict[str, list[Sample]]:
    """Every contender in every round, each round starting with the next one."""
    samples: dict[str, list[Sample]] = {c.name: [] for c in contenders}
    gc.collect()
    gc.disable()
    for i in range(rounds):
        first = i % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            contender.measure(WARM_UP_ROWS)
            samples[contender.name].append(contender.measure(rows))
    gc.enable()
    return samples


def described(rounds: dict[str, list[Sample]]) -> dict[str, Any]:
    """Every round's figures, so that each ratio can be worked out again."""
    return {
        name: [{"p50_raw_ns": s.p50, "overhead_ns": s.overhead} for s in samples]
        for name, samples in rounds.items()
    }


def run(args: argparse.Namespace, rows: NDArray[np.float64]) -> dict[str, Any]:
    """The whole measurement."""
    model, converted, row_file = (args.data / name for name in make_model.FILES)
    lightgbm = LightGbm(model, rows)
    onnx = peer_onnx.contenders(converted, rows)
    with Child(args.ours.resolve(), model, row_file, rows.shape[1]) as child:
        agreed = agreement(child, lightgbm, onnx)
        mine = [Ours(child, variant) for variant in child.about["variants"]]
        contenders: list[Contender] = [*mine, lightgbm, *onnx]
        rounds = measure(contenders, args.rounds, args.rows)
        loaded = child.ask(f"load {LOADS}")
    about = {key: child.about.get(key) for key in ABOUT}
    return {
        "command": command(args),
        "machine": machine(),
        "model": {
            **make_model.shape(model),
            "seed": make_model.SEED,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        },
        "rounds": args.rounds,
        "rows_per_round": args.rows,
        "agreement": agreed,
        "ours": {**about, "load_p50_ms": loaded["p50_ms"]},
        **summarise(contenders, rounds),
        "each_round": described(rounds),
    }


def main() -> None:
    """Makes the model if it is missing, measures, and writes the three result files."""
    args = arguments()
    if args.cpu is not None:
        os.sched_setaffinity(0, {args.cpu})
    make_model.make(args.data)
    rows = np.fromfile(args.data / "rows.f64", dtype="<f8").reshape(-1, make_model.FEATURES)
    results = run(args, rows)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.out / "results.md").write_text(markdown(results))
    (args.out / "chart.svg").write_text(chart(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
