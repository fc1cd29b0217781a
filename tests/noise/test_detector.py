import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import Cleaned, LabelNoiseDetector, LossClassifier
from sklearnloss.exceptions import ParameterError, TaskError
from sklearnloss.noise.aum import AreaUnderMargin
from sklearnloss.noise.detector import METHODS
from sklearnloss.noise.knn import NeighborDisagreement

X, y = load_iris(return_X_y=True)
WRONG = y.copy()
WRONG[[7, 77, 140]] = 2, 0, 1


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_had_by_name(method):
    net = None if method == "knn" else LossClassifier(max_epochs=15, random_state=0)
    detector = LabelNoiseDetector(method, net, random_state=0).fit(X, WRONG)
    assert isinstance(detector.method_, METHODS[method])
    assert detector.scores_.shape == detector.noisy_mask_.shape == (150,)
    assert 7 in np.argsort(-detector.scores_)[:6]


def test_gives_what_the_method_gives():
    alone = NeighborDisagreement(n_neighbors=5).fit(X, WRONG)
    detector = LabelNoiseDetector(NeighborDisagreement(n_neighbors=5)).fit(X, WRONG)
    assert np.array_equal(detector.scores_, alone.scores_)
    assert np.array_equal(detector.suggested_, alone.suggested_)
    nested = LabelNoiseDetector(NeighborDisagreement()).set_params(method__n_neighbors=5).fit(X, WRONG)
    assert np.array_equal(nested.scores_, alone.scores_)


def test_a_share_of_rows_is_doubted_where_the_user_says_how_many():
    detector = LabelNoiseDetector("knn", contamination=0.1).fit(X, WRONG)
    assert detector.noisy_mask_.sum() == 15
    assert detector.scores_[detector.noisy_mask_].min() >= detector.scores_[~detector.noisy_mask_].max()


def test_the_report_has_the_worst_rows_first_and_prints_them():
    detector = LabelNoiseDetector("knn").fit(X, np.array(["setosa", "versicolor", "virginica"])[WRONG])
    report = detector.report(4)
    assert set(report.rows[:3]) == {7, 77, 140} | set(report.rows[:3]) - {140}
    assert report.labels[list(report.rows).index(7)] == "virginica"
    assert report.suggested[list(report.rows).index(7)] == "setosa"
    assert report.n_doubted == detector.noisy_mask_.sum()
    assert sum(doubted for _, _, doubted in report.by_class) == report.n_doubted
    text = repr(report)
    assert f"{report.n_doubted} of 150 labels doubted" in text
    assert "      7  virginica   setosa         1.000 *" in text
    frame = report.to_frame()
    assert frame.columns.tolist() == ["row", "label", "score", "doubted", "suggested"]
    assert frame["row"].tolist() == report.rows.tolist()


def test_an_estimator_of_the_user_can_be_the_method():
    class Ends(BaseEstimator):
        def fit(self, X, y):
            self.scores_ = np.arange(len(y), dtype=float)
            self.noisy_mask_ = self.scores_ > 147
            return self

    detector = LabelNoiseDetector(Ends()).fit(X, y)
    assert detector.report(2).rows.tolist() == [149, 148]
    assert detector.suggested_ is None
    assert "rather" not in repr(detector.report(2))
    with pytest.raises(ParameterError, match=r"Ends\(\) has no estimator; leave it out"):
        LabelNoiseDetector(Ends(), LogisticRegression()).fit(X, y)


def test_an_unknown_method_is_refused_with_its_near_miss():
    with pytest.raises(
        ParameterError, match=r"unknown method 'aums'; did you mean 'aum'.*it has aum, confident_learning"
    ):
        LabelNoiseDetector("aums").fit(X, y)


@pytest.mark.parametrize("value", [0, 1, -0.1, "a"])
def test_a_share_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match="contamination"):
        LabelNoiseDetector(contamination=value).fit(X, y)


def test_the_selection_aum_is_registered():
    from sklearnloss import Selection

    assert Selection("aum").choose().component.obj is AreaUnderMargin


