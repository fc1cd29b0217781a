import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import load_iris

from sklearnloss.comparison.tasks import describe_data, find_task
from sklearnloss.exceptions import DataError

TARGETS = {
    "two numbers": ([0, 1, 1], "binary"),
    "two texts": (["no", "yes", "yes"], "binary"),
    "true and false": (np.array([True, False, True]), "binary"),
    "a column": (np.array([[0], [1], [1]]), "binary"),
    "a series": (pd.Series(["u", "v", "w"]), "multiclass"),
    "nullable integers": (pd.Series([1, 2, 3], dtype="Int64"), "multiclass"),
    "categories": (pd.Series(["u", "v", "w"], dtype="category"), "multiclass"),
    "whole floats": ([0.0, 1.0, 2.0], "multiclass"),
    "polars": (pl.Series(["u", "v", "u"]), "binary"),
    "labels": ([[0, 1], [1, 1], [0, 0]], "multilabel"),
    "labels of true and false": (np.array([[True, False], [True, True]]), "multilabel"),
    "labels in a frame": (pd.DataFrame({"a": [0, 1], "b": [1, 1]}), "multilabel"),
    "sparse labels": (sparse.csr_matrix([[0, 1], [1, 0]]), "multilabel"),
}


@pytest.mark.parametrize("what", TARGETS)
def test_the_task_is_found_from_the_target(what):
    y, task = TARGETS[what]
    assert find_task(y) == task


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([], "the target is empty"),
        ([1, 1, 1], "the target cannot be used: a classifier needs at least two classes, got one class: [1]"),
        (
            [0.5, 1.25, 1.25],
            "the target looks continuous: 2 different numbers in 3 rows; what is compared learns from classes.",
        ),
        ([0.0, np.nan, 1.0], "the target is missing in 1 of 3 rows; leave these rows out"),
        (np.array(["a", None, "b"], dtype=object), "the target is missing in 1 of 3 rows; leave these rows out"),
        ([[1, 2], [3, 4]], "a target must be (n,), or (n, n_labels) of zeros and ones; got (2, 2)"),
        (np.array([1, "b"], dtype=object), "the target cannot be used: "),
    ],
)
def test_a_target_that_is_no_classification_is_refused(y, message):
    with pytest.raises(DataError) as error:
        find_task(y)
    assert str(error.value).startswith(message)


def test_the_facts_of_a_small_table_are_those_counted_by_hand():
    X = pd.DataFrame(
        {
            "n": [1.0, 1.0, 1.0, 2.0, np.nan, 3.0],
            "s": ["a", "a", "a", "b", None, "c"],
            "same": [7] * 6,
            "when": [pd.Timestamp("2020")] * 3 + [pd.NaT] * 3,
        }
    )
    facts = describe_data(X, ["u", "u", "v", "v", "v", "v"], groups=[1, 1, 1, 2, 2, 3])
    assert facts["memory_bytes"] > 0
    assert {key: facts[key] for key in facts if key != "memory_bytes"} == {
        "task": "binary",
        "rows": 6,
        "columns": 4,
        "column_kinds": {"number": 2, "date": 1, "category": 1},
        "missing": {"cells": 5, "share": 5 / 24, "columns": 3, "rows": 3},
        "classes": [{"name": "v", "count": 4, "share": 4 / 6}, {"name": "u", "count": 2, "share": 2 / 6}],
        "class_names": ["u", "v"],
        "imbalance": 2.0,
        "duplicates": {"rows": 3, "conflicting": 3, "outvoted": 1},
        "constant_columns": ["same"],
        "groups": {"count": 3, "smallest": 1, "largest": 3},
    }


def test_labels_are_counted_by_their_names():
    y = pd.DataFrame({"rare": [0, 0, 0, 1], "common": [1, 1, 1, 0]})
    facts = describe_data(np.array([[1.0], [2.0], [2.0], [3.0]]), y)
    assert facts["task"] == "multilabel"
    assert [(label["name"], label["count"]) for label in facts["classes"]] == [("common", 3), ("rare", 1)]
    assert facts["labels_per_row"] == {"mean": 1.0, "min": 1, "max": 1}
    assert facts["duplicates"] == {"rows": 2, "conflicting": 0, "outvoted": 0}


def test_iris_has_one_pair_of_equal_rows():
    X, y = load_iris(return_X_y=True)
    facts = describe_data(X, y)
    assert facts["duplicates"] == {"rows": 2, "conflicting": 0, "outvoted": 0}
    assert [row["count"] for row in facts["classes"]] == [50, 50, 50]
    assert (facts["imbalance"], facts["memory_bytes"]) == (1.0, X.nbytes)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_duplicates_are_those_that_pandas_finds(seed):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "a": rng.integers(4, size=80).astype(float),
            "b": rng.choice(["u", "v", None], 80),
            "c": rng.integers(3, size=80),
        }
    )
    X.loc[rng.random(80) < 0.2, "a"] = np.nan
    y = rng.integers(3, size=80)
    keys = pd.Series([repr(row) for row in X.fillna({"a": -1.0, "b": "?"}).itertuples(index=False)])
    sizes, targets = keys.map(keys.value_counts()), pd.Series(y).groupby(keys.to_numpy()).transform("nunique")
    most = pd.crosstab(keys, y).max(axis=1).sum()
    expected = {"rows": int((sizes > 1).sum()), "conflicting": int((targets > 1).sum()), "outvoted": int(80 - most)}
    assert describe_data(X, y)["duplicates"] == expected
    assert describe_data(pl.from_pandas(X), y)["duplicates"] == expected
    assert describe_data(X.to_numpy(dtype=object), y)["duplicates"] == expected


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])
def test_a_sparse_matrix_has_the_facts_of_the_dense_one(make):
    X = np.array([[0.0, 2, 0, 5], [0, 2, 0, 5], [1, 0, 0, 5], [-1, np.nan, 0, 5]])
    dense, facts = describe_data(X, [0, 1, 0, 1]), describe_data(make(X), [0, 1, 0, 1])
    different = {"column_kinds", "memory_bytes"}
    assert {k: v for k, v in facts.items() if k not in different} == {
        k: v for k, v in dense.items() if k not in different
    }
    assert facts["constant_columns"] == ["x2", "x3"]


def test_zero_is_zero_whatever_its_sign_and_missing_is_missing():
    X = np.array([[0.0, np.nan], [-0.0, -np.nan], [1.0, 1.0]])
    assert describe_data(X, [0, 0, 1])["duplicates"]["rows"] == 2


@pytest.mark.parametrize(
    "X",
    [
        np.arange(12).reshape(6, 2),
        np.arange(12).reshape(6, 2) > 3,
        pd.DataFrame({"a": [True, False] * 3, "b": pd.Categorical([1, 2, None] * 2)}),
        pl.DataFrame({"a": [1, None] * 3, "b": ["u", "v", "u"] * 2}),
        sparse.eye_array(6, format="csr"),
        [[1.0, 2.0]] * 6,
    ],
)
def test_facts_are_plain_json(X):
    facts = describe_data(X, np.array([True, False] * 3), groups=np.array(list("abcabc")))
    assert json.loads(json.dumps(facts)) == facts


def test_a_target_of_another_length_is_refused():
    with pytest.raises(DataError, match=r"^X has 3 rows and the target 2$"):
        describe_data(np.eye(3), [0, 1])
