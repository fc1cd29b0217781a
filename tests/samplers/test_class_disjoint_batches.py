import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from sklearnloss import MetricEmbedder
from sklearnloss.exceptions import DataError
from sklearnloss.samplers.class_disjoint_batches import class_disjoint_batches


def epoch(y, size=32, seed=0, **params):
    return list(class_disjoint_batches(y, batch_size=size, rng=np.random.default_rng(seed), **params))


def collisions(batches, y):
    """Return how likely two rows of a batch are of one class."""
    pairs = same = 0
    for rows in batches:
        labels = np.bincount(y[rows])
        same += (labels * (labels - 1)).sum()
        pairs += len(rows) * (len(rows) - 1)
    return same / pairs


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return y, {k: KMeans(k, n_init=1, random_state=0).fit_predict(X) for k in (10, 64)}


@pytest.mark.parametrize("size", [2, 5, 8, 100])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_batch_has_two_rows_of_a_class_and_no_row_comes_twice(size, seed):
    y = np.random.default_rng(seed).integers(0, 8, size=300)
    batches = epoch(y, size, seed)
    for rows in batches:
        assert len(set(y[rows])) == len(rows) <= size
        assert len(rows) >= max(2, min(size, 8) // 2)
    drawn = np.concatenate(batches)
    assert len(set(drawn)) == len(drawn)


def test_classes_of_equal_size_are_all_in_every_batch():
    y = np.arange(60) % 6
    batches = epoch(y, 6)
    assert [len(rows) for rows in batches] == [6] * 10
    assert sorted(np.concatenate(batches)) == list(range(60))


def test_clusters_are_never_repeated_in_late_batches(digits):
    _, clusters = digits
    batches = epoch(clusters[64], 64)
    for rows in batches[len(batches) // 3 :]:
        assert len(set(clusters[64][rows])) == len(rows)


def test_classes_meet_less_often_than_in_random_batches(digits):
    y, clusters = digits
    chance = collisions(np.array_split(np.random.default_rng(0).permutation(len(y)), 56), y)
    assert chance == pytest.approx(0.098, abs=0.006)
    many = epoch(clusters[64], 32)
    assert collisions(many, y) < chance - 0.005  # about 0.084
    assert sum(map(len, many)) / len(y) > 0.9
    assert collisions(epoch(clusters[10], 10), y) < 0.05  # about 0.033


def test_as_many_classes_as_rows_are_random_batches():
    batches = epoch(np.arange(100), 32)
    assert [len(rows) for rows in batches] == [32, 32, 32]
    assert len(set(np.concatenate(batches))) == 96


def test_common_classes_come_more_often():
    y = np.repeat(np.arange(6), [100, 20, 20, 20, 20, 20])
    batches = epoch(y, 2)
    assert np.mean([0 in y[rows] for rows in batches[:50]]) > 0.6  # of equal chances it were a third


def test_groups_come_before_classes():
    y, group = np.zeros(40, dtype=int), np.arange(40) % 4
    assert all(sorted(group[rows]) == [0, 1, 2, 3] for rows in epoch(y, 4, group=group))


def test_other_rows_of_a_common_class_come_each_epoch():
    y = np.repeat([0, 1], [100, 10])
    drawn = [set(np.concatenate(epoch(y, 16, seed))) for seed in (0, 1)]
    assert all(len(rows) == 20 for rows in drawn)
    assert drawn[0] != drawn[1]


def test_batches_of_one_row_take_every_row():
    assert sorted(np.concatenate(epoch(np.arange(10) % 3, 1))) == list(range(10))


def test_one_class_is_refused():
    with pytest.raises(DataError, match="needs two classes or more, it has one"):
        epoch(np.zeros(10, dtype=int))


def test_the_order_follows_the_generator():
    y = np.arange(60) % 6
    first, again, other = (np.concatenate(epoch(y, 4, seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_trains_by_name_with_clusters():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    group = KMeans(10, n_init=1, random_state=0).fit_predict(X)
    model = MetricEmbedder(
        "ntxent", views="noise", sampler="class_disjoint_batches", max_epochs=2, batch_size=10, random_state=0
    )
    assert np.isfinite(model.fit(X, group=group).transform(X)).all()
