"""Card payments of a made-up shop network, with three kinds of fraud.

Customers and terminals lie on a square of 100 by 100. A customer pays at terminals that are
near, so often a day and so much as is usual for this customer. Frauds:

1. a payment far above what is usual, above 240, is a fraud in most cases;
2. each day two terminals are taken over for 28 days; nearly all payments there are frauds;
3. each day three customers' cards are copied for 14 days; a third of their payments are then
   of five times the amount, and frauds.

Nothing here comes from real payments. `transactions(seed)` gives the same rows every time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAYS = 150
CUSTOMERS = 1500
TERMINALS = 3000
DAY_SECONDS = 86_400
NEAR = 5.0


@dataclass(frozen=True)
class Payments:
    """Columns of payments, ordered by time."""

    seconds: NDArray[np.int64]
    customer: NDArray[np.int64]
    terminal: NDArray[np.int64]
    amount: NDArray[np.float64]
    fraud: NDArray[np.bool_]


def usual(rng: np.random.Generator) -> Payments:
    """Payments without any fraud."""
    home = rng.uniform(0, 100, (CUSTOMERS, 2))
    shops = rng.uniform(0, 100, (TERMINALS, 2))
    mean, rate = rng.uniform(5, 100, CUSTOMERS), rng.uniform(0, 3, CUSTOMERS)
    columns: list[tuple[NDArray[np.int64], ...]] = []
    amounts = []
    for customer in range(CUSTOMERS):
        near = np.flatnonzero(np.hypot(*(shops - home[customer]).T) < NEAR)
        if len(near) == 0:
            continue
        days = np.repeat(np.arange(DAYS), rng.poisson(rate[customer], DAYS))
        clock = np.clip(rng.normal(DAY_SECONDS / 2, 20_000, len(days)), 0, DAY_SECONDS - 1)
        columns.append(
            (
                days * DAY_SECONDS + clock.astype(np.int64),
                np.full(len(days), customer),
                rng.choice(near, len(days)),
            )
        )
        drawn = rng.normal(mean[customer], mean[customer] / 2, len(days))
        low = rng.uniform(0, 2 * mean[customer], len(days))
        amounts.append(np.round(np.where(drawn > 0, drawn, low), 2))
    seconds, customers, terminals = (np.concatenate(c) for c in zip(*columns, strict=True))
    order = np.lexsort((customers, seconds))
    amount = np.concatenate(amounts)[order]
    none = np.zeros(len(order), bool)
    return Payments(seconds[order], customers[order], terminals[order], amount, none)


def transactions(seed: int) -> Payments:
    """Payments with frauds."""
    rng = np.random.default_rng(seed)
    made = usual(rng)
    days = made.seconds // DAY_SECONDS
    amount, fraud = made.amount.copy(), made.fraud.copy()
    large = amount > 200
    amount[large & (rng.random(len(amount)) < 0.3)] *= 1.3
    fraud |= (amount > 240) & (rng.random(len(amount)) < 0.9)
    for day in range(DAYS):
        taken = rng.choice(TERMINALS, 2, replace=False)
        there = np.isin(made.terminal, taken) & (days >= day) & (days < day + 28)
        fraud |= there & (rng.random(len(amount)) < 0.95)
        copied = rng.choice(CUSTOMERS, 3, replace=False)
        theirs = np.isin(made.customer, copied) & (days >= day) & (days < day + 14)
        chosen = theirs & (rng.random(len(amount)) < 1 / 3) & ~fraud
        amount[chosen] = np.round(amount[chosen] * 5, 2)
        fraud |= chosen
    return Payments(made.seconds, made.customer, made.terminal, amount, fraud)
