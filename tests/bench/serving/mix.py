"""Requests in the mix of the example's test period, for each server in its own form."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "models"), str(ROOT / "models" / "signup")]

import generate  # noqa: E402
import handover as ho  # noqa: E402
import train  # noqa: E402

SEED = 7
WRK = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local all, at = {}, 0
-- Not before: wrk names the host first.
init = function(arguments)
  for line in io.lines(%s) do all[#all + 1] = wrk.format(nil, nil, nil, line) end
end
request = function()
  at = at %% #all + 1
  return all[at]
end
"""


def rows(count: int) -> list[dict[str, Any]]:
    """Requests of users and abusers as they come, missing values included."""
    bundle = ho.load_bundle(ROOT / "models" / "signup" / "bundle.toml")
    rng = np.random.default_rng(SEED)
    start, end = train.PERIODS["test"]
    events = generate.generate_period(rng, start, end, drift=False)
    x = train.matrix(bundle, events)
    chosen = rng.permutation(len(x))[:count]
    return [
        {
            "decision_id": f"b-{n:05}",
            "event_time": int(events.time_ms[at]),
            "features": features(bundle, x[at]),
        }
        for n, at in enumerate(chosen)
    ]


def features(bundle: Any, row: Any) -> dict[str, Any]:
    """By name; what is missing is left out."""
    pairs = zip(bundle.features, row, strict=True)
    return {f.name: ho.to_value(f, v) for f, v in pairs if not np.isnan(v)}


def tensor(bundle_features: list[Any], request: dict[str, Any]) -> dict[str, Any]:
    """A request of the Open Inference Protocol: one row of numbers."""
    data = []
    for feature in bundle_features:
        value = request["features"].get(feature["name"])
        values = feature.get("values")
        data.append(None if value is None else float(values.index(value) if values else value))
    shape = [1, len(data)]
    tensor = {"name": "features", "shape": shape, "datatype": "FP64", "data": data}
    return {"inputs": [tensor]}


def write(folder: Path, schema: dict[str, Any], count: int) -> dict[str, Path]:
    """Writes bodies, one a line, and the scripts that wrk runs."""
    requests = rows(count)
    # A number in place of what is missing: JSON has no NaN, and MLServer takes no null.
    rows_of_numbers = [tensor(schema["features"], request) for request in requests]
    for request in rows_of_numbers:
        inputs = request["inputs"][0]
        inputs["data"] = [0.0 if value is None else value for value in inputs["data"]]
    written = {}
    for name, bodies in (("json", requests), ("tensor", rows_of_numbers)):
        path = folder / f"{name}.ndjson"
        lines = (json.dumps(body, separators=(",", ":")) for body in bodies)
        path.write_text("\n".join(lines) + "\n")
        (folder / f"{name}.lua").write_text(WRK % json.dumps(str(path)))
        written[name] = path
    return written
