from collections import Counter

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.ensemble import RandomForestClassifier

from sklearnloss import ActiveLearner
from sklearnloss.strategies.bald import bald
from sklearnloss.strategies.qbc import qbc


@pytest.fixture
def committee():
    return np.random.default_rng(0).dirichlet(np.ones(3), size=(7, 40))


def test_vote_entropy_counts_votes(committee):
    for found, row in zip(qbc(committee), committee.transpose(1, 0, 2), strict=True):
        votes = Counter(int(np.argmax(member)) for member in row)
        assert found == pytest.approx(entropy(list(votes.values())))


def test_variation_is_the_share_against_the_majority(committee):
    for found, row in zip(qbc(committee, disagreement="variation"), committee.transpose(1, 0, 2), strict=True):
        votes = Counter(int(np.argmax(member)) for member in row)
        assert found == pytest.approx(1 - max(votes.values()) / 7)


def test_consensus_kl_is_the_mean_divergence_from_the_mean_and_so_bald(committee):
    mean = committee.mean(axis=0)
    expected = np.mean([entropy(member, mean, axis=1) for member in committee], axis=0)
    found = qbc(committee, disagreement="consensus_kl")
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found, bald(committee), atol=1e-12)


def test_votes_do_not_see_how_sure_a_member_is():
    sure, unsure = np.array([[[0.99, 0.01]], [[0.01, 0.99]]]), np.array([[[0.51, 0.49]], [[0.49, 0.51]]])
    assert qbc(sure) == qbc(unsure) == pytest.approx(np.log(2))
    assert qbc(sure, disagreement="consensus_kl") > 100 * qbc(unsure, disagreement="consensus_kl")


def test_a_learner_lets_the_trees_of_a_forest_vote(asked):
    found = asked("query_by_committee", "digits")
    found.teach()
    known = np.full(len(found.y), -1)
    known[found.seen] = found.y[found.seen]
    forest = RandomForestClassifier(9, random_state=0)
    learner = ActiveLearner(forest, "qbc", batch_size=5, random_state=0).fit(found.X, known)
    learner.query()
    trees = learner.estimator_.estimators_
    votes = np.stack([tree.predict(found.pool) for tree in trees])
    expected = [entropy(np.unique(column, return_counts=True)[1]) for column in votes.T]
    np.testing.assert_allclose(learner.utilities_[found.rest], expected, atol=1e-12)
