"""The user's table: from a file, or whatever holds it, to what is predicted and what from."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import datasets

from sklearnloss.bags.targets import check_bags
from sklearnloss.comparison.columns import (
    check_columns,
    find_bag_names,
    find_columns,
    find_leaks,
    leave_out,
    read_texts,
)
from sklearnloss.comparison.frames import column_kinds, require_pandas, to_numbers
from sklearnloss.comparison.given import holds_shares
from sklearnloss.comparison.reading import cut, read_file
from sklearnloss.comparison.targets import (
    check_classes,
    check_labels,
    check_positive,
    check_rows,
    check_shares,
    plain_column,
)
from sklearnloss.exceptions import DataError, DataWarning, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BUNDLED", "Table", "check_rows", "load_table"]

BUNDLED = ("breast_cancer", "digits", "iris", "wine")
PREFIX = "sklearn:"


@dataclass(frozen=True)
class Table:
    """A table, ready to compare losses on.

    Attributes
    ----------
    X : DataFrame of shape (n, d)
        What to predict from.
    y : Series of shape (n,) or DataFrame of shape (n, n_labels)
        What to predict: one class per row, or several labels of zeros and ones. With a positive class, whether a row
        is of that class. With bags, the share of the positive class or the shares of several in the row's bag, or the
        class of each row.
    groups : array of shape (n,) or None
        Rows of one group stay on one side of every split.
    times : array of shape (n,) or None
        Numbers by which the rows are ordered; of dates, days since 1970.
    name : str
        What to call the data: the file's name, or the set's.
    source : str
        Python that gives this table again.
    notes : tuple of str
        What was warned of while it was read.
    bags : array of shape (n,) or None
        The bag of each row.
    """

    X: "pd.DataFrame"
    y: "pd.Series | pd.DataFrame"
    groups: np.ndarray | None
    times: np.ndarray | None
    name: str
    source: str
    notes: tuple[str, ...] = ()
    bags: np.ndarray | None = None

    def code(self) -> str:
        """Return Python that makes ``X`` and ``y``, and ``groups``, ``times`` and ``bags`` where there are any."""
        lines = ["from sklearnloss import load_table", "", f"table = {self.source}"]
        lines.append("X, y = table.X, table.y.to_numpy()")
        lines += [f"{name} = table.{name}" for name in ("groups", "times", "bags") if getattr(self, name) is not None]
        return "\n".join(lines)


def load_table(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    bags: str | None = None,
    group: str | None = None,
    time: str | None = None,
    drop: str | Sequence[str] = (),
    positive: Any = None,
    separator: str | None = None,
) -> Table:
    """Read a table and take apart what is predicted and what from.

    Parameters
    ----------
    source : str, path or DataFrame
        A text table with a line of column names, packed (gzip, bz2, xz, zip) or not, separated by commas, semicolons,
        tabs or bars; a Parquet file or a folder of them; a set of scikit-learn, ``"iris"``, ``"digits"``, ``"wine"`` or
        ``"breast_cancer"``, also as ``"sklearn:iris"``; or a pandas or polars DataFrame. A file called like a set is
        given as ``"./iris"``.
    target : str or sequence of str, default=None
        The column to predict. Several, as a sequence or ``"a,b,c"``, are labels of zeros and ones. Sets of scikit-learn
        have theirs.
    bags : str, default=None
        A column that names the bag of each row, where only the proportions of the classes in bags are known; not
        predicted from. The target is then the share of the positive class, the same number on all rows of a bag, or
        several columns with the share of each class, or the classes of rows, of which proportions are taken.
    group : str, default=None
        A column whose rows of one value stay on one side of every split; not predicted from.
    time : str, default=None
        A column of dates or numbers by which rows are ordered; not predicted from.
    drop : str or sequence of str, default=()
        Columns to leave out.
    positive : object, default=None
        Of two classes the one that counts as positive; None leaves the classes as they are, where the later in order
        counts.
    separator : str, default=None
        What stands between the fields of a text table; None finds out.

    Returns
    -------
    Table
        With ``X``, ``y``, ``groups``, ``times``, ``bags``, ``name`` and ``source``.

    Raises
    ------
    DataError
        If the table, or its target, cannot be used; one line that says what to do.
    ImportError
        If pandas, or for Parquet pyarrow, is not installed.

    Warns
    -----
    DataWarning
        If rows or columns were left out, or something will not do what one expects.

    Notes
    -----
    In a text table ``?`` is missing, beside what pandas takes for missing, and numbers may be written ``1,234.5``,
    ``1 234,5``, ``12 %`` or ``$ 7``. Dates written ``2024-01-31``, ``31.1.2024``, or ``31/1/2024`` where only one
    reading is possible, are dates. Rows whose target is missing are left out, and so are columns that number or name
    the rows, or hold one value: each time with a warning. A DataFrame's and a Parquet
    file's types are taken as they are.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"size": [1.5, 2.0, 3.5, 4.0], "color": ["red", "red", "blue", "blue"]})
    >>> table = load_table(frame, "color")
    >>> table.X.columns.tolist(), table.y.tolist()
    (['size'], ['red', 'red', 'blue', 'blue'])
    >>> load_table("iris").X.shape
    (150, 4)
    """
    raw = _read(source, separator)
    name, who, columns = raw.name, repr(raw.name), list(raw.frame.columns)
    roles = {
        "target": _targets("target" if target is None and raw.bundled else target, columns, who),
        "bags": find_columns([bags], columns, role="bags", who=who) if bags is not None else [],
        "group": find_columns([group], columns, role="group", who=who) if group is not None else [],
        "time": find_columns([time], columns, role="time", who=who) if time is not None else [],
        "drop": find_columns(drop, columns, role="drop", who=who),
    }
    _check_roles(roles, who)
    frame, known, notes = _with_target(raw.frame, roles["target"], who)
    ids = _bags(raw.frame, roles["bags"], who)
    if ids is None:
        y = _target(frame[roles["target"]], positive, who)
    else:
        y = _target_of_bags(frame[roles["target"]], positive, ids, known, who)
        ids = ids[known]
    X = frame.drop(columns=[column for names in roles.values() for column in names])
    notes = [*raw.notes, *notes, *(note for column, note in raw.column_notes.items() if column in X)]
    if not raw.bundled:
        X, more = _features(X, y, ids, who)
        notes += more
    for note in notes:
        warnings.warn(f"{name}: {note}", DataWarning, stacklevel=2)
    options = {
        "bags": bags,
        "group": group,
        "time": time,
        "drop": roles["drop"] or None,
        "positive": positive,
        "separator": separator,
    }
    return Table(
        X=X,
        y=y,
        groups=_groups(frame, roles["group"], who),
        times=_times(frame, roles["time"], who),
        name=name,
        source=_code(source, {"target": target, **options}),
        notes=tuple(notes),
        bags=ids,
    )


@dataclass(frozen=True)
class _Raw:
    """A table as it was read: what to warn of, in general and of a column that is used."""

    frame: Any
    name: str
    bundled: bool = False
    notes: tuple[str, ...] = ()
    column_notes: Mapping[str, str] = field(default_factory=dict)


def _read(source: Any, separator: str | None) -> _Raw:
    if separator is not None and len(separator) != 1:
        raise DataError(f"separator must be one character, got {separator!r}")
    if isinstance(source, (str, Path)):
        short = str(source).removeprefix(PREFIX)
        if str(source).startswith(PREFIX) or short in BUNDLED:
            return _read_bundled(short)
        if "://" in str(source):
            raise DataError(f"{source!r} is an address; download the file and give its path")
        path = Path(source).expanduser()
        frame, separator = read_file(path, separator=separator, others=BUNDLED)
        notes: dict[str, str] = {}
        if separator:
            frame, notes = read_texts(frame, separator=separator)
        return _Raw(_named(frame, repr(path.name)), path.name, column_notes=notes)
    lazy = hasattr(source, "collect")
    if lazy or not (hasattr(source, "columns") and hasattr(source, "shape")):
        hint = "; call .collect() first" if lazy else "; arrays go to sklearnloss.compare(X, y)"
        raise DataError(
            f"a table is a file, a set of scikit-learn ({', '.join(BUNDLED)}) or a DataFrame, got "
            f"{type(source).__name__}{hint}"
        )
    pandas = require_pandas("load_table")
    frame = source if isinstance(source, pandas.DataFrame) else source.to_pandas()
    return _Raw(_named(frame.reset_index(drop=True), "the DataFrame"), "DataFrame")


def _named(frame: Any, who: str) -> Any:
    """Return the table with texts for names, no two alike."""
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []:
        raise DataError(f"{who} has columns {cut(twice)} more than once; each column needs a name of its own")
    if not len(frame):
        raise DataError(f"{who} has no rows")
    return frame.set_axis(names, axis=1)


def _read_bundled(name: str) -> _Raw:
    if name not in BUNDLED:
        raise DataError(
            f"unknown set of scikit-learn {name!r}{did_you_mean(name, BUNDLED)} (there are {', '.join(BUNDLED)})"
        )
    require_pandas("load_table")
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    beside = f"this is the set of scikit-learn; the file of that name in this folder is './{name}'"
    return _Raw(frame, name, bundled=True, notes=(beside,) if Path(name).exists() else ())


def _targets(target: Any, columns: list[str], who: str) -> list[str]:
    if target is None or (isinstance(target, (str, Sequence)) and not len(target)):
        raise DataError(
            f"{who}: which column is to be predicted? Say target=... (--target ...); columns: {cut(columns)}"
        )
    return find_columns(target, columns, role="target", who=who)


def _check_roles(roles: dict[str, list[str]], who: str) -> None:
    """Refuse a column with two roles."""
    seen: dict[str, str] = {}
    for role, names in roles.items():
        for name in names:
            if name in seen:
                raise DataError(f"{who}: column {name!r} is given as {seen[name]} and as {role}; it can be one of them")
            seen[name] = role


def _with_target(frame: Any, targets: list[str], who: str) -> tuple[Any, np.ndarray, list[str]]:
    """Leave out the rows whose target is missing; return the others, which they are, and what to say."""
    missing = frame[targets].isna().any(axis=1)
    known = ~missing.to_numpy()
    if not (count := int(missing.sum())):
        return frame, known, []
    shown = cut(targets)
    if count == len(frame):
        raise DataError(f"{who}: target {shown} is missing in every row")
    kept = frame.loc[~missing].reset_index(drop=True)
    return kept, known, [f"left out {count} of {len(frame)} rows, in which target {shown} is missing"]


def _target(y: Any, positive: Any, who: str) -> Any:
    """Return classes, labels of zeros and ones, or whether each row is of the positive class."""
    y = check_labels(y, who=who) if y.shape[1] > 1 else check_classes(y.iloc[:, 0], who=who)
    return y if positive is None else check_positive(y, positive, who=who)


def _target_of_bags(y: Any, positive: Any, ids: np.ndarray, known: np.ndarray, who: str) -> Any:
    """Return shares of classes in bags, or classes of rows; ``known`` are the rows that have it."""
    if y.shape[1] == 1 and not holds_shares(plain_column(y.iloc[:, 0]).to_numpy(), ids[known]):
        return _target(y, positive, who)
    shown = cut(y.columns)
    if positive is not None:
        raise DataError(f"{who}: positive={positive!r} is for classes; target {shown} holds shares of them in bags")
    if (torn := ~known & np.isin(ids, ids[known])).any():
        bag = ids[torn][0].item()
        raise DataError(
            f"{who}: target {shown} is missing in {int((torn & (ids == bag)).sum())} of the {int((ids == bag).sum())} "
            f"rows of bag {bag!r}; it must be the same in all of them"
        )
    return check_shares(y, who=who)


def _features(X: Any, y: Any, ids: np.ndarray | None, who: str) -> tuple[Any, list[str]]:
    """Return the columns that can be learnt from, and what to warn of."""
    column_kinds(X)
    X, infinite = check_columns(X, who=who)
    shares = ids is not None and (y.ndim == 2 or y.dtype.kind == "f")
    leaks = [] if shares else find_leaks(X, y)
    if ids is not None:
        leaks += find_bag_names(X, ids)
    X, useless = leave_out(X)
    if not X.shape[1]:
        raise DataError(f"{who}: no column is left to predict from; {'; '.join(useless)}")
    return X, [*infinite, *leaks, *useless]


def _bags(frame: Any, names: list[str], who: str) -> np.ndarray | None:
    if not names:
        return None
    series = frame[names[0]]
    _refuse_missing(series, "bags", who)
    return check_bags(np.asarray(series.astype(str)) if series.dtype.kind in "mM" else _plain_array(series))


def _groups(frame: Any, names: list[str], who: str) -> np.ndarray | None:
    if not names:
        return None
    _refuse_missing(frame[names[0]], "group", who)
    return _plain_array(frame[names[0]])


def _times(frame: Any, names: list[str], who: str) -> np.ndarray | None:
    if not names:
        return None
    series = frame[names[0]]
    _refuse_missing(series, "time", who)
    if series.dtype.kind not in "iufmM":
        raise DataError(
            f"{who}: column {names[0]!r}, given as time, holds {cut(series.unique(), 3)}; it must hold numbers, "
            "or dates written as 2024-01-31"
        )
    return to_numbers(series.to_frame())[:, 0] if series.dtype.kind in "mM" else _plain_array(series)


def _plain_array(series: Any) -> np.ndarray:
    """Return an array without pandas' own types."""
    types = {"i": "int64", "u": "int64", "f": "float64", "b": "bool"}
    return np.asarray(series.to_numpy(dtype=types.get(series.dtype.kind, "object")))


def _refuse_missing(series: Any, role: str, who: str) -> None:
    if count := int(series.isna().sum()):
        raise DataError(
            f"{who}: column {series.name!r}, given as {role}, is missing in {count} of {len(series)} rows; fill "
            "them, or take them out"
        )


def _code(source: Any, options: Mapping[str, Any]) -> str:
    first = repr(str(source)) if isinstance(source, (str, Path)) else "frame"
    return f"load_table({', '.join([first, *(f'{k}={v!r}' for k, v in options.items() if v is not None)])})"
