"""The files of `host/deploy`, checked by the tools that would read them.

Usage: deploy.py TOLLGATE
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "host" / "deploy"


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """The output of a command that has to succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | (environment or {})
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def check_settings(tollgate: str) -> None:
    """The settings file is read, and says what it seems to."""
    path = DEPLOY / "tollgate.toml"
    shown = run([tollgate, "serve", "--config", str(path), "--print-config"])
    for line in ('state_dir = "/var/lib/tollgate"', "delay_ms = 3000", 'when_full = "drop"'):
        if line not in shown:
            raise SystemExit(f"{path}: {line} is not in force:\n{shown}")


def check_unit(tollgate: str) -> None:
    """systemd takes the unit without a word; it looks for the binary where we have it."""
    if shutil.which("systemd-analyze") is None:
        print("skipped: the systemd unit (systemd-analyze is not installed)")
        return
    text = (DEPLOY / "tollgate.service").read_text()
    with tempfile.TemporaryDirectory() as folder:
        unit = Path(folder) / "tollgate.service"
        unit.write_text(text.replace("/usr/local/bin/tollgate", str(Path(tollgate).resolve())))
        told = run(["systemd-analyze", "verify", "--man=no", str(unit)])
        if "tollgate.service" in told:
            raise SystemExit(told)


def check_container(tollgate: str) -> None:
    """The environment and command of the image are settings that the sidecar knows."""
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    (given,) = (line.removeprefix("ENV ") for line in lines if line.startswith("ENV "))
    (command,) = (line.removeprefix("CMD ") for line in lines if line.startswith("CMD "))
    environment = dict(pair.split("=", 1) for pair in given.split())
    arguments = [part.strip(' "') for part in command.strip("[]").split(",")]
    shown = run([tollgate, *arguments, "--print-config"], environment)
    for line in ('listen = ["0.0.0.0:8080"]', 'dir = "/var/log/tollgate"'):
        if line not in shown:
            raise SystemExit(f"Containerfile: {line} is not in force:\n{shown}")


def main() -> None:
    """Runs all."""
    tollgate = sys.argv[1]
    check_settings(tollgate)
    check_unit(tollgate)
    check_container(tollgate)
    print("deploy: settings, unit and container file are read as they are meant")


if __name__ == "__main__":
    main()
