"""Histogram gradient boosting, which sends missing values to a side of their own.

python models/sklearn/hist_gradient_boosting.py [OUT_DIR]
"""

from __future__ import annotations

from pathlib import Path

from common import folder, hand_over, payments
from sklearn.ensemble import HistGradientBoostingClassifier


def main(out: Path) -> None:
    """Trains, exports and writes rows with the trainer's probabilities."""
    x, fraud = payments(missing=True)
    model = HistGradientBoostingClassifier(max_iter=80, max_leaf_nodes=15, random_state=1)
    model.fit(x, fraud)
    hand_over(model, x, out)


if __name__ == "__main__":
    main(folder("hist_gradient_boosting"))
