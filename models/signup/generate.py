"""Generate signup events for the example model.

No real user is behind these rows. Every event is made by one *actor*. An actor is
a kind of user: at home, behind a shared network, behind a privacy network, far from
home; or a kind of abuse: a signup farm, a person who makes fake accounts by hand,
or a script behind residential proxies. Each actor draws its signals from its own
distributions, and these overlap. The label is "disabled for abuse within 7 days".
Some abuse is never found, and a few good accounts are disabled by mistake, so the
label is noisy as it is in practice.

The period is eight months, 1 March to 31 October 2026. October drifts: a new attack
appears (an agent that types at human speed and uses aged mail domains), the farms
shrink, a campaign brings many users from shared networks, and device fingerprints
fail more often.

`python generate.py` prints a summary of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

START = datetime(2026, 3, 1, tzinfo=UTC)
DRIFT = datetime(2026, 10, 1, tzinfo=UTC)
END = datetime(2026, 11, 1, tzinfo=UTC)
EVENTS_PER_DAY = 490

REGIONS = (
    "north_america", "latin_america", "western_europe", "northern_europe",
    "southern_europe", "eastern_europe", "middle_east", "north_africa",
    "sub_saharan_africa", "south_asia", "east_asia", "oceania",
)  # fmt: skip
UTC_HOURS = np.array([-6, -4, 1, 1, 1, 2, 3, 1, 2, 5, 8, 10])
REGION_SHARE = np.array([22, 11, 17, 5, 8, 7, 4, 3, 4, 9, 8, 2]) / 100
PHONE_TYPES = ("mobile", "landline", "voip", "none")
CHANNELS = ("web", "ios", "android", "partner")


@dataclass(frozen=True)
class Actor:
    """One kind of user or attacker. Pairs are the two parameters of a distribution."""

    name: str
    share: float  # of all events before the drift
    drift_share: float  # of all events in the last month
    disabled: float  # probability of the label
    ip_hour: float  # mean of other signups from the /24 in the last hour
    ip_day: float  # mean of further signups in the last day
    device_day: float  # mean of other signups from the device in the last day
    device_age: float  # log mean of days since the device was first seen
    asn: tuple[float, float]  # beta
    proxy: float
    tor: float
    entropy: tuple[float, float]  # normal
    reputation: tuple[float, float]  # beta
    domain_age: tuple[float, float]  # log-normal
    disposable: float
    digits: tuple[float, float]  # beta
    similarity: tuple[float, float]  # beta
    pasted: float  # mean of pasted form fields
    form: tuple[float, float]  # log-normal
    phone_km: tuple[float, float]  # log-normal
    phone: tuple[float, float, float, float]
    channel: tuple[float, float, float, float]
    night: float  # weight of a flat clock against a daytime clock


ACTORS = (
    Actor("home", 0.8530, 0.7930, 0.0004, 0.15, 0.8, 0.05, 4.6, (2, 12), 0.02, 0.0005,
          (4.1, 0.5), (9, 2), (8.3, 0.8), 0.004, (1.2, 9), (4, 2), 0.3, (4.0, 0.6),
          (2.6, 1.5), (0.87, 0.04, 0.04, 0.05), (0.46, 0.26, 0.24, 0.04), 0.10),
    Actor("shared", 0.0850, 0.1420, 0.0006, 3.0, 16.0, 0.5, 4.0, (2, 9), 0.04, 0.0005,
          (3.8, 0.6), (9, 2.2), (8.2, 0.9), 0.008, (1.6, 7), (4, 2.2), 0.4, (3.9, 0.6),
          (3.2, 1.6), (0.86, 0.02, 0.06, 0.06), (0.55, 0.20, 0.22, 0.03), 0.15),
    Actor("privacy", 0.0250, 0.0260, 0.0008, 1.2, 6.0, 0.05, 3.2, (4, 5), 0.80, 0.09,
          (3.9, 0.7), (7, 2.5), (7.9, 1.0), 0.050, (1.6, 7), (2.5, 3), 0.7, (3.9, 0.7),
          (7.2, 1.2), (0.72, 0.03, 0.13, 0.12), (0.70, 0.14, 0.14, 0.02), 0.30),
    Actor("traveller", 0.0175, 0.0180, 0.0006, 0.5, 2.5, 0.05, 4.4, (2, 9), 0.06, 0.001,
          (4.1, 0.5), (9, 2), (8.3, 0.8), 0.005, (1.3, 9), (4, 2), 0.3, (4.1, 0.6),
          (7.8, 0.7), (0.92, 0.01, 0.04, 0.03), (0.40, 0.32, 0.26, 0.02), 0.35),
    Actor("farm", 0.0053, 0.0028, 0.99, 14.0, 60.0, 3.5, 1.4, (5, 5), 0.50, 0.05,
          (2.8, 0.7), (3, 4.5), (4.8, 1.4), 0.42, (3.0, 5), (1.5, 5), 2.2, (2.2, 0.7),
          (6.6, 1.6), (0.32, 0.01, 0.44, 0.23), (0.82, 0.03, 0.13, 0.02), 0.75),
    Actor("by_hand", 0.0064, 0.0062, 0.84, 0.5, 2.0, 0.30, 3.7, (2.2, 10), 0.10, 0.003,
          (4.0, 0.5), (8, 2.4), (7.9, 1.0), 0.045, (1.6, 7.5), (3, 2.8), 0.6, (3.8, 0.6),
          (3.8, 1.8), (0.74, 0.02, 0.14, 0.10), (0.56, 0.18, 0.23, 0.03), 0.30),
    Actor("residential", 0.0080, 0.0064, 0.90, 0.4, 1.6, 0.15, 3.2, (2.5, 9), 0.10, 0.001,
          (3.8, 0.6), (7, 2.8), (7.5, 1.2), 0.06, (2.0, 6.5), (2.6, 3.1), 0.9, (3.4, 0.7),
          (3.9, 1.9), (0.68, 0.01, 0.20, 0.11), (0.62, 0.11, 0.24, 0.03), 0.42),
    Actor("agent", 0.0, 0.0050, 0.88, 0.25, 1.1, 0.08, 3.9, (2.2, 10), 0.06, 0.001,
          (4.1, 0.5), (8.6, 2.1), (8.2, 0.8), 0.008, (1.5, 8), (3.4, 2.3), 0.25, (3.9, 0.4),
          (3.4, 1.7), (0.78, 0.01, 0.16, 0.05), (0.72, 0.12, 0.14, 0.02), 0.45),
)  # fmt: skip


@dataclass(frozen=True)
class Events:
    """Columns by feature name, with the time, label and actor of each event."""

    columns: dict[str, Floats]
    time_ms: NDArray[np.int64]
    label: Floats
    actor: NDArray[np.str_]


def _counts(rng: Generator, mean: float, spread: float, n: int) -> Floats:
    """Counts with more variance than a Poisson: the rate itself varies."""
    return rng.poisson(rng.gamma(spread, mean / spread, n)).astype(np.float64)


def _local_hours(rng: Generator, night: float, n: int) -> Floats:
    """Hours of a daytime clock with an evening peak, mixed with a flat clock."""
    hours = np.arange(24)
    day = np.exp(-(((hours - 14) / 5.0) ** 2)) + 1.3 * np.exp(-(((hours - 20) / 2.5) ** 2)) + 0.03
    weights = (1 - night) * day / day.sum() + night / 24
    return rng.choice(24, size=n, p=weights).astype(np.float64)


def _network(rng: Generator, a: Actor, n: int) -> dict[str, Floats]:
    """Signals about the address, the device and the place."""
    hour = _counts(rng, a.ip_hour, 1.2, n)
    return {
        "ip_signups_1h": np.minimum(hour, 5000),
        "ip_signups_1d": np.minimum(hour + _counts(rng, a.ip_day, 1.5, n), 20000),
        "device_signups_1d": np.minimum(_counts(rng, a.device_day, 0.8, n), 1000),
        "device_age_days": np.clip(np.floor(rng.lognormal(a.device_age, 1.2, n)), 0, 3650),
        "asn_risk": rng.beta(*a.asn, n).round(3),
        "is_proxy": (rng.random(n) < a.proxy).astype(np.float64),
        "is_tor": (rng.random(n) < a.tor).astype(np.float64),
        "ip_phone_km": np.minimum(rng.lognormal(*a.phone_km, n), 20000).round(1),
        "phone_type": rng.choice(4, size=n, p=a.phone).astype(np.float64),
        "country_group": rng.choice(12, size=n, p=_regions(a)).astype(np.float64),
    }


def _regions(a: Actor) -> Floats:
    """Farms and scripts sit where hosting is cheap; all other actors follow the users."""
    if a.name not in ("farm", "residential", "agent"):
        return REGION_SHARE
    return 0.7 * REGION_SHARE + 0.3 * np.array([40, 5, 20, 10, 0, 10, 0, 0, 0, 5, 10, 0]) / 100


def _form(rng: Generator, a: Actor, n: int) -> dict[str, Floats]:
    """Signals about the browser, the mail address and the form."""
    return {
        "ua_entropy": np.clip(rng.normal(*a.entropy, n), 0, 8).round(2),
        "email_domain_reputation": rng.beta(*a.reputation, n).round(3),
        "email_domain_age_days": np.clip(np.floor(rng.lognormal(*a.domain_age, n)), 0, 15000),
        "is_disposable_email": (rng.random(n) < a.disposable).astype(np.float64),
        "email_digit_share": rng.beta(*a.digits, n).round(2),
        "email_local_length": np.clip(rng.poisson(10, n), 1, 64).astype(np.float64),
        "name_email_similarity": rng.beta(*a.similarity, n).round(2),
        "fields_pasted": np.minimum(rng.poisson(a.pasted, n), 12).astype(np.float64),
        "form_seconds": np.clip(rng.lognormal(*a.form, n), 0.3, 3600).round(1),
        "channel": rng.choice(4, size=n, p=a.channel).astype(np.float64),
        "hour_local": _local_hours(rng, a.night, n),
    }


def _remove(rng: Generator, columns: dict[str, Floats], share: float, *names: str) -> None:
    """Set the named columns to missing in the same random share of the rows."""
    gone = rng.random(len(columns[names[0]])) < share
    for name in names:
        columns[name][gone] = np.nan


def _lose(rng: Generator, columns: dict[str, Floats], a: Actor, drift: bool) -> None:
    """Look-ups fail together: one source feeds several features."""
    careful = a.name in ("farm", "residential", "privacy")
    columns["ip_phone_km"][columns["phone_type"] == PHONE_TYPES.index("none")] = np.nan
    _remove(rng, columns, 0.02, "ip_signups_1h", "ip_signups_1d")
    _remove(rng, columns, 0.03, "asn_risk", "is_proxy", "is_tor", "country_group")
    device = (0.09 if drift else 0.05) + (0.06 if careful else 0.0)
    _remove(rng, columns, device, "device_signups_1d", "device_age_days")
    _remove(rng, columns, 0.05, "email_domain_reputation", "email_domain_age_days")
    _remove(rng, columns, 0.02, "is_disposable_email")
    _remove(rng, columns, 0.03, "form_seconds", "fields_pasted")
    _remove(rng, columns, 0.03, "name_email_similarity")
    _remove(rng, columns, 0.025, "ip_phone_km")
    _remove(rng, columns, 0.02, "phone_type")
    _remove(rng, columns, 0.02, "channel")


def _times(
    rng: Generator, hour: Floats, region: Floats, start: datetime, days: int
) -> tuple[NDArray[np.int64], Floats]:
    """Event time in milliseconds, and the local weekday (Monday is 0)."""
    weekdays = np.array([(start + timedelta(days=d)).weekday() for d in range(days)])
    weights = np.array([1.05, 1.08, 1.08, 1.05, 1.0, 0.86, 0.88])[weekdays]
    day = rng.choice(days, size=len(hour), p=weights / weights.sum())
    seconds = day * 86400 + hour * 3600 + rng.integers(0, 3600, len(hour))
    zone = UTC_HOURS[region.astype(int)] * 3600
    seconds = (seconds - zone) % (days * 86400)
    local_day = (seconds + zone) // 86400
    time_ms = (int(start.timestamp()) + seconds.astype(np.int64)) * 1000
    return time_ms, (start.weekday() + local_day) % 7


def generate_period(
    rng: Generator, start: datetime, end: datetime, drift: bool, lose: bool = True
) -> Events:
    """Generate the events of one period, sorted by time."""
    days = (end - start).days
    shares = np.array([a.drift_share if drift else a.share for a in ACTORS])
    sizes = rng.multinomial(days * EVENTS_PER_DAY, shares / shares.sum())
    parts, times, labels, names = [], [], [], []
    for actor, size in zip(ACTORS, sizes, strict=True):
        n = int(size)
        columns = _network(rng, actor, n) | _form(rng, actor, n)
        hour, region = columns["hour_local"], columns["country_group"]
        time_ms, columns["weekday"] = _times(rng, hour, region, start, days)
        if lose:
            _lose(rng, columns, actor, drift)
        parts.append(columns)
        times.append(time_ms)
        labels.append((rng.random(n) < actor.disabled).astype(np.float64))
        names.append(np.full(n, actor.name, dtype="U12"))
    time_all = np.concatenate(times)
    order = np.argsort(time_all, kind="stable")
    merged = {key: np.concatenate([part[key] for part in parts])[order] for key in parts[0]}
    label, names_all = np.concatenate(labels), np.concatenate(names)
    return Events(merged, time_all[order], label[order], names_all[order])


def generate(seed: int = 7) -> Events:
    """Generate all eight months."""
    rng = np.random.default_rng(seed)
    before = generate_period(rng, START, DRIFT, drift=False)
    after = generate_period(rng, DRIFT, END, drift=True)
    return Events(
        {key: np.concatenate([before.columns[key], after.columns[key]]) for key in before.columns},
        np.concatenate([before.time_ms, after.time_ms]),
        np.concatenate([before.label, after.label]),
        np.concatenate([before.actor, after.actor]),
    )


def main() -> None:
    """Print the size, the positive rate and the missing share of each column."""
    events = generate()
    print(f"{len(events.label)} events, {events.label.mean():.4f} positive")
    for name, column in events.columns.items():
        gone = np.isnan(column)
        print(f"{name:26} missing {gone.mean():.3f}  mean {column[~gone].mean():.3f}")


if __name__ == "__main__":
    main()
