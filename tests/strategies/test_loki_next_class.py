import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sklearnloss import ActiveLearner, Strategy
from sklearnloss.exceptions import ParameterError
from sklearnloss.strategies.least_confidence import least_confidence
from sklearnloss.strategies.loki_next_class import loki_next_class

PATH = np.abs(np.subtract.outer(np.arange(8.0), np.arange(8.0)))


def test_is_minus_the_squared_distance_expected_to_the_next_class():
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    found = loki_next_class(proba, y_labeled=np.array([0, 3, 1, 3]), label_distances=PATH)
    # of a path with 0, 1 and 3 all up to 3 can be predicted: the farthest is 7
    expected = [-(p[0] * 49 + p[1] * 36 + p[2] * 16) for p in proba]
    np.testing.assert_allclose(found, expected)


def test_names_of_classes_say_which_row_of_the_table_is_whose():
    names = np.array(list("hgfedcba"))
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    found = loki_next_class(proba, y_labeled=np.array(["h", "e", "g"]), label_distances=PATH, labels=names)
    # seen in their order are e, g, h: places 3, 1, 0
    np.testing.assert_allclose(found, [-(p[0] * 16 + p[1] * 36 + p[2] * 49) for p in proba])


def test_where_all_classes_can_be_reached_rows_far_from_their_prediction_come_first():
    proba = np.random.default_rng(0).dirichlet(np.ones(2), size=20)
    found = loki_next_class(proba, y_labeled=np.array([0, 7]), label_distances=PATH)
    expected = [min(p[0] * y**2 + p[1] * (7 - y) ** 2 for y in range(8)) for p in proba]
    np.testing.assert_allclose(found, expected)


def test_without_distances_it_is_least_confidence():
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    found = loki_next_class(proba, y_labeled=np.array(["a", "b", "c"]))
    np.testing.assert_allclose(found, least_confidence(proba))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"label_distances": PATH[:3, :3]}, "of 3 classes and labels of 3, but 4 is not among them"),
        ({"label_distances": PATH, "labels": [0, 4]}, "of 8 classes and labels of 2, which must be as many"),
    ],
)
def test_a_table_of_other_classes_is_refused(params, message):
    with pytest.raises(ParameterError, match=f"strategy 'loki_next_class': label_distances are {message}"):
        loki_next_class(np.full((2, 2), 0.5), y_labeled=np.array([0, 4]), **params)


def test_a_learner_asks_for_a_class_that_it_never_saw(asked):
    X, y = load_digits(return_X_y=True)
    X, known = X / 16, np.full(len(y), -1)
    known[:60] = np.where(y[:60] <= 4, y[:60], -1)
    distances = np.ones((10, 10)) - np.eye(10)
    distances[9], distances[:, 9] = 5, 5  # nine is far from all others
    distances[9, 9] = 0
    learner = ActiveLearner(
        LogisticRegression(), Strategy("loki_next_class", label_distances=distances), batch_size=5, random_state=0
    ).fit(X, known)
    rows = learner.query()
    proba = learner.predict_proba(X)
    np.testing.assert_allclose(learner.utilities_[rows], -25 * proba[rows].sum(axis=1))
    assert asked("loki_next_class", "digits").rows.tolist() == asked("least_confidence", "digits").rows.tolist()
