"""How a model of the grid is trained, and how a file is edited into older or odder forms."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from lightgbm_data import Data, Floats, Spec
from lightgbm_rows import ZERO_BAND

Params = dict[str, Any]

BASE: Params = {
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 7,
    "min_data_in_leaf": 5,
    "num_leaves": 15,
}
RANKING = ("lambdarank", "rank_xendcg")


@dataclass(frozen=True)
class Case:
    """One folder of the grid; `expect` holds patterns that prove the case is what it says."""

    id: str
    params: Params = field(default_factory=dict)
    spec: Spec = field(default_factory=Spec)
    rounds: int = 20
    iterations: int | None = None
    train: Callable[[Case, Data], lgb.Booster] | None = None
    edit: Callable[[str], str] | None = None
    names: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()
    depth: int = 0
    note: str = ""
    quick: bool = False


def merged(case: Case) -> Params:
    """Base parameters under the case's own."""
    return {**BASE, "objective": "regression", **case.params}


def dataset(case: Case, data: Data) -> lgb.Dataset:
    """Wraps the data, with query groups only where the objective ranks."""
    params = merged(case)
    rows = len(data.y)
    return lgb.Dataset(
        data.x,
        data.y,
        group=[20] * (rows // 20) if params["objective"] in RANKING else None,
        categorical_feature=data.categorical,
        feature_name=list(case.names) or "auto",
        params=params,
        free_raw_data=False,
    )


def train_plain(case: Case, data: Data) -> lgb.Booster:
    """The ordinary way; data the library refuses to split still gives a model."""
    return lgb.train(merged(case), dataset(case, data), case.rounds)


def train_custom(case: Case, data: Data) -> lgb.Booster:
    """A caller's own objective, which leaves the file without an objective line."""

    def gradients(score: Floats, _: lgb.Dataset) -> tuple[Floats, Floats]:
        prob = 1.0 / (1.0 + np.exp(-score))
        return prob - data.y, prob * (1.0 - prob)

    params = {**merged(case), "objective": gradients}
    return lgb.train(params, dataset(case, data), case.rounds)


def train_continued(case: Case, data: Data) -> lgb.Booster:
    """Half the rounds, then the rest from the saved first half."""
    half = case.rounds // 2
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "first.txt")
        lgb.train(merged(case), dataset(case, data), half).save_model(path)
        params = {**merged(case), "learning_rate": 0.3}
        return lgb.train(params, dataset(case, data), case.rounds - half, init_model=path)


def train_refit(case: Case, data: Data) -> lgb.Booster:
    """Same trees, leaves moved towards a reversed label."""
    label = data.y[::-1].copy()
    return train_plain(case, data).refit(data.x, label, decay_rate=0.3, num_threads=1)


def train_leaves(case: Case, data: Data) -> lgb.Booster:
    """Leaf outputs set by hand, at magnitudes training would not reach."""
    booster = train_plain(case, data)
    for leaf, value in enumerate((1e300, -1e300, 5e-324, 1e-34, 0.1 + 0.2)):
        booster.set_leaf_output(1, leaf, value)
    return booster


def train_rollback(case: Case, data: Data) -> lgb.Booster:
    """Two iterations taken back again."""
    params = merged(case)
    booster = lgb.train(params, dataset(case, data), case.rounds, keep_training_booster=True)
    return booster.rollback_one_iter().rollback_one_iter()


def train_forced(case: Case, data: Data) -> lgb.Booster:
    """The top of every tree prescribed."""
    text = (
        '{"feature": 0, "threshold": 0.25, "left": {"feature": 1, "threshold": 2.5},'
        ' "right": {"feature": 3, "threshold": 0.5}}'
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forced.json"
        path.write_text(text, encoding="utf-8")
        params = {**case.params, "forcedsplits_filename": str(path)}
        booster = train_plain(Case(case.id, params, case.spec, case.rounds), data)
    return lgb.Booster(model_str=re.sub(r"\[forcedsplits.*\]", "", booster.model_to_string()))


def with_sizes(text: str) -> str:
    """Recomputes tree_sizes, by which the library finds the trees of an edited file."""
    head, rest = text.split("\ntree_sizes=", 1)
    body, tail = rest.split("\nend of trees", 1)
    trees = ["Tree=" + block for block in body.split("\nTree=")[1:]]
    trees = [tree + "\n" for tree in trees]
    sizes = " ".join(str(len(tree.encode("utf-8"))) for tree in trees)
    return f"{head}\ntree_sizes={sizes}\n\n{''.join(trees)}end of trees{tail}"


def edit_thresholds(text: str) -> str:
    """Numeric thresholds inside and at the edges of the zero band, and at the far ends."""
    above = float(np.nextafter(ZERO_BAND, 1.0))
    band = (ZERO_BAND, -ZERO_BAND, above, -above, 1e-40, -1e-40, -2e-36, 2e-36)
    supply = itertools.cycle((*band, 5e-324, -5e-324, -0.0, 0.0, 1e-310, 1e300, -1e300, 0.5))

    def swap(line: re.Match[str]) -> str:
        return "\nthreshold=" + " ".join(repr(next(supply)) for _ in line[1].split())

    return with_sizes(re.sub(r"\nthreshold=([^\n]*)", swap, text))


def edit_leaves(text: str) -> str:
    """Leaves so large that exp overflows on one side and vanishes on the other."""

    def swap(line: re.Match[str]) -> str:
        return "\nleaf_value=" + " ".join(repr(4e3 * float(word)) for word in line[1].split())

    return with_sizes(re.sub(r"\nleaf_value=([^\n]*)", swap, text))


def edit_old(text: str) -> str:
    """What older releases wrote: no tree_sizes, no is_linear, no leaf_weight, version v3."""
    text = re.sub(r"\n(tree_sizes|is_linear|leaf_weight|internal_weight)=[^\n]*", "", text)
    return text.replace("version=v4", "version=v3", 1)


def edit_tail(text: str) -> str:
    """A trailing category list, as training from a data frame leaves it."""
    tail = 'pandas_categorical:[["a=b", "c d", "end of trees"], [1, 2, 3]]'
    return text.replace("pandas_categorical:null", tail)
