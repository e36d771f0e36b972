"""Everything a run reads: models, compiled peers, Tollgate's module and bundle. Made once.

Compiling takes minutes for some peers, so what is made carries the model's hash in its name and
is kept. A peer that cannot be prepared is noted with its reason and left out of the run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import make_model
import peer_onnx
from ours import bench_row

HERE = Path(__file__).resolve().parent
ORT_WEB = make_model.DEFAULT_DIR.parent / "bench-npm" / "node_modules" / "onnxruntime-web"
COMPILE_SECONDS = 1_200
FOLDERS = re.compile(r"(?<![\w./])/(?:[^\s/:]+/)+")
T = TypeVar("T")


@dataclass
class Missing:
    """What is not measured, and why."""

    reasons: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, why: object) -> None:
        """Keeps the first reason, without folders of this machine."""
        text = FOLDERS.sub("", " ".join(str(why).split()))
        self.reasons.setdefault(what, text or type(why).__name__)
        print(f"not measured: {what}: {self.reasons[what]}", file=sys.stderr)

    def attempt(self, what: str, make: Callable[[], T]) -> list[T]:
        """What `make` returns, or nothing and a note."""
        try:
            return [make()]
        except (Exception, SystemExit) as error:
            self.note(what, error)
            return []


@dataclass(frozen=True)
class Files:
    """Where everything lies."""

    data: Path
    model: Path
    onnx: Path
    onnx_any_rows: Path
    identity: Path
    rows: Path
    sha256: str

    def compiled(self, name: str) -> Path:
        """The place of something that was compiled from this very model."""
        return self.data / f"{self.sha256[:12]}-{name}"

    @property
    def xgboost(self) -> Path:
        """XGBoost's own model of the same shape."""
        return self.data / "xgboost.json"

    @property
    def module(self) -> Path:
        """Tollgate's module."""
        return self.data / "tollgate.wasm"

    @property
    def bundle(self) -> Path:
        """The model as a signed bundle."""
        return self.data / "bench.bundle"


def models(data: Path) -> Files:
    """The models of the three formats, and the graphs that go with ONNX."""
    make_model.make(data)
    model, onnx, rows = (data / name for name in make_model.FILES)
    content = onnx.read_bytes()
    any_rows, identity = data / "model_any_rows.onnx", data / "identity.onnx"
    any_rows.write_bytes(peer_onnx.any_rows(content))
    identity.write_bytes(peer_onnx.identity_model(content, make_model.FEATURES))
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    return Files(data, model, onnx, any_rows, identity, rows, digest)


def installed(module: str) -> bool:
    """Whether an optional peer can be imported."""
    return importlib.util.find_spec(module) is not None


def compile_peers(files: Files, missing: Missing) -> None:
    """lleaves and tl2cgen, side by side, each in a process of its own."""
    wanted = {
        "lleaves": ("peer_lleaves.py", "lleaves-row.o", [str(make_model.TREES)]),
        "lleaves, batch": ("peer_lleaves.py", "lleaves-batch.o", ["34"]),
        "tl2cgen": ("peer_tl2cgen.py", "tl2cgen.so", []),
    }
    running = {}
    for name, (script, out, more) in wanted.items():
        target = files.compiled(out)
        if target.exists():
            continue
        if not installed(name.split(",")[0]):
            missing.note(name, "not installed")
            continue
        print(f"compiling {name}, which takes minutes the first time", file=sys.stderr)
        command = [sys.executable, str(HERE / script), str(files.model), str(target), *more]
        log = files.compiled(f"{out}.log")
        with log.open("w") as file:
            running[name] = (subprocess.Popen(command, stdout=file, stderr=file), log)
    for name, (process, log) in running.items():
        try:
            code = process.wait(timeout=COMPILE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            missing.note(name, f"not compiled within {COMPILE_SECONDS} seconds")
            continue
        if code != 0:
            missing.note(name, (log.read_text().splitlines() or ["no output"])[-1])


def train_xgboost(files: Files, missing: Missing) -> None:
    """XGBoost's model, in a process of its own because two OpenMP runtimes slow each other."""
    if files.xgboost.exists():
        return
    if not installed("xgboost"):
        missing.note("XGBoost", "not installed")
        return
    code = "import pathlib, sys, peer_xgboost; peer_xgboost.train(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(files.xgboost)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing.note("XGBoost", (done.stderr.splitlines() or ["no output"])[-1])


def export(binary: Path, files: Files) -> str:
    """Has the binary write module and bundle; returns the key in hexadecimal."""
    with bench_row(binary, files.model, files.rows, make_model.FEATURES) as child:
        child.tell(f"module {files.module.resolve()}")
        child.tell(f"bundle {files.bundle.resolve()}")
        # Writing may be answered or not; the key is, and comes last.
        answer = child.ask("public")
        while "public_hex" not in answer:
            answer = child.answer()
        return str(answer["public_hex"])
