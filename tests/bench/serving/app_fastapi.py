"""The peer as most would write it: FastAPI, an async handler, LightGBM's own predict.

No schema, calibration, policy or log: it does less than the sidecar.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from fastapi import FastAPI, Request

FOLDER = Path(os.environ["BENCH_MODEL"])
BOOSTER = lightgbm.Booster(model_file=str(FOLDER / "model.txt"))
FEATURES = tomllib.loads((FOLDER / "bundle.toml").read_text())["features"]
CODES = {
    f["name"]: {value: code for code, value in enumerate(f["values"])}
    for f in FEATURES
    if "values" in f
}
NAMES = [f["name"] for f in FEATURES]
FIRST, SECOND = 0.0547, 0.9315

app = FastAPI()


@app.post("/decide")
async def decide(request: Request) -> dict[str, Any]:
    """Probability and action of one request."""
    features = (await request.json())["features"]
    row = np.full((1, len(NAMES)), np.nan)
    for at, name in enumerate(NAMES):
        value = features.get(name)
        if value is not None:
            row[0, at] = CODES[name][value] if name in CODES else value
    probability = float(BOOSTER.predict(row, num_threads=1)[0])
    action = "block" if probability >= SECOND else "challenge" if probability >= FIRST else "allow"
    return {"probability": probability, "action": action}
