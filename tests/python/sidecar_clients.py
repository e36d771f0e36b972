"""Clients that others wrote, and our own Python client, against a real sidecar.

Usage: sidecar_clients.py TOLLGATE BUNDLE TRUST ROWS
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

import compiled_clients

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "host" / "clients" / "python"))

from tollgate_client import Client, Decision, Problem, Unreachable  # noqa: E402

PATIENCE_S = 60.0
KIND = {"boolean": "BOOL", "category": "BYTES"}
DTYPE: dict[str, type] = {"boolean": np.bool_, "category": np.object_}


@contextmanager
def sidecar(tollgate: str, bundle: str, trust: str) -> Iterator[tuple[str, str]]:
    """Starts one and waits until it listens; gives HOST:PORT and the Unix socket's path."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s.sock"
        command = [tollgate, "serve", "--bundle", bundle, "--trust", trust, "--workers", "2"]
        command += ["--listen", "127.0.0.1:0", "--listen", f"unix:{path}"]
        command += ["--set", "scoring.deadline_ms=20000"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield listening(process), path
            finally:
                process.terminate()
                status = process.wait(PATIENCE_S)
    if status != 0:
        raise SystemExit(f"the sidecar ended with status {status}")


def listening(process: subprocess.Popen[str]) -> str:
    """The TCP address that the sidecar tells; its other lines are few, so no pipe fills."""
    assert process.stderr is not None
    for line in process.stderr:
        told = json.loads(line)
        if told["message"] == "listening" and not told["address"].startswith("unix:"):
            return str(told["address"])
    raise SystemExit("the sidecar ended before it listened")


def same(got: object, want: object, what: str) -> None:
    """Stops where two things differ."""
    if got != want:
        raise SystemExit(f"{what}: {got!r} and not {want!r}")


def refused(call: Callable[[], object], kind: type[Exception]) -> Any:
    """The exception that a call has to end in."""
    try:
        call()
    except kind as error:
        return error
    raise SystemExit(f"not refused with {kind.__name__}")


def check_client(url: str, rows: list[dict[str, Any]]) -> list[Decision]:
    """Our own client, over TCP or a Unix socket."""
    with Client(url, timeout_s=PATIENCE_S) as client:
        if not client.is_ready():
            raise SystemExit("not ready")
        decisions = [
            client.decide(
                row["features"],
                decision_id=row["decision_id"],
                event_time_ms=row["event_time"],
                correlation_id="from-python",
            )
            for row in rows
        ]
        same(decisions[0].correlation_id, "from-python", "correlation id")
        batch = client.decide_batch([*rows, {"no": 1}])
        same([d.action for d in batch[:-1]], [d.action for d in decisions], "batch")
        same(batch[-1].code if isinstance(batch[-1], Problem) else None, "REQUEST", "bad row")
        same(client.schema()["name"], "signup", "schema")
        same(len(client.explain(rows[0]["features"])["features"]), 22, "explanation")
        stale = client.decide(rows[0]["features"], states={"asn_risk": "stale"})
        same((stale.degraded, stale.is_fallback), (True, False), "states")
        problem = refused(lambda: client.decide({}, states={"asn_risk": "odd"}), Problem)
        same((problem.code, problem.status), ("REQUEST", 400), "problem")
    with Client("unix:/nowhere", timeout_s=1.0) as client:
        refused(client.schema, Unreachable)
    return decisions


def columns(schema: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[tuple[str, Any, str]]:
    """Each feature as a column of an array."""
    for feature in schema["features"]:
        values = [[row["features"][feature["name"]]] for row in rows]
        kind = feature["kind"]
        array = np.array(values, dtype=DTYPE.get(kind, np.float64))
        yield feature["name"], array, KIND.get(kind, "FP64")


def check_triton(
    client: Any, module: Any, rows: list[dict[str, Any]], decisions: list[Decision]
) -> None:
    """Triton's client, HTTP or gRPC; over HTTP it sends and asks for binary data."""
    same(client.is_server_live() and client.is_server_ready(), True, "server ready")
    same(client.is_model_ready("signup"), True, "model ready")
    schema = {"features": SCHEMA["features"]}
    inputs = []
    for name, array, kind in columns(schema, rows):
        tensor = module.InferInput(name, list(array.shape), kind)
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    names = ["action", "probability", "margin", "record"]
    outputs = [module.InferRequestedOutput(name) for name in names]
    result = client.infer("signup", inputs, outputs=outputs, request_id="t")
    actions = [action.decode() for action in result.as_numpy("action")]
    same(actions, [d.action for d in decisions], "actions")
    probabilities = [float(p) for p in result.as_numpy("probability")]
    same(probabilities, [d.probability for d in decisions], "probabilities")
    records = [json.loads(record) for record in result.as_numpy("record")]
    same([r["decision_id"] for r in records], [f"t-{n}" for n in range(len(rows))], "ids")
    plain = client.infer("signup", inputs)
    same([float(p) for p in plain.as_numpy("probability")], probabilities, "usual outputs")
    error = refused(lambda: client.infer("other", inputs), Exception)
    same("no model other" in str(error), True, f"the error's text: {error}")


def check_grpc(address: str, rows: list[dict[str, Any]], decisions: list[Decision]) -> None:
    """Plain gRPC: reflection gives the messages, so no generated code is needed."""
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "tollgate.v1.Decisions"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))
            same(answer.status, health_pb2.HealthCheckResponse.SERVING, "health")
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        wanted = {"tollgate.v1.Decisions", "inference.GRPCInferenceService"}
        same(wanted <= services, True, f"services {services}")
        pool = DescriptorPool(database)
        service = pool.FindServiceByName("tollgate.v1.Decisions")
        request = GetMessageClass(service.methods_by_name["Decide"].input_type)
        response = GetMessageClass(service.methods_by_name["Decide"].output_type)
        decide = channel.unary_unary(
            "/tollgate.v1.Decisions/Decide",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )
        for row, decision in zip(rows, decisions, strict=True):
            message = request(decision_id=row["decision_id"], event_time_ms=row["event_time"])
            for name, value in row["features"].items():
                kind = {bool: "flag", str: "text"}.get(type(value), "number")
                setattr(message.features[name], kind, value)
            answer = decide(message, metadata=(("x-correlation-id", "from-grpc"),))
            record = json.loads(answer.record)
            want = dict(decision.record)
            same(record | {"counter": 0}, want | {"counter": 0}, "record")
            same(answer.correlation_id, "from-grpc", "correlation id")
            same(answer.probability, decision.probability, "probability")
            same(len(answer.reasons), len(decision.reasons), "reasons")
        whole = decide(request(json=json.dumps(rows[0]).encode()))
        same(json.loads(whole.record)["decision_id"], rows[0]["decision_id"], "JSON in gRPC")
        error = refused(lambda: decide(request(json=b"{")), grpc.RpcError)
        same(error.code(), grpc.StatusCode.INVALID_ARGUMENT, "status")
        same(error.details().startswith("REQUEST: "), True, error.details())


