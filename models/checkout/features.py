"""Features of payments: what a shop knows when a card is presented.

A fraud at a terminal is known after seven days; the terminal's share of frauds counts only
what was known then.
"""

from __future__ import annotations

import numpy as np
from generate import DAY_SECONDS, Payments
from numpy.typing import NDArray

WINDOWS = (1, 7, 30)
DELAY_DAYS = 7
Floats = NDArray[np.float64]


class Entities:
    """Payments by customer or terminal, for sums over windows of time."""

    def __init__(self, entity: NDArray[np.int64], seconds: NDArray[np.int64]) -> None:
        """Orders payments by entity and time."""
        self.span = int(seconds.max()) + 400 * DAY_SECONDS
        self.keys = entity.astype(np.int64) * self.span + seconds
        self.order = np.argsort(self.keys, kind="stable")
        self.sorted = self.keys[self.order]
        self.first = entity.astype(np.int64) * self.span

    def between(self, values: Floats, days: int, delay: int = 0) -> Floats:
        """Sums over the window that ends `delay` days ago, the payment itself included."""
        sums = np.concatenate([[0.0], np.cumsum(values[self.order])])
        end = self.keys - delay * DAY_SECONDS
        # An entity's first second bounds the window: what lies before is another entity.
        low = np.maximum(end - days * DAY_SECONDS, self.first - 1)
        high = np.searchsorted(self.sorted, np.maximum(end, self.first - 1), "right")
        return sums[high] - sums[np.searchsorted(self.sorted, low, "right")]


def matrix(payments: Payments, names: list[str]) -> Floats:
    """One row a payment, in the order of the names."""
    ones, fraud = np.ones(len(payments.amount)), payments.fraud.astype(np.float64)
    hour = payments.seconds % DAY_SECONDS // 3600
    columns = {
        "amount": payments.amount,
        "is_weekend": (payments.seconds // DAY_SECONDS % 7 >= 5).astype(np.float64),
        "is_night": (hour < 6).astype(np.float64),
    }
    by_customer = Entities(payments.customer, payments.seconds)
    by_terminal = Entities(payments.terminal, payments.seconds)
    for days in WINDOWS:
        count = by_customer.between(ones, days)
        columns[f"customer_count_{days}d"] = count
        columns[f"customer_mean_{days}d"] = by_customer.between(payments.amount, days) / count
        known = by_terminal.between(ones, days, DELAY_DAYS)
        frauds = by_terminal.between(fraud, days, DELAY_DAYS)
        columns[f"terminal_count_{days}d"] = by_terminal.between(ones, days)
        columns[f"terminal_risk_{days}d"] = frauds / np.maximum(known, 1.0)
    return np.round(np.column_stack([columns[name] for name in names]), 6)
