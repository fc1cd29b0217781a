"""Columns of whatever holds a table: arrays, sparse matrices, pandas and polars DataFrames."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from numbers import Number
from typing import Any, Literal

import numpy as np
from scipy import sparse

from sklearnloss.exceptions import DataError

__all__ = [
    "ColumnKind",
    "column_kinds",
    "column_names",
    "is_missing",
    "missing_cells",
    "require_pandas",
    "select_columns",
    "to_numbers",
    "to_texts",
]

ColumnKind = Literal["number", "date", "category", "sparse"]

MISSING = "missing"
DAY, EPOCH = np.timedelta64(1, "D"), np.datetime64("1970-01-01", "us")


def require_pandas(who: str) -> Any:
    """Return the module pandas.

    Raises
    ------
    ImportError
        If it is not installed, with what to install.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f'{who} needs pandas: pip install "sklearnloss[data]"') from error
    return pandas


def column_names(X: Any) -> list[str]:
    """Return the names of the columns, ``x0, x1, ...`` where there are none.

    Examples
    --------
    >>> column_names(np.zeros((1, 2)))
    ['x0', 'x1']
    """
    if hasattr(X, "columns"):
        return [str(name) for name in X.columns]
    return [f"x{j}" for j in range(X.shape[1])]


def column_kinds(X: Any) -> list[ColumnKind]:
    """Return what each column holds, judged by its type and never by how many values it has.

    Parameters
    ----------
    X : array, sparse matrix, pandas or polars DataFrame of shape (n, d)
        The table.

    Returns
    -------
    list of {"number", "date", "category", "sparse"}
        Of length d. Booleans of a DataFrame and texts are categories; dates include times and time spans.

    Raises
    ------
    DataError
        If a column holds complex numbers, lists or other containers.

    Examples
    --------
    >>> column_kinds(np.array([[1.5, "red"], [None, "blue"]], dtype=object))
    ['number', 'category']
    """
    if sparse.issparse(X):
        return ["sparse"] * X.shape[1]
    if not hasattr(X, "columns"):
        X = np.asarray(X)
        if X.dtype.kind != "O":
            kinds: list[ColumnKind | None] = [_kind_of_dtype(X.dtype.kind, is_frame=False)] * X.shape[1]
        else:
            kinds = [_kind_of_objects(X[:, j]) for j in range(X.shape[1])]
    else:
        kinds = [_kind_of_column(X, j, dtype) for j, dtype in enumerate(X.dtypes)]
    if unusable := [name for name, kind in zip(column_names(X), kinds, strict=True) if kind is None]:
        raise DataError(
            f"columns {', '.join(map(repr, unusable))} hold complex numbers, lists or other containers; a column must "
            "hold numbers, texts, booleans or dates: leave them out, or take them apart"
        )
    return [kind for kind in kinds if kind is not None]


def select_columns(X: Any, kinds: Iterable[ColumnKind]) -> list[Any]:
    """Return which columns are of these kinds: their names where all have one, else their places."""
    if sparse.issparse(X) and X.format not in ("csr", "csc"):
        raise DataError(f"a sparse X must be in CSR or CSC format, got {X.format.upper()}: use X.tocsr()")
    wanted = set(kinds)
    places = [j for j, kind in enumerate(column_kinds(X)) if kind in wanted]
    named = hasattr(X, "columns") and all(isinstance(name, str) for name in X.columns)
    return [X.columns[j] for j in places] if named else places


def to_numbers(X: Any) -> Any:
    """Return columns of numbers, dates or sparse columns as floats (n, d): dates in days since 1970, NaN where missing.

    Raises
    ------
    DataError
        If a value is no number.

    Examples
    --------
    >>> to_numbers(np.array([["1970-01-02T12"]], dtype="datetime64[h]"))
    array([[1.5]])
    """
    if sparse.issparse(X):
        return X if X.dtype.kind == "f" else X.astype(float)
    if hasattr(X, "columns"):
        if hasattr(X, "sparse") and X.shape[1] and all(type(dtype).__name__ == "SparseDtype" for dtype in X.dtypes):
            return sparse.hstack([sparse.csc_array(column.array.to_dense()[:, None]) for column in _columns(X)], "csr")
        if hasattr(X, "iloc") and all(getattr(dtype, "kind", "O") in "biuf" for dtype in X.dtypes):
            return X.to_numpy(dtype=float, na_value=np.nan)
        names, values = column_names(X), [_numbers_of_series(column) for column in _columns(X)]
    else:
        X = np.asarray(X)
        if X.dtype.kind in "biuf":
            return X if X.dtype.kind == "f" else X.astype(float)
        names, values = column_names(X), [_numbers_of_array(X[:, j]) for j in range(X.shape[1])]
    for name, column in zip(names, values, strict=True):
        if column is None:
            raise DataError(f"column {name!r} held numbers or dates where the preprocessor was fitted, now it does not")
    numbers = [column for column in values if column is not None]
    return np.column_stack(numbers) if numbers else np.empty((len(X), 0))


