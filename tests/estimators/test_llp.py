import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import sklearnloss
from sklearnloss import BagKFold, LLPClassifier, Loss, Sampler, bag_targets, loss
from sklearnloss.exceptions import DataError, FactError, ParameterError, TaskError

N_BAGS, SIZE = 24, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_BAGS * SIZE, 3))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 1)
BAGS = RNG.permutation(np.repeat(np.arange(N_BAGS), SIZE))


def shares(labels, bags):
    """Return the proportions of each row's bag, (n, k), counted."""
    one_hot = np.eye(labels.max() + 1)[labels]
    return np.stack([one_hot[bags == b].mean(axis=0) for b in bags])


P = shares(LABELS, BAGS)
HALF = np.where(np.arange(len(X)) % 3 == 0, 0.0, 1.0)  # weights that leave rows out


def quick(loss="proportion_ce", **params):
    """Return a small model that learns in a few epochs."""
    small = {"hidden_layer_sizes": (), "lr": 0.05, "max_epochs": 4, "batch_size": 30, "random_state": 0}
    return LLPClassifier(loss, **(small | params))


def assert_same(one, other, rows=X):
    np.testing.assert_array_equal(one.predict_proba(rows), other.predict_proba(rows))


class Recorder:
    """Keeps what a loss was given, in training."""

    def __init__(self):
        self.batches = []

    def loss(self):
        @loss("recording", task="bag", unit="bag")
        def recording(logits, y, *, bag, n_bags, bag_index, bag_weight, X, sample_weight=None):
            if logits.requires_grad:
                given = {"bag": bag, "bag_index": bag_index, "bag_weight": bag_weight, "X": X, "y": y}
                self.batches.append({name: value.numpy().copy() for name, value in given.items()})
            picked = logits.new_zeros(n_bags).index_add(0, bag, logits.square().sum(1))
            return picked - y.sum(1)

        return recording

    def weights(self):
        """Return the weight of each bag that was trained on, by its number."""
        pairs = {(int(i), float(w)) for b in self.batches for i, w in zip(b["bag_index"], b["bag_weight"], strict=True)}
        assert len({i for i, _ in pairs}) == len(pairs)
        return np.array([w for _, w in sorted(pairs)])


@pytest.fixture
def recorder():
    return Recorder()


