import numpy as np
import pytest

from sklearnloss.samplers.knn_batch import knn_batch


def embedded(n=100, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3))


def epoch(embeddings, size=16, seed=0, **params):
    return list(knn_batch(embeddings, batch_size=size, rng=np.random.default_rng(seed), **params))


def nearest(embeddings, row, k):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return set(np.argsort(-(unit @ unit[row]))[1 : k + 1])


@pytest.mark.parametrize(("group_size", "n_neighbors"), [(4, 31), (4, 3), (2, 1)])
def test_each_group_is_a_row_and_different_ones_of_its_nearest(group_size, n_neighbors):
    embeddings = embedded()
    for rows in epoch(embeddings, group_size=group_size, n_neighbors=n_neighbors):
        for seed, *others in rows.reshape(-1, group_size):
            assert len(set(others)) == group_size - 1
            assert set(others) <= nearest(embeddings, seed, n_neighbors)


def test_an_epoch_begins_a_group_with_each_of_a_share_of_the_rows():
    batches = epoch(embedded(), size=16, group_size=4)
    seeds = np.concatenate([rows[::4] for rows in batches])
    assert len(seeds) == len(set(seeds)) == 25
    assert len(batches) == 7
    assert {len(rows) for rows in batches} == {12, 16}


def test_groups_of_one_are_a_permutation():
    assert sorted(np.concatenate(epoch(embedded(), group_size=1))) == list(range(100))


def test_batches_are_more_alike_than_random_ones():
    embeddings = embedded(200)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    def likeness(batches):
        return np.mean([(unit[rows] @ unit[rows].T).mean() for rows in batches])

    for seed in range(3):
        assert likeness(epoch(embeddings, seed=seed)) > likeness(epoch(embeddings, seed=seed, group_size=1))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_rows_than_a_group_make_one_group(n):
    assert [sorted(rows) for rows in epoch(embedded(n), group_size=4)] == [list(range(n))]


def test_groups_follow_the_generator():
    first, again, other = (np.concatenate(epoch(embedded(), seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
