import numpy as np
import pytest

from sklearnloss.strategies.badge import badge


def gradients(proba, embeddings):
    """Return the gradient of the log loss by the last layer's weight, the prediction taken for the truth."""
    rows = [np.outer(p - np.eye(len(p))[p.argmax()], x).ravel() for p, x in zip(proba, embeddings, strict=True)]
    return np.array(rows)


def drawn(vectors, n, rng):
    """Draw the centers of k-means++ from the vectors themselves."""
    chosen = [int(np.linalg.norm(vectors, axis=1).argmax())]
    while len(chosen) < n:
        square = np.array([min(((v - vectors[c]) ** 2).sum() for c in chosen) for v in vectors])
        chosen.append(int(rng.choice(len(vectors), p=square / square.sum())))
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_draws_the_centers_of_k_means_plus_plus_among_gradients(seed, proba):
    embeddings = np.random.default_rng(seed).normal(size=(40, 3))
    found = badge(proba, embeddings=embeddings, n=12, rng=np.random.default_rng(seed))
    assert found.tolist() == drawn(gradients(proba, embeddings), 12, np.random.default_rng(seed))


def test_the_second_row_is_drawn_by_its_squared_distance(proba):
    embeddings = np.random.default_rng(0).normal(size=(40, 3))
    vectors, rng = gradients(proba, embeddings), np.random.default_rng(0)
    pairs = np.array([badge(proba, embeddings=embeddings, n=2, rng=rng) for _ in range(4000)])
    assert (pairs[:, 0] == np.linalg.norm(vectors, axis=1).argmax()).all()
    square = ((vectors - vectors[pairs[0, 0]]) ** 2).sum(axis=1)
    expected = square / square.sum()
    error = np.bincount(pairs[:, 1], minlength=40) / 4000 - expected
    assert (np.abs(error) <= 4.5 * np.sqrt(expected * (1 - expected) / 4000)).all()


def test_rows_with_the_gradient_of_a_chosen_one_come_last():
    proba, rows = np.tile([[0.6, 0.4], [0.3, 0.7], [0.5, 0.5]], (4, 1)), np.tile([[1.0, 2], [0, 1], [3, 0]], (4, 1))
    for seed in range(10):
        found = badge(proba, embeddings=rows, n=12, rng=np.random.default_rng(seed))
        assert set((found[:3] % 3).tolist()) == {0, 1, 2}
        assert sorted(found.tolist()) == list(range(12))


def test_certain_rows_are_drawn_though_they_have_no_gradient():
    found = badge(np.eye(3), embeddings=np.ones((3, 2)), n=3, rng=np.random.default_rng(0))
    assert sorted(found.tolist()) == [0, 1, 2]


def test_in_single_precision_the_rows_are_the_same(proba):
    embeddings = np.random.default_rng(0).normal(size=(40, 3))
    single = badge(
        proba.astype(np.float32), embeddings=embeddings.astype(np.float32), n=10, rng=np.random.default_rng(0)
    )
    assert single.tolist() == badge(proba, embeddings=embeddings, n=10, rng=np.random.default_rng(0)).tolist()


def test_a_learner_asks_the_row_with_the_longest_gradient_first(asked):
    found = asked("badge", "digits")
    length = np.linalg.norm(gradients(found.fitted.predict_proba(found.pool), found.pool), axis=1)
    assert found.rows[0] == found.rest[length.argmax()]
    found.teach()
