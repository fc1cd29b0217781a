import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import sklearnloss
from sklearnloss import AggregateRegressor, BagKFold, Loss, bag_mse_scorer, bag_targets, loss
from sklearnloss.exceptions import DataError, FactError, TaskError

N_BAGS, SIZE = 24, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_BAGS * SIZE, 3))
Y = 400 + 30 * (X @ [1.0, -0.5, 0.0]) + RNG.normal(size=len(X))
BAGS = RNG.permutation(np.repeat(np.arange(N_BAGS), SIZE))
BAGS_ONLY = Loss("bag_interp_mse", rho=0.0)
HALF = np.where(np.arange(len(X)) % 3 == 0, 0.0, 1.0)  # weights that leave rows out


def means(values, bags=BAGS):
    """Return the mean of each row's bag."""
    return np.stack([values[bags == b].mean(axis=0) for b in bags])


M = means(Y)


def quick(loss="bag_interp_mse", **params):
    """Return a small model that learns in a few epochs."""
    small = {"hidden_layer_sizes": (), "lr": 0.05, "max_epochs": 4, "batch_size": 30, "random_state": 0}
    return AggregateRegressor(loss, **(small | params))


def assert_same(one, other, rows=X):
    np.testing.assert_array_equal(one.predict(rows), other.predict(rows))


def recording(batches):
    """Return a loss that keeps what it is given in training."""

    @loss("recording_means", task="bag", unit="bag")
    def recording_means(prediction, y, *, bag, n_bags, bag_index, bag_weight, X, sample_weight=None):
        if prediction.requires_grad:
            given = {"bag": bag, "bag_index": bag_index, "bag_weight": bag_weight, "X": X, "y": y}
            batches.append({name: value.numpy().copy() for name, value in given.items()})
        values = prediction.reshape(len(bag), -1).square().sum(1)
        return values.new_zeros(n_bags).index_add(0, bag, values)

    return recording_means


def weights(batches):
    """Return the weight of each bag that was trained on, by its number."""
    pairs = {(int(i), float(w)) for b in batches for i, w in zip(b["bag_index"], b["bag_weight"], strict=True)}
    return np.array([w for _, w in sorted(pairs)])


