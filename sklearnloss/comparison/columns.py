"""The columns of a table: which is meant by a name, what a text stands for, and which ones carry nothing."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sklearnloss.comparison.frames import require_pandas
from sklearnloss.comparison.reading import cut
from sklearnloss.exceptions import DataError, did_you_mean

__all__ = ["check_columns", "find_bag_names", "find_columns", "leave_out", "read_texts", "find_leaks"]

SPACES = "\\s\u00a0\u202f"
# an English number and a continental one: the sign for thousands, the sign for decimals
STYLES = {".": (",", "."), ",": (".", ",")}
DATES = {
    r"\d{4}-\d{1,2}(-\d{1,2}([ T]\d.*)?)?": ("ISO8601",),
    r"\d{4}/\d{1,2}/\d{1,2}( \d.*)?": ("%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S"),
    r"\d{1,2}\.\d{1,2}\.\d{4}( \d.*)?": ("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
}
SLASHES = {  # the day first in most of the world, the month first in the United States
    "day": ("%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S"),
    "month": ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S"),
}
NOTHING = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "None", "NULL", "null")  # with spaces around, pandas sees texts
MOSTLY = 0.9  # share of numbers from which a column of texts was probably meant as numbers
PLACEHOLDERS = 3  # so many different texts among numbers stand for a missing value
ID_NAMES = re.compile(r"unnamed: \d+|index|id|row|rowid|row[_ ]?(id|number)|_?idx|nr|no\.?", re.IGNORECASE)
HEAD = 1000
MIN_DIFFERENT = 10  # rows from which texts that are all different are names and not levels


def find_columns(names: str | int | Iterable[str], columns: Sequence[str], *, role: str, who: str) -> list[str]:
    """Return the columns that a user names: one, several, or several in one text with commas.

    Parameters
    ----------
    names : str, int or iterable of str
        What the user gave; a column that has exactly this name wins over a list.
    columns : sequence of str
        The columns there are.
    role : str
        The parameter, for the message.
    who : str
        The table, for the message.

    Raises
    ------
    DataError
        If a column is not there, with the nearest one, or is named twice.

    Examples
    --------
    >>> find_columns("a, b", ["a", "b", "c"], role="target", who="t.csv")
    ['a', 'b']
    """
    if not isinstance(names, (str, Iterable)):
        names = [str(names)]
    elif isinstance(names, str):
        names = [names] if names in columns else [name.strip() for name in names.split(",") if name.strip()]
    found = [str(name) for name in names]
    if unknown := [name for name in found if name not in columns]:
        near = did_you_mean(unknown[0], columns)
        raise DataError(f"{who} has no column {unknown[0]!r}, given as {role}{near} (columns: {cut(columns)})")
    if twice := sorted({name for name in found if found.count(name) > 1}):
        raise DataError(f"{who}: {role} names {cut(twice)} twice")
    return found


def read_texts(frame: Any, *, separator: str) -> tuple[Any, dict[str, str]]:
    """Turn texts of a text table into the numbers and dates that they stand for.

    Parameters
    ----------
    frame : DataFrame
        As pandas read it.
    separator : str
        What stood between the fields: beside ``;`` a comma is first taken for the sign of decimals.

    Returns
    -------
    frame : DataFrame
        Texts without spaces around them; ``1 234,5``, ``$1,234.5`` and ``12 %`` are numbers, ``2024-01-31`` and
        ``31.1.2024`` dates.
    notes : dict of str to str
        What the user should know of a column.
    """
    pandas = require_pandas("load_table")
    read: dict[str, Any] = {}
    notes: dict[str, str] = {}
    for name in frame.columns:
        if not _is_text(frame[name]):
            continue
        codes, levels = pandas.factorize(frame[name])  # the code of what is missing is -1
        if not len(levels) or not _all_texts(levels):
            continue  # nothing, or true and false with missing values
        texts = pandas.Series(levels).str.strip()
        column, note = _read_levels(texts.mask(texts.isin(NOTHING)), np.bincount(codes[codes >= 0]), separator)
        read[name] = column.reindex(codes).set_axis(frame.index)
        if note:
            notes[name] = f"column {name!r} {note}"
    return frame.assign(**read) if read else frame, notes


def _is_text(series: Any) -> bool:
    return series.dtype == object or str(series.dtype) in ("str", "string")


def _all_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _read_levels(texts: Any, counts: np.ndarray, separator: str) -> tuple[Any, str]:
    """Return numbers, dates or the texts themselves, and what to say of it; counts are the rows of each text."""
    known = texts.notna()
    numbers = _as_numbers(texts, separator)
    odd = texts[known & numbers.isna()]
    if odd.empty:
        return numbers, ""
    if (dates := _as_dates(texts)) is not None:
        return dates, "holds dates; it is used as a number of days"
    if _has_two_readings(texts):
        return texts, (
            "looks like dates, but the day cannot be told from the month, so it is used as texts; write dates as "
            "2024-01-31"
        )
    n_odd, n_known = int(counts[odd.index].sum()), int(counts[known].sum())
    if n_odd > (1 - MOSTLY) * n_known:
        return texts, ""
    values = f"{n_odd} of {n_known} values are no numbers ({cut(odd, 3)})"
    if len(odd) <= PLACEHOLDERS:
        return numbers, f"holds numbers, but {values}; they are taken for missing"
    return texts, f"is used as texts because {values}; leave them empty to have it used as numbers"


def _as_numbers(texts: Any, separator: str) -> Any:
    """Return numbers, NaN where a text is none, by the style in which more of them are numbers."""
    plain = texts.str.replace(rf"(?<=\d)[{SPACES}](?=\d{{3}}(\D|$))", "", regex=True)
    plain = plain.str.replace(rf"^([+-]?)[{SPACES}]*[$€£¥][{SPACES}]*|[{SPACES}]*[$€£¥%]$", r"\1", regex=True)
    readings = [_in_style(plain, style) for style in ((",", ".") if separator == ";" else (".", ","))]
    return max(readings, key=lambda numbers: numbers.notna().sum())


def _in_style(texts: Any, decimal: str) -> Any:
    thousands, point = (re.escape(sign) for sign in STYLES[decimal])
    whole = rf"(\d+|\d{{1,3}}({thousands}\d{{3}})+)"
    number = rf"[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
    fits = texts.str.fullmatch(number).fillna(False).astype(bool)
    pandas = require_pandas("load_table")
    clean = texts.str.replace(STYLES[decimal][0], "", regex=False).str.replace(decimal, ".", regex=False)
    return pandas.to_numeric(clean.where(fits), errors="coerce")


def _as_dates(texts: Any) -> Any:
    """Return dates if every text is one, and only one reading is possible."""
    known = texts.dropna()
    if known.empty:
        return None
    for pattern, formats in DATES.items():
        if known.str.fullmatch(pattern).all():
            return _parsed(texts, formats)
    if not known.str.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}( \d.*)?").all():
        return None
    readings = [stamps for formats in SLASHES.values() if (stamps := _parsed(texts, formats)) is not None]
    return readings[0] if len(readings) == 1 else None


def _has_two_readings(texts: Any) -> bool:
    known = texts.dropna()
    slashes = not known.empty and known.str.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}( \d.*)?").all()
    return bool(slashes) and all(_parsed(texts, formats) is not None for formats in SLASHES.values())


def _parsed(texts: Any, formats: Iterable[str]) -> Any:
    pandas = require_pandas("load_table")
    for form in formats:
        stamps = pandas.to_datetime(texts, format=form, errors="coerce", utc=True)
        if stamps.notna().sum() == texts.notna().sum():
            return stamps.dt.tz_localize(None)
    return None


def check_columns(X: Any, *, who: str) -> tuple[Any, list[str]]:
    """Refuse columns that cannot be used; take infinite numbers for missing.

    Returns
    -------
    X : DataFrame
        The table.
    notes : list of str
        What the user should know.

    Raises
    ------
    DataError
        If there is no column, or one is empty.
    """
    if not X.shape[1]:
        raise DataError(f"{who} has no column left to predict from, beside the target")
    numbers = X.select_dtypes("number")
    infinite = np.isinf(numbers.to_numpy(dtype=float, na_value=np.nan)) if numbers.shape[1] else np.zeros((len(X), 0))
    places = np.flatnonzero(infinite.any(axis=0))
    notes = []
    if places.size:
        names = numbers.columns[places]
        X = X.assign(**{name: X[name].mask(infinite[:, j]) for j, name in zip(places, names, strict=True)})
        notes = [f"infinite numbers in {cut(names)} are taken for missing, {int(infinite.sum())} in all"]
    if empty := list(X.columns[X.isna().all()]):
        raise DataError(
            f"{who}: no value at all in {cut(empty)}; leave {'it' if len(empty) == 1 else 'them'} out: "
            f"drop={','.join(empty[:10])!r} (--drop {','.join(empty[:10])!r})"
        )
    return X, notes


def leave_out(X: Any) -> tuple[Any, list[str]]:
    """Leave out the columns that can teach nothing: those that tell rows apart, and those of one value.

    Returns
    -------
    X : DataFrame
        The other columns.
    notes : list of str
        Which were left out, and why.
    """
    notes, useless = [], []
    if counting := [name for name, column in X.items() if _counts_rows(column)]:
        known = [name for name in counting if ID_NAMES.fullmatch(name)]
        useless += known
        if known:
            notes.append(f"left out {cut(known)}: a number for each row says nothing about it")
        if len(X) >= MIN_DIFFERENT and (rest := [name for name in counting if name not in known]):
            notes.append(f"{cut(rest)} counts the rows one by one; if it is only their number, leave it out with drop")
    if names := [name for name, column in X.items() if _names_rows(column)]:
        useless += names
        notes.append(
            f"left out {cut(names)}: {len(X)} rows have {len(X)} different texts, which can only be learnt by heart"
        )
    if constant := [name for name, column in X.items() if name not in useless and column.nunique(dropna=False) == 1]:
        useless += constant
        notes.append(f"left out {cut(constant)}: the same value in every row")
    return (X.drop(columns=useless) if useless else X), notes


def _counts_rows(series: Any) -> bool:
    if series.dtype.kind not in "iuf" or len(series) < 3:
        return False
    values = series.to_numpy(dtype=float, na_value=np.nan)
    return bool(values[0] in (0, 1) and np.array_equal(values, values[0] + np.arange(len(values))))


def _names_rows(series: Any) -> bool:
    if len(series) < MIN_DIFFERENT or not _is_text(series) or not _all_texts(series):
        return False
    return bool(series.nunique() == len(series))


def find_leaks(X: Any, y: Any) -> list[str]:
    """Return a note for each column that is the target under other names.

    Parameters
    ----------
    X : DataFrame of shape (n, d)
        Features.
    y : Series or DataFrame
        Target, or targets.
    """
    targets = [y] if y.ndim == 1 else [y[name] for name in y.columns]
    heads = [_codes(target.iloc[:HEAD]) for target in targets]
    leaks = []
    for name, column in X.items():
        head = _codes(column.iloc[:HEAD])  # most columns differ from a target in their first rows
        for target, other in zip(targets, heads, strict=True):
            if np.array_equal(head, other) and np.array_equal(_codes(column), _codes(target)):
                leaks.append(
                    f"column {name!r} is the target {target.name!r} under another name: each value of one stands for "
                    "one of the other. Leave it out with drop unless it will be known when you predict"
                )
    return leaks


def find_bag_names(X: Any, bags: np.ndarray) -> list[str]:
    """Return a note on the columns that tell every bag from every other, if there are any.

    Parameters
    ----------
    X : DataFrame of shape (n, d)
        Features.
    bags : array of shape (n,)
        Ids.
    """
    code = _codes(bags)
    names = [name for name, column in X.items() if np.array_equal(_codes(column), code)]
    if not names:
        return []
    return [
        f"{cut(names)} {'has' if len(names) == 1 else 'have'} one value in each bag and another in every other bag, so "
        "bags can be learnt by heart; leave out with drop what says nothing of new bags"
    ]


def _codes(series: Any) -> np.ndarray:
    """Return the number of each value, in the order in which they come: the same for columns that are one-to-one."""
    return require_pandas("load_table").factorize(series)[0]