def test_passes_every_check_of_scikit_learn():
    results = check_estimator(LLPClassifier(max_epochs=40), on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert failed == {}
    assert skipped <= {"check_array_api_input"}  # needs SCIPY_ARRAY_API and a package
    assert len(results) > 50


# -- one thing, said in several ways ----------------------------------------------------------------------------------


def test_bags_are_told_by_keyword_or_by_targets_to_the_same_end():
    model = quick().fit(X, bag_targets(P, BAGS))
    assert_same(model, quick().fit(X, P, bags=BAGS))
    assert_same(model, quick().fit(X, bag_targets({b: P[BAGS == b][0] for b in range(N_BAGS)}, BAGS)))
    assert_same(model, quick().fit(X, P.tolist(), bags=BAGS.tolist()))
    assert_same(model, quick().fit(X, pd.DataFrame(P), bags=pd.Series(BAGS)))


def test_names_of_bags_do_not_matter_but_their_order():
    names = np.array([f"precinct {b:02}" for b in range(N_BAGS)])
    assert_same(quick().fit(X, P, bags=BAGS), quick().fit(X, P, bags=names[BAGS]))
    assert_same(quick().fit(X, P, bags=BAGS), quick().fit(X, P, bags=100.5 * BAGS - 7))


def test_a_list_of_bags_is_as_good():
    order = np.argsort(BAGS, kind="stable")
    listed = [X[BAGS == b] for b in range(N_BAGS)]
    model = quick().fit_bags(listed, [P[BAGS == b][0] for b in range(N_BAGS)])
    assert_same(model, quick().fit(X[order], P[order], bags=BAGS[order]))


def test_labels_of_rows_are_nothing_but_their_proportions():
    model = quick().fit(X, LABELS, bags=BAGS)
    assert_same(model, quick().fit(X, P, bags=BAGS))
    within = LABELS.copy()  # who has which label inside a bag is never seen
    for b in range(N_BAGS):
        within[BAGS == b] = np.roll(within[BAGS == b], 1)
    assert (within != LABELS).any()
    assert_same(model, quick().fit(X, within, bags=BAGS))


def test_labels_without_bags_are_bags_of_one_row():
    assert_same(quick().fit(X, LABELS), quick().fit(X, LABELS, bags=np.arange(len(X))))


def test_the_share_of_the_positive_class_is_as_good_as_two_columns():
    share = P[:, 1] + P[:, 2]
    model = quick().fit(X, share, bags=BAGS)
    assert_same(model, quick().fit(X, np.stack([1 - share, share], axis=1), bags=BAGS))
    assert_same(model, quick().fit(X, bag_targets(share, BAGS)))
    assert model.classes_.tolist() == [0, 1]


def test_float_labels_that_differ_within_a_bag_are_classes():
    labels = (LABELS > 0).astype(float)
    model = quick().fit(X, labels, bags=BAGS)
    assert model.classes_.tolist() == [0.0, 1.0]
    assert_same(model, quick().fit(X, labels.astype(int), bags=BAGS))
    pure = (BAGS % 2).astype(float)  # the same as shares and as classes
    assert_same(quick().fit(X, pure, bags=BAGS), quick().fit(X, pure.astype(int), bags=BAGS))
    three = quick().fit(X, LABELS.astype(float), bags=BAGS)
    assert three.classes_.tolist() == [0.0, 1.0, 2.0]
    assert_same(three, quick().fit(X, P, bags=BAGS))


def test_classes_have_names():
    words = np.array(["no", "so-so", "yes"])
    model = quick().fit(X, words[LABELS], bags=BAGS)
    named = quick().fit(X, P, bags=BAGS, classes=words)
    assert_same(model, named)
    assert named.classes_.tolist() == words.tolist()
    assert set(named.predict(X)) <= set(words)
    assert named.score(X, words[LABELS]) == (named.predict(X) == words[LABELS]).mean()
    two = quick().fit(X, P[:, 2], bags=BAGS, classes=["no", "yes"])
    assert two.classes_.tolist() == ["no", "yes"]


@pytest.mark.parametrize("rows", [csr_matrix(X), pd.DataFrame(X, columns=list("abc")), X.astype(np.float32)], ids=type)
def test_rows_come_as_to_any_other_estimator(rows):
    model = quick().fit(rows, P, bags=BAGS)
    np.testing.assert_allclose(model.predict_proba(rows), quick().fit(X, P, bags=BAGS).predict_proba(X), atol=1e-5)


def test_rows_may_be_read_from_a_file(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    model = quick(memory_limit=512).fit(tmp_path / "rows.npy", P, bags=BAGS)
    np.testing.assert_allclose(model.predict_proba(tmp_path / "rows.npy"), model.predict_proba(X), rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), quick().fit(X, P, bags=BAGS).predict_proba(X), rtol=1e-6)


# -- batches, bags and weights ----------------------------------------------------------------------------------------


def test_bags_are_whole_in_a_batch_with_what_is_known_of_them(recorder):
    quick(recorder.loss(), max_epochs=1).fit(X, P, bags=BAGS)
    for batch in recorder.batches:
        assert len(batch["bag"]) <= 30
        for number, bag in enumerate(batch["bag_index"]):
            rows = batch["X"][batch["bag"] == number]
            assert sorted(map(tuple, rows)) == sorted(map(tuple, X[BAGS == bag]))
            np.testing.assert_allclose(batch["y"][number], P[BAGS == bag][0])
    assert sorted(np.concatenate([b["bag_index"] for b in recorder.batches])) == list(range(N_BAGS))


def test_a_limit_of_rows_draws_some_of_each_bag_anew_in_each_epoch(recorder):
    quick(recorder.loss(), max_epochs=6, max_bag_rows=2).fit(X, P, bags=BAGS)
    drawn = {b: set() for b in range(N_BAGS)}
    for batch in recorder.batches:
        assert (np.bincount(batch["bag"]) == 2).all()
        for number, bag in enumerate(batch["bag_index"]):
            drawn[bag] |= set(map(tuple, batch["X"][batch["bag"] == number]))
    assert all(len(rows) >= 3 for rows in drawn.values())
    own = quick(sampler=Sampler("whole_bags", max_bag_rows=2)).fit(X, P, bags=BAGS)
    assert_same(quick(max_bag_rows=2).fit(X, P, bags=BAGS), own)


def test_bags_count_by_their_rows_or_each_the_same(recorder):
    sizes = np.bincount(BAGS[:90])
    quick(recorder.loss(), max_epochs=1).fit(X[:90], P[:90], bags=BAGS[:90])
    np.testing.assert_allclose(recorder.weights(), sizes / sizes.mean())
    recorder.batches.clear()
    quick(recorder.loss(), max_epochs=1, bag_weight="equal").fit(X[:90], P[:90], bags=BAGS[:90])
    np.testing.assert_allclose(recorder.weights(), 1)
    apart = [quick(bag_weight=how).fit(X[:90], P[:90], bags=BAGS[:90]).predict_proba(X) for how in ("size", "equal")]
    assert np.abs(apart[0] - apart[1]).max() > 1e-4
    even = [quick(bag_weight=how).fit(X, P, bags=BAGS) for how in ("size", "equal")]
    assert_same(*even)


def test_a_bag_weighs_what_its_rows_weigh(recorder):
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(X))
    quick(recorder.loss(), max_epochs=1).fit(X, P, weight, bags=BAGS)
    total = np.bincount(BAGS, weights=weight)
    np.testing.assert_allclose(recorder.weights(), total / total.mean())


