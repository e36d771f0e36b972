"""A bar chart, as SVG text that follows the reader's light or dark scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL, BAR, ROW, TOP = 900, 340, 330, 40, 74
STYLE = """
  .ground { fill: #ffffff; stroke: #d0d7de; }
  text { fill: #1f2328; font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; }
  .title { font-size: 17px; font-weight: 600; }
  .quiet { fill: #59636e; font-size: 12px; }
  .ours { fill: #0a7d5a; }
  .peer { fill: #8c959f; }
  .lost { fill: #cf222e; }
  .axis { stroke: #d0d7de; }
  .par { stroke: #59636e; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d; }
    text { fill: #f0f6fc; }
    .quiet { fill: #9198a1; }
    .ours { fill: #3fb88f; }
    .peer { fill: #656c76; }
    .lost { fill: #f85149; }
    .axis { stroke: #30363d; }
    .par { stroke: #9198a1; }
  }
"""


@dataclass(frozen=True)
class Bar:
    """One line: what it is, how long, what is written behind it, and `ours`, `peer` or `lost`."""

    label: str
    value: float
    caption: str
    kind: str


def line(bar: Bar, y: int, scale: float, row: int) -> list[str]:
    """Label, bar and caption."""
    width = max(2.0, bar.value * scale)
    height = row - 12
    text = y + height // 2 + 5
    return [
        f'<text x="{LABEL - 12}" y="{text}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect class="{bar.kind}" x="{LABEL}" y="{y}" width="{width:.1f}" height="{height}" '
        'rx="3"/>',
        f'<text x="{LABEL + width + 10:.1f}" y="{text}">{escape(bar.caption)}</text>',
    ]


def chart(
    title: str,
    quiet: str,
    bars: Sequence[Bar],
    below: str,
    row: int = ROW,
    par: float | None = None,
) -> str:
    """The whole picture; `par` draws a line at that value."""
    scale = BAR / max(bar.value for bar in bars)
    end = TOP + len(bars) * row
    height = end + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        f'<text class="title" x="24" y="32">{escape(title)}</text>',
        f'<text class="quiet" x="24" y="52">{escape(quiet)}</text>',
        f'<line class="axis" x1="{LABEL}" y1="{TOP - 6}" x2="{LABEL}" y2="{end - 6}"/>',
    ]
    for place, bar in enumerate(bars):
        out += line(bar, TOP + place * row, scale, row)
    if par is not None:
        x = f"{LABEL + par * scale:.1f}"
        out.append(f'<line class="par" x1="{x}" y1="{TOP - 6}" x2="{x}" y2="{end - 6}"/>')
    out += [f'<text class="quiet" x="24" y="{end + 16}">{escape(below)}</text>', "</svg>"]
    return "\n".join(out) + "\n"
