"""What the figures were measured on, and with which versions."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "lightgbm", "onnxruntime", "onnxmltools", "xgboost-cpu", "lleaves", "llvmlite", "tl2cgen",
    "treelite", "numpy", "fastapi", "uvicorn", "uvloop", "mlserver",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Of the packages that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def compiler() -> str | None:
    """The version of gcc, which compiles tl2cgen's code."""
    if shutil.which("gcc") is None:
        return None
    done = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def machine() -> dict[str, Any]:
    """Processor, kernel and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    facts = [line.split(":", 1) for line in lines if ":" in line]
    names = [value.strip() for key, value in facts if key.strip() == "model name"]
    flags = next((value.split() for key, value in facts if key.strip() == "flags"), [])
    kernel = re.split(r"[^0-9.]", platform.release())[0]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(names) or None,
        "virtual": "hypervisor" in flags,
        "kernel": f"{platform.system()} {kernel}",
        "python": platform.python_version(),
        "gcc": compiler(),
        "packages": versions(),
    }


def described(m: dict[str, Any]) -> str:
    """One sentence."""
    where = "virtual machine" if m["virtual"] else "physical machine"
    parts = [f"Python {m['python']}"]
    parts += [f"{name} {value}" for name, value in m["packages"].items()]
    parts += [f"{name} {m[name]}" for name in ("gcc",) if m.get(name)]
    parts += [m[name] for name in ("node", "onnxruntime_web") if m.get(name)]
    return f"{m['cpu']}, {m['cores']} cores, {where}, {m['kernel']}; {', '.join(parts)}."
