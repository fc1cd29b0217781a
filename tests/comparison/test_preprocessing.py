import datetime
import decimal
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearnloss import LossClassifier, make_preprocessor
from sklearnloss.comparison.frames import column_kinds, column_names
from sklearnloss.exceptions import DataError, ParameterError

N = 12
DAYS = pd.date_range("2020-01-01", periods=N)
DAY = [datetime.date(2020, 1, 1 + i) for i in range(N)]
# a column of pandas, and what it holds
COLUMNS = {
    "int": (pd.Series(range(N)), "number"),
    "float": (pd.Series([np.nan, *range(N - 1)]), "number"),
    "Int64": (pd.Series([1, None, 2] * 4, dtype="Int64"), "number"),
    "arrow number": (pd.Series([1, None, 2] * 4, dtype="int64[pyarrow]"), "number"),
    "decimal": (pd.Series([decimal.Decimal("1.5"), None] * 6), "number"),
    "numbers as objects": (pd.Series([1, None, 2.5] * 4, dtype=object), "number"),
    "date and time": (pd.Series(DAYS), "date"),
    "with a zone": (pd.Series(DAYS.tz_localize("Europe/Rome")), "date"),
    "arrow time": (pd.Series(DAYS).astype("timestamp[us][pyarrow]"), "date"),
    "arrow date": (pd.Series(DAY).astype("date32[pyarrow]"), "date"),
    "dates as objects": (pd.Series([*DAY[:-1], None], dtype=object), "date"),
    "time of day": (pd.Series([datetime.time(i, 30) for i in range(N)]), "date"),
    "time span": (pd.Series(pd.to_timedelta(range(N), unit="h")), "date"),
    "period": (pd.Series(pd.period_range("2020", periods=N, freq="M")), "date"),
    "bool": (pd.Series([True, False] * 6), "category"),
    "boolean": (pd.Series([True, None, False] * 4, dtype="boolean"), "category"),
    "bools as objects": (pd.Series([True, None, False] * 4, dtype=object), "category"),
    "str": (pd.Series(["a", "b", None] * 4), "category"),
    "string": (pd.Series(["a", "b", None] * 4, dtype="string"), "category"),
    "arrow string": (pd.Series(["a", "b", None] * 4, dtype="string[pyarrow]"), "category"),
    "strings as objects": (pd.Series(["a", "b", None] * 4, dtype=object), "category"),
    "mixture": (pd.Series(["a", 1, None] * 4, dtype=object), "category"),
    "categorical": (pd.Series(["a", "b", None] * 4, dtype="category"), "category"),
    "numbers as categories": (pd.Series([1, 2, None] * 4, dtype="category"), "category"),
    "nothing": (pd.Series([None] * N, dtype=object), "category"),
    "sparse": (pd.Series(pd.arrays.SparseArray([0.0, 1.0] * 6, fill_value=0.0)), "sparse"),
}


@pytest.mark.parametrize("what", COLUMNS)
def test_a_column_becomes_finite_floats_whatever_its_type(what):
    column, kind = COLUMNS[what]
    X = pd.DataFrame({"a": column, "b": np.arange(N) * 0.5})
    assert column_kinds(X) == [kind, "number"]
    preprocessor = make_preprocessor()
    Z = preprocessor.fit_transform(X)
    dense = Z.toarray() if sparse.issparse(Z) else Z
    assert (dense.shape[0], dense.dtype) == (N, np.float64)
    assert np.isfinite(dense).all()
    names = preprocessor.get_feature_names_out().tolist()
    assert len(names) == dense.shape[1]
    assert all(name.startswith(("a", "b")) for name in names)


