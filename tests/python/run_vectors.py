"""Replays recorded decisions against a module: `run_vectors.py WASM VECTORS_DIR`.

Each folder of a VECTORS_DIR holds `bundle.tollgate`, `trust.key`, `requests.ndjson` with
`records.ndjson` (the expected record or error text of each request), and `rows.f64` with
`compact.bin` (the expected 64 bytes of each row), and `tags.bin` where rows have tags.
Everything has to agree byte for byte.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from tollgate_wasm import RESULT, Result, Tollgate, TollgateError

BATCH = 1024


class Tally(NamedTuple):
    """How many results were compared, how many of them differ, and the first that does."""

    compared: int
    differing: int
    first: str


def main() -> int:
    """Runs all folders; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wasm", type=Path, help="the module to test")
    parser.add_argument(
        "vectors", type=Path, nargs="+", help="folder with a folder for each bundle"
    )
    parser.add_argument("--json", action="store_true", help="print only the sums, as JSON")
    arguments = parser.parse_args()
    if arguments.json:
        print(json.dumps(sums(arguments.wasm, arguments.vectors)))
        return 0
    gate = Tollgate(arguments.wasm.read_bytes())
    passed = failed = 0
    for folder in folders(arguments.vectors):
        try:
            tallies = {"records": records(gate, folder), "rows": rows(gate, folder)}
        except (TollgateError, OSError, ValueError) as error:
            print(f"{folder.name}: not run: {error}")
            failed += 1
            gate = Tollgate(arguments.wasm.read_bytes())
            continue
        for what, tally in tallies.items():
            print(f"{folder.name}: {tally.compared} {what} compared, {tally.differing} differ")
            if tally.first:
                print(tally.first)
            passed += tally.compared - tally.differing
            failed += tally.differing
    if passed + failed == 0:
        print("nothing to compare", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0 or passed == 0)


def folders(sets: list[Path]) -> list[Path]:
    """The folders of all sets, in order."""
    return [path for vectors in sets for path in sorted(vectors.iterdir()) if path.is_dir()]


def sums(wasm: Path, sets: list[Path]) -> dict[str, dict[str, int | str]]:
    """Per suite of the table how many answers were compared, and how many differ."""
    gate = Tollgate(wasm.read_bytes())
    found: dict[str, list[Tally]] = {}
    for folder in folders(sets):
        suite = "tagged" if (folder / "tags.bin").exists() else "rows"
        found.setdefault("records", []).append(records(gate, folder))
        found.setdefault(suite, []).append(rows(gate, folder))
    return {suite: added(tallies)._asdict() for suite, tallies in found.items()}


def added(tallies: list[Tally]) -> Tally:
    """The sum of several."""
    first = next((tally.first for tally in tallies if tally.first), "")
    return Tally(sum(t.compared for t in tallies), sum(t.differing for t in tallies), first)


def records(gate: Tollgate, folder: Path) -> Tally:
    """Replays the requests in order on a fresh handle: records count their calls."""
    requests = lines(folder / "requests.ndjson")
    handle = load(gate, folder)
    got = [answer(gate, handle, request) for request in requests]
    gate.unload(handle)
    return compare("request", got, lines(folder / "records.ndjson"))


def rows(gate: Tollgate, folder: Path) -> Tally:
    """Decides the rows in batches; `tg_score_row` has to say the same of each."""
    packed = (folder / "rows.f64").read_bytes()
    handle = load(gate, folder)
    width = len(gate.describe(handle)["features"]) * 8
    marks = folder / "tags.bin"
    tags = marks.read_bytes() if marks.exists() else None
    got = b"".join(gate.score_batch(handle, *chunk) for chunk in typed(packed, tags, width * BATCH))
    singles = [RESULT.pack(*gate.score_row(handle, *row)) for row in typed(packed, tags, width)]
    gate.unload(handle)
    expected = list(pieces((folder / "compact.bin").read_bytes(), RESULT.size))
    # A row passes when both calls agree with what is expected.
    both = zip(pieces(got, RESULT.size), singles, strict=True)
    results = [batch if batch == row else b"batch and row differ" for batch, row in both]
    return compare("row", results, expected)


def typed(packed: bytes, tags: bytes | None, size: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Cuts values into pieces of a size in bytes, each with its tags."""
    for at in range(0, len(packed), size):
        marks = None if tags is None else tags[at // 8 : (at + size) // 8]
        yield packed[at : at + size], marks


def load(gate: Tollgate, folder: Path) -> int:
    """Loads the folder's bundle."""
    bundle, key = folder / "bundle.tollgate", folder / "trust.key"
    return gate.load(bundle.read_bytes(), key.read_bytes())


def answer(gate: Tollgate, handle: int, request: bytes) -> bytes:
    """The record of a request, or the error text if it is refused."""
    try:
        return gate.score_json(handle, request)
    except TollgateError as error:
        if error.code == 0:
            raise
        return error.text.encode()


def compare(what: str, got: list[bytes], expected: list[bytes]) -> Tally:
    """Counts differences; a result without its counterpart is one."""
    pairs = list(zip_longest(got, expected))
    differing = [index for index, (ours, theirs) in enumerate(pairs) if ours != theirs]
    first = ""
    if differing:
        ours, theirs = pairs[differing[0]]
        first = f"  {what} {differing[0] + 1}\n  expected {shown(theirs)}\n  got      {shown(ours)}"
    return Tally(len(pairs), len(differing), first)


def shown(result: bytes | None) -> str:
    """A result as text; compact ones field by field, and in bytes."""
    if result is None:
        return "nothing"
    if len(result) == RESULT.size and not result.isascii():
        return f"{tuple(Result(*RESULT.unpack(result)))} {result.hex()}"
    return result.decode(errors="replace")


def lines(path: Path) -> list[bytes]:
    """Lines without their ends; the last one may lack it."""
    parts = path.read_bytes().split(b"\n")
    return parts if parts[-1] else parts[:-1]


def pieces(packed: bytes, size: int) -> Iterator[bytes]:
    """Cuts bytes into pieces of a size, the last one maybe shorter."""
    return (packed[at : at + size] for at in range(0, len(packed), size))


if __name__ == "__main__":
    sys.exit(main())
