"""A sidecar built with the feature `otlp` sends its metrics to a collector, made here of
OpenTelemetry's own protocol files and gRPC's own server.

Usage: otlp_collector.py TOLLGATE BUNDLE TRUST ROWS
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from concurrent import futures
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.request import Request, urlopen

import grpc
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)

PATIENCE_S = 60.0


class Collector(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self.requests: Queue[Any] = Queue()

    def Export(self, request: Any, context: Any) -> Any:
        """Takes one export."""
        self.requests.put(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def serve(collector: Collector, port: int) -> tuple[grpc.Server, int]:
    """Starts the collector; port 0 takes any."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(collector, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def start(command: list[str]) -> tuple[subprocess.Popen[str], str]:
    """Starts a sidecar; gives it and its address."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        told = json.loads(line)
        if told["message"] == "listening":
            return process, str(told["address"])
    raise SystemExit("the sidecar ended before it listened")


def text_samples(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of a page of Prometheus, by name and labels."""
    samples = {}
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        name, value = line.rsplit(" ", 1)
        name, _, labels = name.partition("{")
        pairs = (pair.split("=", 1) for pair in labels.rstrip("}").split(",") if pair)
        samples[name, frozenset((k, v.strip('"')) for k, v in pairs)] = float(value)
    return samples


def otlp_samples(request: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The same samples of an export."""
    samples = {}
    (resource,) = request.resource_metrics
    for metric in resource.scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            labels = {(a.key, a.value.string_value) for a in point.attributes}
            if kind != "histogram":
                samples[metric.name, frozenset(labels)] = point.as_double
                continue
            total = 0
            bounds = [*(str(bound) for bound in point.explicit_bounds), "+Inf"]
            for bound, count in zip(bounds, point.bucket_counts, strict=True):
                total += count
                bound = bound if bound == "+Inf" else repr(float(bound))
                samples[f"{metric.name}_bucket", frozenset({*labels, ("le", bound)})] = total
            samples[f"{metric.name}_count", frozenset(labels)] = point.count
            samples[f"{metric.name}_sum", frozenset(labels)] = point.sum
    return samples


def normal(samples: dict[Any, float]) -> dict[Any, float]:
    """Bounds as Python writes them, and without what asking changes."""
    passing = ("process_", "tollgate_requests_in_flight", "tollgate_connections")
    changed = ("info", "other")

    def bound(labels: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        return frozenset((k, repr(float(v)) if k == "le" and v != "+Inf" else v) for k, v in labels)

    return {
        (name, bound(labels)): value
        for (name, labels), value in samples.items()
        if not name.startswith(passing) and dict(labels).get("endpoint") not in changed
    }


def newest(collector: Collector, decided: int) -> Any:
    """The first export that tells so many decisions."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            request = collector.requests.get(timeout=1.0)
        except Empty:
            continue
        samples = otlp_samples(request)
        made = (v for (name, _), v in samples.items() if name == "tollgate_decisions_total")
        if sum(made) == decided:
            return request
    raise SystemExit(f"no export told {decided} decisions")


def check(tollgate: str, bundle: str, trust: str, rows: list[str]) -> int:
    """Compares exports with the page, while the collector comes and goes."""
    collector = Collector()
    server, port = serve(collector, 0)
    with tempfile.TemporaryDirectory() as folder:
        command = [tollgate, "serve", "--bundle", bundle, "--trust", trust, "--workers", "2"]
        command += ["--listen", "127.0.0.1:0", "--log-dir", f"{folder}/log"]
        command += ["--set", f"otlp.endpoint=http://127.0.0.1:{port}"]
        command += ["--set", "otlp.interval_ms=200", "--set", "otlp.service=signup-sidecar"]
        command += ["--set", "poll_ms=3600000"]
        process, address = start(command)
        try:
            ask(address, rows)
            newest(collector, len(rows))
            time.sleep(0.3)  # until the log has written all
            request = newest(collector, len(rows))
            with urlopen(f"http://{address}/metrics") as page:
                told = normal(text_samples(page.read().decode()))
            sent = normal(otlp_samples(request))
            if sent != told:
                raise SystemExit(f"differs: {dict(sent.items() ^ told.items())}")
            (resource,) = request.resource_metrics
            attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
            if attributes["service.name"] != "signup-sidecar":
                raise SystemExit(f"resource {attributes}")
            server.stop(None).wait()
            ask(address, rows)  # away: decisions go on
            time.sleep(0.5)
            server, _ = serve(collector, port)
            newest(collector, 2 * len(rows))
            ask(address, rows[:1])
        finally:
            process.terminate()
            status = process.wait(PATIENCE_S)
        if status != 0:
            raise SystemExit(f"the sidecar ended with status {status}")
        newest(collector, 2 * len(rows) + 1)  # the end sends what is left
        server.stop(None)
    return len(sent)


def ask(address: str, rows: list[str]) -> None:
    """Has rows decided."""
    for row in rows:
        with urlopen(Request(f"http://{address}/v1/decide", row.encode())) as answer:
            answer.read()


def main() -> None:
    """Runs all."""
    tollgate, bundle, trust, path = sys.argv[1:5]
    rows = Path(path).read_text().splitlines()
    compared = check(tollgate, bundle, trust, rows)
    print(f"OTLP: {compared} samples are those of /metrics; the collector may come and go")


if __name__ == "__main__":
    main()