def test_a_row_of_weight_two_is_the_row_twice():
    weight = np.where(np.arange(len(X)) % 4 == 0, 2, 1)
    again = np.repeat(np.arange(len(X)), weight)
    whole = {"batch_size": 1000}  # batches are filled by rows, so they would hold other bags
    model = quick(**whole).fit(X, P, weight, bags=BAGS)
    twice = quick(**whole).fit(X[again], P[again], bags=BAGS[again])
    np.testing.assert_allclose(model.predict_proba(X), twice.predict_proba(X), rtol=1e-9)


def test_rows_of_weight_zero_are_as_good_as_removed():
    kept = HALF > 0
    model = quick().fit(X, P, HALF, bags=BAGS)
    np.testing.assert_allclose(
        model.predict_proba(X), quick().fit(X[kept], P[kept], bags=BAGS[kept]).predict_proba(X), rtol=1e-9
    )
    gone = np.where(BAGS < 3, 0.0, 1.0)  # and so are whole bags
    kept = gone > 0
    model = quick().fit(X, P, gone, bags=BAGS)
    np.testing.assert_allclose(
        model.predict_proba(X), quick().fit(X[kept], P[kept], bags=BAGS[kept]).predict_proba(X), rtol=1e-9
    )


def test_labels_of_rows_count_by_their_weight():
    kept = HALF > 0
    model = quick().fit(X, LABELS, HALF, bags=BAGS)
    np.testing.assert_allclose(
        model.predict_proba(X), quick().fit(X[kept], LABELS[kept], bags=BAGS[kept]).predict_proba(X), rtol=1e-9
    )


def test_a_bag_whose_proportions_are_noisy_counts_less(recorder):
    noise = np.where(BAGS < 8, 0.3, np.where(BAGS < 16, 0.01, 0.0))
    quick(recorder.loss(), max_epochs=1).fit(X, P, bags=BAGS, noise_scale=noise)
    found = recorder.weights()
    p = np.stack([P[BAGS == b][0] for b in range(N_BAGS)])
    chance = np.maximum((p * (1 - p)).sum(axis=1) / SIZE, (1 - 1 / 3) / SIZE**2)
    by_bag = np.array([noise[BAGS == b][0] for b in range(N_BAGS)])
    expected = chance / (chance + 3 * by_bag**2)
    np.testing.assert_allclose(found, expected / expected.mean())
    assert found[:8].max() < found[8:16].min() <= found[8:16].max() < found[16:].min()


def test_no_noise_changes_nothing_and_the_same_noise_of_like_bags_neither():
    model = quick().fit(X, P, bags=BAGS)
    assert_same(model, quick().fit(X, P, bags=BAGS, noise_scale=np.zeros(len(X))))
    like = np.tile([0.5, 0.3, 0.2], (len(X), 1))
    np.testing.assert_allclose(
        quick().fit(X, like, bags=BAGS, noise_scale=np.full(len(X), 0.2)).predict_proba(X),
        quick().fit(X, like, bags=BAGS).predict_proba(X),
    )