def test_passes_every_check_of_scikit_learn():
    results = check_estimator(AggregateRegressor(max_epochs=40), on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert failed == {}
    assert skipped <= {"check_array_api_input"}  # needs SCIPY_ARRAY_API and a package
    assert len(results) > 50


# -- one thing, said in several ways ----------------------------------------------------------------------------------


def test_bags_are_told_by_keyword_or_by_targets_to_the_same_end():
    model = quick().fit(X, bag_targets(M, BAGS))
    assert_same(model, quick().fit(X, M, bags=BAGS))
    assert_same(model, quick().fit(X, bag_targets({b: M[BAGS == b][0] for b in range(N_BAGS)}, BAGS)))
    assert_same(model, quick().fit(X, M.tolist(), bags=BAGS.tolist()))
    assert_same(model, quick().fit(X, pd.Series(M), bags=pd.Series(BAGS)))
    names = np.array([f"precinct {b:02}" for b in range(N_BAGS)])
    assert_same(model, quick().fit(X, M, bags=names[BAGS]))


def test_a_list_of_bags_is_as_good():
    order = np.argsort(BAGS, kind="stable")
    model = quick().fit_bags([X[BAGS == b] for b in range(N_BAGS)], [M[BAGS == b][0] for b in range(N_BAGS)])
    assert_same(model, quick().fit(X[order], M[order], bags=BAGS[order]))


def test_responses_of_rows_are_nothing_but_their_means():
    np.testing.assert_allclose(
        quick().fit(X, Y, bags=BAGS).predict(X), quick().fit(X, M, bags=BAGS).predict(X), rtol=1e-9
    )


def test_responses_without_bags_are_bags_of_one_row():
    assert_same(quick().fit(X, Y), quick().fit(X, Y, bags=np.arange(len(X))))


def test_several_targets_are_learnt_at_once():
    both = np.stack([Y, -3 * Y], axis=1)
    model = quick(BAGS_ONLY, max_epochs=30).fit(X, means(both), bags=BAGS)
    assert model.predict(X).shape == (120, 2)
    assert model.predict_means(X, BAGS).shape == (N_BAGS, 2)
    assert model.score(X, both) > 0.9
    assert_same(model, quick(BAGS_ONLY, max_epochs=30).fit(X, bag_targets(means(both), BAGS)))
    column = quick().fit(X, M[:, None], bags=BAGS)
    assert column.predict(X).shape == (120, 1)
    np.testing.assert_array_equal(column.predict(X)[:, 0], quick().fit(X, M, bags=BAGS).predict(X))


@pytest.mark.parametrize("rows", [csr_matrix(X), pd.DataFrame(X, columns=list("abc")), X.astype(np.float32)], ids=type)
def test_rows_come_as_to_any_other_estimator(rows):
    model = quick().fit(rows, M, bags=BAGS)
    np.testing.assert_allclose(model.predict(rows), quick().fit(X, M, bags=BAGS).predict(X), rtol=1e-5)


def test_rows_may_be_read_from_a_file(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    model = quick(memory_limit=512).fit(tmp_path / "rows.npy", M, bags=BAGS)
    np.testing.assert_allclose(model.predict(X), quick().fit(X, M, bags=BAGS).predict(X), rtol=1e-6)


def test_predictions_follow_the_units_of_the_means():
    model = quick().fit(X, M, bags=BAGS)
    other = quick().fit(X, 5 + 0.01 * M, bags=BAGS)
    np.testing.assert_allclose(other.predict(X), 5 + 0.01 * model.predict(X), rtol=1e-9)


# -- batches, bags and weights ----------------------------------------------------------------------------------------


def test_bags_are_whole_in_a_batch_with_their_mean():
    batches = []
    quick(recording(batches), max_epochs=1).fit(X, M, bags=BAGS)
    for batch in batches:
        assert len(batch["bag"]) <= 30
        for number, bag in enumerate(batch["bag_index"]):
            rows = batch["X"][batch["bag"] == number]
            assert sorted(map(tuple, rows)) == sorted(map(tuple, X[BAGS == bag]))
            own = (M[BAGS == bag][0] - M.mean()) / M.std()
            np.testing.assert_allclose(batch["y"][number], own, rtol=1e-6)
    assert sorted(np.concatenate([b["bag_index"] for b in batches])) == list(range(N_BAGS))


def test_bags_count_by_their_rows_or_each_the_same():
    sizes, weight = np.bincount(BAGS[:90]), np.random.default_rng(0).uniform(0.5, 2, size=90)
    for how, given, expected in (
        ("size", None, sizes / sizes.mean()),
        ("equal", None, np.ones(N_BAGS)),
        ("size", weight, np.bincount(BAGS[:90], weights=weight) * N_BAGS / weight.sum()),
        ("equal", weight, np.ones(N_BAGS)),
    ):
        batches = []
        model = quick(recording(batches), max_epochs=1, bag_weight=how)
        model.fit(X[:90], means(Y[:90], BAGS[:90]), given, bags=BAGS[:90])
        np.testing.assert_allclose(weights(batches), expected)


def test_rows_of_weight_zero_are_as_good_as_removed():
    for weight in (HALF, np.where(BAGS < 3, 0.0, 1.0)):
        kept = weight > 0
        model = quick().fit(X, M, weight, bags=BAGS)
        alone = quick().fit(X[kept], M[kept], bags=BAGS[kept])
        np.testing.assert_allclose(model.predict(X), alone.predict(X), rtol=1e-9)


def test_a_row_of_weight_two_is_the_row_twice():
    weight = np.where(np.arange(len(X)) % 4 == 0, 2, 1)
    again = np.repeat(np.arange(len(X)), weight)
    model = quick(batch_size=1000).fit(X, M, weight, bags=BAGS)
    twice = quick(batch_size=1000).fit(X[again], M[again], bags=BAGS[again])
    np.testing.assert_allclose(model.predict(X), twice.predict(X), rtol=1e-9)


def test_responses_of_rows_count_by_their_weight():
    kept = HALF > 0
    model = quick().fit(X, Y, HALF, bags=BAGS)
    np.testing.assert_allclose(model.predict(X), quick().fit(X[kept], Y[kept], bags=BAGS[kept]).predict(X), rtol=1e-9)


def test_a_bag_whose_mean_is_noisy_counts_less():
    noise, batches = np.where(BAGS < 8, 30.0, np.where(BAGS < 16, 5.0, 0.0)), []
    quick(recording(batches), max_epochs=1).fit(X, M, bags=BAGS, noise_scale=noise)
    found = weights(batches)
    spread = np.var([M[BAGS == b][0] for b in range(N_BAGS)])
    expected = np.repeat([spread / (spread + 900), spread / (spread + 25), 1], 8)
    np.testing.assert_allclose(found, expected / expected.mean())
    assert found[0] < found[8] < found[16]


def test_the_same_noise_everywhere_changes_nothing():
    noisy = quick().fit(X, M, bags=BAGS, noise_scale=np.full(len(X), 10.0))
    np.testing.assert_allclose(noisy.predict(X), quick().fit(X, M, bags=BAGS).predict(X), rtol=1e-9)


def test_early_stopping_holds_whole_bags_out():
    batches = []
    model = quick(recording(batches), early_stopping=True, validation_fraction=0.25, max_epochs=2)
    model.fit(X, M, bags=BAGS)
    trained = {tuple(row) for batch in batches for row in batch["X"]}
    seen = np.array([tuple(row) in trained for row in X])
    inside = np.array([seen[BAGS == b].mean() for b in range(N_BAGS)])
    assert set(inside) == {0.0, 1.0}
    assert (inside == 0).sum() == 6


def test_early_stopping_watches_the_means_of_the_bags_held_out():
    scored = []

    def watching(estimator, X, y):
        scored.append((len(X), bag_mse_scorer(estimator, X, y)))
        return scored[-1][1]

    model = quick(early_stopping=True, scoring=watching).fit(X, M, bags=BAGS)
    assert {n for n, _ in scored} == {2 * SIZE}
    assert [row["valid_score"] for row in model.history_] == [score for _, score in scored]
    assert np.isfinite(quick(early_stopping=True).fit(X, M, bags=BAGS).history_[0]["valid_score"])


# -- predictions and scores -------------------------------------------------------------------------------------------


def test_rows_are_learnt_from_means():
    rng = np.random.default_rng(0)
    rows, bags = rng.normal(size=(600, 2)), np.repeat(np.arange(100), 6)
    y = rows @ [1.0, -2.0]
    assert quick(BAGS_ONLY, max_epochs=30).fit(rows, means(y, bags), bags=bags).score(rows, y) > 0.9


def test_means_of_bags_are_means_of_predictions():
    model = quick().fit(X, M, bags=BAGS)
    own, weight = model.predict(X), np.random.default_rng(0).uniform(size=len(X))
    np.testing.assert_allclose(model.predict_means(X, BAGS), [own[BAGS == b].mean() for b in range(N_BAGS)])
    expected = [np.average(own[BAGS == b], weights=weight[BAGS == b]) for b in range(N_BAGS)]
    np.testing.assert_allclose(model.predict_means(X, BAGS, weight), expected)
    with pytest.raises(DataError, match=r"^bags must have shape \(120,\), one id for each row, got \(7,\)$"):
        model.predict_means(X, BAGS[:7])


def test_the_score_is_of_rows_or_of_the_means_of_bags():
    model = quick(max_epochs=10).fit(X, M, bags=BAGS)
    assert model.score(X, Y) == r2_score(Y, model.predict(X))
    unequal = np.where(np.arange(len(X)) < 90, BAGS, 0)
    known = means(Y, unequal)
    first, counts = np.unique(unequal, return_index=True, return_counts=True)[1:]
    expected = r2_score(known[first], model.predict_means(X, unequal), sample_weight=counts)
    assert model.score(X, known, bags=unequal) == pytest.approx(expected)
    assert model.score(X, bag_targets(known, unequal)) == pytest.approx(expected)
    assert model.score(X, Y, bags=unequal) == pytest.approx(expected)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(X))
    found = model.predict_means(X, unequal, weight)
    expected = r2_score(known[first], found, sample_weight=np.bincount(unequal, weights=weight))
    assert model.score(X, known, weight, bags=unequal) == pytest.approx(expected)


# -- going on, and keeping --------------------------------------------------------------------------------------------


def test_partial_fit_is_an_epoch_of_fit():
    at_once, stepwise = quick(batch_size=1000).fit(X, M, bags=BAGS), quick(batch_size=1000)
    for _ in range(4):
        stepwise.partial_fit(X, bag_targets(M, BAGS))
    np.testing.assert_allclose(stepwise.predict(X), at_once.predict(X), rtol=1e-9)
    assert stepwise.n_iter_ == 4


def test_partial_fit_takes_other_bags_at_each_call_and_keeps_the_units_of_the_first():
    model, part = quick(batch_size=1000), BAGS < 9
    model.partial_fit(X[part], M[part], bags=BAGS[part])
    moved = clone(model).partial_fit(X[part], M[part], bags=BAGS[part])
    model.partial_fit(X[~part], M[~part], bags=BAGS[~part])
    moved.partial_fit(X[~part], 1000 + M[~part], bags=BAGS[~part])
    assert model.n_iter_ == 2
    assert abs(moved.predict(X) - model.predict(X)).max() < 100  # not taken for the same by new units
    assert abs(moved.predict(X) - model.predict(X)).max() > 0
    model.partial_fit(X[BAGS == 0], M[BAGS == 0], bags=BAGS[BAGS == 0])  # one bag is enough
    with pytest.raises(ValueError, match=r"^partial_fit cannot hold rows out; leave early_stopping off$"):
        quick(early_stopping=True).partial_fit(X, M, bags=BAGS)


def test_a_warm_start_goes_on_from_the_last_weights():
    model = quick(warm_start=True, batch_size=1000, max_epochs=3).fit(X, M, bags=BAGS)
    model.set_params(max_epochs=2).fit(X, M, bags=BAGS)
    assert model.n_iter_ == 5
    assert model.loss_curve_[3] < model.loss_curve_[0]


def test_a_saved_model_predicts_the_same_and_goes_on(tmp_path):
    for y in (M, means(np.stack([Y, -Y], axis=1))):
        fitted = quick(hidden_layer_sizes=(5,)).fit(X, bag_targets(y, BAGS))
        fitted.save(tmp_path / "model.safetensors")
        for same in (sklearnloss.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(fitted))):
            assert type(same) is AggregateRegressor
            assert_same(same, fitted)
            assert same.score(X, y, bags=BAGS) == fitted.score(X, y, bags=BAGS)
            same.partial_fit(X, y, bags=BAGS)


