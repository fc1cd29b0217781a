import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from sklearnloss import bag_targets, rows_from_bags
from sklearnloss.bags.targets import BagTable, check_bags, check_proportions, is_bag_targets, read_bags
from sklearnloss.exceptions import DataError

IDS = ["b", "a", "b", "c", "a"]
P = {"a": [0.25, 0.75], "b": [1.0, 0.0], "c": [0.5, 0.5]}
ROWS = [[1.0, 0.0], [0.25, 0.75], [1.0, 0.0], [0.5, 0.5], [0.25, 0.75]]


def same(y, ids=IDS, rows=ROWS):
    assert y["bag"].tolist() == list(ids)
    assert y["p"].tolist() == np.asarray(rows).tolist()
    assert is_bag_targets(y)


# -- bag_targets ------------------------------------------------------------------------------------------------------


def test_what_is_known_of_bags_may_come_as_a_mapping_a_frame_a_series_or_once_per_row():
    same(bag_targets(P, IDS))
    same(bag_targets(pd.DataFrame(P).T, IDS))
    same(bag_targets(np.array(ROWS), np.array(IDS)))
    share = {bag: row[1] for bag, row in P.items()}
    flat = [row[1] for row in ROWS]
    same(bag_targets(share, IDS), rows=flat)
    same(bag_targets(pd.Series(share), IDS), rows=flat)
    same(bag_targets(np.array(flat), pd.Series(IDS)), rows=flat)


def test_what_is_known_of_bags_may_come_as_a_list_or_tuple_once_per_row():
    same(bag_targets(ROWS, IDS))
    same(bag_targets(tuple(map(tuple, ROWS)), IDS))


@pytest.mark.parametrize(
    "ids",
    [
        [3, 1, 3, 7, 1],
        [-1, 5, -1, 0, 5],
        [0.5, 2.0, 0.5, 3.0, 2.0],
        ["b", "aaa", "b", "c", "aaa"],
        np.array(IDS, object),
    ],
    ids=str,
)
def test_ids_are_numbers_or_strings_of_any_length(ids):
    y = bag_targets(np.array(ROWS), ids)
    same(y, ids)
    assert y["bag"].dtype.kind in "ifU"


def test_the_order_of_a_mapping_does_not_matter():
    same(bag_targets(dict(reversed(P.items())), IDS))


def test_mean_responses_need_be_no_proportions():
    bags = [0, 1, 0]
    same(bag_targets({0: -3.5, 1: 120.0}, bags), bags, [-3.5, 120.0, -3.5])
    same(bag_targets({0: [-3.5, 2.0], 1: [120.0, 1.0]}, bags), bags, [[-3.5, 2.0], [120.0, 1.0], [-3.5, 2.0]])


def test_slices_copies_folds_and_pickles_carry_their_bags():
    y = bag_targets(P, IDS)
    same(y[1:4], IDS[1:4], ROWS[1:4])
    same(y[np.array([4, 0])], ["a", "b"], [ROWS[4], ROWS[0]])
    same(y[[True, False, False, True, False]], ["b", "c"], [ROWS[0], ROWS[3]])
    same(y.copy())
    same(pickle.loads(pickle.dumps(y)))
    same(np.concatenate([y[:2], y[2:]]))
    first, second = train_test_split(y, test_size=2, random_state=0)
    assert sorted([*first["bag"].tolist(), *second["bag"].tolist()]) == sorted(IDS)
    assert is_bag_targets(first)


def test_what_else_users_give_as_y_carries_no_bags():
    other = np.zeros(3, dtype=[("bag", int), ("y", float)])
    for y in (None, [0, 1], np.array(ROWS), np.array(IDS), pd.DataFrame({"bag": [1], "p": [0.5]}), other):
        assert not is_bag_targets(y)


