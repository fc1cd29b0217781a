"""The main job on a bundled data set: which loss suits these data? Run by ``make demo``.

Digits with a fifth of the labels flipped. The losses are compared by cross-validation on the noisy labels alone; then
the best and the baseline are judged on clean rows that neither has seen.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearnloss import Loss, LossClassifier, compare

__all__ = ["flip", "main"]

LOSSES = [
    "cross_entropy",
    Loss("label_smoothing", smoothing=0.4),
    "focal",
    Loss("gce", q=0.7),
    Loss("ldr", lam=2.0),
    Loss("aldr", lam=3.0, margin=4.0),
    Loss("encouraging", log_end=0.75),
    "mae_proba",
]
NOISE = 0.2
SOURCE = """\
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearnloss.demo import flip

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, test_size=0.3, stratify=y, random_state=0)
y = flip(y, 0.2, np.random.default_rng(0))"""


def main(folder: Path = Path("compare-digits-flipped"), epochs: int = 80) -> None:
    """Compare, judge on clean rows, and write the report.

    Parameters
    ----------
    folder : Path
        Where the finished fits and the report go; a second run goes on from there.
    epochs : int
        Of each fit.
    """
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, test_size=0.3, stratify=y, random_state=0)
    noisy = flip(y, NOISE, np.random.default_rng(0))
    print(f"digits: {len(X)} rows, {NOISE:.0%} of their labels flipped\n")
    result = compare(
        X,
        noisy,
        losses=LOSSES,
        estimator=LossClassifier(max_epochs=epochs),
        store=folder,
        n_jobs=2,
        progress=True,
        name=f"digits, {NOISE:.0%} of the labels flipped",
        source=SOURCE,
    )
    print(f"{result}\n\n{len(X_test)} clean rows, seen by none:")
    for loss in dict.fromkeys((result.best, result.settings.baseline)):
        print(f"  {loss} {result.best_estimator(loss).score(X_test, y_test):.3f}")
    print(f"\nreport: {result.report(folder / 'report.html')}")


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
