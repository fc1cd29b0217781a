import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.neighbors import KNeighborsClassifier

from sklearnloss import ActiveLearner
from sklearnloss.exceptions import TaskError
from sklearnloss.strategies.metric_magnitude import metric_magnitude


def magnitude(points, scale):
    points = np.unique(points, axis=0)
    return np.linalg.solve(np.exp(-scale * cdist(points, points)), np.ones(len(points))).sum()


def increases(pool, points, scale):
    return np.array([magnitude(np.vstack([points, row]), scale) - magnitude(points, scale) for row in pool])


@pytest.fixture
def facts():
    rng = np.random.default_rng(0)
    return rng.normal(size=(25, 2)) * 2, rng.normal(size=(9, 2)), np.array(list("aabbbccca"))


def ask(facts, n, **params):
    pool, labeled, y = facts
    return metric_magnitude(
        pool, embeddings_labeled=labeled, y_labeled=y, n=n, rng=np.random.default_rng(0), **params
    ).tolist()


def test_takes_the_row_that_adds_most_to_the_magnitude(facts):
    pool, known, _ = facts
    chosen = []
    while len(chosen) < 8:
        gain = increases(pool, known, 0.7)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        known = np.vstack([known, pool[chosen[-1]]])
    assert ask(facts, 8, scale=0.7) == chosen


def doubts(facts):
    pool, labeled, y = facts
    by_class = np.sort([increases(pool, labeled[y == c], 0.7) for c in "abc"], axis=0)
    return by_class[0] - by_class[1]


def test_uncertain_rows_add_as_much_to_two_classes(facts):
    assert ask(facts, 8, scale=0.7, mode="uncertainty") == np.argsort(-doubts(facts))[:8].tolist()


def test_the_sum_weighs_both_alike(facts):
    pool, known, _ = facts
    doubt = doubts(facts)
    doubt = (doubt - doubt.min()) / np.ptp(doubt)
    chosen = []
    while len(chosen) < 6:
        gain = increases(pool, known, 0.7)
        gain = gain / gain.max() + doubt
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        known = np.vstack([known, pool[chosen[-1]]])
    assert ask(facts, 6, scale=0.7, mode="sum") == chosen


def test_the_usual_scale_is_one_over_the_median_distance(facts):
    rows = np.concatenate(facts[:2])
    distance = [np.linalg.norm(a - b) for i, a in enumerate(rows) for b in rows[:i]]
    assert ask(facts, 8) == ask(facts, 8, scale=1 / np.median(distance))


def test_a_row_is_not_asked_twice_though_all_are_equal(facts):
    pool = np.ones((12, 2))
    assert sorted(ask((pool, *facts[1:]), 12)) == list(range(12))


def test_begins_at_a_random_row_and_without_classes_looks_for_diversity(facts):
    pool, labeled, _ = facts
    starts = {
        int(metric_magnitude(pool, embeddings_labeled=pool[:0], n=3, rng=np.random.default_rng(s))[0]) for s in range(5)
    }
    assert len(starts) > 1
    assert ask((pool, labeled, np.zeros(9)), 5, mode="uncertainty") == ask(facts, 5)
    assert ask((pool, labeled, None), 5, mode="sum") == ask(facts, 5)


def test_several_labels_a_row_tell_no_uncertainty(facts):
    labels = np.eye(3, dtype=int)[np.arange(9) % 3]
    with pytest.raises(TaskError, match=r"with mode='sum' looks at one class a row, .* multilabel.*; use 'diversity'"):
        ask((*facts[:2], labels), 5, mode="sum")
    assert ask((*facts[:2], labels), 5) == ask(facts, 5)


def test_numbers_tell_no_uncertainty(facts):
    numbers = np.linspace(0.5, 1.2, 9)
    with pytest.raises(TaskError, match="looks at one class a row, the labels are continuous; use 'diversity'"):
        ask((*facts[:2], numbers), 5, mode="uncertainty")
    assert ask((*facts[:2], numbers), 5) == ask(facts, 5)


def test_finds_clusters_of_unequal_sizes_sooner_than_random_rows():
    for seed in range(3):
        sizes = [400, 200, 100, 60, 40, 30, 20, 15, 10, 5]
        X, y = make_blobs(sizes, n_features=2, cluster_std=0.6, random_state=seed)
        areas = []
        for name in ("metric_magnitude", "random"):
            learner = ActiveLearner(KNeighborsClassifier(1), name, batch_size=5, random_state=seed)
            known = np.full(len(y), -1)
            start = np.random.default_rng(seed).choice(len(y), 5, replace=False)
            known[start] = y[start]
            learner.fit(X, known)
            scores = []
            for _ in range(6):
                rows = learner.query()
                scores.append(np.mean([(learner.predict(X[y == c]) == c).mean() for c in range(10)]))
                learner.teach(X[rows], y[rows])
            areas.append(np.mean(scores))
        assert areas[0] > areas[1]


def test_a_learner_asks_it_by_either_name(asked):
    found = asked("metric_magnitude", "digits")
    assert found.rows.tolist() == asked("magnitude", "digits").rows.tolist()
    scale = 1 / np.median([np.linalg.norm(a - b) for i, a in enumerate(found.X) for b in found.X[:i]])
    assert found.rows[0] == found.rest[increases(found.pool, found.X[found.seen], scale).argmax()]
    found.teach()
