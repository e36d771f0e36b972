"""The Go and Java clients, compiled and run against a sidecar."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "host" / "clients"
PROGRAMS = ROOT / "tests" / "clients"


def run(command: list[str], folder: Path, rows: list[dict[str, Any]]) -> list[str]:
    """The lines that a program answers requests with."""
    given = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, cwd=folder
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()


def ask_go(url: str, folder: Path, rows: list[dict[str, Any]]) -> list[str] | None:
    """Each decision's action by the Go client, and the problem last; none without Go."""
    if shutil.which("go") is None:
        print("skipped: the Go client (go is not installed)")
        return None
    (folder / "tollgate").mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text("module example.org/clients\n\ngo 1.18\n")
    shutil.copy(CLIENTS / "go" / "tollgate.go", folder / "tollgate")
    shutil.copy(PROGRAMS / "go" / "main.go", folder)
    run(["go", "vet", "./..."], folder, [])
    *decided, problem = run(["go", "run", ".", url], folder, rows)
    records = [json.loads(line) for line in decided]
    for row, (decision_id, _, probability, _) in zip(rows, records, strict=True):
        if decision_id != row["decision_id"] or not 0 <= probability <= 1:
            raise SystemExit(f"the Go client read {decision_id}, {probability}")
    return [str(record[1]) for record in records] + [problem]


def ask_java(url: str, folder: Path, rows: list[dict[str, Any]]) -> list[str] | None:
    """The same by the Java client; none without a JDK."""
    if shutil.which("javac") is None:
        print("skipped: the Java client (javac is not installed)")
        return None
    sources = [CLIENTS / "java" / "TollgateClient.java", PROGRAMS / "java" / "Ask.java"]
    folder.mkdir(parents=True, exist_ok=True)
    compiler = ["javac", "--release", "17", "-Xlint:all", "-Werror", "-d", str(folder)]
    run([*compiler, *map(str, sources)], folder, [])
    *decided, problem = run(["java", "-cp", str(folder), "Ask", url], folder, rows)
    actions = []
    for row, line in zip(rows, decided, strict=True):
        action, record = line.split(" ", 1)
        read = json.loads(record)
        if (read["decision_id"], read["action"]) != (row["decision_id"], action):
            raise SystemExit(f"the Java client read {action} of {record}")
        actions.append(action)
    return [*actions, problem]
