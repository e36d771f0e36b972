"""Which charts a run draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chart import Bar, chart

Results = dict[str, Any]
# `chart.svg` is the one that the repository's front page shows.
FILES = {"row": "chart.svg", "batch": "batch.svg", "explain": "explain.svg"}
WAYS = "onnxruntime_"


def shown(task: Results) -> list[str]:
    """All contenders, but of ONNX Runtime's ways to score a row only the fastest."""
    figures = task["contenders"]
    ways = [name for name in figures if name.startswith(WAYS)]
    best = min(ways, key=lambda name: figures[name]["p50_net_ns"], default=None)
    names = [name for name in figures if name not in ways or name == best]
    return sorted(names, key=lambda name: figures[name]["p50_net_ns"])


def caption(task: Results, name: str) -> str:
    """Microseconds, and for a peer how many times the reference."""
    text = f"{task['contenders'][name]['p50_net_ns'] / 1000:,.2f} µs"
    ratios = task["ratios_net"].get(task["reference"], {})
    return f"{text}  ({ratios[name]['median']:.2f}x)" if name in ratios else text


def task_chart(results: Results, task: Results) -> str:
    """Net times, the fastest first."""
    figures, model = task["contenders"], results["model"]
    bars = [
        Bar(
            figures[name]["label"],
            figures[name]["p50_net_ns"],
            caption(task, name),
            "peer" if figures[name]["peer"] else "ours",
        )
        for name in shown(task)
    ]
    title = f"{task['title']}: {model['trees']} trees x {model['leaves_per_tree']} leaves"
    quiet = f"{results['machine']['cpu']}; one thread; call overhead subtracted from peers only"
    below = "Median time, less is better."
    if task["reference"]:
        below += f" x: times {figures[task['reference']]['label']}, median of the rounds' ratios."
    return chart(title, quiet, bars, below)


def start_chart(results: Results) -> str:
    """Milliseconds from nothing to the first row, in Node."""
    starts = results["start"]["starts"]
    labels = {"node_tollgate": "Tollgate in Node", "ort_web": "onnxruntime-web in Node"}
    sizes = results["start"]["sizes"]
    modules = {"node_tollgate": "tollgate.wasm", "ort_web": "onnxruntime-web"}
    bars = []
    for name, parts in starts["ms"].items():
        text = f"{parts['total']['median']:.1f} ms"
        if modules[name] in sizes:
            text += f"  ({sizes[modules[name]]['brotli'] / 1000:,.0f} kB)"
        kind = "peer" if name == "ort_web" else "ours"
        bars.append(Bar(labels[name], parts["total"]["median"], text, kind))
    quiet = f"{results['machine']['cpu']}; {results['machine']['node']}; a new process each time"
    below = "Median time, less is better. In brackets: the Wasm module, compressed with brotli."
    return chart("From nothing to the first row", quiet, bars, below)


def write_charts(results: Results, out: Path) -> None:
    """A file for each task on the LightGBM model, the XGBoost model and the start."""
    for model, prefix in (("lightgbm", ""), ("xgboost", "xgboost-")):
        for name, task in results[model].items():
            (out / f"{prefix}{FILES[name]}").write_text(task_chart(results, task))
    if "starts" in results["start"]:
        (out / "start.svg").write_text(start_chart(results))
