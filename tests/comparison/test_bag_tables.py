"""Tables of which the proportions of bags are known."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearnloss import bag_targets, compare, load_table
from sklearnloss.comparison.given import read_target
from sklearnloss.exceptions import DataError, DataWarning

pytestmark = pytest.mark.filterwarnings("error")


def votes(**changes):
    """Return four precincts of three rows: shares of two parties and an age of each row."""
    precinct = np.repeat(["P1", "P2", "P3", "P4"], 3)
    left = np.repeat([0.25, 0.5, 0.75, 0.5], 3)
    table = pd.DataFrame({"age": np.arange(12.0) * 7 % 5, "precinct": precinct, "right": 1 - left, "left": left})
    return table.assign(**changes)


def test_bags_are_no_feature_and_shares_are_the_target(tmp_path):
    votes().to_csv(tmp_path / "votes.csv", index=False)
    table = load_table(tmp_path / "votes.csv", "right,left", bags="precinct")
    assert table.X.columns.tolist() == ["age"]
    assert table.y.columns.tolist() == ["right", "left"]
    assert table.bags.tolist() == votes()["precinct"].tolist()
    space = {}
    exec(table.code(), space)
    assert space["bags"].tolist() == table.bags.tolist()
    assert read_target(space["y"], space["bags"]).values["p"].tolist() == table.y.to_numpy().tolist()
    assert read_target(table.y, table.bags).names.tolist() == ["left", "right"]


def test_the_share_of_the_positive_class_is_one_column():
    table = load_table(votes(), "left", bags="precinct", drop="right")
    assert table.y.tolist() == votes()["left"].tolist()
    assert (
        read_target(table.y, table.bags).values.tolist() == bag_targets(votes()["left"].to_numpy(), table.bags).tolist()
    )


def test_classes_of_rows_may_be_words_and_one_of_two_the_positive_one():
    frame = votes(won=["l", "r", "l"] * 4)
    table = load_table(frame, "won", bags="precinct", drop="left,right")
    assert table.y.tolist() == frame["won"].tolist()
    positive = load_table(frame, "won", bags="precinct", drop="left,right", positive="l")
    assert positive.y.tolist() == (frame["won"] == "l").tolist()


def test_numbers_and_dates_name_bags_too():
    dates = np.repeat(pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]), 3)
    for names in (np.repeat([3, 1, 4, 2], 3), dates, pd.Categorical(np.repeat(list("wxyz"), 3))):
        table = load_table(votes(precinct=names), "left", bags="precinct", drop="right")
        assert len(set(table.bags.tolist())) == 4
        assert read_target(table.y, table.bags).table.sizes.tolist() == [3] * 4


def test_bags_of_which_nothing_is_known_are_left_out():
    frame = votes(left=np.repeat([0.25, np.nan, 0.75, 0.5], 3))
    with pytest.warns(DataWarning, match="left out 3 of 12 rows, in which target 'left' is missing"):
        table = load_table(frame, "left", bags="precinct", drop="right")
    assert table.bags.tolist() == np.repeat(["P1", "P3", "P4"], 3).tolist()


def test_columns_that_tell_every_bag_from_every_other_are_warned_of():
    frame = votes(
        left=np.repeat([0.2, 0.3, 0.4, 0.5], 3), income=np.repeat([7, 5, 8, 6], 3), region=np.repeat([1, 2], 6)
    )
    with pytest.warns(DataWarning) as said:
        table = load_table(frame, "left", bags="precinct", drop="right")
    assert [str(warning.message) for warning in said] == [
        "DataFrame: 'income' has one value in each bag and another in every other bag, so bags can be learnt by heart; "
        "leave out with drop what says nothing of new bags"
    ]
    assert table.X.columns.tolist() == ["age", "income", "region"]


def test_a_column_that_is_the_class_of_each_row_is_a_leak_all_the_same():
    frame = votes(won=["l", "r", "l"] * 4, seat=["left", "right", "left"] * 4)
    with pytest.warns(DataWarning, match="column 'seat' is the target 'won' under another name"):
        load_table(frame, "won", bags="precinct", drop="left,right")


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (votes(), {"bags": "precint"}, "has no column 'precint', given as bags; did you mean 'precinct'"),
        (votes(), {"bags": "left"}, "column 'left' is given as target and as bags"),
        (votes(precinct=[None, *votes()["precinct"][1:]]), {}, "given as bags, is missing in 1 of 12 rows"),
        (votes(left=[np.nan, *votes()["left"][1:]]), {}, "target 'left' is missing in 1 of the 3 rows of bag 'P1'; it"),
        (votes(), {"positive": "x"}, "positive='x' is for classes; target 'left' holds shares of them in bags"),
        (votes(who=["a", "b", "c"] * 4), {"target": "left,who"}, "'who' holds 'a', 'b', 'c'; give one target for"),
        (votes(left="a"), {}, "has one class, 'a', in all 12 rows"),
        (votes(left=np.nan), {}, "target 'left' is missing in every row"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(frame, arguments, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        with pytest.raises(DataError, match=message) as refused:
            load_table(frame, **({"target": "left", "bags": "precinct"} | arguments))
    assert "\n" not in str(refused.value)


def test_a_table_is_compared_as_it_was_read():
    from sklearnloss import LLPClassifier

    table = load_table(votes(), "right,left", bags="precinct")
    quick = LLPClassifier(hidden_layer_sizes=(4,), max_epochs=2)
    result = compare(table.X, table.y, bags=table.bags, losses=["proportion_ce"], estimator=quick, cv=2, repeats=1)
    assert result.settings.task == "llp"
    assert result.data["class_names"] == ["left", "right"]
