"""Figures over all rounds, and the table that shows them."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from timing import Contender, Sample

PACKAGES = ("lightgbm", "onnxruntime", "onnxmltools", "numpy")
Rounds = Mapping[str, Sequence[Sample]]
Results = dict[str, Any]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    facts = [line.split(":", 1) for line in lines if ":" in line]
    names = [value.strip() for key, value in facts if key.strip() == "model name"]
    flags = next((value.split() for key, value in facts if key.strip() == "flags"), [])
    kernel = re.split(r"[^0-9.]", platform.release())[0]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(names) or None,
        "virtual": "hypervisor" in flags,
        "kernel": f"{platform.system()} {kernel}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def figure(contender: Contender, samples: Sequence[Sample]) -> Results:
    """One contender: medians over the rounds, and the spread of its net p50."""
    nets = [sample.net for sample in samples]
    return {
        "label": contender.label,
        "peer": contender.peer,
        "p50_raw_ns": median(sample.p50 for sample in samples),
        "overhead_ns": median(sample.overhead for sample in samples),
        "p50_net_ns": median(nets),
        "p50_net_min_ns": min(nets),
        "p50_net_max_ns": max(nets),
        "p10_raw_ns": median(sample.p10 for sample in samples),
        "p90_raw_ns": median(sample.p90 for sample in samples),
    }


def ratio(peer: Sequence[Sample], ours: Sequence[Sample]) -> dict[str, float]:
    """Net time of the peer over our time, round by round."""
    ratios = [p.net / o.net for p, o in zip(peer, ours, strict=True)]
    return {"median": median(ratios), "min": min(ratios), "max": max(ratios)}


def summarise(contenders: Sequence[Contender], rounds: Rounds) -> Results:
    """All figures; of ONNX Runtime's ways the fastest net one is the peer that is charted."""
    figures = {c.name: figure(c, rounds[c.name]) for c in contenders}
    ways = [name for name in figures if name.startswith("onnxruntime_")]
    ours = [c.name for c in contenders if not c.peer]
    peers = [c.name for c in contenders if c.peer]
    return {
        "contenders": figures,
        "onnxruntime_fastest": min(ways, key=lambda name: figures[name]["p50_net_ns"]),
        "reference": ours[0],
        "ratios_net": {
            mine: {peer: ratio(rounds[peer], rounds[mine]) for peer in peers} for mine in ours
        },
    }


def micros(nanoseconds: float) -> str:
    """Microseconds with two digits after the point."""
    return f"{nanoseconds / 1000:.2f}"


def figure_table(results: Results) -> list[str]:
    """One line for each contender, fastest first."""
    out = [
        "| one row | p50 net, µs | p50 raw, µs | call overhead, µs | net p50 over rounds, µs |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    shown = sorted(results["contenders"].values(), key=lambda f: f["p50_net_ns"])
    for f in shown:
        net, raw, overhead = (micros(f[key]) for key in ("p50_net_ns", "p50_raw_ns", "overhead_ns"))
        spread = f"{micros(f['p50_net_min_ns'])} to {micros(f['p50_net_max_ns'])}"
        cost = overhead if f["peer"] else "none subtracted"
        out.append(f"| {f['label']} | {net} | {raw} | {cost} | {spread} |")
    return out


def ratio_table(results: Results) -> list[str]:
    """One line for each of our variants against each charted peer."""
    out = [
        "| ours | peer | peer / ours, median | min | max |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    figures = results["contenders"]
    for mine, peers in results["ratios_net"].items():
        for peer in ("lightgbm_c", results["onnxruntime_fastest"]):
            values = " | ".join(f"{peers[peer][key]:.2f}" for key in ("median", "min", "max"))
            out.append(f"| {figures[mine]['label']} | {figures[peer]['label']} | {values} |")
    return out


def notes(results: Results) -> list[str]:
    """How to read the tables, and on what they were measured."""
    m, model, check = results["machine"], results["model"], results["agreement"]
    where = "virtual machine" if m["virtual"] else "physical machine"
    return [
        f"{m['cpu']}, {m['cores']} cores, {where}, {m['kernel']}; Python {m['python']}, "
        + ", ".join(f"{name} {value}" for name, value in m["packages"].items())
        + ".",
        f"Model: {model['trees']} trees x {model['leaves_per_tree']} leaves, {model['features']} "
        f"features, leaves {model['leaf_depth_mean']} deep on average and "
        f"{model['leaf_depth_max']} at most.",
        f"{results['rounds']} interleaved rounds of {results['rows_per_round']} rows each; figures "
        "are medians of the rounds' p50, ratios are taken round by round from the net figures.",
        "Net is raw less the call overhead measured in the same round with caches as cold: for "
        "LightGBM an empty C call with the same arguments, for ONNX Runtime (timed through Python) "
        "an Identity graph called the same way. Ours is timed inside its own process and nothing "
        "is subtracted.",
        f"Agreement on {check['rows']} rows: ours bit-equal to LightGBM; ONNX Runtime, which "
        f"computes in float32, within {check['onnx_max_difference']:.1e}.",
    ]


def markdown(results: Results) -> str:
    """The whole of results.md."""
    load = results["ours"]
    facts = [f"Load, verify and self-test of the bundle: p50 {load['load_p50_ms']:.2f} ms"]
    if load.get("bundle_bytes"):
        facts.append(f"bundle {load['bundle_bytes']:,} bytes")
    if load.get("module_brotli_bytes"):
        facts.append(f"Wasm module {load['module_brotli_bytes']:,} bytes with brotli")
    parts = [
        ["# One row: median time"],
        figure_table(results),
        ratio_table(results),
        [", ".join(facts) + "."],
        *([note] for note in notes(results)),
        [f"Made by `{results['command']}`."],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"