@pytest.mark.parametrize(
    ("proportions", "bags", "words"),
    [
        (P, ["a", "b", "d", "c", "e"], "^bags 'd', 'e' have no proportions; give an entry for each bag$"),
        (P, [*"abcd"], "^bag 'd' has no proportions; give an entry for each bag$"),
        ({}, list("abcdefg"), "^bags 'a', 'b', 'c', 'd', 'e', ... have no proportions"),
        (P, ["a", "b"], "^bag 'c' has no rows; leave out what is known of empty bags$"),
        (P, ["a"], "^bags 'b', 'c' have no rows"),
        (P | {"c": [1.0, 0.0, 0.0]}, IDS, r"^bag 'c' has proportions of shape \(3,\), bag 'a' of shape \(2,\)$"),
        (pd.Series([0.1, 0.2, 0.3], index=["a", "b", "a"]), ["a", "b"], "^bag 'a' comes up twice in the index of prop"),
        (np.array(ROWS), IDS[:4], r"^proportions must have a row for each of the 4 rows, got shape \(5, 2\); for one"),
        (np.zeros((5, 2, 2)), IDS, r"got shape \(5, 2, 2\)"),
        (
            np.array(ROWS),
            ["b", "a", "b", "c", "b"],
            r"^bag 'b' has different proportions on its rows: \[1.0, 0.0\] and ",
        ),
        (np.array([0.1, 0.2, 0.1, 0.4, 0.3]), IDS, "^bag 'a' has different proportions on its rows: 0.2 and 0.3$"),
        ({"a": 0.5, "b": np.nan, "c": 1.0}, IDS, "^bag 'b' has NaN or infinite proportions$"),
        ({"a": 0.5, "b": 0.1, "c": np.inf}, IDS, "^bag 'c' has NaN or infinite proportions$"),
        ({0: 0.5}, [0, 1], "^bag 1 has no proportions"),
        (np.array(ROWS), ["b", None, "b", "c", "a"], r"^bags lacks the id of row 1 \(1 rows in all\)$"),
        (np.array(ROWS), [1.0, np.nan, 1.0, 2.0, np.nan], r"^bags lacks the id of row 1 \(2 rows in all\)$"),
        (np.array(ROWS), pd.Series(["b", "a", np.nan, "c", "a"]), r"^bags lacks the id of row 2"),
        (
            np.array(ROWS),
            np.array([1, "a", 1, 2, 3], object),
            "^bags must be all numbers or all strings, got int, str$",
        ),
        (
            np.array(ROWS),
            np.zeros((5, 1)),
            r"^bags must have shape \(n,\), the id of each row's bag, got shape \(5, 1\)",
        ),
        (np.empty((0, 2)), [], r"^bags must have shape \(n,\)"),
    ],
)
def test_what_is_wrong_is_said_with_the_bag(proportions, bags, words):
    with pytest.raises(DataError, match=words):
        bag_targets(proportions, bags)


# -- rows_from_bags ---------------------------------------------------------------------------------------------------


def test_bags_below_each_other_keep_their_rows_and_ids():
    parts = [np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])]
    X, y = rows_from_bags(parts, [[0.5, 0.5], [0.0, 1.0]])
    assert X.tolist() == [[1, 2], [3, 4], [5, 6]]
    same(y, [0, 1, 1], [[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]])
    _, named = rows_from_bags(parts, [0.5, 0.25], bags=["z", "a"])
    same(named, ["z", "a", "a"], [0.5, 0.25, 0.25])


@pytest.mark.parametrize(
    ("parts", "known", "bags", "words"),
    [
        ([[[1.0]], [[2.0]]], [0.5], None, "^there are 2 bags, 1 entries of proportions and 2 ids$"),
        ([[[1.0]], [[2.0]]], [0.5, 0.5], ["a"], "^there are 2 bags, 2 entries of proportions and 1 ids$"),
        ([], [], None, "^there are 0 bags"),
        ([[[1.0]], [[2.0]]], [0.5, 0.5], ["a", "a"], "^an id comes up twice; each bag has its own$"),
        ([[[1.0]], np.empty((0, 1))], [0.5, 0.5], ["a", "b"], "^bag 'b' is empty; leave it out$"),
        ([[[1.0]], [[2.0]]], [0.5, np.nan], None, "^bag 1 has NaN or infinite proportions$"),
    ],
)
def test_a_list_of_bags_that_does_not_fit_is_refused(parts, known, bags, words):
    with pytest.raises(DataError, match=words):
        rows_from_bags(parts, known, bags=bags)