def test_early_stopping_holds_whole_bags_out(recorder):
    model = quick(recorder.loss(), early_stopping=True, validation_fraction=0.25, max_epochs=2)
    model.fit(X, P, bags=BAGS)
    trained = {tuple(row) for batch in recorder.batches for row in batch["X"]}
    seen = np.array([tuple(row) in trained for row in X])
    inside = np.array([seen[BAGS == b].mean() for b in range(N_BAGS)])
    assert set(inside) == {0.0, 1.0}
    assert (inside == 0).sum() == 6
    assert sorted({int(i) for batch in recorder.batches for i in batch["bag_index"]}) == list(range(18))  # no gaps


def test_early_stopping_watches_the_score_of_the_bags_held_out_and_goes_back_to_the_best():
    model = quick(early_stopping=True, lr=2.0, max_epochs=30, n_iter_no_change=3).fit(X, P, bags=BAGS)
    scores = [row["valid_score"] for row in model.history_]
    assert len(scores) < 30
    best = quick(early_stopping=True, lr=2.0, max_epochs=int(np.argmax(scores)) + 1).fit(X, P, bags=BAGS)
    assert_same(model, best)
    with pytest.raises(
        ValueError, match="early_stopping needs bags to hold out, and two to learn from; there are only"
    ):
        quick(early_stopping=True).fit(X[BAGS < 2], LABELS[BAGS < 2] > 0, bags=BAGS[BAGS < 2])


# -- predictions and scores -------------------------------------------------------------------------------------------


def test_rows_are_learnt_from_bags():
    rng = np.random.default_rng(0)
    rows, bags = rng.normal(size=(600, 2)), np.repeat(np.arange(100), 6)
    labels = (rows[:, 0] > 0).astype(int)
    model = quick(max_epochs=30).fit(rows, shares(labels, bags), bags=bags)
    assert model.score(rows, labels) > 0.95


def test_proportions_of_bags_are_means_of_probabilities():
    model = quick().fit(X, P, bags=BAGS)
    proba, weight = model.predict_proba(X), np.random.default_rng(0).uniform(size=len(X))
    found = model.predict_proportions(X, BAGS)
    np.testing.assert_allclose(found, [proba[BAGS == b].mean(axis=0) for b in range(N_BAGS)])
    weighed = model.predict_proportions(X, BAGS, weight)
    expected = [np.average(proba[BAGS == b], axis=0, weights=weight[BAGS == b]) for b in range(N_BAGS)]
    np.testing.assert_allclose(weighed, expected)
    words = np.where(BAGS % 2 == 0, "even", "an odd one")
    np.testing.assert_allclose(model.predict_proportions(X, words)[1], proba[words == "even"].mean(axis=0))


def test_ids_that_do_not_fit_are_refused():
    model = quick().fit(X, P, bags=BAGS)
    with pytest.raises(DataError, match=r"^bags must have shape \(120,\), one id for each row, got \(7,\)$"):
        model.predict_proportions(X, BAGS[:7])
    with pytest.raises(ValueError, match="bags lacks the id of row"):
        model.predict_proportions(X, np.where(BAGS == 1, np.nan, BAGS))


def test_a_bag_that_weighs_nothing_has_its_plain_mean():
    model = quick().fit(X, P, bags=BAGS)
    found = model.predict_proportions(X, BAGS, np.where(BAGS == 1, 0.0, 2.0))
    np.testing.assert_allclose(found, model.predict_proportions(X, BAGS))


def test_the_score_of_bags_is_how_near_their_proportions_are():
    model = quick().fit(X, P, bags=BAGS)
    unequal = np.where(np.arange(len(X)) < 90, BAGS, 0)  # bags of different sizes
    known = shares(LABELS, unequal)
    ids, first, counts = np.unique(unequal, return_index=True, return_counts=True)
    off = np.abs(model.predict_proportions(X, unequal) - known[first]).sum(axis=1) / 2
    expected = 1 - np.average(off, weights=counts)
    assert len(ids) == N_BAGS
    for score in (
        model.score(X, known, bags=unequal),
        model.score(X, LABELS, bags=unequal),
        model.score(X, bag_targets(known, unequal)),
    ):
        assert score == pytest.approx(expected)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(X))
    off = np.abs(model.predict_proportions(X, unequal, weight) - known[first]).sum(axis=1) / 2
    expected = 1 - np.average(off, weights=np.bincount(unequal, weights=weight))
    assert model.score(X, known, weight, bags=unequal) == pytest.approx(expected)
    assert model.score(X, LABELS) == (model.predict(X) == LABELS).mean()


