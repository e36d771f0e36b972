"""The Markdown that shows the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import machine

Results = dict[str, Any]
MODELS = {"lightgbm": "LightGBM model", "xgboost": "XGBoost model"}
STARTED = {"node_tollgate": "Tollgate in Node", "ort_web": "onnxruntime-web in Node"}


def micros(nanoseconds: float) -> str:
    """Microseconds with two digits after the point."""
    return f"{nanoseconds / 1000:,.2f}"


def spread(values: Mapping[str, float]) -> str:
    """Median, and in brackets from where to where."""
    return f"{values['median']:.2f} ({values['min']:.2f} to {values['max']:.2f})"


def figure_table(task: Results) -> list[str]:
    """One line for each contender, fastest first."""
    out = [
        "| | p50 net, µs | p50 raw, µs | call overhead, µs | net p50 over rounds, µs |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    shown = sorted(task["contenders"].values(), key=lambda f: f["p50_net_ns"])
    for f in shown:
        net, raw, overhead = (micros(f[key]) for key in ("p50_net_ns", "p50_raw_ns", "overhead_ns"))
        between = f"{micros(f['p50_net_min_ns'])} to {micros(f['p50_net_max_ns'])}"
        cost = overhead if f["peer"] else "none subtracted"
        out.append(f"| {f['label']} | {net} | {raw} | {cost} | {between} |")
    return out


def ratio_table(task: Results) -> list[str]:
    """A line for each peer, a column for each of ours."""
    figures, ratios = task["contenders"], task["ratios_net"]
    if not ratios or not any(ratios.values()):
        return []
    names = [figures[mine]["label"].removeprefix("Tollgate, ") for mine in ratios]
    out = [
        f"| peer / ours, median (min to max) | {' | '.join(names)} |",
        f"| --- |{' ---: |' * len(names)}",
    ]
    for peer, f in figures.items():
        if f["peer"]:
            cells = " | ".join(spread(peers[peer]) for peers in ratios.values())
            out.append(f"| {f['label']} | {cells} |")
    return out


def losing_list(task: Results) -> list[str]:
    """Pairs in which the peer won a round, by name."""
    out = []
    for pair in task["losing"]:
        lost = "lost" if pair["median"] < 1.0 else "not won in every round"
        out.append(f"- **{lost}**: {pair['ours']} against {pair['peer']}, {spread(pair)}")
    return out


def task_parts(results: Results) -> list[list[str]]:
    """Heading, tables and losses of every task."""
    parts: list[list[str]] = []
    for key, model in MODELS.items():
        for task in results[key].values():
            rounds = f"{task['rounds']} rounds of {task['rows_per_round']:,} rows"
            parts += [
                [f"## {task['title']}, {model}"],
                figure_table(task),
                ratio_table(task),
                losing_list(task),
                [f"{rounds}."],
            ]
    return [part for part in parts if part]


def size_table(sizes: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Bytes of what has to be fetched."""
    out = ["| bytes | raw | gzip | brotli |", "| --- | ---: | ---: | ---: |"]
    for name, size in sizes.items():
        cells = " | ".join(f"{size[how]:,}" for how in ("raw", "gzip", "brotli"))
        out.append(f"| {name} | {cells} |")
    return out if sizes else []


def start_table(starts: Results) -> list[str]:
    """Milliseconds to the first row, with what they are made of."""
    out = [
        "| start in a new process | ms, median (min to max) | of which |",
        "| --- | ---: | --- |",
    ]
    for name, parts in starts["ms"].items():
        made_of = ", ".join(
            f"{part.replace('_', ' ')} {ms['median']:.2f}"
            for part, ms in parts.items()
            if part != "total"
        )
        out.append(f"| {STARTED[name]} | {spread(parts['total'])} | {made_of} |")
    for name, ratio in starts["ratios"].items():
        out.append(f"| {STARTED[name]} / ours | {spread(ratio)} | |")
    return out


def start_parts(beginning: Results) -> list[list[str]]:
    """Everything about size and start."""
    ours = beginning["ours"]
    load = (
        "Load, verify and self-test of the bundle in Wasmtime, whose module is compiled already: "
        f"p50 {ours['load_p50_ms']:.2f} ms."
    )
    parts = [["## Size and start"], size_table(beginning["sizes"])]
    if "starts" in beginning:
        parts.append(start_table(beginning["starts"]))
    return [*(part for part in parts if part), [load]]


def notes(results: Results) -> list[str]:
    """How to read the tables, and on what they were measured."""
    model = results["model"]
    out = [
        machine.described(results["machine"]),
        f"Model: {model['trees']} trees x {model['leaves_per_tree']} leaves, {model['features']} "
        f"features, leaves {model['leaf_depth_mean']} deep on average and "
        f"{model['leaf_depth_max']} at most.",
        "Rounds are interleaved; figures are medians of the rounds' p50, ratios are taken round by "
        "round from the net figures.",
        "Net is raw less the call overhead measured in the same round. One row: an empty C call "
        "with the same arguments for what is called through ctypes (LightGBM, XGBoost, lleaves, "
        "tl2cgen, ONNX Runtime's C API); an Identity graph called the same way for ONNX Runtime "
        "from Python and in Node; a single stump for XGBoost from Python. The last two take more "
        "than the call off: they take off work of the peer's own. Batch: the same call with one "
        "row, shared out. Ours is timed in its own process and nothing is subtracted; in Node it "
        "includes copying rows in and results out.",
    ]
    shape = results["xgboost_model"]
    if shape:
        out.append(
            f"XGBoost's model: {shape['trees']} trees x {shape['leaves_mean']} leaves on average, "
            "trained on the same data."
        )
    return out + agreement(results)


def agreement(results: Results) -> list[str]:
    """By how much raw scores differ from the trainer's."""
    out = []
    for key, model in MODELS.items():
        seen: dict[str, float] = {}
        labels: dict[str, str] = {}
        for task in results[key].values():
            seen |= task["differences"]
            labels |= {name: f["label"] for name, f in task["contenders"].items()}
        exact = [labels.get(name, name) for name, by in seen.items() if by == 0.0]
        apart = [f"{labels.get(name, name)} {by:.1e}" for name, by in seen.items() if by > 0.0]
        if seen:
            out.append(
                f"Raw scores of the first rows against the trainer's, {model}. "
                f"Equal bit for bit: {'; '.join(exact) or 'nobody'}. "
                f"Greatest difference: {'; '.join(apart) or 'nobody'}."
            )
    return out


def markdown(results: Results) -> str:
    """The whole of results.md."""
    absent = [f"- {what}: {why}" for what, why in results["not_measured"].items()]
    parts = [
        ["# Tollgate and its peers"],
        *task_parts(results),
        *start_parts(results["start"]),
        *([["## Not measured"], absent] if absent else []),
        ["## How"],
        *([note] for note in notes(results)),
        [f"Made by `{results['command']}`."],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"
