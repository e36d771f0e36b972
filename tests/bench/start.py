"""Size and start: how many bytes a page or a server fetches, how long until the first row."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ours import Child
from rounds import spread

HERE = Path(__file__).resolve().parent


def sizes(paths: Mapping[str, Path], kept: Path) -> dict[str, dict[str, int]]:
    """Bytes as they are, with gzip and with brotli; remembered, as brotli takes half a minute."""
    out = {}
    for name, path in paths.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        note = kept / f"{digest}-sizes.json"
        if not note.exists():
            command = ["node", str(HERE / "size.mjs"), "--json", str(path)]
            done = subprocess.run(command, capture_output=True, check=True, text=True)
            note.write_text(done.stdout)
        out[name] = json.loads(note.read_text())[0]
    return out


def starts(fresh: Mapping[str, Callable[[], Child]], rounds: int) -> dict[str, Any]:
    """Milliseconds from nothing to the first row, each time in a new process, interleaved."""
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in fresh}
    names = list(fresh)
    for i in range(rounds):
        first = i % len(names)
        for name in (*names[first:], *names[:first]):
            with fresh[name]() as child:
                seen[name].append(child.about["start_ms"])
    figures = {
        name: {part: spread([start[part] for start in starts]) for part in starts[0]}
        for name, starts in seen.items()
    }
    reference, *others = names
    ratios = {
        other: spread(
            [a["total"] / b["total"] for a, b in zip(seen[other], seen[reference], strict=True)]
        )
        for other in others
    }
    return {"rounds": rounds, "ms": figures, "ratios": ratios, "each_round": seen}
