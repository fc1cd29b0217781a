import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics.pairwise import cosine_similarity

from sklearnloss.strategies.density_weighted import density_weighted
from sklearnloss.strategies.margin import margin

MEASURES = {
    "margin": lambda p: 1 - (np.sort(p)[-1] - np.sort(p)[-2]),
    "entropy": entropy,
    "least_confidence": lambda p: 1 - p.max(),
}


@pytest.fixture
def embeddings():
    return np.random.default_rng(1).normal(size=(40, 3)) + 2


@pytest.mark.parametrize("uncertainty", MEASURES)
@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_multiplies_by_the_mean_similarity_to_all_rows(proba, embeddings, uncertainty, beta):
    similar = (1 + cosine_similarity(embeddings - embeddings.mean(axis=0))) / 2
    expected = [MEASURES[uncertainty](p) * s.mean() ** beta for p, s in zip(proba, similar, strict=True)]
    found = density_weighted(proba, embeddings=embeddings, beta=beta, uncertainty=uncertainty)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_without_a_power_only_the_uncertainty_counts(proba, embeddings):
    found = density_weighted(proba, embeddings=embeddings, beta=0.0, uncertainty="margin")
    np.testing.assert_array_equal(found, margin(proba))


def test_of_equal_doubt_the_row_in_the_crowd_comes_before_the_one_apart():
    rows = np.concatenate([np.random.default_rng(0).normal(size=(30, 2)) * 0.1 + [3, 0], [[-3.0, 0.5]]])
    found = density_weighted(np.full((31, 2), 0.5), embeddings=rows)
    assert found.argmin() == 30


def test_a_row_at_the_mean_and_a_pool_of_equal_rows_are_half_as_dense_as_can_be():
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    even = np.full((3, 2), 0.5)
    assert density_weighted(even, embeddings=rows)[2] == pytest.approx(np.log(2) / 2)
    np.testing.assert_allclose(density_weighted(even, embeddings=np.ones((3, 2))), np.log(2) / 2)


def test_a_learner_asks_it_by_either_name(asked):
    found = asked("density_weighted", "digits")
    proba = found.fitted.predict_proba(found.pool)
    similar = (1 + cosine_similarity(found.pool - found.pool.mean(axis=0))) / 2
    assert found.rows.tolist() == found.first(entropy(proba, axis=1) * similar.mean(axis=1))
    assert found.rows.tolist() == asked("information_density", "digits").rows.tolist()
    found.teach()