def test_a_share_is_scored_as_two_columns():
    model = quick().fit(X, P[:, 1], bags=BAGS)
    assert model.score(X, P[:, 1], bags=BAGS) == model.score(X, np.stack([1 - P[:, 1], P[:, 1]], axis=1), bags=BAGS)
    with pytest.raises(DataError, match=r"^y must have proportions of the 2 classes, got 3$"):
        model.score(X, P, bags=BAGS)


@pytest.mark.parametrize("rows", [LABELS < 2, BAGS == 0], ids=["a class is absent", "one bag"])
def test_labels_to_score_need_not_have_all_that_training_needs(rows):
    model = quick().fit(X, P, bags=BAGS)
    expected = model.score(X[rows], shares(LABELS, np.where(rows, BAGS, -1))[rows], bags=BAGS[rows])
    assert model.score(X[rows], LABELS[rows], bags=BAGS[rows]) == pytest.approx(expected)


def test_a_bag_that_weighs_nothing_is_not_scored():
    model, weight = quick().fit(X, P, bags=BAGS), np.where(BAGS == 2, 0.0, 1.0)
    expected = model.score(X[BAGS != 2], P[BAGS != 2], bags=BAGS[BAGS != 2])
    assert model.score(X, P, weight, bags=BAGS) == pytest.approx(expected)


# -- going on, and keeping --------------------------------------------------------------------------------------------


def test_partial_fit_is_an_epoch_of_fit():
    at_once, stepwise = quick(batch_size=1000).fit(X, P, bags=BAGS), quick(batch_size=1000)
    for _ in range(4):
        stepwise.partial_fit(X, bag_targets(P, BAGS))
    np.testing.assert_allclose(stepwise.predict_proba(X), at_once.predict_proba(X), rtol=1e-9)
    assert stepwise.n_iter_ == 4


def test_partial_fit_takes_other_bags_at_each_call():
    model = quick()
    for _ in range(3):
        for part in (BAGS < 9, BAGS >= 9):
            model.partial_fit(X[part], P[part], bags=BAGS[part])
    assert model.n_iter_ == 6
    assert model.score(X, P, bags=BAGS) > 0.8
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] are not those of the first call, \[0, 1, 2\]"):
        model.partial_fit(X, P[:, 1], bags=BAGS)
    with pytest.raises(ValueError, match=r"^partial_fit cannot hold rows out; leave early_stopping off$"):
        quick(early_stopping=True).partial_fit(X, P, bags=BAGS)


@pytest.mark.parametrize("rows", [np.isin(BAGS, [0, 1]), BAGS == 0], ids=["a class is absent", "one bag"])
def test_a_later_call_of_partial_fit_need_not_have_all_classes_nor_several_bags(rows):
    pure = np.eye(3)[np.where(BAGS == 0, 0, 1)]
    model = quick().partial_fit(X, P, bags=BAGS).partial_fit(X[rows], pure[rows], bags=BAGS[rows])
    assert model.n_iter_ == 2


def test_partial_fit_knows_the_classes_it_was_told():
    rows = np.isin(BAGS, BAGS[LABELS == 2], invert=True)
    model = quick().partial_fit(X[rows], LABELS[rows], bags=BAGS[rows], classes=[0, 1, 2])
    assert model.partial_fit(X, LABELS, bags=BAGS).classes_.tolist() == [0, 1, 2]


def test_a_warm_start_goes_on_from_the_last_weights():
    model = quick(warm_start=True, batch_size=1000, max_epochs=3).fit(X, P, bags=BAGS)
    model.set_params(max_epochs=2).fit(X, P, bags=BAGS)
    assert model.n_iter_ == 5
    assert model.loss_curve_[3] < model.loss_curve_[0]
    part = BAGS < 10
    model.fit(X[part], P[part], bags=BAGS[part])
    assert model.n_iter_ == 7


