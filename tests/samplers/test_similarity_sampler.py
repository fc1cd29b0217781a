import numpy as np
import pytest

from sklearnloss.samplers.similarity_sampler import similarity_sampler


def embedded(n=100, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3))


def epoch(embeddings, size=16, seed=0, **params):
    params = {"n_neighbors": 8, "depth": 16, **params}
    return list(similarity_sampler(embeddings, batch_size=size, rng=np.random.default_rng(seed), **params))


@pytest.mark.parametrize("size", [1, 7, 16, 100, 1000])
def test_every_batch_is_full_and_no_row_comes_twice(size):
    batches = epoch(embedded(), size)
    rows = np.concatenate(batches)
    assert {len(b) for b in batches} == {min(size, 100)}
    assert len(batches) == max(1, 100 // size)
    assert len(rows) == len(set(rows))


def test_the_first_row_of_all_comes_like_any_other():
    came = sum(0 in np.concatenate(epoch(embedded(), seed=seed)) for seed in range(40))
    assert came >= 33  # 96 of 100 rows come in an epoch
    rows = np.concatenate(epoch(embedded(96)))
    assert sorted(rows) == list(range(96))


def test_a_row_brings_its_nearest_and_some_of_the_farther():
    embeddings = embedded()
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first = epoch(embeddings, size=9)[0]
    order = np.argsort(-(unit @ unit[first[0]]))
    assert list(first[1:5]) == list(order[1:5])
    assert set(first[5:]) <= set(order[5:17])


@pytest.mark.parametrize("params", [{"n_neighbors": 0, "depth": 0}, {"n_neighbors": 0}, {"depth": 0}])
def test_without_neighbours_it_is_a_permutation(params):
    rows = np.concatenate(epoch(embedded(96), seed=3, **params))
    assert len(set(rows)) == 96
    if params.get("depth") == 0:
        assert (rows == np.random.default_rng(3).permutation(96)).all()


def test_batches_are_more_alike_than_random_ones():
    embeddings = embedded(200)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    def likeness(batches):
        return np.mean([(unit[rows] @ unit[rows].T).mean() for rows in batches])

    for seed in range(3):
        assert likeness(epoch(embeddings, seed=seed)) > likeness(epoch(embeddings, seed=seed, n_neighbors=0))


def test_batches_follow_the_generator():
    first, again, other = (np.concatenate(epoch(embedded(), seed=seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
