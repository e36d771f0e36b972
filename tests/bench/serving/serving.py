"""Decisions a second and their latency: the sidecar beside Python servers of the same model.

Server on one core, load on the other, in turns, all in one run.

Usage: serving.py --tollgate BIN --load BIN --fastapi PYTHON --mlserver PYTHON --out DIR
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import mix
import servers
from servers import ENVIRONMENT, MODEL, Server

sys.path.insert(0, str(Path(__file__).parents[1]))

import machine
from chart import Bar, chart

SERVER_CPU, LOAD_CPU = 0, 1
CONNECTIONS = 8
COMMON_RATES = (500, 2000)
SHARES = (0.25, 0.5)
UNITS = {"us": 1.0, "ms": 1000.0, "s": 1_000_000.0}


def run(command: list[str]) -> str:
    """Standard output of a command on the core of the load."""
    pinned = ["taskset", "-c", str(LOAD_CPU), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def peak(server: Server, folder: Path, seconds: float) -> dict[str, float]:
    """As fast as wrk asks on a few connections."""
    script = folder / f"{server.bodies}.lua"
    url = f"http://{server.address}{server.path}"
    told = run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{round(seconds)}s", "--latency",
                "-s", str(script), url])  # fmt: skip
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(f"{server.label}: {told}")
    found = {"per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])}
    for share in ("50", "99"):
        number, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", told).groups()
        found[f"p{share}_us"] = float(number) * UNITS[unit]
    return found


class Bench:
    """One run."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        """Remembers what to run where."""
        self.arguments, self.folder = arguments, folder
        self.seconds = 1.0 if arguments.quick else 6.0
        self.rounds = 1 if arguments.quick else arguments.rounds

    def at_rate(self, server: Server, rate: float, target: str | None = None) -> dict[str, float]:
        """Latency at a fixed rate."""
        bodies = str(self.folder / f"{server.bodies}.ndjson")
        command = [str(self.arguments.load), target or server.address, server.path, bodies]
        connections = 1 if target else CONNECTIONS
        told = run([*command, str(connections), str(rate), str(self.seconds)])
        return dict(json.loads(told))

    def prepare(self) -> None:
        """A key, the bundle, and the requests."""
        binary = str(self.arguments.tollgate)
        key = self.folder / "signup"
        run([binary, "keys", "new", "-o", str(key)])
        bundle = str(self.folder / "signup.tollgate")
        run([binary, "bundle", "build", str(MODEL), "--key", f"{key}.key", "-o", bundle])
        schema = tomllib.loads((MODEL / "bundle.toml").read_text())
        mix.write(self.folder, schema, 2000)

    def start(self, stack: ExitStack) -> list[Server]:
        """All servers that can be had."""
        asked = self.arguments
        wanted = [(servers.tollgate, asked.tollgate), (servers.fastapi, asked.fastapi)]
        if asked.mlserver.exists():
            wanted.append((servers.mlserver, asked.mlserver))
        else:
            print("MLServer: not installed, so not measured")
        return [stack.enter_context(make(path, self.folder, SERVER_CPU)) for make, path in wanted]

    def measure(self, all_servers: list[Server]) -> dict[str, Any]:
        """Rounds in turns, medians of them."""
        peaks: dict[str, list[dict[str, float]]] = {server.name: [] for server in all_servers}
        for number in range(self.rounds + 1):
            for server in all_servers:
                found = peak(server, self.folder, self.seconds)
                if number > 0 or self.rounds == 1:  # the first round warms up
                    peaks[server.name].append(found)
        results: dict[str, Any] = {}
        for server in all_servers:
            rounds = peaks[server.name]
            most = median(found["per_second"] for found in rounds)
            rates = sorted({*COMMON_RATES, *(round(most * share) for share in SHARES)})
            results[server.name] = {
                "label": server.label, "peer": server.peer, "peak": most, "rounds": rounds,
                "rates": {str(rate): self.at_rate(server, rate) for rate in rates if rate < most},
            }  # fmt: skip
        return results

    def ours(self, server: Server, peak_rate: float) -> dict[str, Any]:
        """What only the sidecar tells: its own histogram at half load; the socket's price."""
        before = histogram(server)
        self.at_rate(server, peak_rate / 2)
        after = histogram(server)
        counts = [(bound, count - before.get(bound, 0)) for bound, count in after.items()]
        home = str(self.folder / "json.ndjson")
        bundle, trust = str(self.folder / "signup.tollgate"), str(self.folder / "signup.pub")
        inside = run(
            [str(self.arguments.load), "in-process", bundle, trust, home, str(self.seconds)]
        )
        unix = self.at_rate(server, 0, f"unix:{self.folder / 'tollgate.sock'}")
        awake = ("awake", ("--set", "scoring.spin_us=200"))
        with servers.tollgate(self.arguments.tollgate, self.folder, SERVER_CPU, *awake) as other:
            awake_us = self.at_rate(other, 0, f"unix:{self.folder / 'awake.sock'}")["p50_us"]
        with servers.echo(self.arguments.load, self.folder, SERVER_CPU) as target:
            echo_us = self.at_rate(server, 0, target)["p50_us"]
        strict = ("strict", ("--set", "scoring.isolation=per-request"))
        with servers.tollgate(self.arguments.tollgate, self.folder, SERVER_CPU, *strict) as other:
            strict_rate = peak(other, self.folder, self.seconds)["per_second"]
        inside_us = json.loads(inside)["p50_us"]
        return {
            "half_load_p99_us": quantile(counts, 0.99),
            "half_load_p50_us": quantile(counts, 0.5),
            "in_process_p50_us": inside_us,
            "unix_p50_us": unix["p50_us"],
            "unix_added_p50_us": unix["p50_us"] - inside_us,
            "unix_awake_added_p50_us": awake_us - inside_us,
            "unix_echo_p50_us": echo_us,
            "strict_per_second": strict_rate,
        }


