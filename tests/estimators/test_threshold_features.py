import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import ThresholdFeatures
from sklearnloss.exceptions import ParameterError
from sklearnloss.registry import lookup

X, Y = load_diabetes(return_X_y=True)
X, Y = X[:150], Y[:150]


class Remembering(ClassifierMixin, BaseEstimator):
    """A classifier that knows the side of the rows that it saw, and says one half of others."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen_ = {row.tobytes(): float(side) for row, side in zip(X, y, strict=True)}
        return self

    def predict_proba(self, X):
        below = np.array([self.seen_.get(row.tobytes(), 0.5) for row in X])
        return np.column_stack([1 - below, below])


def test_passes_every_check_of_scikit_learn():
    # rows of fit get other columns than they would as new rows, which is the point
    apart = {"check_transformer_general", "check_transformer_data_not_an_array"}
    results = check_estimator(ThresholdFeatures(random_state=0), on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert set(failed) <= apart, failed
    assert len(results) > 40


def test_is_found_by_its_name():
    assert lookup("estimator", "threshold_features").obj is ThresholdFeatures


def test_columns_of_other_rows_are_those_of_a_classifier_per_threshold():
    model = ThresholdFeatures(n_thresholds=3, monotone=False).fit(X, Y)
    assert model.thresholds_ == pytest.approx(np.quantile(Y, [0.25, 0.5, 0.75]))
    found = model.transform(X + 0.01)
    assert np.array_equal(found[:, :10], X + 0.01)
    for s, threshold in enumerate(model.thresholds_):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, threshold >= Y)
        assert found[:, 10 + s] == pytest.approx(classifier.predict_proba(X + 0.01)[:, 1])


def test_columns_of_training_rows_are_those_of_cross_validation():
    base, cv = KNeighborsClassifier(), KFold(4, shuffle=True, random_state=1)
    found = ThresholdFeatures(base, n_thresholds=3, cv=cv, monotone=False, passthrough=False).fit_transform(X, Y)
    for s, threshold in enumerate(np.quantile(Y, [0.25, 0.5, 0.75])):
        wanted = cross_val_predict(base, X, threshold >= Y, cv=cv, method="predict_proba")[:, 1]
        assert np.array_equal(found[:, s], wanted)


def test_a_column_of_a_training_row_never_used_its_target():
    model = ThresholdFeatures(Remembering(), passthrough=False, random_state=0)
    assert (model.fit_transform(X, Y) == 0.5).all()
    known = model.transform(X)
    assert np.array_equal(known, Y[:, None] <= model.thresholds_)


def test_shuffled_targets_give_a_regressor_nothing_to_overfit():
    shuffled = np.random.default_rng(0).permutation(Y)
    model = make_pipeline(
        ThresholdFeatures(DecisionTreeClassifier(random_state=0), passthrough=False, random_state=0),
        KNeighborsRegressor(20),
    )
    assert model.fit(X, shuffled).score(X, shuffled) < 0.3  # that of 20 neighbours among random rows is about 0.05
    leaking = ThresholdFeatures(DecisionTreeClassifier(random_state=0), passthrough=False).fit(X, shuffled)
    columns = leaking.transform(X)
    assert KNeighborsRegressor(20).fit(columns, shuffled).score(columns, shuffled) > 0.9


def test_no_thresholds_leave_the_rows_as_they_are():
    model = ThresholdFeatures(n_thresholds=0, estimate=True)
    assert np.array_equal(model.fit_transform(X, Y), X)
    assert np.array_equal(model.transform(X), X)
    assert list(model.get_feature_names_out()) == [f"x{j}" for j in range(10)]


def test_perfect_classifiers_recover_the_target_up_to_the_width_of_a_bin():
    y = np.linspace(0, 1, 150)
    model = ThresholdFeatures(Remembering(), n_thresholds=29, estimate=True, passthrough=False).fit(X, y)
    estimate = model.transform(X)[:, -1]
    inside = (y >= model.thresholds_[0]) & (y <= model.thresholds_[-1])
    assert np.abs(estimate - y)[inside].max() <= 1 / 30 + 1e-9
    assert list(model.get_feature_names_out()[-2:]) == ["below28", "estimate"]


def test_probabilities_rise_with_the_threshold_if_asked():
    plain, sorted_ = (
        ThresholdFeatures(KNeighborsClassifier(3), monotone=m, passthrough=False, random_state=0).fit_transform(X, Y)
        for m in (False, True)
    )
    assert (np.diff(sorted_) >= 0).all()
    assert np.array_equal(np.sort(plain, axis=1), sorted_)
    model = ThresholdFeatures(LogisticRegression(C=1e4), monotone=False, passthrough=False).fit(X, Y)
    assert (np.diff(model.transform(X)) < 0).any()


def test_thresholds_that_coincide_count_once_and_the_largest_target_is_none():
    y = np.repeat([0.0, 1.0, 2.0], 50)
    model = ThresholdFeatures(n_thresholds=16).fit(X, y)
    assert list(model.thresholds_) == [0.0, 1.0]
    assert model.transform(X).shape == (150, 12)
    assert ThresholdFeatures().fit(X, np.ones(150)).transform(X).shape == (150, 10)


def test_a_fold_with_one_side_only_gives_that_side():
    y = np.r_[np.zeros(3), np.ones(6)]
    found = ThresholdFeatures(n_thresholds=3, cv=KFold(3), passthrough=False).fit_transform(X[:9], y)
    assert found.shape == (9, 1)
    assert (found[:3] == 0.0).all()  # rows 3 to 8 lie above


def test_missing_values_are_for_the_classifier_to_take():
    holes = X.copy()
    holes[::3, 0] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        ThresholdFeatures().fit(holes, Y)
    model = ThresholdFeatures(HistGradientBoostingClassifier(max_iter=2), n_thresholds=1).fit(holes, Y)
    assert np.isfinite(model.transform(holes)[:, -1]).all()


def test_folds_must_test_every_row_once():
    with pytest.raises(ParameterError, match=r"cv must test every row once, but .* of 150 are tested never or again"):
        ThresholdFeatures(n_thresholds=1, cv=ShuffleSplit(3, random_state=0)).fit_transform(X, Y)


@pytest.mark.parametrize(
    "params", [{"n_thresholds": -1}, {"estimator": LinearRegression()}, {"monotone": "yes"}, {"cv": 1}]
)
def test_parameters_are_checked(params):
    with pytest.raises(ValueError, match=rf"The '{next(iter(params))}' parameter|k-fold"):
        ThresholdFeatures(**params).fit_transform(X, Y)


def test_the_seed_decides_and_parallel_fits_agree():
    first = ThresholdFeatures(n_thresholds=3, random_state=0)
    found = first.fit_transform(X, Y)
    assert np.array_equal(found, clone(first).fit_transform(X, Y))
    assert not np.array_equal(found, clone(first).set_params(random_state=1).fit_transform(X, Y))
    with joblib.parallel_config(backend="threading"):  # processes take seconds to start
        assert np.array_equal(found, clone(first).set_params(n_jobs=2).fit_transform(X, Y))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_linear_regression_of_a_curved_target_gains(seed):
    X, y = make_friedman1(300, noise=0.5, random_state=seed)
    base = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    model = make_pipeline(ThresholdFeatures(base, n_thresholds=5, cv=3, random_state=0), LinearRegression())
    plain, more = (cross_val_score(m, X, y, cv=3).mean() for m in (LinearRegression(), model))
    assert more > plain
