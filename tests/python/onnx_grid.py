"""Writes a grid of ONNX models with the outputs of ONNX Runtime on one thread.

Every folder holds the model, the rows, and outputs as raw little-endian float64. Raw scores
are there where the graph can be made to give them: by its post transform set to NONE.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from onnx_build import Floats
from onnx_cases import Case, hand_made
from onnx_nets import nets
from onnx_prepared import prepared, tails, types
from onnx_sklearn import converted
from onnx_texts import texts

TYPES = {1: np.float32, 7: np.int64, 11: np.float64}


def words(codes: Floats, known: dict[str, list[str]], names: list[str]) -> Any:
    """The texts of codes, column by column; a code that is none is a text nobody knows."""
    listed = [[*known[name], "never seen"] for name in names]
    found = [[listed[j][int(code)] for j, code in enumerate(row)] for row in codes]
    return np.array(found, dtype=object)


def run(model: onnx.ModelProto, rows: Floats, known: dict[str, list[str]]) -> Floats:
    """The output that is not the label, rows x columns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    feed, at = {}, 0
    for given in model.graph.input:
        kind = given.type.tensor_type
        width = kind.shape.dim[1].dim_value
        part = rows[:, at : at + width]
        if kind.elem_type == onnx.TensorProto.STRING:
            names = [given.name] if width == 1 else [f"f{index}" for index in range(width)]
            feed[given.name] = words(part, known, names)
        else:
            feed[given.name] = part.astype(TYPES[kind.elem_type])
        at += width
    found = session.run([model.graph.output[-1].name], feed)[0]
    if isinstance(found, list):
        found = [[row[key] for key in sorted(row)] for row in found]
    return np.asarray(found, dtype="<f8").reshape(len(rows), -1)


def without_transform(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with raw scores."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    for node in plain.graph.node:
        for attribute in node.attribute:
            if attribute.name == "post_transform":
                if attribute.s:
                    attribute.s = b"NONE"
                else:
                    attribute.i = 0
    return plain


def write_case(case: Case, out: Path) -> dict[str, Any]:
    """Predicts and writes one folder."""
    folder = out / case.id
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(case.id.encode()))
    rows = case.rows(rng)
    response = run(case.model, rows, case.texts or {})[:, case.first :]
    files = {"X": rows, "response": response}
    if case.raw:
        files["raw"] = run(without_transform(case.model), rows, case.texts or {})[:, case.first :]
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for name, values in files.items():
        (folder / f"{name}.f64").write_bytes(np.ascontiguousarray(values, dtype="<f8").tobytes())
    meta = {
        "id": case.id,
        "rows": len(rows),
        "features": rows.shape[1],
        "outputs": response.shape[1],
        "raw": case.raw,
        "tolerance": case.tolerance,
        "texts": case.texts,
        "classes": case.classes,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return meta


def main() -> None:
    """Runs the grid and prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--only", default="", help="cases whose id contains this")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    cases = [
        case
        for case in (
            *hand_made(),
            *prepared(),
            *types(),
            *tails(),
            *converted(args.out),
            *texts(),
            *nets(),
        )
        if args.only in case.id
    ]
    if len({case.id for case in cases}) != len(cases):
        raise SystemExit("two cases share an id")
    started, total = time.perf_counter(), 0
    for case in cases:
        meta = write_case(case, args.out)
        total += meta["rows"]
        print(
            f"{case.id}: rows={meta['rows']} outputs={meta['outputs']} raw={meta['raw']}",
            flush=True,
        )
    print(f"{len(cases)} cases, {total} rows in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
