import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss import ForecastScorer, LossRegressor, Metric, components, forecast_scorer, metric
from sklearnloss.exceptions import DataError, FactError, ParameterError, TaskError, UnknownNameError
from sklearnloss.functional.distributions import Ensemble, Laplace, Normal
from sklearnloss.metrics.coverage import coverage
from sklearnloss.metrics.crossing_rate import crossing_rate
from sklearnloss.metrics.crps import crps
from sklearnloss.metrics.crps_gaussian import crps_gaussian
from sklearnloss.metrics.energy_score import energy_score
from sklearnloss.metrics.fair_crps import fair_crps
from sklearnloss.metrics.interval_score import interval_score
from sklearnloss.metrics.wis import wis

OF_FORECASTS = ["quantiles", "interval", "ensemble", "parameters"]
KNOWN = [c.name for c in components("metric") if c.role == "y_true" and c.data[1] in OF_FORECASTS]
X = np.random.default_rng(0).normal(size=(60, 2))
Y = X[:, 0] + np.random.default_rng(1).normal(size=60)
WEIGHT = np.random.default_rng(2).uniform(size=60)


class Known(RegressorMixin, BaseEstimator):
    """Predicts a distribution of one's choice around the first column, shifted."""

    def __init__(self, kind="normal", shift=0.0, width=1.0):
        self.kind = kind
        self.shift = shift
        self.width = width

    def fit(self, X, y, sample_weight=None):
        self.fitted_ = True
        return self

    def predict_dist(self, X):
        center, width = X[:, 0] + self.shift, np.full(len(X), self.width)
        if self.kind == "ensemble":
            return Ensemble(center[:, None] + self.width * np.linspace(-2, 2, 9))
        if self.kind == "two targets":
            members = np.random.default_rng(0).normal(size=(len(X), 2, 9))
            return Ensemble(center[:, None, None] + self.width * members)
        return {"normal": Normal, "laplace": Laplace}[self.kind](center, width)

    def predict_quantiles(self, X, levels):
        return self.predict_dist(X).quantiles(np.asarray(levels))

    def predict_interval(self, X, coverage):
        return self.predict_quantiles(X, [(1 - coverage) / 2, (1 + coverage) / 2])


def known(*args, **kwargs):
    return Known(*args, **kwargs).fit(X, Y)


@metric("share_above", greater_is_better=False)
def share_above(y_true, quantiles, sample_weight=None, *, scale: float = 1.0):
    """Say how many outcomes lie above the highest quantile."""
    return scale * float(np.mean(np.asarray(y_true) > quantiles[:, -1]))


def test_of_quantiles_it_asks_for_the_levels_of_the_metric():
    levels = (0.2, 0.5, 0.8)
    expected = wis(Y, known().predict_quantiles(X, levels), WEIGHT, levels=levels)
    assert forecast_scorer("wis", levels=levels)(known(), X, Y, WEIGHT) == -expected


def test_of_a_metric_without_levels_it_asks_for_those_given():
    class Crossing(Known):
        def predict_quantiles(self, X, levels):
            return -super().predict_quantiles(X, levels)

    model = Crossing().fit(X, Y)
    levels = (0.5, 0.9)
    assert forecast_scorer("crossing_rate", levels=levels)(model, X, Y) == -crossing_rate(
        Y, model.predict_quantiles(X, levels)
    )
    assert forecast_scorer("crossing_rate")(model, X, Y) == -1


def test_of_intervals_it_asks_for_the_coverage():
    model = known()
    wide = interval_score(Y, model.predict_interval(X, 0.95), WEIGHT, coverage=0.95)
    assert forecast_scorer("interval_score", coverage=0.95)(model, X, Y, WEIGHT) == -wide
    assert forecast_scorer("coverage", coverage=0.5)(model, X, Y) == coverage(Y, model.predict_interval(X, 0.5))
    assert forecast_scorer("coverage")(model, X, Y) == coverage(Y, model.predict_interval(X, 0.9))


@pytest.mark.parametrize("kind", ["normal", "laplace", "ensemble"])
def test_any_distribution_has_its_ranked_probability_score(kind):
    model = known(kind)
    expected = np.average(model.predict_dist(X).crps(Y), weights=WEIGHT)
    assert forecast_scorer("crps")(model, X, Y, WEIGHT) == pytest.approx(-expected, rel=1e-12)


def test_ensembles_and_normal_distributions_have_scores_of_their_own():
    members = known("ensemble").predict_dist(X).members
    assert forecast_scorer("fair_crps")(known("ensemble"), X, Y) == -fair_crps(Y, members)
    assert forecast_scorer("crps")(known("ensemble"), X, Y) == -crps(Y, members)
    parameters = np.stack([X[:, 0], np.ones(60)], axis=1)
    assert forecast_scorer("crps_gaussian")(known(), X, Y) == -crps_gaussian(Y, parameters)
    two = np.stack([Y, Y], axis=1)
    assert forecast_scorer("energy_score")(known("two targets"), X, two) == -energy_score(
        two, known("two targets").predict_dist(X).members
    )


def test_a_row_of_weight_zero_may_be_anything():
    y, weight = Y.copy(), np.ones(60)
    y[0], weight[0] = np.nan, 0.0
    for name in ("crps", "wis", "interval_score"):
        expected = forecast_scorer(name)(known(), X[1:], Y[1:])
        assert forecast_scorer(name)(known(), X, y, weight) == pytest.approx(expected)