def test_a_saved_model_predicts_the_same_and_goes_on(tmp_path):
    for fitted in (
        quick().fit(X, P, bags=BAGS),
        quick(hidden_layer_sizes=(5,)).fit(X, bag_targets(P, BAGS), classes=["a", "b", "c"]),
    ):
        fitted.save(tmp_path / "model.safetensors")
        for same in (sklearnloss.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(fitted))):
            assert type(same) is LLPClassifier
            assert_same(same, fitted)
            assert same.classes_.tolist() == fitted.classes_.tolist()
            assert same.score(X, P, bags=BAGS) == fitted.score(X, P, bags=BAGS)
            same.partial_fit(X, P, bags=BAGS, classes=fitted.classes_)


def test_a_fit_keeps_nothing_of_its_bags():
    model = quick().fit(X, P, bags=BAGS)
    assert not {"_given_bags", "_table", "_trained"} & vars(model).keys()
    with pytest.raises(DataError):
        model.fit(X, np.full_like(P, 0.5), bags=BAGS)
    assert not {"_given_bags", "_table", "_trained"} & vars(model).keys()


def test_the_same_seed_gives_the_same_numbers_and_a_clone_forgets():
    one = quick().fit(X, P, bags=BAGS)
    assert_same(one, clone(one).fit(X, P, bags=BAGS))
    assert not np.array_equal(quick(random_state=1).fit(X, P, bags=BAGS).predict_proba(X), one.predict_proba(X))


def test_a_fit_that_checkpoints_ends_like_one_that_does_not(tmp_path):
    assert_same(quick(checkpoint=tmp_path).fit(X, P, bags=BAGS), quick().fit(X, P, bags=BAGS))


# -- searches and pipelines -------------------------------------------------------------------------------------------


def test_a_pipeline_passes_bags_on_with_routing_and_without():
    plain = make_pipeline(StandardScaler(), quick()).fit(X, bag_targets(P, BAGS))
    assert_same(plain, make_pipeline(StandardScaler(), quick()).fit(X, P, llpclassifier__bags=BAGS))
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(StandardScaler(), quick()).fit(X, P, bags=BAGS)
        assert_same(plain, routed)
        assert routed.score(X, P, bags=BAGS) == plain.score(X, bag_targets(P, BAGS))


@pytest.mark.parametrize("pipeline", [False, True])
def test_a_search_passes_bags_on_with_routing_and_needs_targets_without(pipeline):
    model = make_pipeline(StandardScaler(), quick()) if pipeline else quick()
    grid = {f"{'llpclassifier__' if pipeline else ''}lr": [0.001, 0.05]}
    plain = GridSearchCV(model, grid, cv=BagKFold(3)).fit(X, bag_targets(P, BAGS))
    with config_context(enable_metadata_routing=True):
        cv = BagKFold(3).set_split_request(groups="bags")
        routed = GridSearchCV(model, grid, cv=cv).fit(X, P, bags=BAGS)
        carried = GridSearchCV(model, grid, cv=BagKFold(3)).fit(X, bag_targets(P, BAGS))
        assert routed.score(X, P, bags=BAGS) == plain.score(X, bag_targets(P, BAGS))
    for search in (routed, carried):
        np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
        assert_same(search, plain)


def test_noise_is_passed_on_too():
    noise = np.where(BAGS < 8, 0.3, 0.0)
    expected = quick().fit(X, P, bags=BAGS, noise_scale=noise)
    with config_context(enable_metadata_routing=True):
        assert_same(make_pipeline(quick()).fit(X, P, bags=BAGS, noise_scale=noise), expected)


