"""Who takes part in which task, and the check that everyone computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import peer_lightgbm
import peer_onnx
from ours import Child, Timed, variants
from peer_tract import Tract
from prepare import Files, Missing
from timing import Contender

Floats = NDArray[np.float64]
Makers = Sequence[tuple[str, Callable[[], Any]]]

CHECKED_ROWS = 100
# How far from the trainer's raw score; where nothing is said, every bit has to be the same.
SINGLE_PRECISION = 1e-4
OTHER_ORDER_OF_SUMS = 1e-9
TOLERANCES = {
    "onnxruntime": SINGLE_PRECISION,
    "ort_web": SINGLE_PRECISION,
    "tract": SINGLE_PRECISION,
    "lleaves": OTHER_ORDER_OF_SUMS,
    "tl2cgen": OTHER_ORDER_OF_SUMS,
    "lightgbm_contrib": OTHER_ORDER_OF_SUMS,
    "xgboost_contribs": SINGLE_PRECISION,
}


def tolerance(name: str, tolerances: Mapping[str, float]) -> float:
    """What a contender may differ by."""
    return next((limit for start, limit in tolerances.items() if name.startswith(start)), 0.0)


def checked(
    contenders: Sequence[Any],
    expected: Floats,
    missing: Missing,
    tolerances: Mapping[str, float] = TOLERANCES,
) -> tuple[list[Contender], dict[str, float]]:
    """Those who agree with the trainer, and by how much each differs.

    A difference of ours ends the run: there is no point in timing wrong scores. A peer that
    differs is left out with its reason.
    """
    agreeing: list[Contender] = []
    differences: dict[str, float] = {}
    for contender in contenders:
        if not getattr(contender, "checkable", True):
            agreeing.append(contender)
            continue
        try:
            scores = np.array(contender.predict(len(expected)), dtype=np.float64)
        except RuntimeError as error:
            if not contender.peer:
                raise SystemExit(f"{contender.label}: {error}") from error
            missing.note(contender.label, error)
            continue
        differences[contender.name] = float(np.abs(scores - expected).max())
        if differences[contender.name] <= tolerance(contender.name, tolerances):
            agreeing.append(contender)
        elif contender.peer:
            missing.note(contender.label, f"differs by {differences[contender.name]}")
        else:
            raise SystemExit(f"{contender.label} differs from the trainer's raw scores")
    return agreeing, differences


class LightGbmModel:
    """The peers of each task on the LightGBM model; making one that is not installed raises."""

    def __init__(
        self,
        files: Files,
        rows: Floats,
        batch: int,
        web: Sequence[Child],
        tract: Sequence[Child],
    ) -> None:
        """Keeps what the peers are made of; onnxruntime-web and tract where they run."""
        self.files, self.rows, self.batch, self.web, self.tract = files, rows, batch, web, tract

    def expected(self) -> Floats:
        """The trainer's raw scores."""
        return np.array(self._lightgbm().predict(CHECKED_ROWS), dtype=np.float64)

    def peers(self, task: str) -> Makers:
        """Names and makers for one task."""
        makers: dict[str, Makers] = {
            "row": [
                ("LightGBM", self._lightgbm),
                *(
                    (f"ONNX Runtime, {way}", partial(peer_onnx.Onnx, self._onnx(), self.rows, way))
                    for way in peer_onnx.WAYS
                ),
                ("ONNX Runtime C API", partial(peer_onnx.in_c, self.files.onnx, self.rows)),
                ("lleaves", partial(self._lleaves, "lleaves-row.o")),
                ("tl2cgen", self._tl2cgen),
                *(("onnxruntime-web", partial(Timed, web, "ort_web", True)) for web in self.web),
                *(("tract", partial(Tract, tract)) for tract in self.tract),
            ],
            "batch": [
                ("LightGBM, batch", partial(peer_lightgbm.LightGbmBatch, *self._batch())),
                ("Booster.predict", partial(peer_lightgbm.LightGbmPython, *self._batch())),
                (
                    "ONNX Runtime, batch",
                    partial(peer_onnx.OnnxBatch, self._onnx(), self.rows, self.batch),
                ),
                ("lleaves, batch", partial(self._lleaves, "lleaves-batch.o", self.batch)),
                ("tl2cgen", partial(self._tl2cgen, self.batch)),
                *(
                    ("onnxruntime-web", partial(Timed, web, "ort_web_batch", True))
                    for web in self.web
                ),
            ],
            "explain": [
                ("LightGBM pred_contrib", partial(self._lightgbm, peer_lightgbm.CONTRIBUTIONS)),
            ],
        }
        return makers[task]

    def _lightgbm(self, kind: int = peer_lightgbm.RAW_SCORE) -> peer_lightgbm.LightGbm:
        return peer_lightgbm.LightGbm(self.files.model, self.rows, kind)

    def _onnx(self) -> bytes:
        return self.files.onnx.read_bytes()

    def _batch(self) -> tuple[Path, Floats, int]:
        return self.files.model, self.rows, self.batch

    def _lleaves(self, name: str, batch: int = 0) -> Any:
        import peer_lleaves

        return peer_lleaves.Lleaves(self.files.model, self.files.compiled(name), self.rows, batch)

    def _tl2cgen(self, batch: int = 0) -> Any:
        import peer_tl2cgen

        library = self.files.compiled("tl2cgen.so")
        if batch:
            return peer_tl2cgen.Tl2cgenBatch(library, self.rows, batch)
        return peer_tl2cgen.Tl2cgen(library, self.rows)


class XgboostModel:
    """The peers of each task on XGBoost's own model."""

    def __init__(self, files: Files, rows: Floats, batch: int) -> None:
        """Keeps what the peers are made of; raises where XGBoost is not installed."""
        import peer_xgboost

        self.peer = peer_xgboost
        self.model, self.rows, self.batch = files.xgboost, rows, batch

    def expected(self) -> Floats:
        """The trainer's margins, which are single precision."""
        return np.array(self._c().predict(CHECKED_ROWS), dtype=np.float64)

    def peers(self, task: str) -> Makers:
        """Names and makers for one task."""
        arguments = (self.model, self.rows)
        makers: dict[str, Makers] = {
            "row": [
                ("XGBoost C API", self._c),
                ("XGBoost inplace_predict", partial(self.peer.XgboostInplace, *arguments)),
            ],
            "batch": [
                ("XGBoost, batch", partial(self.peer.XgboostBatch, *arguments, self.batch)),
            ],
            "explain": [
                ("XGBoost pred_contribs", partial(self.peer.XgboostContributions, *arguments)),
            ],
        }
        return makers[task]

    def _c(self) -> Any:
        return self.peer.XgboostC(self.model, self.rows)


def assemble(
    model: LightGbmModel | XgboostModel, task: str, children: Sequence[Child], missing: Missing
) -> tuple[list[Contender], dict[str, float]]:
    """Ours and the peers of a task, those that can be made and agree."""
    everyone: list[Any] = list(variants(task, children))
    for name, make in model.peers(task):
        if name not in missing.reasons:
            everyone += missing.attempt(name, make)
    return checked(everyone, model.expected(), missing)
