import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

import sklearnloss
from sklearnloss import Loss, LossClassifier, LossRegressor, loss
from sklearnloss.exceptions import MissingFactError, ParameterError, TaskError
from sklearnloss.functional.distributions import Normal, Quantiles

LOSSES = ["mse", "pinball", "gaussian_nll"]
DISTRIBUTIONS = ["pinball", "gaussian_nll"]
WITH_STATE = ["hl_gauss", "bar_distribution"]


@pytest.fixture
def line():
    """Return 120 rows of 3 columns and a target in odd units, linear with noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    return X, 400 + 30 * (X @ [1.0, -0.5, 0.0]) + rng.normal(size=120)


@pytest.fixture
def quick():
    """Return a small `LossRegressor` that learns in a few epochs; keywords override."""

    def make(loss="mse", **params):
        small = {"hidden_layer_sizes": (8,), "lr": 0.05, "max_epochs": 15, "random_state": 0}
        return LossRegressor(loss, **(small | params))

    return make


def absolute(prediction, y, *, power: float = 1.0):
    return (prediction - y).abs() ** power


@loss("levels_apart", task="regression", outputs=lambda: 2, link=lambda columns: columns.mean(-1))
def levels_apart(columns, y):
    """Two numbers per target, both near it."""
    return (columns - y[..., None]).square().sum(-1)


@loss("relative", task="regression", target="positive", link=torch.exp)
def relative(prediction, y):
    """Squared error of the logarithms."""
    return (prediction - y.log()).square()


@loss("weighed_by_noise", task="regression")
def weighed_by_noise(prediction, y, *, noise_scale):
    return (prediction - y).square() / noise_scale[:, None]


class OwnLevel(torch.nn.Module):
    """A loss with state, whose link is a method."""

    def __init__(self, *, n_targets):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(n_targets))

    def shifted(self, prediction) -> torch.Tensor:
        return prediction + self.shift

    def forward(self, prediction, y):
        return (self.shifted(prediction) - y).square()


# -- scikit-learn -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LOSSES, "gamma"])
def test_passes_every_check_of_scikit_learn(name):
    results = check_estimator(
        LossRegressor(name, hidden_layer_sizes=(16,), lr=0.03, max_epochs=30), on_fail=None, on_skip=None
    )
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    # this check brings negative targets to an estimator whose tags say that they must be positive
    assert failed.keys() <= ({"check_regressor_multioutput"} if name == "gamma" else set()), failed
    assert skipped <= {"check_array_api_input"}  # needs SCIPY_ARRAY_API and a package
    assert len(results) > 50


def test_tags_say_whether_targets_have_to_be_positive():
    wanted = {"mse": False, "gamma": True, "poisson": True, "cross_entropy": False, "no_such_loss": False}
    found = {name: LossRegressor(name).__sklearn_tags__().target_tags.positive_only for name in wanted}
    assert found == wanted


def test_a_grid_searches_over_losses_and_their_parameters(quick, line):
    grid = [{"loss": ["mse"]}, {"loss": ["pinball"], "loss__levels": [(0.5,), (0.1, 0.5, 0.9)]}]
    search = GridSearchCV(quick(), grid, cv=2).fit(*line)
    assert search.best_score_ > 0.9
    assert len(search.cv_results_["params"]) == 3


# -- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_predictions_follow_the_units_of_the_target(quick, line, name):
    X, y = line
    plain = quick(name).fit(X, y).predict(X)
    for a, b in ((5, 4), (-7, 1e-3), (1e4, 30)):
        np.testing.assert_allclose(quick(name).fit(X, a + b * y).predict(X), a + b * plain, rtol=1e-6)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions_follow_the_units_of_the_target(quick, line, name):
    X, y = line
    plain, moved = quick(name).fit(X, y), quick(name).fit(X, 5 + 4 * y)
    levels = [0.1, 0.5, 0.9]
    np.testing.assert_allclose(
        moved.predict_quantiles(X, levels), 5 + 4 * plain.predict_quantiles(X, levels), rtol=1e-6
    )
    np.testing.assert_allclose(moved.predict_interval(X), 5 + 4 * plain.predict_interval(X), rtol=1e-6)
    np.testing.assert_allclose(moved.predict_dist(X).cdf(5 + 4 * y), plain.predict_dist(X).cdf(y), atol=1e-6)
    np.testing.assert_allclose(moved.predict_dist(X).crps(5 + 4 * y), 4 * plain.predict_dist(X).crps(y), rtol=1e-5)


def test_intervals_hold_about_the_share_that_they_should(quick):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 1))
    y = X[:, 0] + np.exp(0.5 * X[:, 0]) * rng.normal(size=2000)
    for name in DISTRIBUTIONS:
        low, high = quick(name, max_epochs=30, lr=0.02).fit(X, y).predict_interval(X, coverage=0.8).T
        assert 0.74 < ((low <= y) & (y <= high)).mean() < 0.86


def test_positive_targets_are_divided_by_their_mean(quick, line):
    X, y = line
    plain, moved = (quick(relative, max_epochs=60).fit(X, unit * y) for unit in (1, 1e-3))
    assert plain.score(X, y) > 0.9
    np.testing.assert_allclose(moved.predict(X), 1e-3 * plain.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("target", "bad", "words"), [("positive", 0.0, "that are positive"), ("nonnegative", -1.5, "that are not negative")]
)
def test_targets_of_the_wrong_sign_are_refused(quick, line, target, bad, words):
    X, y = line
    signed = loss("signed", task="regression", target=target)(lambda prediction, y: (prediction - y).square())
    with pytest.raises(ValueError, match=rf"loss 'signed' needs targets {words}; y holds {bad:g} \(1 in all\)"):
        quick(signed).fit(X, np.r_[bad, y[1:]])


@pytest.mark.parametrize("name", LOSSES)
def test_a_constant_target_is_predicted(quick, name):
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = quick(name, max_epochs=40).fit(X, np.full(40, 1e6))
    np.testing.assert_allclose(model.predict(X), 1e6, atol=0.5)


# -- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_several_targets_of_different_units_are_learnt_at_once(quick, line, name):
    X, y = line
    Y = np.stack([y, 1e-3 * X[:, 1], -1e5 * X[:, 0]], axis=1)
    model = quick(name, max_epochs=40).fit(X, Y)
    assert model.predict(X).shape == (120, 3)
    assert model.score(X, Y) > 0.9
    if name in DISTRIBUTIONS:
        assert model.predict_dist(X).shape == (120, 3)
        assert model.predict_quantiles(X, [0.3, 0.6]).shape == (120, 3, 2)
        assert model.predict_interval(X).shape == (120, 3, 2)


@pytest.mark.parametrize("name", LOSSES)
def test_a_column_gives_a_column_with_the_same_numbers(quick, line, name):
    X, y = line
    flat, column = quick(name).fit(X, y), quick(name).fit(X, y[:, None])
    assert column.predict(X).shape == (120, 1)
    np.testing.assert_array_equal(column.predict(X)[:, 0], flat.predict(X))
    if name in DISTRIBUTIONS:
        assert flat.predict_dist(X).shape == (120,)
        assert column.predict_dist(X).shape == (120, 1)
        np.testing.assert_array_equal(column.predict_interval(X)[:, 0], flat.predict_interval(X))


def test_distributions_are_of_the_class_that_the_loss_names(quick, line):
    X, y = line
    assert isinstance(quick("gaussian_nll").fit(X, y).predict_dist(X), Normal)
    found = quick(Loss("pinball", levels=(0.2, 0.8))).fit(X, y).predict_dist(X)
    assert isinstance(found, Quantiles)
    assert found.levels.tolist() == [0.2, 0.8]


def test_one_row_is_enough(quick):
    model = quick(max_epochs=2).fit([[1.0, 2.0]], [7.0])
    assert abs(model.predict([[1.0, 2.0]])[0] - 7) < 2


def test_predictions_have_the_precision_of_the_rows(quick, line):
    X, y = line
    assert quick().fit(X.astype(np.float32), y).predict(X.astype(np.float32)).dtype == np.float32
    assert quick().fit(X, y.astype(np.float32)).predict(X).dtype == np.float64


def test_tables_and_whole_numbers_are_targets_too(quick, line):
    X, y = line
    frame = pd.DataFrame({"a": y, "b": y.round().astype(int)})
    assert quick().fit(X, frame).predict(X).shape == (120, 2)
    assert quick().fit(X, frame["b"]).predict(X).shape == (120,)


# -- weights and facts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_of_two_is_the_row_twice(quick, line, name):
    X, y = line
    counts = np.random.default_rng(3).integers(0, 3, 120)
    whole = {"batch_size": 1000, "max_epochs": 10}
    weighted = quick(name, **whole).fit(X, y, sample_weight=counts)
    repeated = quick(name, **whole).fit(X.repeat(counts, axis=0), y.repeat(counts))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_rows_of_weight_zero_do_not_move_the_units(quick, line):
    X, y = line
    weights = np.r_[np.ones(119), 0.0]
    plain = quick(batch_size=1000).fit(X, y, sample_weight=weights)
    wild = quick(batch_size=1000).fit(X, np.r_[y[:-1], 1e9], sample_weight=weights)
    np.testing.assert_allclose(wild.predict(X), plain.predict(X), rtol=1e-6)


def test_a_row_fact_reaches_the_loss(quick, line):
    X, y = line
    with pytest.raises(MissingFactError, match=r"needs 'noise_scale', an array with one row per sample"):
        quick(weighed_by_noise).fit(X, y)
    one = quick(weighed_by_noise).fit(X, y, noise_scale=np.ones(120))
    np.testing.assert_allclose(one.predict(X), quick().fit(X, y).predict(X))
    other = quick(weighed_by_noise).fit(X, y, noise_scale=np.linspace(0.1, 3, 120))
    assert not np.allclose(one.predict(X), other.predict(X))


# -- losses of any kind -----------------------------------------------------------------------------------------------


def test_a_function_on_predictions_is_a_loss(quick, line):
    assert quick(absolute).fit(*line).score(*line) > 0.9
    assert quick(Loss(absolute, power=2.0)).fit(*line).score(*line) > 0.9


def test_a_function_on_columns_is_a_loss(quick, line):
    assert quick(levels_apart).fit(*line).score(*line) > 0.9


def test_a_function_on_columns_has_to_say_how_many(quick, line):
    def unsaid(columns, y):
        return columns.sum(-1) - y

    with pytest.raises(TaskError, match=r"'unsaid' works on columns and does not say how many; declare"):
        quick(unsaid).fit(*line)


def test_a_loss_with_state_may_link_by_a_method(quick, line):
    X, y = line
    declared = loss("own_level", task="regression", link="shifted")(OwnLevel)
    model = quick(declared).fit(X, y)
    assert model.score(X, y) > 0.9
    term = model.net_.criterion_.by_name["own_level"].modules_[0]
    assert float(term.shift.detach().abs()) > 1e-3


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (torch.nn.MSELoss(), lambda gap: gap.square()),
        (torch.nn.L1Loss(), lambda gap: gap.abs()),
        (torch.nn.HuberLoss(delta=0.5), lambda gap: torch.where(gap.abs() < 0.5, gap**2 / 2, gap.abs() / 2 - 0.125)),
        (torch.nn.SmoothL1Loss(), lambda gap: torch.where(gap.abs() < 1, gap**2 / 2, gap.abs() - 0.5)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_losses_of_torch_are_losses(quick, line, module, function):
    X, y = line

    def same(prediction, y):
        return function(prediction - y)

    np.testing.assert_allclose(quick(module).fit(X, y).predict(X), quick(same).fit(X, y).predict(X), rtol=1e-6)


def test_a_sum_is_trained_on_both_terms_and_predicts_by_the_first(quick, line):
    X, y = line
    both = quick(Loss("mse") + 0.5 * Loss(absolute)).fit(X, y)
    assert both.score(X, y) > 0.9
    assert {"train_loss_mse", "train_loss_absolute"} <= both.history_[0].keys()


def test_the_terms_of_a_sum_agree_on_their_columns(quick, line):
    with pytest.raises(TaskError, match=r"want different numbers of columns: {'pinball': 9, 'gaussian_nll': 2}"):
        quick(Loss("pinball") + Loss("gaussian_nll")).fit(*line)
    with pytest.raises(TaskError, match="the terms of a sum share one head"):
        quick(Loss("mse") + Loss("gaussian_nll")).fit(*line)


def test_a_loss_of_classes_names_the_right_estimator(quick, line):
    with pytest.raises(TaskError, match="works on logits and is for multiclass; use LossClassifier"):
        quick("cross_entropy").fit(*line)


def test_a_loss_of_embeddings_alone_predicts_nothing(quick, line):
    with pytest.raises(TaskError, match="makes no prediction"):
        quick("supcon").fit(*line)


def test_a_classifier_names_the_regressor(line):
    X, y = line
    for name in LOSSES:
        with pytest.raises(TaskError, match="Use LossRegressor"):
            LossClassifier(name).fit(X, (y > 400).astype(int))


# -- methods that are there, and not ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["predict_dist", "predict_quantiles", "predict_interval"])
def test_a_loss_of_points_has_no_distribution_and_says_so(quick, line, method):
    model = quick("mse").fit(*line)
    assert not hasattr(model, method)
    with pytest.raises(AttributeError) as caught:
        getattr(model, method)
    assert "loss 'mse' predicts points and knows no distribution" in str(caught.value.__cause__ or caught.value)
    assert hasattr(quick("pinball"), method)


def test_levels_and_coverage_out_of_range_are_refused(quick, line):
    X, y = line
    model = quick("gaussian_nll", max_epochs=1).fit(X, y)
    for levels in ([0.0, 0.5], 1.0, [[0.5]]):
        with pytest.raises(ParameterError, match=r"levels must be numbers in \(0, 1\)"):
            model.predict_quantiles(X, levels)
    with pytest.raises(ParameterError, match=r"coverage must be a number in \(0, 1\), got 1"):
        model.predict_interval(X, coverage=1)


def test_quantiles_never_cross_and_come_in_the_order_asked(quick, line):
    X, y = line
    model = quick("pinball", max_epochs=1).fit(X, y)
    low, high = model.predict_quantiles(X, [0.9, 0.1]).T[::-1]
    assert (low <= high).all()


def test_an_unfitted_model_says_so(quick, line):
    for method in ("predict", "predict_dist", "predict_quantiles", "predict_interval"):
        with pytest.raises(NotFittedError):
            getattr(quick("pinball"), method)(line[0])


# -- bad data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_targets_that_are_no_finite_numbers_are_refused(quick, line, bad):
    X, y = line
    with pytest.raises(ValueError, match=r"y contains (NaN|infinity)|Input y contains"):
        quick().fit(X, np.r_[bad, y[1:]])


def test_a_missing_target_and_words_are_refused(quick, line):
    X, y = line
    with pytest.raises(ValueError, match="requires y to be passed"):
        quick().fit(X, None)
    with pytest.raises(ValueError, match=r"could not convert|dtype"):
        quick().fit(X, np.where(y > 400, "high", "low"))


# -- going on ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_partial_fit_is_an_epoch_of_fit(quick, line, name):
    X, y = line
    stepwise, at_once = quick(name, batch_size=1000), quick(name, batch_size=1000, max_epochs=5).fit(X, y)
    for _ in range(5):
        stepwise.partial_fit(X, y)
    np.testing.assert_allclose(stepwise.predict(X), at_once.predict(X), rtol=1e-6)
    assert stepwise.n_iter_ == 5


def test_partial_fit_keeps_the_units_of_its_first_rows(quick, line):
    X, y = line
    model = quick().partial_fit(X[:60], y[:60])
    scale = model._targets.scale.copy()
    model.partial_fit(X[60:], 10 * y[60:])
    np.testing.assert_array_equal(model._targets.scale, scale)
    with pytest.raises(ValueError, match="y has 2 targets, but the network was trained for 1"):
        model.partial_fit(X, np.stack([y, y], 1))


def test_a_warm_start_goes_on_in_the_same_units(quick, line):
    X, y = line
    model = quick(warm_start=True, max_epochs=5).fit(X, y)
    before, first = model.loss_curve_[-1], model.predict(X)
    model.set_params(max_epochs=1, lr=1e-9).fit(X, y)
    np.testing.assert_allclose(model.predict(X), first, rtol=1e-4)
    assert model.n_iter_ == 6
    assert model.loss_curve_[-1] < 1.1 * before


def test_a_warm_start_with_another_head_is_refused(quick, line):
    model = quick(warm_start=True, max_epochs=1).fit(*line)
    with pytest.raises(TaskError, match="wants 2 columns, but the network was trained for 1 prediction"):
        model.set_params(loss="gaussian_nll").fit(*line)


def test_early_stopping_watches_the_score_of_rows_it_does_not_train_on(quick, line):
    X, y = line
    model = quick(early_stopping=True, max_epochs=200, n_iter_no_change=5).fit(X, y)
    assert model.n_iter_ < 200
    scores = [row["valid_score"] for row in model.history_]
    assert max(scores) > 0.9
    assert model.score(X, y) > 0.9
    watched = quick("pinball", early_stopping=True, scoring="neg_mean_absolute_error", max_epochs=3).fit(X, y)
    assert all(row["valid_score"] < 0 for row in watched.history_)


# -- keeping ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LOSSES, *WITH_STATE])
@pytest.mark.parametrize("targets", [1, 2])
def test_a_saved_model_predicts_the_same(quick, line, tmp_path, name, targets):
    X, y = line
    model = quick(name, max_epochs=3).fit(X, y if targets == 1 else np.stack([y, -y], axis=1))
    model.save(tmp_path / "model.safetensors")
    for same in (sklearnloss.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))):
        assert type(same) is LossRegressor
        np.testing.assert_array_equal(same.predict(X), model.predict(X))
        if name != "mse":
            np.testing.assert_array_equal(same.predict_interval(X), model.predict_interval(X))
        if name in LOSSES:  # the others need all targets at once
            same.partial_fit(X, y if targets == 1 else np.stack([y, -y], axis=1))


def test_the_same_seed_gives_the_same_numbers_and_a_clone_forgets(quick, line):
    X, y = line
    one, other = quick().fit(X, y), clone(quick().fit(X, y)).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    assert not np.array_equal(quick(random_state=1).fit(X, y).predict(X), one.predict(X))


def test_rows_may_be_read_from_a_file(quick, line, tmp_path):
    X, y = line
    np.save(tmp_path / "rows.npy", X)
    model = quick("gaussian_nll", memory_limit=1024).fit(tmp_path / "rows.npy", y)
    assert model.score(tmp_path / "rows.npy", y) > 0.9
    np.testing.assert_allclose(model.predict(tmp_path / "rows.npy"), model.predict(X), rtol=1e-6)
    assert model.predict_interval(tmp_path / "rows.npy").shape == (120, 2)


def test_a_fit_that_checkpoints_ends_like_one_that_does_not(quick, line, tmp_path):
    kept = quick(checkpoint=tmp_path, max_epochs=3).fit(*line)
    np.testing.assert_array_equal(kept.predict(line[0]), quick(max_epochs=3).fit(*line).predict(line[0]))


def test_no_warning_is_raised_on_ordinary_data(quick, line):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in LOSSES:
            quick(name).fit(*line).predict(line[0])