def test_a_fit_keeps_nothing_of_its_bags():
    model = quick().fit(X, M, bags=BAGS)
    assert not {"_given_bags", "_table", "_trained"} & vars(model).keys()


def test_the_same_seed_gives_the_same_numbers_and_a_clone_forgets():
    one = quick().fit(X, M, bags=BAGS)
    assert_same(one, clone(one).fit(X, M, bags=BAGS))
    assert not np.array_equal(quick(random_state=1).fit(X, M, bags=BAGS).predict(X), one.predict(X))


def test_a_fit_that_checkpoints_ends_like_one_that_does_not(tmp_path):
    assert_same(quick(checkpoint=tmp_path).fit(X, M, bags=BAGS), quick().fit(X, M, bags=BAGS))


# -- searches and pipelines -------------------------------------------------------------------------------------------


def test_a_pipeline_passes_bags_on_with_routing_and_without():
    plain = make_pipeline(StandardScaler(), quick()).fit(X, bag_targets(M, BAGS))
    assert_same(plain, make_pipeline(StandardScaler(), quick()).fit(X, M, aggregateregressor__bags=BAGS))
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(StandardScaler(), quick()).fit(X, M, bags=BAGS)
        assert_same(plain, routed)
        assert routed.score(X, M, bags=BAGS) == plain.score(X, bag_targets(M, BAGS))


