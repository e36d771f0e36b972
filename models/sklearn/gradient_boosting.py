"""Gradient boosting: a sum of trees through a logistic link.

python models/sklearn/gradient_boosting.py [OUT_DIR]
"""

from __future__ import annotations

from pathlib import Path

from common import folder, hand_over, payments
from sklearn.ensemble import GradientBoostingClassifier


def main(out: Path) -> None:
    """Trains, exports and writes rows with the trainer's probabilities."""
    x, fraud = payments()
    model = GradientBoostingClassifier(n_estimators=80, max_depth=3, random_state=1)
    model.fit(x, fraud)
    hand_over(model, x, out)


if __name__ == "__main__":
    main(folder("gradient_boosting"))
