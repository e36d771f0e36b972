"""Processes that time their own rows, spoken to over pipes: Tollgate's, and onnxruntime-web's."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from timing import Sample, batch_sample

LABELS = {
    "wasmtime_predict": "Tollgate, Wasm in Wasmtime, prediction",
    "wasmtime_score": "Tollgate, Wasm in Wasmtime, full score",
    "native_predict": "Tollgate, native, prediction",
    "node_predict": "Tollgate, Wasm in Node, prediction",
    "node_score": "Tollgate, Wasm in Node, full score",
    "wasmtime_batch": "Tollgate, Wasm in Wasmtime, batch",
    "native_batch": "Tollgate, native, batch",
    "node_batch": "Tollgate, Wasm in Node, batch",
    "wasmtime_explain": "Tollgate, Wasm in Wasmtime, explanation",
    "native_explain": "Tollgate, native, explanation",
    "ort_web": "onnxruntime-web in Node",
    "ort_web_batch": "onnxruntime-web in Node, batch",
}
# What a round asks of whom; the first one announced is what charts compare with.
VARIANTS = {
    "row": ("wasmtime_predict", "wasmtime_score", "node_predict", "node_score", "native_predict"),
    "batch": ("wasmtime_batch", "node_batch", "native_batch"),
    "explain": ("wasmtime_explain", "native_explain"),
}


# Whose `predict` goes through the very call that is timed; the other variants of a process are
# checked by its own test suites.
CHECKED = ("wasmtime_predict", "node_predict", "ort_web")


class Child:
    """A running process: a greeting, then one line of JSON back for each command."""

    def __init__(self, command: Sequence[object]) -> None:
        """Starts the process and waits until it is ready."""
        env = {key: value for key, value in os.environ.items() if key != "RUST_BACKTRACE"}
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, closed in __exit__
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=env,
        )
        try:
            self.about = self.answer()
        except RuntimeError:
            self.errors.close()
            raise
        if self.about.get("ready") is not True or not self.about.get("variants"):
            raise RuntimeError(f"unexpected greeting: {self.about}")

    def __enter__(self) -> Child:
        """The child itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes its input, on which it exits, and waits for it."""
        if self.process.stdin:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.errors.close()

    def answer(self) -> Any:
        """The next line."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        code = self.process.wait(timeout=10)
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").splitlines()
        said = [line for line in lines if line.strip() and not line.startswith("note:")]
        where = Path(str(self.process.args[0])).name  # type: ignore[index]
        return f"{where} stopped with exit code {code}: {''.join(said[-1:])[:300]}"

    def tell(self, command: str) -> None:
        """Sends one command."""
        if self.process.stdin is None:
            raise RuntimeError("the process has no input")
        # Why it is gone comes out when its answer is read.
        with suppress(BrokenPipeError):
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()

    def ask(self, command: str) -> Any:
        """Sends one command and returns its answer."""
        self.tell(command)
        return self.answer()

    def offers(self, variant: str) -> bool:
        """Whether the greeting announced the variant."""
        return variant in self.about["variants"]


def bench_row(binary: Path, model: Path, rows: Path, features: int) -> Child:
    """Tollgate's own binary on a model."""
    return Child([binary.resolve(), model, rows, features])


class Timed:
    """One variant of a process; nothing is subtracted from ours."""

    def __init__(self, child: Child, variant: str, peer: bool = False) -> None:
        """Names the variant."""
        self.child = child
        self.name = variant
        self.peer = peer
        self.checkable = variant in CHECKED
        self.label = LABELS.get(variant, f"Tollgate, {variant}")

    def predict(self, count: int) -> list[float]:
        """Raw scores of the first rows, at most as many as the process answers with."""
        return [float(score) for score in self.child.ask("predict")[:count]]

    def measure(self, rows: int) -> Sample:
        """Asks the process for the row times."""
        answer = self.child.ask(f"run {self.name} {rows}")
        if answer.get("variant") != self.name or answer.get("n") != rows:
            raise SystemExit(f"unexpected answer: {answer}")
        if "per_row_ns" in answer:
            one = float(answer.get("one_row_ns", 0.0))
            return batch_sample(float(answer["per_row_ns"]) * rows, one, rows)
        p10, p50, p90 = (float(answer[key]) for key in ("p10_ns", "p50_ns", "p90_ns"))
        return Sample(p10, p50, p90, float(answer.get("overhead_ns", 0.0)))


def variants(task: str, children: Sequence[Child]) -> list[Timed]:
    """Everything of ours that can take part in a task, in the order in which it is compared."""
    return [
        Timed(child, name) for name in VARIANTS[task] for child in children if child.offers(name)
    ]
