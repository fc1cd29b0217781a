import numpy as np
import pytest

from sklearnloss.strategies.greedy_y import greedy_y


def greedy(prediction, targets, n):
    chosen, known = [], list(targets)
    for _ in range(n):
        distance = [min(abs(p - k) for k in known) for p in prediction]
        chosen.append(int(np.argmax(distance)))
        known.append(prediction[chosen[-1]])
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_takes_the_prediction_farthest_from_all_targets(seed):
    rng = np.random.default_rng(seed)
    prediction, targets = rng.normal(size=50), rng.normal(size=6)
    assert greedy_y(prediction, y_labeled=targets, n=9, rng=rng).tolist() == greedy(prediction, targets, 9)


def test_begins_at_a_random_row_where_there_is_no_target():
    prediction = np.arange(20.0)
    first = {int(greedy_y(prediction, y_labeled=np.empty(0), n=1, rng=np.random.default_rng(s))[0]) for s in range(5)}
    assert len(first) > 1
    rows = greedy_y(prediction, y_labeled=np.empty(0), n=3, rng=np.random.default_rng(0)).tolist()
    assert rows[1:] == greedy(prediction, [prediction[rows[0]]], 2)


def test_a_learner_asks_it_by_either_name(asked):
    found = asked("greedy_y", "diabetes")
    expected = greedy(found.fitted.predict(found.pool), found.y[found.seen], 8)
    assert found.rows.tolist() == found.rest[expected].tolist()
    assert found.rows.tolist() == asked("gsy", "diabetes").rows.tolist()
    found.teach()