# -- reading and checking ---------------------------------------------------------------------------------------------


def test_a_table_has_bags_once_and_sorted():
    table = read_bags(ROWS, IDS)
    assert table.ids.tolist() == ["a", "b", "c"]
    assert table.values.tolist() == [P["a"], P["b"], P["c"]]
    assert table.code.tolist() == [1, 0, 1, 2, 0]
    assert table.sizes.tolist() == [2, 2, 1]


def test_rows_of_a_bag_may_differ_by_rounding():
    assert read_bags([0.1 + 0.2, 0.3], [7, 7]).values.tolist() == [0.1 + 0.2]
    assert read_bags([0.3, 0.3 + 9e-7], [7, 7]).values.tolist() == [0.3]
    with pytest.raises(DataError, match=r"^bag 7 has different proportions on its rows: 0.3 and "):
        read_bags([0.3, 0.3 + 3e-6], [7, 7])


def test_ids_fit_rows():
    with pytest.raises(DataError, match=r"^bags must have an id for each of the 2 rows, got 3$"):
        read_bags([0.1, 0.2], [1, 2, 3])


def table_of(*values):
    return BagTable(np.array([f"bag {i}" for i in range(len(values))]), np.array(values), np.arange(len(values)))


def test_proportions_are_made_to_sum_to_one_exactly():
    values = check_proportions(table_of([0.3333, 0.6666], [0.5004, 0.5004])).values
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(values[1], [0.5, 0.5])


def test_a_share_becomes_two_columns():
    assert check_proportions(table_of(0.25, 1.0)).values.tolist() == [[0.75, 0.25], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [[0.5, 0.5], [0.5, 0.498]],
            "bag 'bag 1' has proportions that sum to 0.998, not to 1 (within 0.001): [0.5, 0.498]",
        ),
        ([[0.5, 0.5], [30.0, 70.0]], "bag 'bag 1' has proportions that sum to 100, not to 1"),
        ([[0.5, 0.5], [-0.1, 1.1]], "bag 'bag 1' has a negative proportion: [-0.1, 1.1]"),
        ([0.5, 1.5], "bag 'bag 1' has the share 1.5 of the positive class; shares lie in [0, 1]"),
        ([-0.5, 0.5], "bag 'bag 0' has the share -0.5 of the positive class"),
        ([[0.5, 0.5]], "there is one bag, 'bag 0': its proportions do not tell its rows apart; give several bags"),
        ([[0.5, 0.0, 0.5], [1.0, 0.0, 0.0]], "class 1 is absent from every bag, so nothing can be learnt of it"),
        ([0.0, 0.0], "class 1 is absent from every bag"),
        ([1.0, 1.0], "class 0 is absent from every bag"),
    ],
)
def test_proportions_that_are_none_are_refused_with_their_bag(values, words):
    with pytest.raises(DataError, match=f"^{re.escape(words)}"):
        check_proportions(table_of(*values))


def test_a_class_is_called_by_its_name():
    with pytest.raises(DataError, match=r"^class 'no' is absent from every bag"):
        check_proportions(table_of([0.0, 1.0], [0.0, 1.0]), ["no", "yes"])


def test_sums_are_exact_enough_at_the_tolerance():
    check_proportions(table_of([0.5, 0.4995], [0.5, 0.5]))
    with pytest.raises(DataError, match=r"sum to 0\.9985"):
        check_proportions(table_of([0.5, 0.4985], [0.5, 0.5]))


def test_ids_keep_their_kind():
    assert check_bags([3, 1]).dtype.kind == "i"
    assert check_bags(np.array(["a", "bb"], object)).dtype.kind == "U"
    assert check_bags(pd.Series([1, 2], dtype="Int64")).tolist() == [1, 2]
    with pytest.raises(DataError, match=r"^bags lacks the id of row 1"):
        check_bags(pd.Series([1, None], dtype="Int64"))