def test_a_search_passes_bags_on_with_routing_and_needs_targets_without():
    grid, cv = {"lr": [0.001, 0.05]}, BagKFold(3)
    plain = GridSearchCV(quick(), grid, cv=cv).fit(X, bag_targets(M, BAGS))
    with config_context(enable_metadata_routing=True):
        routed = GridSearchCV(quick(), grid, cv=BagKFold(3).set_split_request(groups="bags")).fit(X, M, bags=BAGS)
    np.testing.assert_array_equal(routed.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    assert_same(routed, plain)


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        (
            {"loss": "mse"},
            TaskError,
            "^loss 'mse' needs the response of each row; AggregateRegressor takes losses of ba",
        ),
        ({"loss": "proportion_ce"}, TaskError, "^loss 'proportion_ce' works on logits"),
        ({"mixup": "mixup"}, TaskError, "^mixup 'mixup' mixes X; AggregateRegressor takes mixups of bags"),
        (
            {"sampler": "shuffle"},
            TaskError,
            "^sampler 'shuffle' draws rows, but AggregateRegressor trains on whole bag",
        ),
        ({"bag_weight": "rows"}, ValueError, "bag_weight"),
        ({"max_bag_rows": 0}, ValueError, "max_bag_rows"),
    ],
)
def test_components_and_parameters_that_do_not_fit_are_refused(params, error, words):
    with pytest.raises(error, match=words):
        quick(**params).fit(X, M, bags=BAGS)


@pytest.mark.parametrize(
    ("y", "how", "error", "words"),
    [
        (M, {"bags": BAGS[:7]}, DataError, "^bags must have an id for each of the 120 rows, got 7$"),
        (M, {"bags": np.where(BAGS == 0, None, BAGS)}, DataError, "^bags lacks the id of row"),
        (bag_targets(M, BAGS), {"bags": BAGS}, DataError, "^y carries its bags already"),
        (M, {"bags": BAGS, "noise_scal": BAGS}, FactError, "did you mean 'noise_scale'"),
        (np.full(120, np.nan), {"bags": BAGS}, ValueError, "NaN"),
        (np.full(120, "a"), {"bags": BAGS}, ValueError, "could not convert string"),
    ],
)
def test_data_that_do_not_fit_are_refused(y, how, error, words):
    with pytest.raises(error, match=words):
        quick().fit(X, y, **how)