# -- learning without -------------------------------------------------------------------------------------------------


def test_is_fitted_to_the_rows_that_are_not_doubted():
    model = Cleaned(LogisticRegression(max_iter=1000), "knn").fit(X, WRONG)
    kept = ~LabelNoiseDetector("knn").fit(X, WRONG).noisy_mask_
    assert np.array_equal(model.kept_, kept)
    alone = LogisticRegression(max_iter=1000).fit(X[kept], WRONG[kept])
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))


def test_doubted_rows_can_have_a_small_weight_instead():
    weights = np.linspace(1, 2, 150)
    model = Cleaned(LogisticRegression(max_iter=1000), "knn", weight=0.2).fit(X, WRONG, sample_weight=weights)
    doubted = LabelNoiseDetector("knn").fit(X, WRONG).noisy_mask_
    alone = LogisticRegression(max_iter=1000).fit(X, WRONG, sample_weight=weights * np.where(doubted, 0.2, 1))
    np.testing.assert_array_equal(model.decision_function(X), alone.decision_function(X))
    with pytest.raises(TaskError, match=r"weight=0.2 needs a model whose fit takes sample_weight, which KNeighbors"):
        Cleaned(KNeighborsClassifier(), "knn", weight=0.2).fit(X, WRONG)


def test_margins_out_of_fold_doubt_where_nothing_else_is_said():
    assert Cleaned(LogisticRegression(max_iter=1000)).fit(X, WRONG).detector_.method == "cv_margin"


def test_no_class_is_lost():
    labels = np.zeros(150, dtype=int)
    labels[[3, 60]] = 1  # its neighbors are all of the other class
    model = Cleaned(DecisionTreeClassifier(random_state=0), "knn").fit(X, labels)
    assert model.classes_.tolist() == [0, 1]
    assert model.kept_[[3, 60]].sum() == 1


def test_learns_better_from_a_fifth_of_wrong_labels():
    X, y = load_digits(return_X_y=True)
    gains = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        wrong = np.where(rng.random(len(y)) < 0.2, rng.integers(10, size=len(y)), y)
        train = rng.permutation(len(y))[:1200]
        test = np.setdiff1d(np.arange(len(y)), train)
        tree = DecisionTreeClassifier(random_state=0)
        plain = clone(tree).fit(X[train], wrong[train]).score(X[test], y[test])
        gains.append(Cleaned(tree, "knn").fit(X[train], wrong[train]).score(X[test], y[test]) - plain)
    assert min(gains) > 0.05


def test_can_be_searched_and_cloned():
    grid = {"estimator__max_depth": [1, 3], "detector": ["knn", LabelNoiseDetector("knn", contamination=0.1)]}
    search = GridSearchCV(Cleaned(DecisionTreeClassifier(random_state=0)), grid, cv=3).fit(X, WRONG)
    assert search.best_params_["estimator__max_depth"] == 3
    assert cross_val_score(clone(search.best_estimator_), X, WRONG, cv=3).mean() > 0.85


KNN = NeighborDisagreement(n_neighbors=3)
UNWEIGHTED = "the detector looks at rows without their weights"


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (LabelNoiseDetector(KNN), {}),
        (KNN, {}),
        (
            Cleaned(LogisticRegression(), LabelNoiseDetector(KNN)),
            {
                "check_sample_weight_equivalence_on_dense_data": UNWEIGHTED,
                "check_sample_weight_equivalence_on_sparse_data": UNWEIGHTED,
                "check_classifiers_one_label_sample_weights": UNWEIGHTED,
            },
        ),
    ],
    ids=["LabelNoiseDetector", "NeighborDisagreement", "Cleaned"],
)
def test_passes_the_checks_of_scikit_learn(estimator, expected):
    expected["check_dtype_object"] = "a ValueError that names the detector"
    results = check_estimator(estimator, expected_failed_checks=expected, on_fail=None, on_skip=None)
    assert {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"} == {}