def test_bags_may_be_refused_under_routing():
    with config_context(enable_metadata_routing=True):
        model = quick().set_fit_request(bags=False)
        assert model.get_metadata_routing().fit.requests["bags"] is False
        assert quick().get_metadata_routing().fit.requests["bags"] is True
        assert quick().get_metadata_routing().score.requests["bags"] is True


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["cross_entropy", Loss("proportion_ce") + Loss("cross_entropy")], ids=repr)
def test_a_loss_of_rows_is_refused_and_losses_of_bags_are_named(spec):
    with pytest.raises(
        TaskError, match=r"^loss 'cross_entropy' needs the label of each row; LLPClassifier takes losses"
    ):
        quick(spec).fit(X, P, bags=BAGS)
    with pytest.raises(TaskError, match=r"losses of bags: .*proportion_ce"):
        quick(spec).fit(X, P, bags=BAGS)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        (
            {"mixup": "mixup"},
            TaskError,
            "^mixup 'mixup' mixes X; LLPClassifier takes mixups of bags, such as 'mixbag'$",
        ),
        ({"sampler": "shuffle"}, TaskError, "^sampler 'shuffle' draws rows, but LLPClassifier trains on whole bags"),
        ({"sampler": "whole_bags", "max_bag_rows": 2}, TaskError, "^max_bag_rows belongs to the default sampler; give"),
        ({"loss": "bag_interp_mse"}, TaskError, "works on prediction; LLPClassifier takes losses on logits$"),
        ({"bag_weight": "rows"}, ValueError, "bag_weight"),
        ({"max_bag_rows": 0}, ValueError, "max_bag_rows"),
        ({"sampler": Sampler("whole_bags", max_bag_rows=0)}, ParameterError, "max_bag_rows must be an int in"),
    ],
)
def test_components_and_parameters_that_do_not_fit_are_refused(params, error, words):
    with pytest.raises(error, match=words):
        quick(**params).fit(X, P, bags=BAGS)


@pytest.mark.parametrize(
    ("y", "how", "error", "words"),
    [
        (P, {"bags": BAGS[:7]}, DataError, "^bags must have an id for each of the 120 rows, got 7$"),
        (LABELS, {"bags": BAGS[:7]}, DataError, "^bags must have an id for each of the 120 rows, got 7$"),
        (LABELS, {"bags": np.where(BAGS == 0, None, BAGS)}, DataError, "^bags lacks the id of row"),
        (P, {"bags": np.where(BAGS == 3, np.nan, BAGS)}, DataError, "^bags lacks the id of row"),
        (2 * P, {"bags": BAGS}, DataError, "^bag 0 has proportions that sum to 2, not to 1"),
        (np.c_[P[:, 0] + 2, P[:, 1] - 2, P[:, 2]], {"bags": BAGS}, DataError, "^bag 0 has a negative proportion"),
        (P[:, 0] * 1.5 + 0.5, {"bags": BAGS}, DataError, "of the positive class; shares lie in"),
        (P[np.argsort(BAGS)], {"bags": BAGS}, DataError, "has different proportions on its rows"),
        (P, {"bags": np.zeros(120)}, DataError, "has different proportions on its rows"),
        (LABELS, {"bags": np.zeros(120)}, DataError, "^there is one bag, 0.0: its proportions do not tell its rows"),
        (np.c_[P, np.zeros(120)], {"bags": BAGS}, DataError, "^class 3 is absent from every bag"),
        (
            P,
            {"bags": BAGS, "classes": ["a", "b"]},
            DataError,
            "^classes must name each of the 3 columns of proportions",
        ),
        (
            P,
            {"bags": BAGS, "classes": ["b", "a", "c"]},
            DataError,
            "^classes must be sorted, as the columns of predict",
        ),
        (bag_targets(P, BAGS), {"bags": BAGS}, DataError, "^y carries its bags already"),
        (P, {"bags": BAGS, "noise_scal": BAGS}, FactError, "unknown argument 'noise_scal'; did you mean 'noise_scale'"),
        (P, {"bags": BAGS, "bag": BAGS}, FactError, "'bag' is supplied by the trainer; leave it out"),
        (P, {"bags": BAGS, "noise_scale": np.full(120, np.inf)}, ValueError, "noise_scale holds NaN or infinite"),
        (np.where(P == P, np.nan, P), {"bags": BAGS}, DataError, f"^bag {BAGS[0]} has NaN or infinite values in y$"),
        (np.where(BAGS == 7, np.inf, P[:, 0]), {"bags": BAGS}, DataError, "^bag 7 has NaN or infinite values in y$"),
        (np.where(BAGS == 7, np.nan, LABELS), {"bags": BAGS}, DataError, "^bag 7 has NaN or infinite values in y$"),
        (None, {"bags": BAGS}, ValueError, "requires y to be passed"),
    ],
)
def test_data_that_do_not_fit_are_refused(y, how, error, words):
    with pytest.raises(error, match=words):
        quick().fit(X, y, **how)
