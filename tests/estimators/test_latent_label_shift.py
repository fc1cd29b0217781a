import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import LatentLabelShiftClassifier, LossClassifier
from sklearnloss.exceptions import DataError


def accuracy(truth, found):
    """Return the share of rows that are right under the best names for what was found."""
    k = max(truth.max(), found.max()) + 1
    table = np.zeros((k, k))
    np.add.at(table, (truth, found), 1)
    return table[linear_sum_assignment(-table)].sum() / len(truth)


@pytest.fixture
def mixed():
    """Two classes apart, in three domains."""
    rng = np.random.default_rng(0)
    domain = np.repeat(["x", "y", "z"], [200, 300, 400])
    y = (rng.random(900) < np.repeat([0.1, 0.5, 0.9], [200, 300, 400])).astype(int)
    return rng.normal(size=(900, 2)) + 5.0 * y[:, None], domain, y


def test_shares_and_classes_are_found(mixed):
    X, domain, y = mixed
    model = LatentLabelShiftClassifier(estimator=GaussianNB(), random_state=0).fit(X, domain)
    assert accuracy(y, model.predict(X)) > 0.97
    assert accuracy(y, model.predict(X, domain)) > 0.97
    # class 0 is the commonest, here the true class 1
    np.testing.assert_allclose(model.class_given_domain_[0], [0.1, 0.5, 0.9], atol=0.12)
    np.testing.assert_allclose(model.class_given_domain_.sum(0), 1)
    np.testing.assert_allclose(model.domain_given_class_.sum(0), 1)
    assert model.class_given_domain_.shape == (2, 3)
    np.testing.assert_array_equal(model.domains_, ["x", "y", "z"])


def test_of_pure_domains_it_is_the_classifier_of_domains():
    rng = np.random.default_rng(0)
    domain = np.repeat([0, 1, 2], [300, 200, 100])
    X = rng.normal(size=(600, 3)) + 8 * np.eye(3)[domain]
    model = LatentLabelShiftClassifier(3, estimator=GaussianNB(), random_state=0).fit(X, domain)
    np.testing.assert_allclose(model.class_given_domain_, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(model.predict_proba(X), model.estimator_.predict_proba(X), atol=5e-3)
    np.testing.assert_array_equal(model.predict(X), domain)


def test_held_out_rows_are_not_learned(mixed):
    X, domain, _ = mixed
    seen = []

    class Watching(GaussianNB):
        def fit(self, X, y):
            seen.append(len(X))
            return super().fit(X, y)

    for holdout in (0.25, 0):
        LatentLabelShiftClassifier(estimator=Watching(), holdout=holdout, random_state=0).fit(X, domain)
    assert seen == [675, 900]


def test_the_same_seed_gives_the_same_classes(mixed):
    X, domain, _ = mixed
    model = LatentLabelShiftClassifier(estimator=GaussianNB(), random_state=3)
    np.testing.assert_array_equal(model.fit(X, domain).predict_proba(X), clone(model).fit(X, domain).predict_proba(X))


def test_by_default_a_calibrated_network_learns_the_domains(mixed):
    X, domain, y = mixed
    model = LatentLabelShiftClassifier(random_state=0).fit(X[::2], domain[::2])
    assert isinstance(model.estimator_, LossClassifier)
    assert accuracy(y, model.predict(X)) > 0.95


def test_it_ends_a_pipeline(mixed):
    X, domain, y = mixed
    model = make_pipeline(StandardScaler(), LatentLabelShiftClassifier(estimator=GaussianNB(), random_state=0))
    assert accuracy(y, model.fit(X, domain).predict(X)) > 0.95


def test_what_cannot_be_learned_is_refused(mixed):
    X, domain, _ = mixed
    with pytest.raises(DataError, match="as many domains at least"):
        LatentLabelShiftClassifier(4, estimator=GaussianNB()).fit(X, domain)
    with pytest.raises(DataError, match="without rows on one side"):
        LatentLabelShiftClassifier(estimator=GaussianNB()).fit(X[:8], list("xxxyyyzz"))
    model = LatentLabelShiftClassifier(estimator=GaussianNB(), random_state=0).fit(X, domain)
    with pytest.raises(DataError, match="domain 'w' was not in fit"):
        model.predict_proba(X[:2], ["x", "w"])
    with pytest.raises(ValueError, match="inconsistent"):
        model.predict_proba(X[:2], ["x"])


def test_checks_of_scikit_learn():
    model = LatentLabelShiftClassifier(estimator=LogisticRegression(), n_init=1)
    results = check_estimator(model, on_fail=None, on_skip=None)
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert failed == {
        "check_fit_score_takes_y",  # its second argument is called domain
        "check_estimator_sparse_array",  # they want a column of probabilities for each value of y
        "check_estimator_sparse_matrix",
    }


def test_sparse_rows_give_what_dense_ones_do(mixed):
    X, domain, _ = mixed
    dense, sparse = (
        LatentLabelShiftClassifier(estimator=LogisticRegression(), random_state=0).fit(rows, domain).predict_proba(rows)
        for rows in (X, csr_matrix(X))
    )
    np.testing.assert_allclose(dense, sparse, atol=1e-3)


def test_super_classes_of_digits_are_found_that_k_means_does_not_see():
    X, digit = load_digits(return_X_y=True)
    truth = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])[digit]
    shares = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9], [0.6, 0.4, 0.0], [0.0, 0.5, 0.5]]).T
    shares = shares / shares.sum(1, keepdims=True)
    ours = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        domain = np.array([rng.choice(5, p=shares[c]) for c in truth])
        network = MLPClassifier((50,), max_iter=12, learning_rate_init=0.005, random_state=seed)
        network = network.set_params(n_iter_no_change=100, tol=0, early_stopping=True)
        model = LatentLabelShiftClassifier(3, estimator=network, random_state=seed)
        with pytest.warns(match="Maximum iterations"):
            ours.append(accuracy(truth, model.fit(X / 16, domain).predict(X / 16)))
    theirs = accuracy(truth, KMeans(3, n_init=3, random_state=0).fit_predict(X))
    assert min(ours) > theirs + 0.1