def test_numbers_are_centred_scaled_filled_with_the_median_and_marked():
    X = pd.DataFrame({"a": [1.0, 2.0, 6.0, np.nan], "b": [5, 5, 5, 5]})
    preprocessor = make_preprocessor()
    Z = preprocessor.fit_transform(X)
    filled = np.array([1.0, 2.0, 6.0, 2.0])
    assert preprocessor.get_feature_names_out().tolist() == ["a", "b", "a is missing"]
    assert Z[:, 0] == pytest.approx((filled - filled.mean()) / filled.std())
    assert Z[:, 1].tolist() == [0, 0, 0, 0]
    assert Z[:, 2].tolist() == [0, 0, 0, 1]
    new = preprocessor.transform(pd.DataFrame({"a": [np.nan], "b": [np.nan]}))
    assert new[0, 1:].tolist() == [0, 1]  # only what was missing at fit is marked


def test_dates_become_days():
    X = pd.DataFrame({"a": pd.to_datetime(["2020-01-01T00", "2020-01-02T00", "2020-01-03T12", None])})
    scaler = make_preprocessor().fit(X).named_transformers_["number"].transformer_list[0][1][-1]
    days = np.array([18262.0, 18263.0, 18264.5, 18263.0])
    assert (scaler.mean_[0], scaler.scale_[0]) == pytest.approx((days.mean(), days.std()))


@pytest.mark.parametrize("what", ["date and time", "arrow time", "with a zone", "arrow date", "dates as objects"])
def test_the_same_day_is_the_same_number_in_every_type(what):
    column = COLUMNS[what][0][: N - 1]
    scaler = (
        make_preprocessor().fit(pd.DataFrame({"a": column})).named_transformers_["number"].transformer_list[0][1][-1]
    )
    shift = 1 / 24 if what == "with a zone" else 0  # midnight in Rome is eleven at night before
    assert scaler.mean_[0] == pytest.approx(18262 + (N - 2) / 2 - shift, abs=1e-9)


def test_levels_become_columns_rare_ones_share_one_and_missing_is_one():
    X = pd.DataFrame({"town": ["Rome"] * 4 + ["Oslo"] * 3 + ["Bern", "Bonn"] + [None] * 3})
    preprocessor = make_preprocessor()
    Z = preprocessor.fit_transform(X)
    assert preprocessor.get_feature_names_out().tolist() == ["town=Oslo", "town=Rome", "town=missing", "town=rare"]
    assert Z.sum(axis=0).tolist() == [3, 4, 3, 2]
    new = preprocessor.transform(pd.DataFrame({"town": ["Oslo", "Lima", None]}))
    assert new.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]


def test_an_unseen_level_is_no_level_where_none_is_rare():
    preprocessor = make_preprocessor(min_frequency=1).fit(pd.DataFrame({"a": ["x", "y"]}))
    assert preprocessor.transform(pd.DataFrame({"a": ["z"]})).tolist() == [[0, 0]]


def test_one_column_of_levels_makes_so_many_columns_at_most():
    X = pd.DataFrame({"a": [f"level {i % 100}" for i in range(1000)]})
    assert make_preprocessor().fit_transform(X).shape == (1000, 50)
    assert make_preprocessor(max_categories=7).fit_transform(X).shape == (1000, 7)


def test_text_that_differs_in_every_row_is_one_column():
    X = pd.DataFrame({"a": [f"n{i}" for i in range(10)], "b": np.arange(10.0)})
    assert make_preprocessor().fit(X).get_feature_names_out().tolist() == ["b", "a=rare"]


