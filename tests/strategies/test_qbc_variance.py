import statistics

import numpy as np
import pytest

from sklearnloss.strategies.qbc_variance import qbc_variance


def test_is_the_variance_over_the_members():
    predictions = np.random.default_rng(0).normal(size=(5, 20))
    for found, column in zip(qbc_variance(predictions), predictions.T.tolist(), strict=True):
        assert found == pytest.approx(statistics.pvariance(column))


def test_does_not_see_what_all_members_share():
    predictions = np.random.default_rng(0).normal(size=(5, 20))
    np.testing.assert_allclose(qbc_variance(predictions + np.arange(20)), qbc_variance(predictions))


def test_a_learner_asks_by_its_committee(asked):
    found = asked("qbc_variance", "diabetes")
    predictions = [member.predict(found.pool).tolist() for member in found.learner._committee()]
    assert len(predictions) == 8
    assert found.rows.tolist() == found.first(
        np.array([statistics.pvariance(p) for p in zip(*predictions, strict=True)])
    )
    found.teach()
