import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from sklearnloss import Strategy
from sklearnloss.exceptions import TaskError
from sklearnloss.strategies.expected_error_reduction import expected_error_reduction


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    y = np.array(["no", "maybe", "yes"])[np.arange(12) % 3]
    X, pool = rng.normal(size=(12, 2)) + (np.arange(12) % 3)[:, None], rng.normal(size=(15, 2)) + 1
    return X, y, pool


def ask(table, model, **params):
    X, y, pool = table
    facts = {"X_pool": pool, "X_labeled": X, "y_labeled": y, "estimator": model, "rng": np.random.default_rng(0)}
    return expected_error_reduction(model.predict_proba(pool), **{**facts, **params})


@pytest.mark.parametrize("error", ["log_loss", "zero_one"])
def test_is_the_error_of_a_model_for_each_row_and_class(table, error):
    X, y, pool = table
    model = GaussianNB().fit(X, y)
    expected = []
    for row, p in zip(pool, model.predict_proba(pool), strict=True):
        total = 0.0
        for c, label in enumerate(model.classes_):
            later = GaussianNB().fit(np.vstack([X, row]), [*y, label]).predict_proba(pool)
            total += p[c] * np.mean([entropy(q) if error == "log_loss" else 1 - max(q) for q in later])
        expected.append(-total)
    np.testing.assert_allclose(ask(table, model, error=error), expected, rtol=1e-9)


def test_rows_that_are_no_candidates_come_after_all_that_are(table):
    X, y, _ = table
    found = ask(table, GaussianNB().fit(X, y), candidates=4)
    assert (found == found.min()).sum() == 11
    assert np.sort(found)[11:].min() > found.min()


def test_a_model_is_judged_by_some_rows_where_there_are_many(table):
    X, y, _ = table
    model = GaussianNB().fit(X, y)
    assert not np.allclose(ask(table, model, judged=3), ask(table, model))


@pytest.mark.parametrize("form", [sparse.csr_array, lambda rows: pd.DataFrame(rows, columns=["a", "b"])])
def test_takes_sparse_rows_and_frames(table, form):
    X, y, pool = table
    plain = ask(table, LogisticRegression().fit(X, y))
    found = ask((form(X), y, form(pool)), LogisticRegression().fit(form(X), y))
    np.testing.assert_allclose(found, plain, atol=1e-6)


def test_several_labels_a_row_are_refused(asked):
    with pytest.raises(TaskError, match="'expected_error_reduction' looks at one class a row, y has several labels"):
        asked("expected_error_reduction", "several")


def test_a_learner_asks_it_by_either_name(asked):
    found = asked(Strategy("eer", candidates=4, judged=30), "digits")
    again = asked(Strategy("expected_error_reduction", candidates=4, judged=30), "digits")
    assert found.rows.tolist() == again.rows.tolist()
    assert len(np.unique(found.learner.utilities_[found.rows[:4]])) == 4
    found.teach()
