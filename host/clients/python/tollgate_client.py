"""A client of the Tollgate sidecar: standard library only, Python 3.11 or newer.

with Client("http://127.0.0.1:8080") as tollgate:
    decision = tollgate.decide({"ip_signups_1h": 7, "is_tor": False}, decision_id="d-1")
    if decision.action == "block":
        ...

A client keeps one connection and is for one thread; make one a thread.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

Value = float | int | bool | str | None
__all__ = ["Client", "Decision", "Problem", "Reason", "Unreachable"]


class Problem(Exception):
    """The sidecar said no; `code` is stable, `status` is HTTP's."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        """Reads a problem document."""
        self.status = status
        self.code = str(body.get("code", "UNKNOWN"))
        self.detail = str(body.get("detail") or body.get("message", ""))
        self.correlation_id = body.get("correlation_id")
        super().__init__(f"{self.detail} [{self.code}, {status}]")


class Unreachable(Exception):
    """No answer: the sidecar is not there or too slow. Decide yourself what that means."""


@dataclass(frozen=True)
class Reason:
    """Why a decision is not "allow"."""

    code: str
    rank: int
    contribution: float | None


@dataclass(frozen=True)
class Decision:
    """One decision; `record` is the whole of it."""

    action: str
    label: str | None
    source: str
    probability: float | None
    reasons: tuple[Reason, ...]
    degraded: bool
    correlation_id: str | None
    record: Mapping[str, Any] = field(repr=False)

    @property
    def is_fallback(self) -> bool:
        """Whether the bundle's fallback action answered and not its model."""
        return self.source == "fallback"

    @classmethod
    def of(cls, record: Mapping[str, Any], correlation_id: str | None) -> Decision:
        """Reads a decision record."""
        reasons = (Reason(r["code"], r["rank"], r.get("contribution")) for r in record["reasons"])
        return cls(
            action=record["action"],
            label=record["label"],
            source=record["source"],
            probability=record["probability"],
            reasons=tuple(reasons),
            degraded=record["degraded"],
            correlation_id=correlation_id,
            record=record,
        )


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Asks a sidecar at `http://HOST:PORT` or `unix:PATH`."""

    def __init__(self, url: str = "http://127.0.0.1:8080", timeout_s: float = 2.0) -> None:
        """Connects when the first request is sent."""
        self._connection: http.client.HTTPConnection
        if url.startswith("unix:"):
            self._connection = _UnixConnection(url.removeprefix("unix:"), timeout_s)
        else:
            parts = urlsplit(url)
            if parts.scheme != "http" or parts.hostname is None:
                raise ValueError(f"{url}: http://HOST:PORT or unix:PATH expected")
            self._connection = http.client.HTTPConnection(
                parts.hostname, parts.port or 80, timeout=timeout_s
            )

    def __enter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the connection."""
        self.close()

    def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
        self._connection.close()

    def decide(
        self,
        features: Mapping[str, Value],
        *,
        decision_id: str | None = None,
        event_time_ms: int | None = None,
        context: Mapping[str, Value] | None = None,
        states: Mapping[str, str] | None = None,
        correlation_id: str | None = None,
    ) -> Decision:
        """Decides one request. Raises `Problem` or `Unreachable`."""
        request: dict[str, Any] = {"features": dict(features)}
        request |= {"context": dict(context)} if context else {}
        request |= {"states": dict(states)} if states else {}
        request |= {"decision_id": decision_id} if decision_id is not None else {}
        request |= {"event_time": event_time_ms} if event_time_ms is not None else {}
        headers = {"x-correlation-id": correlation_id} if correlation_id else {}
        body, name = self._send("POST", "/v1/decide", request, headers)
        return Decision.of(body, name)

    def decide_batch(self, requests: Iterable[Mapping[str, Any]]) -> list[Decision | Problem]:
        """Decides whole requests; one that cannot be scored is a `Problem` in its place."""
        body, name = self._send("POST", "/v1/decide/batch", {"requests": list(requests)}, {})
        return [
            Problem(400, row["error"]) if "error" in row else Decision.of(row, name)
            for row in body["decisions"]
        ]

    def explain(self, features: Mapping[str, Value]) -> dict[str, Any]:
        """What each feature adds to the risk of one request."""
        return self._send("POST", "/v1/explain", {"features": dict(features)}, {})[0]

    def schema(self) -> dict[str, Any]:
        """What the serving bundle is and takes."""
        return self._send("GET", "/v1/schema", None, {})[0]

    def is_ready(self) -> bool:
        """Whether the sidecar wants requests."""
        try:
            self._send("GET", "/readyz", None, {})
        except (Problem, Unreachable):
            return False
        return True

    def _send(
        self, method: str, path: str, body: object, headers: dict[str, str]
    ) -> tuple[dict[str, Any], str | None]:
        payload = None if body is None else json.dumps(body, allow_nan=False).encode()
        headers = {"content-type": "application/json", **headers}
        reused = self._connection.sock is not None
        try:
            answer = self._exchange(method, path, payload, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            # A kept connection that the other side closed meanwhile: once more on a new one.
            # To decide twice does no harm.
            if not reused:
                raise Unreachable(str(error)) from error
            try:
                answer = self._exchange(method, path, payload, headers)
            except (OSError, http.client.HTTPException) as again:
                raise Unreachable(str(again)) from again
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error)) from error
        status, content, name = answer
        try:
            read = json.loads(content)
        except ValueError as error:
            raise Unreachable(f"the answer {status} is no JSON") from error
        if status != http.client.OK:
            raise Problem(status, read)
        return read, name

    def _exchange(
        self, method: str, path: str, payload: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes, str | None]:
        try:
            self._connection.request(method, path, payload, headers)
            response = self._connection.getresponse()
            return response.status, response.read(), response.getheader("x-correlation-id")
        except BaseException:
            self._connection.close()
            raise
