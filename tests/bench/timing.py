"""The timing loops that every Python-driven contender and every overhead share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Protocol

import numpy as np

Arguments = Sequence[tuple[Any, ...]]
Prepared = tuple[Callable[..., Any], Arguments]


@dataclass(frozen=True)
class Sample:
    """One contender's row times in one round, in nanoseconds; `overhead` is 0 for ours."""

    p10: float
    p50: float
    p90: float
    overhead: float = 0.0

    @property
    def net(self) -> float:
        """The median without the measured cost of making the call."""
        return self.p50 - self.overhead


class Contender(Protocol):
    """Something that can be measured for a number of rows."""

    name: str
    label: str
    peer: bool

    def measure(self, rows: int) -> Sample:
        """Scores that many rows: one at a time, or in one call where the task is a batch."""
        ...


def time_calls(call: Callable[..., Any], arguments: Arguments, count: int) -> list[int]:
    """Nanoseconds of each of `count` calls, cycling through the prepared argument tuples."""
    times = [0] * count
    period = len(arguments)
    for i in range(count):
        prepared = arguments[i % period]
        start = perf_counter_ns()
        call(*prepared)
        times[i] = perf_counter_ns() - start
    return times


def time_empty_calls(
    call: Callable[..., Any], arguments: Arguments, empty: Prepared, count: int
) -> list[int]:
    """Nanoseconds of `count` empty calls, each right after an untimed real one.

    That leaves the caches as the timed real calls found them; empty calls alone would look cheaper
    than the part they played, and the peer would be charged for the difference.
    """
    times = [0] * count
    empty_call, empty_arguments = empty
    period = len(arguments)
    for i in range(count):
        call(*arguments[i % period])
        prepared = empty_arguments[i % period]
        start = perf_counter_ns()
        empty_call(*prepared)
        times[i] = perf_counter_ns() - start
    return times


def sample(times: list[int], overhead: list[int]) -> Sample:
    """Percentiles of a run, next to the median of its overhead run."""
    p10, p50, p90 = (float(p) for p in np.percentile(times, [10, 50, 90]))
    return Sample(p10, p50, p90, float(np.median(overhead)))


def measure_calls(prepared: Prepared, empty: Prepared, rows: int) -> Sample:
    """Times the rows one call each, then as many empty calls."""
    call, arguments = prepared
    times = time_calls(call, arguments, rows)
    return sample(times, time_empty_calls(call, arguments, empty, rows))


def batch_sample(total: int, one_row: int, rows: int) -> Sample:
    """The time of one row in a batch.

    The overhead is the same call with a single row, shared out over the batch: an upper bound,
    because that call scores its row too. It errs in the peer's favour, by one row in `rows`.
    """
    each = total / rows
    return Sample(each, each, each, one_row / rows if rows > 1 else 0.0)


def measure_batch(call: Callable[[int], Any], rows: int) -> Sample:
    """Times one call with all rows and one with a single row; `call` takes the number of rows."""
    start = perf_counter_ns()
    call(rows)
    middle = perf_counter_ns()
    call(1)
    return batch_sample(middle - start, perf_counter_ns() - middle, rows)
