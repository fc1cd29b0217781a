import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from sklearnloss import LossClassifier
from sklearnloss.active.losses import losses_out_of_fold
from sklearnloss.exceptions import DataError, TaskError

X, y = load_breast_cancer(return_X_y=True)
X, y = X[:80, :5], y[:80]


def test_are_log_losses_of_a_model_of_the_other_folds():
    found = losses_out_of_fold(GaussianNB(), X, y, "it")
    for train, test in StratifiedKFold(5).split(X, y):
        proba = GaussianNB().fit(X[train], y[train]).predict_proba(X[test])
        for place, row in enumerate(test):
            assert found[row] == pytest.approx(log_loss(y[[row]], proba[[place]], labels=[0, 1]))


def test_are_squared_errors_of_a_regression():
    rows, target = load_diabetes(return_X_y=True)
    found = losses_out_of_fold(Ridge(), rows, target, "it")
    predicted = cross_val_predict(Ridge(), rows, target, cv=KFold(5, shuffle=True, random_state=0))
    np.testing.assert_allclose(found, (target - predicted) ** 2)


@pytest.mark.parametrize("names", [["no", "yes"], [False, True], [2.0, 5.0]])
def test_classes_of_any_kind_have_the_losses_of_codes(names):
    expected = losses_out_of_fold(GaussianNB(), X, y, "it")
    np.testing.assert_array_equal(losses_out_of_fold(GaussianNB(), X, np.array(names)[y], "it"), expected)
    np.testing.assert_allclose(losses_out_of_fold(GaussianNB(), X, np.array(names)[1 - y], "it"), expected, rtol=1e-6)


@pytest.mark.parametrize("form", [sparse.csr_array, pd.DataFrame])
def test_takes_sparse_rows_and_frames(form):
    model = LogisticRegression(max_iter=10_000)
    expected = losses_out_of_fold(model, X, y, "it")
    found = losses_out_of_fold(model, form(X), y, "it")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_order_of_the_classes_is_the_models_own():
    three = np.digitize(X[:, 0], [12, 15])
    plain, ordered = (
        losses_out_of_fold(
            LossClassifier(hidden_layer_sizes=(), max_epochs=40, lr=0.05, random_state=0, class_order=order),
            X, three, "it", folds=2,
        )
        for order in (None, [2, 0, 1])
    )  # fmt: skip
    assert np.corrcoef(plain, ordered)[0, 1] > 0.9


def test_a_model_does_not_see_the_row_that_it_is_judged_by():
    tree = DecisionTreeClassifier(random_state=0)
    chance = np.random.default_rng(0).integers(2, size=80)  # a tree learns them by heart
    assert log_loss(chance, tree.fit(X, chance).predict_proba(X)) < 1e-6
    assert (losses_out_of_fold(tree, X, chance, "it") > 1).mean() > 0.3


def test_a_probability_of_zero_costs_much_but_not_everything():
    found = losses_out_of_fold(DecisionTreeClassifier(random_state=0), X, y, "it")
    assert set(np.unique(found).round(3).tolist()) == {0.0, round(-np.log(1e-15), 3)}


def test_of_a_rare_class_there_are_as_many_folds_as_rows():
    rare = np.zeros(80, dtype=int)
    rare[[3, 40]] = 1
    found = losses_out_of_fold(GaussianNB(), X, rare, "it")
    for train, test in StratifiedKFold(2).split(X, rare):
        proba = GaussianNB().fit(X[train], rare[train]).predict_proba(X[test])
        expected = -np.log(np.maximum(proba[np.arange(len(test)), rare[test]], 1e-15))
        np.testing.assert_allclose(found[test], expected)


def test_too_few_labels_are_refused_with_what_to_do():
    rare = np.zeros(80, dtype=int)
    rare[3] = 1
    with pytest.raises(
        DataError, match=r"strategy 'x' needs two labeled rows of each class.*label more rows by 'random'"
    ):
        losses_out_of_fold(GaussianNB(), X, rare, "strategy 'x'")
    with pytest.raises(DataError, match="needs two labeled rows"):
        losses_out_of_fold(Ridge(), X[:1], np.ones(1), "strategy 'x'")


def test_several_labels_a_row_are_refused():
    with pytest.raises(TaskError, match="strategy 'x' looks at one label a row, got 3"):
        losses_out_of_fold(GaussianNB(), X, np.zeros((80, 3)), "strategy 'x'")
