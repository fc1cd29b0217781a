import numpy as np
import pytest
from scipy.stats import entropy

from sklearnloss.strategies.bald import bald


@pytest.fixture
def committee():
    return np.random.default_rng(0).dirichlet(np.ones(4) * 0.5, size=(6, 30))


def test_is_the_mutual_information_of_member_and_class(committee):
    members, n, k = committee.shape
    expected = []
    for i in range(n):
        joint = committee[:, i] / members  # a member is drawn, then a class by its probabilities
        by_class = joint.sum(axis=0)
        expected.append(sum(
            joint[m, c] * np.log(joint[m, c] / (by_class[c] / members)) for m in range(members) for c in range(k)
        ))  # fmt: skip
    np.testing.assert_allclose(bald(committee), expected, atol=1e-12)


def test_is_zero_where_all_members_agree_and_log_2_where_two_contradict():
    agree = np.repeat(np.array([[[0.5, 0.5], [0.9, 0.1]]]), 3, axis=0)
    np.testing.assert_allclose(bald(agree), 0, atol=1e-15)
    assert bald(np.array([[[1.0, 0.0]], [[0.0, 1.0]]])) == pytest.approx(np.log(2))


def test_lies_between_zero_and_the_entropy_of_the_mean(committee):
    information = bald(committee)
    assert (information >= 0).all()
    assert (information <= entropy(committee.mean(axis=0), axis=1) + 1e-12).all()


def test_a_learner_asks_by_its_committee(asked):
    found = asked("bald", "digits", committee=4)
    votes = np.stack([member.predict_proba(found.pool) for member in found.learner._committee()])
    assert found.rows.tolist() == found.first(bald(votes))
    found.teach()
