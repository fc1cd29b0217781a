"""The splits of a comparison."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit, StratifiedKFold

from sklearnloss.comparison.splitting import plan_splits
from sklearnloss.exceptions import DataError, DataWarning

Y = np.tile([0, 1, 2], 20)
X = np.arange(60.0)[:, None]


def same(one, other):
    return all(
        np.array_equal(a.train, b.train) and np.array_equal(a.test, b.test) for a, b in zip(one, other, strict=True)
    )


def test_folds_are_those_of_scikit_learn_with_the_seed_of_each_repeat():
    plan = plan_splits(X, Y, cv=4, repeats=3, random_state=7)
    for repeat in range(3):
        folds = StratifiedKFold(4, shuffle=True, random_state=7 + repeat).split(X, Y)
        mine = [s for s in plan.splits if s.repeat == repeat]
        assert [s.fold for s in mine] == [0, 1, 2, 3]
        assert {s.seed for s in mine} == {7 + repeat}
        for split, (train, test) in zip(mine, folds, strict=True):
            assert np.array_equal(split.train, train)
            assert np.array_equal(split.test, test)
    assert plan.words == "4 stratified folds, repeated 3 times"
    assert plan.test_share == pytest.approx(0.25)


def test_the_code_makes_the_splitter_of_a_repeat():
    for groups in (None, np.arange(60) // 3):
        plan = plan_splits(X, Y, cv=3, groups=groups, random_state=5)
        for seed in (5, 6):
            splitter = eval(plan.code, {"seed": seed, **vars(__import__("sklearn.model_selection").model_selection)})
            wanted = [s for s in plan.splits if s.seed == seed]
            for split, (train, test) in zip(wanted, splitter.split(X, Y, groups), strict=True):
                assert np.array_equal(split.train, train)
                assert np.array_equal(split.test, test)


def test_a_group_is_on_one_side():
    groups = np.arange(60) // 6
    plan = plan_splits(X, Y, cv=3, groups=groups)
    assert len(plan.splits) == 6
    assert all(not set(groups[s.train]) & set(groups[s.test]) for s in plan.splits)
    assert plan.words == "3 stratified folds, groups kept whole, repeated twice"


def test_with_times_rows_are_judged_that_are_later_than_all_it_was_trained_on():
    times = np.random.default_rng(0).permutation(60)
    plan = plan_splits(X, Y, cv=4, times=times)
    assert len(plan.splits) == 4
    assert all(times[s.train].max() < times[s.test].min() for s in plan.splits)
    assert plan.words == "4 folds forward in time"


def test_several_labels_are_split_without_strata():
    plan = plan_splits(X, np.ones((60, 2), int), cv=3, repeats=1)
    assert (plan.words, plan.code) == ("3 folds", "KFold(3, shuffle=True, random_state=seed)")


def test_splits_of_ones_own_are_taken_as_they_are():
    own = ShuffleSplit(3, random_state=0)
    plan = plan_splits(X, Y, cv=own)
    assert [len(s.test) for s in plan.splits] == [6, 6, 6]
    again = plan_splits(X, Y, cv=list(own.split(X)))
    assert same(plan.splits, again.splits)
    assert plan.identity == again.identity
    assert plan.words == "3 splits of the user's own"


def test_a_class_with_fewer_rows_than_folds_is_said_to_be_missing_in_some():
    y = np.repeat(["a", "b"], [57, 3])
    with pytest.warns(DataWarning, match="class b has 3 rows, fewer than the 5 folds"):
        plan = plan_splits(X, y)
    assert all(set(y[s.train]) == {"a", "b"} for s in plan.splits)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan_splits(X, y, cv=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cv": 1}, r"cv must be a number of folds in \[2, inf\)"),
        ({"repeats": 0}, r"repeats must be an int in \[1, inf\), got 0"),
        ({"groups": np.zeros(60), "times": np.zeros(60)}, "give groups or times, not both"),
        ({"groups": np.zeros(60)}, "5 folds need as many groups, got 1"),
        ({"times": np.zeros(60), "repeats": 2}, "with times it must be 1"),
        ({"cv": ShuffleSplit(2), "repeats": 2}, "with splits of your own it must be 1"),
        ({"cv": 61}, "61 folds need at least 61 rows, got 60"),
        ({"cv": [(np.arange(5), np.arange(0))]}, "no rows to train on or to judge by"),
    ],
)
def test_what_cannot_be_split_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        plan_splits(X, Y, **arguments)