def check_compiled(
    address: str, path: str, rows: list[dict[str, Any]], decisions: list[Decision]
) -> None:
    """The Go client over both sockets, the Java client over TCP."""
    want = [*(decision.action for decision in decisions), "REQUEST 400"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for url in (f"http://{address}", f"unix:{path}"):
            got = compiled_clients.ask_go(url, folder / "go", rows)
            same(got or want, want, f"Go over {url}")
        got = compiled_clients.ask_java(f"http://{address}", folder / "java", rows)
        same(got or want, want, "Java")


def main() -> None:
    """Runs all."""
    tollgate, bundle, trust, rows_path = sys.argv[1:5]
    rows = [json.loads(line) for line in Path(rows_path).read_text().splitlines()[:20]]
    started = time.monotonic()
    with sidecar(tollgate, bundle, trust) as (address, path):
        with Client(f"http://{address}", timeout_s=PATIENCE_S) as client:
            SCHEMA.update(client.schema())
        decisions = check_client(f"http://{address}", rows)
        same([d.action for d in check_client(f"unix:{path}", rows)],
             [d.action for d in decisions], "over the Unix socket")  # fmt: skip
        timeout = {"connection_timeout": PATIENCE_S, "network_timeout": PATIENCE_S}
        check_triton(
            triton_http.InferenceServerClient(address, **timeout), triton_http, rows, decisions
        )
        check_triton(triton_grpc.InferenceServerClient(address), triton_grpc, rows, decisions)
        check_grpc(address, rows, decisions)
        check_compiled(address, path, rows, decisions)
    print(f"clients: Python, Triton over HTTP and gRPC, plain gRPC agree on {len(rows)} rows "
          f"({time.monotonic() - started:.1f} s)")  # fmt: skip


SCHEMA: dict[str, Any] = {}

if __name__ == "__main__":
    main()
