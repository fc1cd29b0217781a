import numpy as np
import pytest

from sklearnloss.strategies.max_loss import max_loss


def hinge(row):
    margins = [2 * p - 1 for p in row]
    first = margins.index(max(margins))
    return sum(max(0.0, 1 - (m if j == first else -m)) for j, m in enumerate(margins))


def test_is_the_hinge_loss_of_the_first_label_alone():
    proba = np.random.default_rng(0).random((30, 4))
    np.testing.assert_allclose(max_loss(proba), [hinge(row) for row in proba.tolist()], atol=1e-12)


@pytest.mark.parametrize(("row", "expected"), [([1.0, 0, 0], 0), ([1.0, 1, 1], 4), ([0.5, 0.5], 2), ([0.0, 0.0], 2)])
def test_runs_from_a_single_certain_label_to_all_of_them(row, expected):
    assert max_loss(np.array([row])) == pytest.approx(expected)


def test_a_learner_of_several_labels_asks_it_by_either_name(asked):
    found = asked("max_loss", "several")
    proba = found.fitted.predict_proba(found.pool)
    assert found.rows.tolist() == found.first(np.array([hinge(row) for row in proba.tolist()]))
    assert found.rows.tolist() == asked("mml", "several").rows.tolist()
    found.teach()
