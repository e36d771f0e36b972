"""Tollgate's own binary, spoken to over pipes; it times its rows itself and counts every cost."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from timing import Sample

LABELS = {
    "wasmtime_predict": "Tollgate, Wasm in Wasmtime, prediction",
    "wasmtime_score": "Tollgate, Wasm in Wasmtime, full score",
    "native_predict": "Tollgate, native, prediction",
}


class Child:
    """A running `bench-row`: one line of JSON back for each command."""

    def __init__(self, binary: Path, model: Path, rows: Path, features: int) -> None:
        """Starts the binary and waits until it is ready."""
        env = {key: value for key, value in os.environ.items() if key != "RUST_BACKTRACE"}
        self.process = subprocess.Popen(
            [binary, model, rows, str(features)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.about = self._answer()
        if self.about.get("ready") is not True or not self.about.get("variants"):
            raise SystemExit(f"unexpected greeting: {self.about}")

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
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _answer(self) -> Any:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"the binary stopped, exit code {self.process.wait(timeout=10)}")
        return json.loads(line)

    def ask(self, command: str) -> Any:
        """Sends one command and returns its answer."""
        if self.process.stdin is None:
            raise SystemExit("the binary has no input")
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self._answer()


class Ours:
    """One variant of the binary."""

    peer = False

    def __init__(self, child: Child, variant: str) -> None:
        """Names the variant."""
        self.child = child
        self.name = variant
        self.label = LABELS.get(variant, f"Tollgate, {variant}")

    def measure(self, rows: int) -> Sample:
        """Asks the binary for the row times; nothing is subtracted from them."""
        answer = self.child.ask(f"run {self.name} {rows}")
        if answer.get("variant") != self.name or answer.get("n") != rows:
            raise SystemExit(f"unexpected answer: {answer}")
        return Sample(*(float(answer[key]) for key in ("p10_ns", "p50_ns", "p90_ns")))