@pytest.mark.parametrize("name", [n for n in KNOWN if n not in ("coverage", "width", "crossing_rate", "energy_score")])
def test_of_every_score_greater_is_better(name):
    kind = "ensemble" if name in ("fair_crps", "afcrps") else "normal"
    scorer = forecast_scorer(name)
    assert scorer(known(kind), X, Y) > scorer(known(kind, shift=3.0), X, Y)
    assert scorer.sign == (1 if name == "d2_quantiles" else -1)


def test_a_function_of_ones_own_is_taken_with_the_sign_it_declares():
    scorer = forecast_scorer(share_above, scale=2.0, levels=(0.5,))
    assert scorer(known(), X, Y) == -2 * np.mean(Y > X[:, 0])
    assert repr(scorer) == "forecast_scorer(share_above, scale=2.0, levels=(0.5,))"


def test_pipelines_and_searches_are_asked_through_their_last_step():
    scorer = forecast_scorer("wis")
    pipeline = make_pipeline(StandardScaler(), Known()).fit(X, Y)
    expected = scorer(known(), StandardScaler().fit_transform(X), Y)
    assert scorer(pipeline, X, Y) == pytest.approx(expected)
    search = GridSearchCV(Known(), {"shift": [0.0, 2.0]}, scoring=scorer, cv=2).fit(X, Y)
    assert scorer(search, X, Y) == scorer(known(), X, Y)
    assert scorer(make_pipeline(Known()).fit(X, Y), X, Y) == scorer(known(), X, Y)


def test_searches_a_grid_of_losses_in_two_processes():
    model = make_pipeline(StandardScaler(), LossRegressor("pinball", max_epochs=3, random_state=0))
    grid = {"lossregressor__loss": ["pinball", "gaussian_nll", "afcrps"]}
    scorers = {"wis": forecast_scorer("wis"), "crps": forecast_scorer("crps"), "inside": forecast_scorer("coverage")}
    search = GridSearchCV(model, grid, scoring=scorers, refit="crps", cv=2, n_jobs=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_wis"]).all()
    assert search.cv_results_["mean_test_crps"].max() == search.best_score_


def test_weights_are_used_without_routing_and_with_it_if_requested():
    model = Known()
    plain = GridSearchCV(model, {"width": [1.0]}, scoring=forecast_scorer("wis"), cv=2).fit(X, Y, sample_weight=WEIGHT)
    with config_context(enable_metadata_routing=True):
        weighed = forecast_scorer("wis").set_score_request(sample_weight=True)
        model.set_fit_request(sample_weight=True)
        search = GridSearchCV(model, {"width": [1.0]}, scoring=weighed, cv=2).fit(X, Y, sample_weight=WEIGHT)
        halves = [-weighed(known(), X[part], Y[part], WEIGHT[part]) for part in (slice(30), slice(30, 60))]
        assert -search.best_score_ == pytest.approx(np.mean(halves))
        ignored = forecast_scorer("wis").set_score_request(sample_weight=False)
        other = cross_validate(model, X, Y, scoring=ignored, cv=2, params={"sample_weight": WEIGHT})
    assert plain.best_score_ == pytest.approx(search.best_score_)
    assert other["test_score"].mean() != pytest.approx(search.best_score_)


def test_it_can_be_pickled_and_compared():
    scorer = forecast_scorer("wis", levels=(0.2, 0.8))
    copy = pickle.loads(pickle.dumps(scorer))
    assert copy == scorer
    assert hash(copy) == hash(scorer)
    assert copy(known(), X, Y) == scorer(known(), X, Y)
    assert scorer != forecast_scorer("wis")
    assert forecast_scorer("coverage", coverage=0.5) != forecast_scorer("coverage")
    assert isinstance(scorer, ForecastScorer)
    assert scorer.metric == Metric("wis", levels=(0.2, 0.8))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: forecast_scorer("map_at_r"), TaskError, "judges no forecasts; forecast_scorer takes afcrps, coverage"),
        (lambda: forecast_scorer("ece"), TaskError, "judges no forecasts"),
        (lambda: forecast_scorer("wiss"), UnknownNameError, "wis"),
        (lambda: forecast_scorer("wis", levels=(0.9, 0.1)), ParameterError, "levels must be a rising sequence"),
        (lambda: forecast_scorer("crossing_rate", levels=(0.9, 0.1)), ParameterError, "levels must be a rising"),
        (lambda: forecast_scorer("coverage", coverage=1.0), ParameterError, r"coverage must be a number in \(0, 1\)"),
        (lambda: forecast_scorer("crps", levels=(0.1,)), ParameterError, "levels"),
        (lambda: forecast_scorer("wis")(Ridge().fit(X, Y), X, Y), TaskError, "needs predict_quantiles, which Ridge"),
        (lambda: forecast_scorer("fair_crps")(known(), X, Y), TaskError, "judges ensembles, not Normal"),
        (lambda: forecast_scorer("crps_gaussian")(known("laplace"), X, Y), TaskError, "judges normal distributions"),
        (lambda: forecast_scorer("wis")(known(), X, Y, group=Y), FactError, "takes sample_weight and nothing else"),
        (lambda: forecast_scorer("wis")(known(), X, np.full(60, np.nan)), DataError, "y_true holds NaN"),
    ],
)
def test_what_cannot_be_judged_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_loss_of_points_has_no_quantiles_to_judge():
    model = LossRegressor("mse", max_epochs=1).fit(X, Y)
    with pytest.raises(TaskError, match="needs predict_quantiles, which LossRegressor does not have"):
        forecast_scorer("wis")(model, X, Y)
