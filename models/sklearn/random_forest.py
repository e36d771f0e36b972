"""A random forest: its probability is the mean of the trees' shares.

python models/sklearn/random_forest.py [OUT_DIR]
"""

from __future__ import annotations

from pathlib import Path

from common import folder, hand_over, payments
from sklearn.ensemble import RandomForestClassifier


def main(out: Path) -> None:
    """Trains, exports and writes rows with the trainer's probabilities."""
    x, fraud = payments()
    model = RandomForestClassifier(60, max_depth=8, min_samples_leaf=5, random_state=1)
    model.fit(x, fraud)
    hand_over(model, x, out)


if __name__ == "__main__":
    main(folder("random_forest"))
