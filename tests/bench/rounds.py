"""Interleaved rounds, and the figures and ratios that come of them."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from timing import Contender, Sample

Rounds = Mapping[str, Sequence[Sample]]
Results = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """Contenders that do the same work, and how much of it a round has."""

    title: str
    contenders: Sequence[Contender]
    rounds: int
    rows: int
    warm_up: int

    def run(self) -> Results:
        """Every contender in every round, each round starting with the next one.

        A round that does not count comes first: it lets runtimes that compile while they run
        reach their fastest code.
        """
        contenders = self.contenders
        samples: dict[str, list[Sample]] = {c.name: [] for c in contenders}
        for contender in contenders:
            contender.measure(self.rows)
        gc.collect()
        gc.disable()
        for i in range(self.rounds):
            first = i % len(contenders)
            for contender in (*contenders[first:], *contenders[:first]):
                if self.warm_up:
                    contender.measure(self.warm_up)
                samples[contender.name].append(contender.measure(self.rows))
        gc.enable()
        return {
            "title": self.title,
            "rounds": self.rounds,
            "rows_per_round": self.rows,
            **summarise(contenders, samples),
            "each_round": described(samples),
        }


def described(rounds: Rounds) -> Results:
    """Every round's figures, so that each ratio can be worked out again."""
    return {
        name: [{"p50_raw_ns": s.p50, "overhead_ns": s.overhead} for s in samples]
        for name, samples in rounds.items()
    }


def figure(contender: Contender, samples: Sequence[Sample]) -> Results:
    """One contender: medians over the rounds, and the spread of its net p50."""
    nets = [sample.net for sample in samples]
    return {
        "label": contender.label,
        "peer": contender.peer,
        "p50_raw_ns": median(sample.p50 for sample in samples),
        "overhead_ns": median(sample.overhead for sample in samples),
        "p50_net_ns": median(nets),
        "p50_net_min_ns": min(nets),
        "p50_net_max_ns": max(nets),
        "p10_raw_ns": median(sample.p10 for sample in samples),
        "p90_raw_ns": median(sample.p90 for sample in samples),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def ratio(peer: Sequence[Sample], ours: Sequence[Sample]) -> dict[str, float]:
    """Net time of the peer over our time, round by round."""
    return spread([p.net / o.net for p, o in zip(peer, ours, strict=True)])


def summarise(contenders: Sequence[Contender], rounds: Rounds) -> Results:
    """All figures and all ratios; the first of ours is the one that charts compare with."""
    figures = {c.name: figure(c, rounds[c.name]) for c in contenders}
    ours = [c.name for c in contenders if not c.peer]
    peers = [c.name for c in contenders if c.peer]
    return {
        "contenders": figures,
        "reference": ours[0] if ours else None,
        "ratios_net": {
            mine: {peer: ratio(rounds[peer], rounds[mine]) for peer in peers} for mine in ours
        },
    }


def losing(task: Results) -> list[Results]:
    """Every pair in which the peer won at least one round, the worst first."""
    figures = task["contenders"]
    pairs = [
        {"ours": figures[mine]["label"], "peer": figures[peer]["label"], **ratios}
        for mine, peers in task["ratios_net"].items()
        for peer, ratios in peers.items()
        if ratios["min"] < 1.0
    ]
    return sorted(pairs, key=lambda pair: pair["median"])
