import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import LossRegressor, QuantileAggregator, components
from sklearnloss.estimators._quantile_bases import as_quantile_model, default_models
from sklearnloss.estimators._quantile_weights import Granularity, mixed
from sklearnloss.exceptions import DataError, ParameterError, TaskError
from sklearnloss.functional.forecasts import pinball_values
from sklearnloss.metrics.crossing_rate import crossing_rate

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def noisy(n=200, d=3, seed=0):
    """Return rows whose first column moves the outcome and whose second its spread."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X[:, 0] + np.exp(X[:, 1] / 2) * rng.normal(size=n)


def forecasts(n=300, seed=0):
    """Return outcomes and the quantiles of three models: a good one, a biased one, and one that is good above."""
    rng = np.random.default_rng(seed)
    location = rng.normal(size=n)
    normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS)).numpy()
    good = location[:, None] + normal
    G = np.stack([good, good + 1.5, np.where(np.array(LEVELS) > 0.5, good, -good)], axis=1)
    return G + 0.2 * rng.normal(size=G.shape), location + rng.normal(size=n)


class Constant(RegressorMixin, BaseEstimator):
    """Quantiles of the training outcomes, whatever the row; it counts its fits and keeps the weights."""

    fits = 0

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        self.sample_weight_ = sample_weight
        self.y_ = np.asarray(y)
        return self

    def predict_quantiles(self, X, levels):
        return np.tile(np.quantile(self.y_, levels) + self.shift, (len(X), 1))


def aggregate(estimators=None, **params):
    estimators = (
        [("linear", QuantileRegressor(alpha=0)), ("constant", Constant())] if estimators is None else estimators
    )
    return QuantileAggregator(estimators, **({"quantiles": LEVELS, "cv": 3, "random_state": 0} | params))


def over_arrays(**params):
    return QuantileAggregator(**({"quantiles": LEVELS, "random_state": 0} | params))


# -- identities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["average", "median", "best", "coarse", "medium"])
def test_of_one_model_it_is_that_model(weights):
    X, y = noisy()
    model = aggregate([("linear", QuantileRegressor(alpha=0))], weights=weights, crossing=None).fit(X, y)
    alone = [QuantileRegressor(alpha=0, quantile=level).fit(X, y).predict(X) for level in LEVELS]
    np.testing.assert_allclose(model.predict_quantiles(X), np.transpose(alone), atol=1e-10)


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("weights", ["coarse", "medium"])
def test_identical_models_give_the_same_whatever_the_weights(weights, local):
    G, y = forecasts()
    same = np.repeat(G[:, :1], 4, axis=1)
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    model = over_arrays(weights=weights, local=local, crossing=None).fit_predictions(same, y, X=X)
    np.testing.assert_allclose(model.predict_predictions(same, X=X), same[:, 0], atol=1e-6)


def test_average_and_median_are_those_of_the_models():
    G, y = forecasts()
    average = over_arrays(weights="average", crossing=None).fit_predictions(G, y)
    np.testing.assert_allclose(average.predict_predictions(G), G.mean(axis=1))
    median = over_arrays(weights="median", crossing=None).fit_predictions(G, y)
    np.testing.assert_allclose(median.predict_predictions(G), np.median(G, axis=1))


def test_best_is_the_model_of_the_least_pinball_loss():
    G, y = forecasts()
    model = over_arrays(weights="best").fit_predictions(G[:, [1, 0, 2]], y)
    assert [own.tolist() for own in model.weights_.values()] == [[0.0] * 5, [1.0] * 5, [0.0] * 5]


def test_scores_of_zero_are_the_average_and_so_nearly_is_the_start_of_fine():
    G = torch.from_numpy(forecasts()[0])
    for name in ("coarse", "medium"):
        assert torch.allclose(mixed(G, Granularity(name, 3, 5).start()), G.mean(dim=1))
    assert torch.allclose(mixed(G, Granularity("fine", 3, 5).start()), G.mean(dim=1), atol=0.02)


def test_fine_without_other_levels_is_medium():
    G = torch.from_numpy(forecasts()[0])
    medium = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fine = torch.full((3, 5, 5), -torch.inf, dtype=torch.float64)
    fine[:, range(5), range(5)] = medium
    assert torch.allclose(mixed(G, fine.reshape(15, 5)), mixed(G, medium))
    everywhere = fine.reshape(15, 5).expand(len(G), 15, 5)
    assert torch.allclose(mixed(G, everywhere), mixed(G, medium))


# -- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["pinball", "huber_pinball", "wis"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weights_find_the_good_models_and_where_they_are_good(loss, seed):
    G, y = forecasts(seed=seed)
    model = over_arrays(loss=loss).fit_predictions(G, y)
    good, biased, above = model.weights_.values()
    assert (good[:2] > 0.6).all()
    assert (biased < 0.2).all()
    assert above[3:].min() > above[:2].max()


@pytest.mark.parametrize("crossing", ["sort", "isotonic", "minmax", "penalty", None])
@pytest.mark.parametrize("weights", ["coarse", "medium", "fine"])
def test_learnt_weights_are_no_worse_than_the_average(weights, crossing):
    G, y = forecasts()
    new, outcomes = forecasts(seed=1)
    losses = [
        pinball_values(outcomes, model.fit_predictions(G, y).predict_predictions(new), np.array(LEVELS)).mean()
        for model in (over_arrays(weights=weights, crossing=crossing), over_arrays(weights="average"))
    ]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("weights", ["coarse", "medium", "fine"])
@pytest.mark.parametrize("local", [False, True])
def test_weights_are_shares_by_model_and_level(weights, local):
    G, y = forecasts(60)
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = over_arrays(weights=weights, local=local).fit_predictions(G, y, X=X)
    assert list(model.weights_) == ["model_0", "model_1", "model_2"]
    assert np.sum(list(model.weights_.values()), axis=0) == pytest.approx(np.ones(5))
    own = model.weights_of(X)
    assert own.shape == (60, 3, 5)
    np.testing.assert_allclose(own.sum(axis=1), 1)
    np.testing.assert_allclose(own.mean(axis=0), np.stack(list(model.weights_.values())), atol=1e-6)


def test_local_weights_follow_the_row():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(800, 1)), rng.normal(size=800)
    right, wrong = np.tile([-1.28, -0.67, 0.0, 0.67, 1.28], (800, 1)), np.full((800, 5), 4.0)
    left = X[:, :1] < 0  # the first model is right there, the second elsewhere
    G = np.stack([np.where(left, right, wrong), np.where(left, wrong, right)], axis=1)
    model = over_arrays(weights="coarse", local=True).fit_predictions(G, y, X=X)
    first = model.weights_of(np.array([[-1.5], [1.5]]))[:, 0, 0]
    assert first[0] > 0.8
    assert first[1] < 0.2


def test_a_row_of_weight_zero_teaches_nothing_and_repeated_rows_count_like_weights():
    G, y = forecasts(80)
    weight = np.random.default_rng(0).integers(0, 4, size=80)
    weighted = over_arrays().fit_predictions(G, y, weight)
    repeated = over_arrays().fit_predictions(np.repeat(G, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict_predictions(G), repeated.predict_predictions(G), rtol=1e-6)


# -- learning again ---------------------------------------------------------------------------------------------------


def test_predictions_that_were_kept_teach_other_weights_what_a_fit_would():
    X, y = noisy(80)
    first = aggregate(weights="average", store_predictions=True).fit(X, y)
    assert first.predictions_.shape == (80, 2, 5)
    again = over_arrays(weights="medium").fit_predictions(first.predictions_, y)
    whole = aggregate(weights="medium").fit(X, y)
    found = again.predict_predictions(first.predict_models(X))
    np.testing.assert_allclose(found, whole.predict_quantiles(X), rtol=1e-9)
    assert not hasattr(whole, "predictions_")


def test_predictions_are_those_out_of_fold_and_missing_where_no_fold_tests():
    X, y = noisy(40)
    folds = [(np.arange(20, 40), np.arange(10)), (np.arange(20), np.arange(20, 40))]
    model = aggregate([("constant", Constant())], cv=folds, weights="average", store_predictions=True).fit(X, y)
    kept = model.predictions_[:, 0]
    np.testing.assert_allclose(kept[:10], np.tile(np.quantile(y[20:], LEVELS), (10, 1)))
    np.testing.assert_allclose(kept[20:], np.tile(np.quantile(y[:20], LEVELS), (20, 1)))
    assert np.isnan(kept[10:20]).all()


def test_predictions_of_an_earlier_fit_are_gone():
    G, y = forecasts(60)
    model = aggregate(store_predictions=True, cv=2).fit(*noisy(60))
    model.fit_predictions(G, y)
    assert not hasattr(model, "predictions_")
    with pytest.raises(NotFittedError):
        model.predict_models(noisy(60)[0])


def test_a_distribution_has_the_quantiles():
    X, y = noisy(60)
    model = aggregate(weights="average").fit(X, y)
    found = model.predict_dist(X)
    np.testing.assert_allclose(found.quantiles(LEVELS), model.predict_quantiles(X))
    assert found.crps(y).shape == (60,)


# -- base models ------------------------------------------------------------------------------------------------------


def test_each_base_model_is_fitted_once_a_fold_and_once_more():
    X, y = noisy(60)
    Constant.fits = 0
    aggregate([("a", Constant()), ("b", Constant(1.0)), ("c", Constant(2.0))], cv=4).fit(X, y)
    assert Constant.fits == 3 * (4 + 1)


def test_weights_are_learnt_out_of_fold():
    class Parrot(Constant):
        """Knows the outcomes of its training rows by heart."""

        def predict_quantiles(self, X, levels):
            known = dict(zip(self.seen_, self.y_, strict=True))
            return np.tile([[known.get(x, 9.0)] for x in X[:, 0]], (1, len(levels)))

        def fit(self, X, y, sample_weight=None):
            self.seen_ = X[:, 0].tolist()
            return super().fit(X, y, sample_weight)

    X, y = noisy()
    model = aggregate([("parrot", Parrot()), ("constant", Constant())], weights="best").fit(X, y)
    assert model.weights_["constant"].tolist() == [1.0] * 5


BASES = {
    "linear": QuantileRegressor(alpha=0),
    "histogram boosting": HistGradientBoostingRegressor(loss="quantile", max_iter=30, min_samples_leaf=5),
    "boosting": GradientBoostingRegressor(loss="quantile", n_estimators=30, random_state=0),
    "forest": RandomForestRegressor(30, min_samples_leaf=10, random_state=0),
    "extra trees": ExtraTreesRegressor(30, min_samples_leaf=10, random_state=0),
    "pinball": LossRegressor("pinball", max_epochs=30, lr=0.01, random_state=0),
    "normal": LossRegressor("gaussian_nll", max_epochs=30, lr=0.01, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), RandomForestRegressor(30, min_samples_leaf=10, random_state=0)),
    "pipeline of levels": make_pipeline(StandardScaler(), QuantileRegressor(alpha=0)),
}


@pytest.mark.parametrize("name", sorted(BASES))
def test_a_base_model_of_any_kind_predicts_each_level(name):
    X, y = noisy(400)
    base = clone(BASES[name])
    model = as_quantile_model(base, np.array(LEVELS), name).fit(X, y, None)
    found = model.predict_quantiles(X, np.array(LEVELS))
    below = (y[:, None] <= found).mean(axis=0)
    np.testing.assert_allclose(below, LEVELS, atol=0.15)
    assert not hasattr(base, "n_features_in_")  # it was cloned


def test_a_model_whose_predict_takes_quantiles_is_asked_for_them():
    class Like(Constant):
        predict_quantiles = None

        def predict(self, X, quantiles=None):
            return np.squeeze(np.tile(np.quantile(self.y_, quantiles), (len(X), 1)))

    class ByKeyword(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            self.inner_ = Like().fit(X, y)
            return self

        def predict(self, X, quantiles=None):
            return self.inner_.predict(X, quantiles)

    X, y = noisy(50)
    for levels in (np.array(LEVELS), np.array([0.3])):
        model = as_quantile_model(ByKeyword(), levels, "x").fit(X, y, None)
        np.testing.assert_allclose(model.predict_quantiles(X, levels)[0], np.quantile(y, levels))


def test_the_forests_of_quantile_forest_take_part():
    forests = pytest.importorskip("quantile_forest")
    X, y = noisy()
    own = forests.RandomForestQuantileRegressor(20, min_samples_leaf=5, random_state=0)
    model = aggregate([("forest", own), ("linear", QuantileRegressor(alpha=0))], weights="coarse").fit(X, y)
    alone = clone(own).fit(X, y).predict(X[:9], quantiles=list(LEVELS))
    np.testing.assert_allclose(model.predict_models(X[:9])[:, 0], alone)
    assert 0 < model.weights_["forest"][0] < 1


def test_the_default_models_are_five_and_networks_have_more_epochs_where_rows_are_few():
    few, many = (dict(default_models(np.array(LEVELS), n)) for n in (100, 1_000_000))
    assert list(few) == ["linear", "boosting", "forest", "pinball", "gaussian_nll"]
    assert few["pinball"].max_epochs > many["pinball"].max_epochs >= 20


def test_leaves_hold_the_weighted_quantiles_of_rows_that_share_them():
    X, y = noisy(40)
    weight = np.random.default_rng(1).integers(1, 4, size=40).astype(float)
    levels = np.array([0.2, 0.5, 0.8])
    model = as_quantile_model(RandomForestRegressor(7, min_samples_leaf=4, random_state=0), levels, "x")
    found = model.fit(X, y, weight).predict_quantiles(X[:5], levels)
    leaves = model.estimator.apply(X)
    for i in range(5):
        share = np.zeros(40)
        for tree in range(7):
            own = leaves[:, tree] == leaves[i, tree]
            share += own * weight / (own * weight).sum() / 7
        order = np.argsort(y)
        expected = [y[order][np.argmax(np.cumsum(share[order]) >= level - 1e-12)] for level in levels]
        assert found[i].tolist() == expected


def test_levels_of_a_loss_are_those_asked_for_unless_the_user_chose_some():
    levels = np.array([0.02, 0.5, 0.98])
    plain = as_quantile_model(LossRegressor("pinball"), levels, "x").estimator
    chosen = as_quantile_model(LossRegressor("pinball").set_params(loss__levels=(0.1, 0.9)), levels, "x").estimator
    assert plain.get_params()["loss__levels"] == (0.02, 0.5, 0.98)
    assert chosen.get_params()["loss__levels"] == (0.1, 0.9)


def test_sample_weight_reaches_the_base_models_that_take_it():
    X, y = noisy(60)
    weight = np.r_[np.zeros(10), np.arange(1.0, 51.0)]
    model = aggregate([("takes", Constant()), ("nearest", BASES["pipeline"])]).fit(X, y, weight)
    assert model.named_estimators_["takes"].estimator.sample_weight_.tolist() == weight[10:].tolist()


@pytest.mark.parametrize(
    "base", [LinearRegression(), LossRegressor("mse"), HistGradientBoostingRegressor(), "linear"], ids=repr
)
def test_a_base_model_without_quantiles_is_refused_by_name(base):
    X, y = noisy(30)
    with pytest.raises(TaskError, match=r"the base model 'odd', .*, predicts no quantiles; give one with"):
        aggregate([("constant", Constant()), ("odd", base)]).fit(X, y)


def test_the_models_chosen_without_any_given_do_better_together_than_alone_on_average():
    X, y = noisy(200)
    new, outcomes = noisy(500, seed=1)
    model = QuantileAggregator(quantiles=LEVELS, cv=2, random_state=0).fit(X, y)
    assert model.names_ == ["linear", "boosting", "forest", "pinball", "gaussian_nll"]
    found = pinball_values(outcomes, model.predict_quantiles(new), model.quantiles_).mean()
    alone = [
        pinball_values(outcomes, base.predict_quantiles(new, model.quantiles_), model.quantiles_).mean()
        for base in model.estimators_
    ]
    assert found < np.mean(alone)


# -- crossing and coverage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crossing", ["sort", "isotonic", "minmax", "penalty"])
@pytest.mark.parametrize("conformal", [None, "cqr", "one_sided"])
def test_nothing_crosses(crossing, conformal):
    G, y = forecasts()
    G = G + np.random.default_rng(0).normal(size=G.shape)
    model = over_arrays(weights="average", crossing=crossing, conformal=conformal).fit_predictions(G, y)
    assert crossing_rate(y, model.predict_predictions(G)) == 0
    assert crossing_rate(y, model.set_params(crossing=None).fit_predictions(G, y).predict_predictions(G)) > 0


@pytest.mark.parametrize("conformal", ["cqr", "one_sided"])
def test_coverage_of_new_rows_is_at_least_what_is_promised(conformal):
    covered = []
    for seed in range(500):
        G, y = forecasts(160, seed)
        old, new = G[:60] - 0.8, G[60:] - 0.8  # too low and too narrow
        model = over_arrays(weights="average", conformal=conformal, calibration_size=0.5, random_state=seed)
        q = model.fit_predictions(old, y[:60]).predict_predictions(new)
        covered.append([((q[:, j] <= y[60:]) & (y[60:] <= q[:, -1 - j])).mean() for j in range(2)])
    assert (np.mean(covered, axis=0) >= np.array([0.8, 0.5]) - 0.01).all()
    if conformal == "cqr":
        assert (np.mean(covered, axis=0) <= np.array([0.8, 0.5]) + 0.06).all()


def test_each_group_is_covered():
    group = np.repeat(["calm", "wild"], 400)
    covered = {"calm": [], "wild": []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = np.where(group == "wild", 5.0, 0.5) * rng.normal(size=800)
        G = np.tile([-1.3, -0.7, 0.0, 0.7, 1.3], (800, 1, 1))
        model = over_arrays(weights="average", conformal="cqr").fit_predictions(G, y, group=group)
        fresh = np.where(group == "wild", 5.0, 0.5) * rng.normal(size=800)
        q = model.predict_predictions(G, group=group)
        for name in covered:
            own = group == name
            covered[name].append(((q[own, 0] <= fresh[own]) & (fresh[own] <= q[own, -1])).mean())
    assert np.mean(covered["calm"]) == pytest.approx(0.8, abs=0.03)
    assert np.mean(covered["wild"]) == pytest.approx(0.8, abs=0.03)


def test_rows_held_out_are_seen_by_no_base_model():
    X, y = noisy(100)
    model = aggregate(conformal="cqr", calibration_size=0.3).fit(X, y)
    assert len(model.named_estimators_["constant"].estimator.y_) == 70


def test_too_few_rows_to_calibrate_are_refused_before_anything_is_fitted():
    X, y = noisy(30)
    Constant.fits = 0
    match = r"levels from 0\.05 to 0\.95 needs at least 9 calibration rows, got 6 of all rows; give more rows"
    with pytest.raises(DataError, match=match):
        aggregate(conformal="cqr", quantiles=(0.05, 0.5, 0.95)).fit(X, y)
    with pytest.raises(DataError, match="needs at least 19 calibration rows, got 3 of b"):
        aggregate(conformal="one_sided", quantiles=(0.05,)).fit(X, y, group=["b"] * 15 + ["c"] * 15)
    assert Constant.fits == 0


def test_groups_are_asked_for_where_they_were_given_and_only_there():
    G, y = forecasts(200)
    group = np.repeat([3, 7], 100)
    model = over_arrays(conformal="cqr").fit_predictions(G, y, group=group)
    assert sorted(model.shifts_) == [3, 7]
    with pytest.raises(DataError, match="calibrated by group; pass group=, each of 3, 7"):
        model.predict_predictions(G)
    with pytest.raises(DataError, match="group 5 was not calibrated; known are 3, 7"):
        model.predict_predictions(G, group=np.full(200, 5))
    with pytest.raises(DataError, match=r"group must have shape \(200,\)"):
        model.predict_predictions(G, group=[3])
    with pytest.raises(DataError, match="fit was not given a group"):
        over_arrays(conformal="cqr").fit_predictions(G, y).predict_predictions(G, group=group)


# -- prediction -------------------------------------------------------------------------------------------------------


def test_predictions_are_columns_of_the_quantiles_and_lines_between_them():
    X, y = noisy()
    model = aggregate().fit(X, y)
    q = model.predict_quantiles(X)
    assert (model.predict(X) == q[:, 2]).all()
    assert (model.predict_interval(X, 0.8) == q[:, [0, 4]]).all()
    assert (model.predict_quantiles(X, [0.9, 0.1]) == q[:, [4, 0]]).all()
    np.testing.assert_allclose(model.predict_quantiles(X, 0.3)[:, 0], 0.8 * q[:, 1] + 0.2 * q[:, 2])


@pytest.mark.parametrize("levels", [0.05, 0.99, [0.5, 1.5], np.nan, [[0.5]]])
def test_levels_beyond_the_fitted_ones_are_refused(levels):
    X, y = noisy(50)
    with pytest.raises(ParameterError, match=r"levels must lie in \[0.1, 0.9\]"):
        aggregate(weights="average").fit(X, y).predict_quantiles(X, levels)


def test_data_frames_reach_pipelines_as_they_are():
    X, y = noisy(80)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = aggregate([("linear", BASES["pipeline of levels"]), ("forest", BASES["forest"])]).fit(frame, pd.Series(y))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    same = aggregate([("linear", BASES["pipeline of levels"]), ("forest", BASES["forest"])]).fit(X, y)
    np.testing.assert_allclose(model.predict_quantiles(frame), same.predict_quantiles(X))


def test_weights_are_drawn():
    G, y = forecasts(60)
    ax = over_arrays().fit_predictions(G, y).plot_weights()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["model_0", "model_1", "model_2"]
    tops = [patch.get_y() + patch.get_height() for patch in ax.patches[-5:]]
    assert tops == pytest.approx([1.0] * 5)
    with pytest.raises(ParameterError, match="the median of models has no weights"):
        over_arrays(weights="median").fit_predictions(G, y).plot_weights()


# -- scikit-learn -----------------------------------------------------------------------------------------------------


def test_keeps_the_contract_of_scikit_learn():
    light = [("a", QuantileRegressor(alpha=0)), ("b", QuantileRegressor(alpha=0.1))]
    model = QuantileAggregator(light, quantiles=(0.25, 0.5, 0.75), cv=2, weights="average")
    results = check_estimator(model, on_fail=None, on_skip=None)
    assert [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"] == []


def test_base_models_are_parameters():
    model = aggregate()
    assert model.get_params()["linear__alpha"] == 0
    model.set_params(linear__alpha=0.5, constant="drop")
    assert model.named_estimators["linear"].alpha == 0.5
    X, y = noisy(50)
    assert model.fit(X, y).names_ == ["linear"]
    assert QuantileAggregator().get_params()["estimators"] is None


def test_a_grid_searches_over_it():
    X, y = noisy(60)
    grid = {"weights": ["average", "best"], "linear__alpha": [0, 1.0]}
    search = GridSearchCV(aggregate(), grid, cv=2).fit(X, y)
    assert search.best_params_["linear__alpha"] == 0


def test_the_same_seed_gives_the_same_result_in_two_processes_and_after_pickling():
    X, y = noisy(120)
    bases = [("forest", RandomForestRegressor(10, min_samples_leaf=5)), ("linear", QuantileRegressor(alpha=0))]
    model = aggregate(bases, conformal="cqr")
    one, two = clone(model).fit(X, y), clone(model).set_params(n_jobs=2).fit(X, y)
    assert (one.predict_quantiles(X) == two.predict_quantiles(X)).all()
    assert (pickle.loads(pickle.dumps(one)).predict_quantiles(X) == one.predict_quantiles(X)).all()


def test_local_weights_are_the_same_for_the_same_seed_and_leave_the_global_generators_alone():
    G, y = forecasts(60)
    X = np.random.default_rng(0).normal(size=(60, 2))
    before = torch.get_rng_state()
    one, two = (over_arrays(local=True).fit_predictions(G, y, X=X).weights_of(X) for _ in range(2))
    assert (one == two).all()
    assert torch.equal(before, torch.get_rng_state())


def test_is_registered():
    assert "quantile_aggregator" in {component.name for component in components("estimator")}


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantiles", [(0.0, 0.5), (0.5, 1.0), (0.5, 0.1), (0.5, 0.5), ()])
def test_levels_outside_falling_or_repeated_are_refused(quantiles):
    X, y = noisy(30)
    with pytest.raises(ParameterError, match="QuantileAggregator: quantiles must be a rising sequence of levels"):
        aggregate(quantiles=quantiles).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"quantiles": (0.1, 0.5, 0.8), "conformal": "cqr"}, "conformal='cqr' needs levels that are symmetric"),
        ({"quantiles": (0.1, 0.5, 0.8), "loss": "wis"}, "loss='wis' needs levels that are symmetric"),
        (
            {"weights": "average", "local": True},
            "local=True needs weights that are learnt, one of coarse, medium, fine",
        ),
        ({"weights": "equal"}, "weights must be one of 'average', 'median', .*, got 'equal'"),
        ({"calibration_size": 1.0}, r"calibration_size must be a float in \(0, 1\), got 1.0"),
        ({"cv": 1}, r"cv must be an int in \[2, inf\), a splitter or an iterable of folds, got 1"),
        ({"random_state": "0"}, "random_state must be an int, a RandomState or None, got '0'"),
        ({"cv": 31}, "cv=31 needs at least 31 rows to learn from, got n_samples=30; give more rows, or a smaller cv"),
        ({"estimators": []}, "estimators must be a list of at least one"),
        ({"estimators": [("a", "drop")]}, "all estimators are dropped"),
        ({"estimators": [("a", Constant()), ("a", Constant())]}, "Names provided are not unique"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(params, message):
    X, y = noisy(30)
    with pytest.raises(ValueError, match=message):
        aggregate().set_params(**params).fit(X, y)


@pytest.mark.parametrize(
    ("G", "y", "message"),
    [
        (np.zeros((4, 2)), np.zeros(4), r"G must have shape \(n, n_models, 5\), a column for each level, got \(4, 2\)"),
        (np.zeros((4, 2, 3)), np.zeros(4), r"G must have shape \(n, n_models, 5\)"),
        (np.full((4, 2, 5), np.nan), np.zeros(4), "G holds NaN or infinite values"),
        (np.zeros((4, 2, 5)), np.zeros(3), r"y must have shape \(4,\), one for each row of G, got \(3,\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(G, y, message):
    with pytest.raises(DataError, match=message):
        over_arrays().fit_predictions(G, y)


def test_folds_of_rows_held_out_and_weights_of_zero_alone_are_refused():
    X, y = noisy(50)
    folds = [(np.arange(25), np.arange(25, 50)), (np.arange(25, 50), np.arange(25))]
    with pytest.raises(ParameterError, match="cv has the row 49, but there are 40 to learn from; with conformal"):
        aggregate(cv=folds, conformal="cqr").fit(X, y)
    with pytest.raises(DataError, match="sample_weight is zero everywhere"):
        aggregate().fit(X, y, np.zeros(50))


def test_rows_that_no_fold_tests_do_not_teach_the_weights():
    X, y = noisy(60)
    late = [(np.arange(30), np.arange(30, 60))]
    model = aggregate([("zero", Constant()), ("one", Constant(1.0))], cv=late).fit(X, y)
    G = np.stack([Constant(shift).fit(X, y[:30]).predict_quantiles(X[30:], LEVELS) for shift in (0.0, 1.0)], axis=1)
    same = over_arrays().fit_predictions(G, y[30:])
    np.testing.assert_allclose(list(model.weights_.values()), list(same.weights_.values()))


def test_local_weights_need_features_and_other_numbers_of_models_are_refused():
    G, y = forecasts(40)
    with pytest.raises(DataError, match="local weights depend on X; pass X= beside G"):
        over_arrays(local=True).fit_predictions(G, y)
    with pytest.raises(DataError, match="X must have 40 rows, as G has, got 3"):
        over_arrays(local=True).fit_predictions(G, y, X=np.zeros((3, 1)))
    with pytest.raises(DataError, match="G must have 3 models, as in fit, got 2"):
        over_arrays().fit_predictions(G, y).predict_predictions(G[:, :2])


class Broken(Constant):
    def predict_quantiles(self, X, levels):
        return np.full((len(X), len(levels) - self.shift), np.nan)


@pytest.mark.parametrize(("shift", "message"), [(0, "predicts NaN or infinite"), (1, r"must predict \(n, 5\) quant")])
def test_a_base_model_that_predicts_nonsense_is_named(shift, message):
    X, y = noisy(30)
    with pytest.raises(DataError, match=f"the base model 'broken' {message}"):
        aggregate([("broken", Broken(shift))]).fit(X, y)
