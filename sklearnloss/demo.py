"""The main job on a bundled data set: which loss suits these data? Run by ``make demo``.

Digits with a fifth of the training labels flipped; a grid over losses, each with its own parameters, chosen by
cross-validation on the noisy labels alone and then judged on clean ones.
"""

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split

from sklearnloss import LossClassifier

__all__ = ["main"]

GRID = {
    "cross_entropy": {},
    "label_smoothing": {"loss__smoothing": [0.1, 0.4]},
    "focal": {"loss__gamma": [1.0, 2.0]},
    "gce": {"loss__q": [0.4, 0.7, 1.0]},
    "ldr": {"loss__lam": [0.5, 2.0], "loss__margin": [0.1, 1.0]},
    "aldr": {"loss__lam": [0.5, 2.0]},
    "encouraging": {"loss__log_end": [0.5, 0.75]},
    "mae_proba": {},
}
NOISE = 0.2


def main() -> None:
    """Fit, search and print a table."""
    started = time.perf_counter()
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, test_size=0.3, stratify=y, random_state=0)
    noisy = flip(y, NOISE, np.random.default_rng(0))
    print(
        f"digits: {len(X)} training rows, {NOISE:.0%} of their labels flipped; {len(X_test)} clean rows to judge by\n"
    )

    model = LossClassifier(max_epochs=30, random_state=0)
    splits = StratifiedKFold(3, shuffle=True, random_state=0)
    rows = []
    for loss, parameters in GRID.items():
        # the splits and the seed are the same for every loss
        search = GridSearchCV(model, {"loss": [loss], **parameters}, cv=splits, n_jobs=2).fit(X, noisy)
        best = {k.removeprefix("loss__"): v for k, v in search.best_params_.items() if k != "loss"}
        clean = accuracy_score(y_test, search.predict(X_test))
        spread = search.cv_results_["std_test_score"][search.best_index_]
        rows.append((clean, loss, best, search.best_score_, spread, search.refit_time_))
        print(f"  {loss:16s} done after {time.perf_counter() - started:4.0f} s", flush=True)

    print(f"\n{'loss':17s}{'noisy CV':>16s}{'clean test':>12s}{'fit':>8s}   chosen")
    for clean, loss, best, score, spread, seconds in sorted(rows, key=lambda row: -row[0]):
        chosen = ", ".join(f"{k}={v}" for k, v in best.items()) or "-"
        print(f"{loss:17s}{score:8.3f} ± {spread:.3f}{clean:12.3f}{seconds:6.1f} s   {chosen}")
    print(f"\n{time.perf_counter() - started:.0f} s; every name in this table is a value of LossClassifier(loss=...)")


def flip(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return labels of which a share is replaced by another class, each with the same chance.

    Examples
    --------
    >>> y = np.zeros(1000, dtype=int); y[0] = 1
    >>> int((flip(y, 0.2, np.random.default_rng(0)) != y).sum())
    200
    """
    classes = np.unique(y)
    flipped = y.copy()
    for row in rng.choice(len(y), round(share * len(y)), replace=False):
        flipped[row] = rng.choice(classes[classes != y[row]])
    return flipped


if __name__ == "__main__":
    main()
