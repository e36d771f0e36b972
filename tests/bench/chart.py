"""The bar chart, as SVG text that follows the reader's light or dark scheme."""

from __future__ import annotations

from html import escape
from typing import Any

WIDTH, LABEL, BAR, ROW, TOP = 860, 300, 340, 40, 74
STYLE = """
  .ground { fill: #ffffff; stroke: #d0d7de; }
  text { fill: #1f2328; font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; }
  .title { font-size: 17px; font-weight: 600; }
  .quiet { fill: #59636e; font-size: 12px; }
  .ours { fill: #0a7d5a; }
  .peer { fill: #8c959f; }
  .axis { stroke: #d0d7de; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d; }
    text { fill: #f0f6fc; }
    .quiet { fill: #9198a1; }
    .ours { fill: #3fb88f; }
    .peer { fill: #656c76; }
    .axis { stroke: #30363d; }
  }
"""


def caption(results: dict[str, Any], name: str) -> str:
    """Microseconds, and for a peer how many times the reference."""
    text = f"{results['contenders'][name]['p50_net_ns'] / 1000:.2f} µs"
    ratios = results["ratios_net"][results["reference"]]
    return f"{text}  ({ratios[name]['median']:.2f}x)" if name in ratios else text


def bar(results: dict[str, Any], name: str, place: int, scale: float) -> list[str]:
    """Label, bar and caption of one contender."""
    f = results["contenders"][name]
    y = TOP + place * ROW
    width = max(2.0, f["p50_net_ns"] * scale)
    kind = "peer" if f["peer"] else "ours"
    return [
        f'<text x="{LABEL - 12}" y="{y + 19}" text-anchor="end">{escape(f["label"])}</text>',
        f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{width:.1f}" height="28" rx="3"/>',
        f'<text x="{LABEL + width + 10:.1f}" y="{y + 19}">{caption(results, name)}</text>',
    ]


def chart(results: dict[str, Any]) -> str:
    """The whole of chart.svg: our variants, LightGBM, and the fastest way of ONNX Runtime."""
    figures, model = results["contenders"], results["model"]
    shown = [name for name, f in figures.items() if not f["peer"]]
    shown += ["lightgbm_c", results["onnxruntime_fastest"]]
    shown.sort(key=lambda name: figures[name]["p50_net_ns"])
    scale = BAR / max(figures[name]["p50_net_ns"] for name in shown)
    end = TOP + len(shown) * ROW
    height = end + 34
    title = f"Median time of one row, {model['trees']} trees x {model['leaves_per_tree']} leaves"
    quiet = f"{results['machine']['cpu']}; one thread; call overhead subtracted from peers only"
    ratio = f"x: times {figures[results['reference']]['label']}, median of the rounds' ratios"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="24" y="32">{escape(title)}</text>',
        f'<text class="quiet" x="24" y="52">{escape(quiet)}</text>',
        f'<line class="axis" x1="{LABEL}" y1="{TOP - 6}" x2="{LABEL}" y2="{end - 6}"/>',
    ]
    for place, name in enumerate(shown):
        out += bar(results, name, place, scale)
    out += [f'<text class="quiet" x="24" y="{end + 16}">{escape(ratio)}</text>', "</svg>"]
    return "\n".join(out) + "\n"
