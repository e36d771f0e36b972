"""Logistic regression behind an imputer and a scaler, which fold into the model.

python models/sklearn/logistic_regression.py [OUT_DIR]
"""

from __future__ import annotations

from pathlib import Path

from common import folder, hand_over, payments
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(out: Path) -> None:
    """Trains, exports and writes rows with the trainer's probabilities."""
    x, fraud = payments(missing=True)
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    model.fit(x, fraud)
    hand_over(model, x, out)


if __name__ == "__main__":
    main(folder("logistic_regression"))