@pytest.mark.parametrize("out", ["default", "pandas", "polars"])
@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_go_in_and_out(kind, out):
    X = pd.DataFrame({"n": [1.0, None, 3.0] * 4, "s": ["a", "b", None] * 4, "d": DAYS, "b": [True, False] * 6})
    X = pl.from_pandas(X) if kind == "polars" else X
    preprocessor = make_preprocessor().set_output(transform=out)
    Z = preprocessor.fit_transform(X)
    names = ["n", "d", "n is missing", "s=a", "s=b", "s=missing", "b=False", "b=True"]
    assert preprocessor.get_feature_names_out().tolist() == names
    if out != "default":
        assert list(Z.columns) == names
        assert {str(dtype).lower() for dtype in Z.dtypes} == {"float64"}
    expected = make_preprocessor().fit_transform(X)
    assert np.asarray(Z) == pytest.approx(expected)


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([1, None, 3]),
        pl.Series([decimal.Decimal("1.5"), None, decimal.Decimal(2)]),
        pl.Series([datetime.time(1, 30), None, datetime.time(3)]),
        pl.Series([datetime.timedelta(days=1), None, datetime.timedelta(days=3)]),
        pl.Series([datetime.datetime(2020, 1, 1), None, datetime.datetime(2020, 1, 3)]).dt.replace_time_zone(
            "Asia/Tokyo"
        ),
        pl.Series(["a", None, "b"], dtype=pl.Categorical),
        pl.Series(["a", None, "b"], dtype=pl.Enum(["a", "b"])),
        pl.Series([True, None, False]),
        pl.Series([None, None, None]),
    ],
    ids=lambda series: str(series.dtype),
)
def test_columns_of_polars_become_finite_floats(series):
    Z = make_preprocessor(min_frequency=1).fit_transform(pl.DataFrame({"a": series, "b": [1.0, 2.0, 4.0]}))
    assert np.isfinite(Z).all()
    assert Z.shape[1] >= 2


@pytest.mark.parametrize("make", [np.asarray, list, lambda X: X.astype(object), lambda X: X.astype(np.float32)])
def test_an_array_of_numbers_is_scaled(make):
    X = np.arange(12.0).reshape(4, 3) ** 2
    Z = make_preprocessor().fit_transform(make(X))
    assert Z == pytest.approx((X - X.mean(0)) / X.std(0), abs=1e-6)


def test_an_array_of_objects_is_taken_column_by_column():
    X = np.array([["a", 1.5, True], ["b", None, False], ["a", 2.5, True]], dtype=object)
    assert column_kinds(X) == ["category", "number", "category"]
    preprocessor = make_preprocessor(min_frequency=1).fit(X)
    names = ["x1", "x1 is missing", "x0=a", "x0=b", "x2=False", "x2=True"]
    assert preprocessor.get_feature_names_out().tolist() == names
    assert make_preprocessor().fit_transform(np.array([["u"], ["u"], ["v"]])).shape == (3, 1)
    assert column_names(X) == ["x0", "x1", "x2"]


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array])
def test_a_sparse_matrix_is_divided_and_stays_sparse(make):
    X = np.array([[0.0, 2, 0], [1, 0, 0], [0, 4, 0], [3, 0, 0]])
    Z = make_preprocessor().fit_transform(make(X))
    assert sparse.issparse(Z)
    assert Z.nnz == 4
    assert Z.toarray() == pytest.approx(X / np.array([X[:, 0].std(), X[:, 1].std(), 1]))
    assert make_preprocessor().fit_transform(make(X.astype(int))).dtype == np.float64


def test_a_frame_of_sparse_and_dense_columns_stays_sparse():
    sparse_column = pd.arrays.SparseArray([0.0, 1.0, 0.0, 0.0], fill_value=0.0)
    Z = make_preprocessor().fit_transform(pd.DataFrame({"a": sparse_column, "b": [1.0, 2.0, 3.0, 4.0]}))
    assert sparse.issparse(Z)
    assert Z.toarray()[:, 1] == pytest.approx([0, 1 / np.sqrt(3 / 16), 0, 0])


def test_a_sparse_matrix_of_a_format_without_rows_is_refused():
    with pytest.raises(DataError, match=r"^a sparse X must be in CSR or CSC format, got COO: use X\.tocsr\(\)$"):
        make_preprocessor().fit(sparse.coo_matrix(np.eye(3)))


@pytest.mark.parametrize(
    "X", [np.eye(4), sparse.csr_matrix(np.eye(4)), pd.DataFrame({"a": list("uuvv"), "b": [1, 2, 3, None]})]
)
def test_float32_is_half_the_memory(X):
    Z = make_preprocessor(dtype="float32").fit_transform(X)
    assert Z.dtype == np.float32
    assert make_preprocessor().fit_transform(X).dtype == np.float64


