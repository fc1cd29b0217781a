"""Small comparisons that take a moment."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from sklearnloss import LossClassifier, compare
from sklearnloss.comparison.strategy_findings import StrategySettings
from sklearnloss.comparison.strategy_result import StrategyComparison


@pytest.fixture(scope="session")
def blobs():
    """Three classes that overlap, 120 rows of 4 columns."""
    return make_blobs(120, n_features=4, centers=3, cluster_std=4.0, random_state=0)


@pytest.fixture(scope="session")
def quick():
    """Return what makes a fit take a few hundredths of a second."""
    return LossClassifier(hidden_layer_sizes=(8,), lr=0.05, max_epochs=6)


@pytest.fixture(scope="session")
def result(blobs, quick):
    """Three losses and one that fails, compared on two times three folds."""
    return compare(
        *blobs,
        losses={"gce": {"q": [0.4, 0.7]}, "ce": "cross_entropy", "broken": broken},
        baseline="ce",
        estimator=quick,
        cv=3,
        name="blobs",
    )


def broken(logits, y):
    """Fail."""
    raise RuntimeError("this loss\nis broken")


@pytest.fixture
def uneven():
    """Two classes, 12 times as many rows of one as of the other."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [120, 10])
    return rng.normal(size=(130, 3)) + y[:, None], y


@pytest.fixture(scope="session")
def made_strategies():
    """Return what makes up a comparison of strategies from a curve of each seed, so that it takes no training."""

    def make(curves, *, failed=None, unscored=(), finished=True, full=0.97, seconds=None, warnings=None, **changes):
        curves = {name: np.atleast_2d(np.asarray(scores, dtype=float)) for name, scores in curves.items()}
        first = next(iter(curves.values()), np.zeros((5, 5)))
        labels = [20 + 10 * i for i in range(first.shape[1])]
        metric = changes.get("metric", "accuracy")
        records = {
            name: [
                {
                    "strategy": name,
                    "repeat": seed,
                    "fold": 0,
                    "error": None,
                    "warnings": list((warnings or {}).get(name, ())),
                    "scores": {metric: float(np.trapezoid(scores, labels) / (labels[-1] - labels[0]))},
                    "curve": {"labels": labels, "score": scores.tolist()},
                    "seconds": [(seconds or {}).get(name, 0.002)] * (len(labels) - 1),
                    "full": full if name == "random" else None,
                }
                for seed, scores in enumerate(rows)
            ]
            for name, rows in curves.items()
        }
        for name, reason in (failed or {}).items():
            records[name] = [{"strategy": name, "repeat": 0, "fold": 0, "error": reason, "warnings": []}]
        given = {
            "name": "made up",
            "metric": "accuracy",
            "scorer": "accuracy",
            "baseline": "random",
            "n_initial": 20,
            "batch_size": 10,
            "n_rounds": len(labels) - 1,
            "n_seeds": len(first),
            "n_pool": 700,
            "n_test": 300,
            "columns": 8,
            "classes": 3,
            "random_state": 0,
            "estimator": "GaussianNB()",
            "versions": {"sklearnloss": "0.1.0"},
        }
        names = [*curves, *(failed or {}), *unscored]
        return StrategyComparison(StrategySettings(**given | changes), names, records, finished=finished)

    return make
