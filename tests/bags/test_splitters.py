import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

from sklearnloss import BagKFold, BagShuffleSplit, LLPClassifier, StratifiedBagKFold, bag_l1_scorer, bag_targets
from sklearnloss.exceptions import DataError, ParameterError

KFOLDS = [BagKFold, StratifiedBagKFold]
SPLITTERS = [*KFOLDS, BagShuffleSplit]


def make(n_bags=23, k=3, seed=0, even=False):
    """Return X, targets of bags in mixed order, and the ids: bags of very different sizes, or all of 8 rows."""
    rng = np.random.default_rng(seed)
    sizes = np.full(n_bags, 8) if even else np.ceil(rng.lognormal(2, 0.8, size=n_bags)).astype(int)
    bags = rng.permutation(np.repeat(np.arange(n_bags) * 7, sizes))
    P = rng.dirichlet(np.ones(k), size=n_bags)
    return rng.normal(size=(len(bags), 2)), bag_targets(P[bags // 7], bags), bags


def of(splitter, n_splits):
    """Return a splitter that splits the same way each time."""
    return splitter(n_splits, random_state=0) if splitter is BagShuffleSplit else splitter(n_splits)


def folds(splitter, *args, **kwargs):
    return [(train.tolist(), test.tolist()) for train, test in splitter.split(*args, **kwargs)]


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_each_bag_is_whole_on_one_side_and_each_row_on_one(splitter):
    X, y, bags = make()
    for train, test in of(splitter, 4).split(X, y):
        assert not set(bags[train]) & set(bags[test])
        assert sorted([*train, *test]) == list(range(len(X)))
        assert len(train)
        assert len(test)
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("splitter", KFOLDS)
def test_folds_test_on_each_row_once(splitter, shuffle):
    X, y, _ = make()
    how = {"shuffle": True, "random_state": 0} if shuffle else {}
    tested = np.concatenate([test for _, test in splitter(4, **how).split(X, y)])
    assert sorted(tested) == list(range(len(X)))


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("n_bags", [2, 3, 5])
def test_as_many_folds_as_bags_leave_none_empty(splitter, n_bags):
    for seed in range(20):
        X, y, _ = make(n_bags, seed=seed)
        found = folds(of(splitter, n_bags), X, y)
        assert len(found) == n_bags
        assert all(train and test for train, test in found)


def test_folds_are_those_of_group_k_fold_when_no_sizes_are_equal():
    bags = np.repeat(np.arange(12), np.arange(3, 15))
    theirs = [(train.tolist(), test.tolist()) for train, test in GroupKFold(4).split(bags, groups=bags)]
    assert sorted(folds(BagKFold(4), bags, groups=bags)) == sorted(theirs)


@pytest.mark.parametrize("shuffle", [False, True])
def test_folds_have_nearly_the_same_number_of_rows(shuffle):
    for seed in range(3):
        X, y, _ = make(60, seed=seed)
        how = {"shuffle": True, "random_state": seed} if shuffle else {}
        sizes = [len(test) for _, test in BagKFold(5, **how).split(X, y)]
        assert max(sizes) - min(sizes) <= 0.05 * np.mean(sizes)


def test_bags_of_one_size_are_dealt_evenly():
    X, y, _ = make(20, even=True)
    for splitter in KFOLDS:
        assert {len(test) for _, test in splitter(5).split(X, y)} == {32}


def off(splitter, X, y):
    """Return how far the proportions of a fold are at most from those of all rows."""
    P = y["p"].reshape(len(y), -1)
    return max(np.abs(P[test].mean(axis=0) - P.mean(axis=0)).max() for _, test in splitter.split(X, y))


@pytest.mark.parametrize("k", [2, 5])
def test_stratified_folds_have_nearly_the_same_proportions(k):
    for seed in range(3):
        X, y, _ = make(60, k=k, seed=seed)
        assert off(StratifiedBagKFold(5), X, y) < off(BagKFold(5), X, y) / 2
        assert off(StratifiedBagKFold(5, shuffle=True, random_state=0), X, y) < off(BagKFold(5), X, y) / 2
        sizes = [len(test) for _, test in StratifiedBagKFold(5).split(X, y)]
        assert max(sizes) - min(sizes) < 0.1 * len(X)


def test_stratified_folds_of_mean_responses_have_nearly_the_same_mean():
    bags = np.repeat(np.arange(40), 5)
    for seed in range(3):
        y = bag_targets(np.random.default_rng(seed).normal(50, 20, size=40)[bags], bags)
        assert off(StratifiedBagKFold(5), bags, y) < off(BagKFold(5), bags, y) / 2


def test_stratified_folds_of_rows_with_labels_are_those_of_their_proportions():
    rng = np.random.default_rng(0)
    bags, labels = np.repeat(np.arange(20), 6), rng.integers(3, size=120)
    P = np.stack([np.eye(3)[labels[bags == b]].mean(axis=0) for b in range(20)])
    expected = folds(StratifiedBagKFold(4), bags, bag_targets(P[bags], bags))
    assert folds(StratifiedBagKFold(4), bags, labels, bags) == expected
    assert folds(StratifiedBagKFold(4), bags, np.array(["a", "b", "c"])[labels], bags) == expected
    assert folds(StratifiedBagKFold(4), bags, P[bags], bags) == expected


def test_equal_proportions_are_no_division_by_zero():
    y = bag_targets(np.full((24, 2), 0.5), np.repeat(np.arange(6), 4))
    assert {len(test) for _, test in StratifiedBagKFold(3).split(y, y)} == {8}


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_groups_do_as_well_as_targets_that_carry_their_bags(splitter):
    X, y, bags = make()
    expected = folds(of(splitter, 4), X, y)
    assert folds(of(splitter, 4), X, y["p"], bags) == expected
    words = np.array([f"bag {b:03}" for b in bags])
    assert folds(of(splitter, 4), pd.DataFrame(X), y["p"], words) == expected
    assert folds(of(splitter, 4), csr_matrix(X), y) == expected
    assert folds(of(splitter, 4), X.tolist(), y["p"], bags.tolist()) == expected


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_the_seed_decides_and_the_global_generator_does_not_move(splitter):
    X, y, _ = make()
    how = {} if splitter is BagShuffleSplit else {"shuffle": True}
    before = np.random.get_state()[1].copy()
    first, again, other = (folds(splitter(4, random_state=s, **how), X, y) for s in (0, 0, 1))
    assert first == again
    assert first != other
    state = np.random.RandomState(0)
    moving = splitter(4, random_state=state, **how)
    assert folds(moving, X, y) != folds(moving, X, y)
    assert (np.random.get_state()[1] == before).all()


def test_a_share_to_test_on_is_one_of_rows_and_a_number_one_of_bags():
    X, y, bags = make(80)
    for _, test in BagShuffleSplit(20, test_size=0.3, random_state=0).split(X, y):
        assert abs(len(test) - 0.3 * len(X)) <= max(np.bincount(bags)) / 2
    for _, test in BagShuffleSplit(5, test_size=7, random_state=0).split(X, y):
        assert len(set(bags[test])) == 7


def test_every_bag_is_as_likely_to_be_tested_on():
    bags = np.repeat(np.arange(10), 3)
    drawn = [set(bags[test]) for _, test in BagShuffleSplit(2000, random_state=0).split(bags, groups=bags)]
    counts = np.array([sum(b in tested for tested in drawn) for b in range(10)])
    assert (abs(counts - 400) < 5 * np.sqrt(400 * 0.8)).all()


def test_they_are_splitters_as_scikit_learn_has_them():
    assert repr(BagKFold(3)) == "BagKFold(n_splits=3, random_state=None, shuffle=False)"
    assert repr(StratifiedBagKFold(2, shuffle=True, random_state=1)) == (
        "StratifiedBagKFold(n_splits=2, random_state=1, shuffle=True)"
    )
    assert repr(BagShuffleSplit()) == "BagShuffleSplit(n_splits=5, random_state=None, test_size=0.2)"
    for splitter in SPLITTERS:
        assert splitter(3).get_n_splits() == splitter(3).get_n_splits(None, None, None) == 3
        for same in (copy.deepcopy, clone_loosely, lambda s: pickle.loads(pickle.dumps(s))):
            assert repr(same(splitter(3))) == repr(splitter(3))


def clone_loosely(splitter):
    return clone(splitter, safe=False)


@pytest.mark.parametrize(
    ("make_it", "error", "words"),
    [
        (lambda: BagKFold(1), ParameterError, r"^BagKFold: n_splits must be an int in \[2, inf\), got 1$"),
        (lambda: BagKFold(2.0), ParameterError, "n_splits must be an int"),
        (lambda: BagKFold(True), ParameterError, "n_splits must be an int"),
        (lambda: BagShuffleSplit(0), ParameterError, r"^BagShuffleSplit: n_splits must be an int in \[1, inf\), got 0"),
        (lambda: StratifiedBagKFold(shuffle=1), ParameterError, "^StratifiedBagKFold: shuffle must be True or False"),
        (lambda: BagKFold(random_state=0), ParameterError, "random_state does nothing without shuffle=True"),
        (lambda: BagShuffleSplit(test_size=1.0), ParameterError, r"test_size must be a float in \(0, 1\), the share"),
        (lambda: BagShuffleSplit(test_size=0), ParameterError, "the number of bags; got 0"),
        (lambda: BagShuffleSplit(test_size=True), ParameterError, "got True"),
    ],
)
def test_parameters_out_of_range_are_refused_at_once(make_it, error, words):
    with pytest.raises(error, match=words):
        make_it()


def refused(splitter, *args, words):
    with pytest.raises(DataError, match=words):
        list(splitter.split(*args))


def test_data_without_bags_or_with_too_few_is_refused():
    X, y, bags = make(4)
    for splitter in SPLITTERS:
        name = splitter.__name__
        refused(splitter(2), X, words=rf"^{name} needs bags: make y with bag_targets\(proportions, bags\), or give")
        refused(splitter(2), X, y["p"], words=f"^{name} needs bags")
        refused(splitter(2), X, y, bags, words=f"^{name}: y carries its bags already")
    for splitter in KFOLDS:
        refused(splitter(5), X, y, words="5 folds need as many bags, but there are only 4; lower n_splits$")
    refused(BagShuffleSplit(), X, None, np.zeros(len(X)), words="but there are only 1$")
    refused(BagShuffleSplit(test_size=4), X, y, words=r"to test on \(4\) and to learn from, but there are only 4$")
    refused(
        StratifiedBagKFold(2), X, None, bags, words="needs y, with what is known of the bags; BagKFold does without"
    )
    refused(StratifiedBagKFold(2), X, np.full(len(X), np.nan), bags, words="y holds NaN")
    missing = np.where(np.arange(len(bags)) == 1, np.nan, bags)
    refused(BagKFold(2), X, y["p"], missing, words="bags lacks the id of row 1")


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("routing", [False, True])
def test_a_search_needs_nothing_but_targets_that_carry_their_bags(splitter, routing):
    X, y, _ = make(12, k=2)
    with config_context(enable_metadata_routing=routing):
        model = LLPClassifier(hidden_layer_sizes=(), max_epochs=1, random_state=0)
        search = GridSearchCV(model, {"lr": [0.1, 0.2]}, cv=of(splitter, 3), scoring=bag_l1_scorer).fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert clone(search).cv.n_splits == search.n_splits_ == 3
        assert len(cross_val_score(model, X, y, cv=of(splitter, 3), scoring=bag_l1_scorer)) == 3


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_groups_are_passed_on_without_routing_and_requested_with_it(splitter):
    X, _, bags = make(12)
    labels = (X[:, 0] > 0).astype(int)
    plain = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=of(splitter, 3)).fit(X, labels, groups=bags)
    assert plain.n_splits_ == 3
    with config_context(enable_metadata_routing=True):
        assert splitter(3).get_metadata_routing().split.requests == {"groups": True}
        assert len(cross_val_score(LogisticRegression(), X, labels, cv=of(splitter, 3), params={"groups": bags})) == 3


def test_one_bags_serves_the_estimator_and_the_splitter_under_routing():
    X, y, bags = make(12, k=2)
    with config_context(enable_metadata_routing=True):
        model = LLPClassifier(hidden_layer_sizes=(), max_epochs=2, random_state=0)
        cv = BagKFold(3).set_split_request(groups="bags")
        search = GridSearchCV(model, {"lr": [0.1, 0.2]}, cv=cv).fit(X, y["p"], bags=bags)
    without = GridSearchCV(model, {"lr": [0.1, 0.2]}, cv=BagKFold(3)).fit(X, y)  # by the score of bags, too
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], without.cv_results_["mean_test_score"])