def test_columns_may_be_empty_in_the_rows_of_a_fit():
    X = pd.DataFrame({"a": [np.nan] * 4, "b": [None] * 4, "c": pd.Series([None] * 4, dtype="str"), "d": pd.NaT, "e": 1})
    preprocessor = make_preprocessor().fit(X)
    new = pd.DataFrame({"a": [1.0], "b": ["x"], "c": ["y"], "d": [pd.Timestamp("2020-01-01")], "e": [2]})
    assert np.isfinite(preprocessor.transform(X)).all()
    assert np.isfinite(preprocessor.transform(new)).all()


def test_it_is_cloned_pickled_and_searched_like_any_transformer():
    X = pd.DataFrame({"n": np.arange(24) % 7 * 1.0, "s": list("abcdef") * 4})
    y = np.arange(24) % 2
    model = make_pipeline(make_preprocessor(), LogisticRegression())
    grid = {"columntransformer__number__scaled__simpleimputer__strategy": ["mean", "median"]}
    grid["columntransformer__category__onehotencoder__max_categories"] = [2, 5]
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    preprocessor = make_preprocessor().fit(X)
    again = pickle.loads(pickle.dumps(preprocessor))
    assert np.array_equal(again.transform(X), preprocessor.transform(X))
    assert np.array_equal(clone(preprocessor).fit_transform(X), preprocessor.transform(X))


def test_the_order_of_the_columns_of_a_frame_does_not_matter():
    X = pd.DataFrame({"n": [1.0, 2.0, 4.0], "s": ["a", "a", "b"], "m": [3.0, 1.0, 1.0]})
    preprocessor = make_preprocessor(min_frequency=1).fit(X)
    assert np.array_equal(preprocessor.transform(X[["s", "m", "n"]]), preprocessor.transform(X))


def test_it_stands_in_front_of_a_loss_classifier():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"n": rng.normal(size=60) * 1000, "s": rng.choice(["a", "b"], 60)})
    y = np.where(X["s"] == "a", "yes", "no")
    model = make_pipeline(make_preprocessor(dtype="float32"), LossClassifier(max_epochs=30, lr=0.01, random_state=0))
    assert model.fit(X, y).score(X, y) == 1


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [[1], [2]], "b": [1, 2]}),
        pd.DataFrame({"a": [{"k": 1}, None], "b": [1, 2]}),
        pd.DataFrame({"a": [1j, 2j], "b": [1, 2]}),
        pd.DataFrame({"a": pd.Series([[1], [2]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))), "b": [1, 2]}),
        pl.DataFrame({"a": [[1], [2]], "b": [1, 2]}),
        pl.DataFrame({"a": [{"k": 1}, {"k": 2}], "b": [1, 2]}),
    ],
)
def test_columns_that_hold_no_single_values_are_refused(frame):
    with pytest.raises(
        DataError, match=r"^columns 'a' hold complex numbers, lists or other containers; a column must hold"
    ):
        make_preprocessor().fit(frame)


def test_a_column_that_turns_into_text_after_the_fit_is_refused():
    preprocessor = make_preprocessor().fit(pd.DataFrame({"a": [1.0, 2.0]}))
    with pytest.raises(
        DataError, match=r"^column 'a' held numbers or dates where the preprocessor was fitted, now it does not"
    ):
        preprocessor.transform(pd.DataFrame({"a": ["one", "two"]}))


def test_another_precision_is_refused():
    with pytest.raises(ParameterError, match="dtype must be one of 'float64', 'float32', got 'float16'"):
        make_preprocessor(dtype="float16")


NO_PANDAS = """
import sys
import numpy as np

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pandas", "polars", "pyarrow"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
from sklearnloss import make_preprocessor, suggest_losses
X, y = np.sin(np.arange(400.0)).reshape(100, 4), np.arange(100) % 10 > 0
print(make_preprocessor().fit_transform(X).shape, suggest_losses(X, y)[1].loss)
"""


def test_arrays_need_no_pandas():
    done = subprocess.run([sys.executable, "-c", NO_PANDAS], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(100, 4) logit_adjusted", done.stderr
