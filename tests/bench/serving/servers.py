"""The servers of the benchmark, each a process on one core."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "models" / "signup"
PATIENCE_S = 120.0
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "RUST_BACKTRACE"} | {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "BENCH_MODEL": str(MODEL),
}


@dataclass(frozen=True)
class Server:
    """Where one listens, what it takes, and how it is called in tables."""

    name: str
    label: str
    address: str
    path: str
    bodies: str
    peer: bool = True


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], cpu: int, cwd: Path, health: str) -> Iterator[None]:
    """A server pinned to one core, until the block ends; waits until its health is good."""
    pinned = ["taskset", "-c", str(cpu), *command]
    log = (cwd / f"{Path(command[0]).name}.log").open("w")
    with log, subprocess.Popen(pinned, cwd=cwd, env=ENVIRONMENT, stdout=log, stderr=log) as child:
        try:
            wait_for(health, child)
            yield
        finally:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


def wait_for(url: str, child: subprocess.Popen[bytes]) -> None:
    """Waits until a URL answers."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and child.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer; its log is beside the requests")


@contextmanager
def echo(load: Path, folder: Path, cpu: int) -> Iterator[str]:
    """What answers on a Unix socket without doing anything."""
    path = folder / "echo.sock"
    with subprocess.Popen(["taskset", "-c", str(cpu), str(load), "echo", str(path)]) as child:
        try:
            while not path.exists():
                time.sleep(0.05)
            yield f"unix:{path}"
        finally:
            child.terminate()


@contextmanager
def tollgate(
    binary: Path, folder: Path, cpu: int, name: str = "tollgate", more: tuple[str, ...] = ()
) -> Iterator[Server]:
    """The sidecar with its log on, over TCP and a Unix socket."""
    port = free_port()
    command = [str(binary), "serve", "--bundle", "signup.tollgate", "--trust", "signup.pub"]
    command += ["--listen", f"127.0.0.1:{port}", "--listen", f"unix:{name}.sock"]
    command += ["--log-dir", f"log-{name}", "--workers", "1", *more]
    with process(command, cpu, folder, f"http://127.0.0.1:{port}/readyz"):
        label = "Tollgate, log on"
        yield Server("tollgate", label, f"127.0.0.1:{port}", "/v1/decide", "json", peer=False)


@contextmanager
def fastapi(python: Path, folder: Path, cpu: int) -> Iterator[Server]:
    """FastAPI with uvicorn, uvloop and httptools, one worker, no access log."""
    port = free_port()
    command = [str(python), "-m", "uvicorn", "app_fastapi:app", "--port", str(port)]
    command += ["--app-dir", str(Path(__file__).parent), "--no-access-log", "--log-level", "error"]
    with process(command, cpu, folder, f"http://127.0.0.1:{port}/openapi.json"):
        label = "FastAPI, async, LightGBM"
        yield Server("fastapi", label, f"127.0.0.1:{port}", "/decide", "json")


@contextmanager
def mlserver(python: Path, folder: Path, cpu: int) -> Iterator[Server]:
    """MLServer with its LightGBM runtime, in one process."""
    port, grpc, metrics = free_port(), free_port(), free_port()
    home = folder / "mlserver"
    home.mkdir(exist_ok=True)
    settings = {
        "http_port": port, "grpc_port": grpc, "metrics_port": metrics, "host": "127.0.0.1",
        "parallel_workers": 0, "debug": False, "logging_settings": None,
    }  # fmt: skip
    model = {
        "name": "signup",
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": {"uri": str(MODEL / "model.txt")},
    }
    (home / "settings.json").write_text(json.dumps(settings))
    (home / "model-settings.json").write_text(json.dumps(model))
    command = [str(python.with_name("mlserver")), "start", str(home)]
    with process(command, cpu, folder, f"http://127.0.0.1:{port}/v2/models/signup/ready"):
        path = "/v2/models/signup/infer"
        yield Server("mlserver", "MLServer, LightGBM runtime", f"127.0.0.1:{port}", path, "tensor")
