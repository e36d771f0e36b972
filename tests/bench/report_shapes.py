"""Table and charts of the shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import machine
from chart import Bar, chart
from report import micros, spread

Results = dict[str, Any]
TASKS = {"row": "One row", "batch": "Batch, one row's share"}
# Which of ours the tables and the charts are about, and what it is called.
SHOWN = {
    "row": {"wasmtime_predict": "Wasm", "native_predict": "native"},
    "batch": {"wasmtime_batch": "Wasm", "native_batch": "native"},
}
PEERS = {"lightgbm": "LightGBM", "onnxruntime": "ONNX Runtime"}
CHART_ROW = 27


def fastest(task: Results, peer: str) -> str | None:
    """Of a library's ways the one with the least net time."""
    figures = task["contenders"]
    ways = [name for name in figures if name.startswith(peer)]
    return min(ways, key=lambda name: figures[name]["p50_net_ns"], default=None)


def cells_of(results: Results, task: str) -> Iterator[Results]:
    """The cells in which the task was measured."""
    return (cell for cell in results["cells"].values() if task in cell)


def line(cell: Results, task: str) -> str:
    """One shape: times of all, then the ratios of ours to each peer."""
    measured, facts = cell[task], cell["facts"]
    depth = f"{facts['leaf_depth_mean']} / {facts['leaf_depth_max']}"
    mine = [name for name in SHOWN[task] if name in measured["ratios_net"]]
    peers = [fastest(measured, peer) for peer in PEERS]
    values = [cell["label"], str(facts["leaves_mean"]), depth]
    for name in (*SHOWN[task], *peers):
        figure = measured["contenders"].get(name)
        values.append(micros(figure["p50_net_ns"]) if figure else "")
    for name in SHOWN[task]:
        for peer in peers:
            known = name in mine and peer is not None
            values.append(spread(measured["ratios_net"][name][peer]) if known else "")
    return f"| {' | '.join(values)} |"


def table(results: Results, task: str) -> list[str]:
    """All shapes of a task."""
    mine, peers = SHOWN[task].values(), PEERS.values()
    heads = ["leaves x trees", "leaves made", "leaf depth, mean / max"]
    heads += [f"{name}, µs" for name in (*mine, *peers)]
    heads += [f"{peer} / {name}" for name in mine for peer in peers]
    lines = [line(cell, task) for cell in cells_of(results, task)]
    sides = " --- |" + " ---: |" * (len(heads) - 1)
    return [f"| {' | '.join(heads)} |", f"|{sides}", *lines] if lines else []


def losing_list(results: Results, task: str) -> list[str]:
    """Every pair of every shape in which the peer won at least a round."""
    out = []
    for cell in cells_of(results, task):
        for pair in cell[task]["losing"]:
            lost = "lost" if pair["median"] < 1.0 else "not won in every round"
            text = f"{pair['ours']} against {pair['peer']}, {spread(pair)}"
            out.append(f"- **{lost}**: {cell['label']}: {text}")
    return out


def markdown(results: Results) -> str:
    """The whole of shapes.md."""
    parts: list[list[str]] = [["# Shapes of forests"]]
    for task, title in TASKS.items():
        if any(cells_of(results, task)):
            none = ["No peer won a round against any of ours."]
            parts += [[f"## {title}"], table(results, task), losing_list(results, task) or none]
    absent = [f"- {what}: {why}" for what, why in results["not_measured"].items()]
    if absent:
        parts += [["## Not measured"], absent]
    parts += [
        ["## How"],
        [machine.described(results["machine"])],
        [
            f"{results['rounds']} interleaved rounds; batches of {results['batch_rows']:,} rows. "
            "Times are medians, less the call overhead for peers only; ratios are taken round by "
            "round: median (min to max). ONNX Runtime scores single rows through its C API. "
            "Chain: leaf-wise growth on a target with a long tail. Balanced: growth to a limited "
            "depth on uniform columns."
        ],
        [f"Made by `{results['command']}`."],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def chart_of(results: Results, task: str) -> str | None:
    """A bar for each shape and peer: how many times the time of our module it takes."""
    mine = next(iter(SHOWN[task]))
    bars = []
    for cell in cells_of(results, task):
        ratios = cell[task]["ratios_net"].get(mine, {})
        for peer, title in PEERS.items():
            name = fastest(cell[task], peer)
            if name in ratios:
                ratio = ratios[name]
                kind = "lost" if ratio["median"] < 1.0 else "ours"
                text = f"{ratio['median']:.2f}x  ({ratio['min']:.2f} to {ratio['max']:.2f})"
                label = f"{cell['short']}, {title}"
                bars.append(Bar(label, ratio["median"], text, kind))
    if not bars:
        return None
    title = f"{TASKS[task]}: time of the peer over ours, Wasm in Wasmtime"
    quiet = f"leaves x trees x features; {results['machine']['cpu']}; median (min to max)"
    below = "More is better; the dashed line is a tie, red is a loss."
    return chart(title, quiet, bars, below, row=CHART_ROW, par=1.0)