def histogram(server: Server) -> dict[float, float]:
    """The sidecar's own request durations, cumulative, by bound in microseconds."""
    with urlopen(f"http://{server.address}/metrics") as page:
        text = page.read().decode()
    pattern = r'request_duration_seconds_bucket\{endpoint="decide",le="([^"]+)"\} (\d+)'
    return {float(bound) * 1e6: float(count) for bound, count in re.findall(pattern, text)}


def quantile(counts: list[tuple[float, float]], share: float) -> float:
    """The bound under which this share lies."""
    total = counts[-1][1]
    return next(bound for bound, count in counts if count >= share * total)


def markdown(results: dict[str, Any]) -> str:
    """The tables."""
    own = results["servers"]["tollgate"]
    out = [
        "# The sidecar and its peers", "",
        f"{machine.described(results['machine'])} One core for the server, one for the load.", "",
        "| Server | Decisions a second | Tollgate is faster by | p50 at the peak, µs | p99, µs |",
        "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for server in results["servers"].values():
        p50, p99 = (median(r[p] for r in server["rounds"]) for p in ("p50_us", "p99_us"))
        ratio = own["peak"] / server["peak"]
        out.append(
            f"| {server['label']} | {server['peak']:,.0f} | {ratio:.1f} | {p50:,.0f} | {p99:,.0f} |"
        )
    told = "Latency at fixed rates, in µs, from when a request should have been sent:"
    out += ["", told, "", "| Server | Rate a second | p50 | p99 | p99.9 |"]
    out.append("|---|---:|---:|---:|---:|")
    for server in results["servers"].values():
        for rate, at in server["rates"].items():
            figures = " | ".join(f"{at[p]:,.0f}" for p in ("p50_us", "p99_us", "p999_us"))
            out.append(f"| {server['label']} | {int(rate):,} | {figures} |")
    only = results["ours"]
    out += [
        "", "| Of the sidecar alone | µs |", "|---|---:|",
        f"| its own p50 at half load, at most | {only['half_load_p50_us']:,.0f} |",
        f"| its own p99 at half load, at most | {only['half_load_p99_us']:,.0f} |",
        f"| a decision in process, p50 | {only['in_process_p50_us']:.1f} |",
        f"| over a Unix socket, one connection, p50 | {only['unix_p50_us']:.1f} |",
        f"| what the socket adds | {only['unix_added_p50_us']:.1f} |",
        f"| the same with `spin_us = 200` | {only['unix_awake_added_p50_us']:.1f} |",
        f"| over a Unix socket to what only echoes, p50 | {only['unix_echo_p50_us']:.1f} |",
        "",
        "In strict mode, a fresh instance for each request, the sidecar makes "
        f"{only['strict_per_second']:,.0f} decisions a second.",
        "",
        f"Medians of {results['rounds']} rounds in turns; {CONNECTIONS} connections, keep-alive. "
        "The requests are the signup example's test period as it comes: about 94 % allow, and "
        "what is challenged or blocked gets its reasons. The sidecar checks the schema, "
        "calibrates, decides by the policy, gives reasons and logs each decision with its "
        "input; the peers compute the model's probability and nothing else.",
        "", f"Made by `{results['command']}`.", "",
    ]  # fmt: skip
    return "\n".join(out)


def picture(results: dict[str, Any]) -> str:
    """Decisions a second as bars."""
    bars = [
        Bar(s["label"], s["peak"], f"{s['peak']:,.0f} a second", "peer" if s["peer"] else "ours")
        for s in results["servers"].values()
    ]
    below = "Signup example, 240 trees; load from the other core over 8 kept connections."
    return chart("Decisions a second on one core", "More is better.", bars, below)


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser()
    for name in ("tollgate", "load", "fastapi", "mlserver", "out"):
        parser.add_argument(f"--{name}", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(arguments, Path(folder))
        bench.prepare()
        running = bench.start(stack)
        found = bench.measure(running)
        results = {
            "servers": found, "ours": bench.ours(running[0], found["tollgate"]["peak"]),
            "machine": machine.machine(), "rounds": bench.rounds, "command": "make bench-serving",
        }  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "serving.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.out / "serving.md").write_text(markdown(results))
    (arguments.out / "serving.svg").write_text(picture(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