def to_texts(X: Any) -> np.ndarray:
    """Return columns as texts (n, d), with ``"missing"`` for what is missing.

    Examples
    --------
    >>> to_texts(np.array([["red"], [None], [True]], dtype=object)).tolist()
    [['red'], ['missing'], ['True']]
    """
    if hasattr(X, "columns"):
        columns = [_texts_of_series(column) for column in _columns(X)]
    else:
        columns = [_as_texts(column) for column in np.asarray(X, dtype=object).T]
    return np.column_stack(columns) if columns else np.empty((X.shape[0], 0), dtype=object)


def missing_cells(X: Any) -> Any:
    """Return which cells are missing, (n, d); sparse where X is."""
    if sparse.issparse(X):
        coo = sparse.coo_array(X)
        return sparse.csr_array((np.isnan(coo.data.astype(float)), coo.coords), shape=X.shape)
    if hasattr(X, "isna"):
        return X.isna().to_numpy()
    if hasattr(X, "columns"):  # polars
        return np.column_stack([[is_missing(value) for value in column.to_list()] for column in _columns(X)])
    X = np.asarray(X)
    if X.dtype.kind == "O":
        return np.array([[is_missing(value) for value in row] for row in X])
    return np.isnan(X) if X.dtype.kind in "fmM" else np.zeros(X.shape, dtype=bool)


def _columns(X: Any) -> list[Any]:
    """Return the columns of a DataFrame in their order."""
    return [X.iloc[:, j] if hasattr(X, "iloc") else X.to_series(j) for j in range(X.shape[1])]


def _kind_of_dtype(kind: str, *, is_frame: bool) -> ColumnKind | None:
    if kind in "mM":
        return "date"
    if kind in ("iuf" if is_frame else "biuf"):  # an array of booleans is a matrix of zeros and ones
        return "number"
    return None if kind == "c" else "category"


def _kind_of_column(X: Any, place: int, dtype: Any) -> ColumnKind | None:
    if not hasattr(X, "iloc"):  # polars
        if dtype.is_nested() or dtype.is_object():
            return None
        return "number" if dtype.is_numeric() else "date" if dtype.is_temporal() else "category"
    match type(dtype).__name__:
        case "SparseDtype":
            return "sparse"
        case "PeriodDtype":
            return "date"
        case "CategoricalDtype" | "StringDtype":
            return "category"
    if dtype.kind != "O":
        return _kind_of_dtype(dtype.kind, is_frame=True)
    values = X.iloc[:, place].to_numpy()  # pyarrow's decimals and lists too
    return None if _holds_containers(values) else _kind_of_objects(values)


def _kind_of_objects(values: Iterable[Any]) -> ColumnKind:
    found: set[ColumnKind] = set()
    for value in values:
        if is_missing(value):
            continue
        if isinstance(value, Number) and not isinstance(value, (bool, np.bool_, complex)):
            found.add("number")
        elif isinstance(value, (date, time, timedelta, np.datetime64, np.timedelta64)):
            found.add("date")
        else:
            return "category"
    return found.pop() if len(found) == 1 else "category"


def _holds_containers(values: Iterable[Any]) -> bool:
    return any(isinstance(value, (list, tuple, dict, set, np.ndarray)) for value in values)


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NA or NaT."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _numbers_of_series(series: Any) -> np.ndarray | None:
    if not hasattr(series, "iloc"):  # polars
        if series.dtype.is_temporal() and str(series.dtype).startswith("Datetime") and series.dtype.time_zone:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return _numbers_of_array(series.to_numpy())
    if type(series.dtype).__name__ == "PeriodDtype":
        series = series.dt.to_timestamp()
    if getattr(getattr(series.dtype, "pyarrow_dtype", series.dtype), "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if series.dtype.kind in "biuf":
        return series.to_numpy(dtype=float, na_value=np.nan)
    if series.dtype.kind in "mM":
        return _numbers_of_array(series.to_numpy(dtype=f"{series.dtype.kind}8[us]"))
    return _numbers_of_array(series.to_numpy(dtype=object))


def _numbers_of_array(values: np.ndarray) -> np.ndarray | None:
    """Return floats, or None if a value is no number and no date."""
    if values.dtype.kind == "M":
        values = values - np.datetime64(0, "D").astype(values.dtype)
    if values.dtype.kind == "m":
        return values / DAY
    if values.dtype.kind == "O":
        values = np.array([np.nan if is_missing(value) else _number(value) for value in values], dtype=object)
    try:
        return values.astype(float)
    except (TypeError, ValueError):
        return None


def _number(value: Any) -> Any:
    """Return days for a date, a time or a time span, anything else as it is."""
    if isinstance(value, time):
        value = datetime.combine(date(1970, 1, 1), value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, (date, np.datetime64)):
        return (np.datetime64(value).astype("M8[us]") - EPOCH) / DAY
    if isinstance(value, (timedelta, np.timedelta64)):
        return np.timedelta64(value) / DAY
    return value


def _texts_of_series(series: Any) -> np.ndarray:
    if not hasattr(series, "iloc"):  # polars
        return _as_texts(series.to_list())
    if series.dtype == object:  # its values may be of several types, of which True and 1 are equal
        return _as_texts(series)
    codes, levels = series.factorize()
    return _as_texts([*levels.astype(object), None])[codes]  # the code of what is missing is -1


def _as_texts(values: Iterable[Any]) -> np.ndarray:
    return np.array([MISSING if is_missing(value) else str(value) for value in values], dtype=object)
