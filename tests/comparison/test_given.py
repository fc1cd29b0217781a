"""What is given to fits for y."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from sklearnloss import bag_targets
from sklearnloss.comparison.given import holds_shares, read_target
from sklearnloss.exceptions import DataError

BAGS = np.array(["u", "v", "u", "v", "w"])


def made(code, y, bags):
    """Return what the code of a target makes."""
    space = {"np": np, "bag_targets": bag_targets, "y": y, "bags": bags}
    exec(code, space)
    return space


@pytest.mark.parametrize("y", [["a", "b", "a"], [0, 1, 2], [True, False, True]])
def test_labels_of_rows_are_given_as_they_are(y):
    target = read_target(y)
    assert target.values.tolist() == y
    assert (target.names, target.code) == (None, "")
    assert target.classes.tolist() == sorted(set(y))


def test_a_single_column_is_one_label_and_several_have_no_classes():
    assert read_target([[1], [2]]).values.tolist() == [1, 2]
    for labels in (np.eye(3, dtype=int), csr_matrix(np.eye(3, dtype=int))):
        target = read_target(labels)
        assert target.values.tolist() == np.eye(3).tolist()
        assert target.classes is None


def test_fits_are_told_the_classes_only_where_one_would_miss_some():
    target = read_target(np.array(["a", "b", "a", "b"]))
    assert target.told([np.array([0, 1]), np.array([2, 3])]).names is None
    told = target.told([np.array([0, 1]), np.array([0, 2])])
    assert told.names.tolist() == ["a", "b"]
    assert told.code == "classes = np.unique(y)"
    labels = read_target(np.eye(3, dtype=int))
    assert labels.told([np.array([0])]) is labels


def test_classes_of_rows_become_the_proportions_of_their_bags():
    y = np.array(["no", "yes", "yes", "yes", "no"])
    target = read_target(y, BAGS)
    assert target.values["bag"].tolist() == BAGS.tolist()
    assert target.values["p"].tolist() == [[0.5, 0.5], [0, 1], [0.5, 0.5], [0, 1], [1, 0]]
    assert target.values["label"].tolist() == [0, 1, 1, 1, 0]
    assert target.classes is None
    space = made(target.code, y, BAGS)
    assert space["classes"].tolist() == target.names.tolist() == ["no", "yes"]
    assert space["y"]["p"].tolist() == target.values["p"].tolist()


def test_columns_of_shares_are_sorted_by_their_names():
    shares = pd.DataFrame({"right": [0.2, 0.5, 0.2, 0.5, 1.0], "left": [0.8, 0.5, 0.8, 0.5, 0.0]})
    target = read_target(shares, BAGS)
    assert target.names.tolist() == ["left", "right"]
    assert target.values["p"][0].tolist() == [0.8, 0.2]
    for given in (shares, shares.to_numpy()):
        space = made(target.code, given, BAGS)
        assert space["classes"].tolist() == ["left", "right"]
        assert space["y"]["p"].tolist() == target.values["p"].tolist()


@pytest.mark.parametrize("columns", [None, [0, 1], ["0", "1"], [7, 3]])
def test_numbers_in_their_order_are_no_names(columns):
    shares = pd.DataFrame(np.array([[0.2, 0.8]] * 4 + [[1.0, 0.0]]), columns=columns)
    target = read_target(shares if columns else shares.to_numpy(), BAGS[[0, 0, 2, 2, 4]])
    names = {"None": None, "[0, 1]": None, "['0', '1']": ["0", "1"], "[7, 3]": [3, 7]}[str(columns)]
    assert (None if target.names is None else target.names.tolist()) == names


def test_a_share_stays_one_number():
    share = pd.Series([0.2, 0.5, 0.2, 0.5, 1.0])
    target = read_target(share, BAGS)
    assert target.values["p"].tolist() == share.tolist()
    assert target.table.values.tolist() == [[0.8, 0.2], [0.5, 0.5], [0.0, 1.0]]
    assert [target.name_of(j) for j in (0, 1)] == ["0", "1"]
    assert made(target.code, share, BAGS)["y"].tolist() == target.values.tolist()


def test_targets_that_carry_their_bags_are_taken_as_they_are():
    y = bag_targets(np.array([0.2, 0.5, 0.2, 0.5, 1.0]), BAGS)
    target = read_target(y)
    assert target.values is y
    assert target.code == ""
    assert target.told([np.arange(3)]) is target


@pytest.mark.parametrize(
    ("values", "shares"),
    [
        ([0.2, 0.5, 0.2, 0.5, 0.1], True),
        ([0.2, 0.5, 0.3, 0.5, 0.1], True),  # that they differ is an error, and will be said
        ([20, 50, 20, 50, 10], True),  # percent, which will be refused
        ([0, 1, 1, 1, 0], False),
        ([0.0, 1.0, 0.0, 1.0, 0.0], False),  # each bag has one class
        ([2, 5, 3, 5, 1], False),
        (["a", "b", "a", "b", "c"], False),
        ([True, False, True, False, True], False),
    ],
)
def test_shares_are_told_from_classes_of_rows(values, shares):
    assert holds_shares(np.array(values), BAGS) is shares


@pytest.mark.parametrize(
    ("y", "bags", "message"),
    [
        ([0, 1, 1], [1, 1], "an id for each of the 3 rows of y, got 2"),
        ([0, 1, 1], [1, {}, "b"], "bags must be all numbers or all strings, got dict, int, str"),
        ([0.5, 0.5, 0.4], [1, None, 2], "lacks the id of row 1"),
        ([0, 0, 0], [1, 1, 2], "class"),
        ([[0.5, 0.5, 0.0]] * 3, [1, 1, 2], "class 2 is absent from every bag"),
        ([["a", "b"]] * 3, [1, 1, 2], "y must hold numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(y, bags, message):
    with pytest.raises(DataError, match=message):
        read_target(np.array(y), np.array(bags))
