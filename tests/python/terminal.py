"""What `tollgate score` shows on a terminal, held against `tests/fixtures/terminal`.

`terminal.py TOLLGATE FIXTURES_DIR` builds the signup example, runs the command on a pseudo terminal
of a fixed size and compares its tables, letter by letter, and its progress bar, by its shape.
`--write` stores the tables anew.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path

DEADLINE_S = 120
LINES = 50
ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "models" / "signup" / "rows.ndjson"
BAR = re.compile(r"[█░]{40} [0-9.]+ [KMG]?i?B/[0-9.]+ [KMG]?i?B {2}[0-9a-z]+ left")
CLEARED = "\x1b[2K"


@dataclass
class Terminal:
    """A terminal of so many columns."""

    columns: int


@dataclass
class Ran:
    """What a command wrote, by stream, and its exit status; \\r\\n of a terminal is \\n."""

    out: str
    err: str
    status: int


def main() -> int:
    """Runs all checks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tollgate", type=Path)
    parser.add_argument("fixtures", type=Path)
    parser.add_argument("--write", action="store_true", help="store the tables")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments.tollgate.resolve(), Path(folder))
        shown = tables(bench)
        if arguments.write:
            arguments.fixtures.mkdir(parents=True, exist_ok=True)
            for name, text in shown.items():
                (arguments.fixtures / f"{name}.txt").write_text(text, encoding="utf-8")
        wrong = [name for name, text in shown.items() if not same(arguments.fixtures, name, text)]
        wrong += [what for what, holds in behaviour(bench).items() if not holds]
    for what in wrong:
        print(f"terminal: FAILED: {what}")
    print(f"terminal: {len(shown)} tables compared, {len(wrong)} checks failed")
    return int(bool(wrong))


class Bench:
    """A folder with a signed bundle and rows of several kinds."""

    def __init__(self, tollgate: Path, folder: Path) -> None:
        """Makes them."""
        self.tollgate, self.folder = tollgate, folder
        self.run(["keys", "new", "-o", "k"])
        model = str(ROOT / "models" / "signup")
        self.run(["bundle", "build", model, "--key", "k.key", "-o", "signup.tollgate"])
        samples = SAMPLES.read_text(encoding="utf-8").splitlines(keepends=True)
        bad = '{"features": {"is_tor": \n'
        few = "".join([*samples[16:20], bad, *samples[38:40]])
        (folder / "few.ndjson").write_text(few, encoding="utf-8")
        (folder / "many.ndjson").write_text("".join(samples) * 6, encoding="utf-8")

    def score(self, rows: str, *options: str, **streams: Terminal | None) -> Ran:
        """Decides for a file of rows."""
        command = ["score", "signup.tollgate", rows, "--trust", "k.pub", *options]
        return self.run(command, **streams)

    def run(
        self, arguments: list[str], out: Terminal | None = None, err: Terminal | None = None
    ) -> Ran:
        """Runs the command; a stream is a pipe unless it is given a terminal."""
        ends, given = [], []
        for terminal in (out, err):
            reading, writing = pty.openpty() if terminal else os.pipe()
            if terminal:
                size = struct.pack("HHHH", LINES, terminal.columns, 0, 0)
                fcntl.ioctl(writing, termios.TIOCSWINSZ, size)
            ends.append(reading)
            given.append(writing)
        child = subprocess.Popen(
            [str(self.tollgate), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=given[0],
            stderr=given[1],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "TERM": "xterm-256color"},
        )
        for writing in given:
            os.close(writing)
        texts = read_all(ends)
        return Ran(*texts, child.wait(DEADLINE_S))


def read_all(ends: list[int]) -> list[str]:
    """Reads until all ends are closed; a terminal says so by an error."""
    found = dict.fromkeys(ends, b"")
    waiting = set(ends)
    deadline = time.monotonic() + DEADLINE_S
    while waiting:
        ready, _, _ = select.select(list(waiting), [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise SystemExit("terminal: the command does not end")
        for end in ready:
            try:
                part = os.read(end, 1 << 16)
            except OSError:
                part = b""
            found[end] += part
            if not part:
                waiting.discard(end)
                os.close(end)
    return [found[end].decode().replace("\r\n", "\n") for end in ends]


def tables(bench: Bench) -> dict[str, str]:
    """The tables whose look is held: wide, narrow, in a pipe."""
    return {
        "score_160": bench.score("few.ndjson", out=Terminal(160)).out,
        "score_90": bench.score("few.ndjson", out=Terminal(90)).out,
        "score_20": bench.score("few.ndjson", out=Terminal(20)).out,
        "score_pipe": bench.score("few.ndjson", "--table").out,
    }


def same(fixtures: Path, name: str, text: str) -> bool:
    """Whether a table looks as it is stored."""
    stored = (fixtures / f"{name}.txt").read_text(encoding="utf-8")
    if text != stored:
        print(f"{name} was\n{stored}\nand is\n{text}")
    return text == stored


def behaviour(bench: Bench) -> dict[str, bool]:
    """What must hold, by the sentence that says so."""
    records = bench.score("few.ndjson")
    terminal = bench.score("few.ndjson", "--json", out=Terminal(160))
    long = bench.score("many.ndjson", out=Terminal(160))
    bar = bench.score("many.ndjson", err=Terminal(100))
    both = bench.score("many.ndjson", out=Terminal(160), err=Terminal(160))
    piped = bench.score("many.ndjson")
    rows = [line for line in long.out.splitlines() if line.startswith("│ s-")]
    return {
        "a bad line gives exit status 1, good ones 0": (records.status, long.status) == (1, 0),
        "the lines of a pipe are JSON": all(x.startswith("{") for x in records.out.splitlines()),
        "--json on a terminal writes what a pipe gets": terminal.out == records.out,
        "a table ends after 200 rows": len(rows) == 200,
        "and says how many follow": long.out.splitlines()[-1]
        == "40 more rows; write them to a file to see all",
        "a bar shows bytes and time left": BAR.search(bar.err) is not None,
        "the bar is cleared at the end": CLEARED in bar.err[bar.err.rfind("left") :],
        "the bar leaves the records alone": bar.out == piped.out,
        "no bar beside a table on the same terminal": both.err == "",
        "no bar in a pipe": piped.err == "",
    }


if __name__ == "__main__":
    sys.exit(main())
