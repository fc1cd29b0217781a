from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skactiveml.pool import CoreSet

from sklearnloss.strategies.coreset import coreset


def reach(points, centers):
    return cdist(points, centers).min(axis=1).max()


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_distance_is_at_most_twice_the_least_possible(seed):
    rng = np.random.default_rng(seed)
    points, labeled = rng.normal(size=(14, 2)), rng.normal(size=(2, 2))
    rows = coreset(points, embeddings_labeled=labeled, n=3, rng=rng)
    best = min(reach(points, np.concatenate([labeled, points[list(some)]])) for some in combinations(range(14), 3))
    assert best <= reach(points, np.concatenate([labeled, points[rows]])) <= 2 * best


def test_follows_an_outlier_whatever_the_model_thinks_of_it():
    points = np.concatenate([np.random.default_rng(0).normal(size=(50, 2)), [[40.0, 40.0]]])
    assert coreset(points, embeddings_labeled=points[:1], n=1, rng=np.random.default_rng(0)).tolist() == [50]


@pytest.mark.parametrize("name", ["coreset", "k_center"])
def test_a_learner_asks_what_scikit_activeml_asks(asked, name):
    found = asked(name, "digits")
    hidden = np.full(len(found.y), np.nan)
    hidden[found.seen] = found.y[found.seen]
    assert found.rows.tolist() == CoreSet(random_state=0).query(found.X, hidden, batch_size=8).tolist()
    found.teach()
