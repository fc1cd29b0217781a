"""What X and y may be: from arrays, memory maps, paths and datasets to rows that can be trained on."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import _check_y, check_consistent_length, validate_data
from torch.utils.data import DataLoader, Dataset, IterableDataset

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.training.dataset import DatasetRows
from sklearnloss.training.mapped import MappedRows, memory_map
from sklearnloss.training.parquet import ParquetRows, is_parquet
from sklearnloss.training.sources import Part, Source, SparseRows, read_type

__all__ = ["as_rows", "bytes_of", "check_X", "check_fit", "open_X", "open_data", "some_rows"]

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
TYPES = (np.float64, np.float32)


def bytes_of(limit: int | str | None) -> int:
    """Return a memory limit in bytes; None is all there is.

    Raises
    ------
    ParameterError
        If it is no number of bytes.

    Examples
    --------
    >>> bytes_of("1.5GB"), bytes_of("2 MiB")
    (1500000000, 2097152)
    """
    if limit is None:
        return sys.maxsize
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(limit))
    if found is None or found[2].upper() not in UNITS:
        raise ParameterError(f"memory_limit must be bytes, a string such as '500MB' or '2GiB', or None; got {limit!r}")
    return int(float(found[1]) * UNITS[found[2].upper()])


def open_data(estimator: Any, X: Any, y: Any, *, names: Sequence[str] | None = None) -> tuple[Any, Any]:
    """Open what is no array: a path, a dataset, or a memory map over the estimator's ``memory_limit``.

    Parameters
    ----------
    estimator : estimator
        With ``memory_limit`` and ``num_workers``.
    X : object
        What the user gave.
    y : object
        Targets; of Parquet the name of a column, of a dataset None for the second of each pair.
    names : sequence of str or None, default=None
        The columns of Parquet to read; None is all but y.

    Returns
    -------
    X : Source, or what scikit-learn validates
    y : array, or as given

    Raises
    ------
    DataError
        If X cannot be trained on; the message says what to do.
    """
    limit = bytes_of(estimator.memory_limit)
    opened = _opened(estimator, X, y if isinstance(y, str) else None, names)
    if y is None and isinstance(opened, DatasetRows):
        y = opened.targets()
    elif isinstance(y, str):
        if not isinstance(opened, ParquetRows):
            raise DataError(f"y={y!r} would be the name of a column, which only Parquet has; give y as an array")
        y = opened.targets()
    return _loaded(opened, limit), y


def open_X(estimator: Any, X: Any) -> Any:
    """Open rows to predict, as `open_data` does; of Parquet the columns that were trained on."""
    opened = _opened(estimator, X, None, getattr(estimator, "feature_names_in_", None))
    return _loaded(opened, bytes_of(estimator.memory_limit)) if isinstance(opened, ParquetRows) else opened


def check_fit(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
    """Validate X and y as scikit-learn does; the values of a source are checked when they are read."""
    if y is None and not get_tags(estimator).target_tags.required:
        if isinstance(X, Source):
            validate_data(estimator, X.sample(), reset=reset, skip_check_array=True)
            return X, None
        return validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype=TYPES, order="C"), None
    if not isinstance(X, Source):
        return validate_data(
            estimator, X, y, reset=reset, accept_sparse="csr", dtype=TYPES, order="C", multi_output=True
        )
    validate_data(estimator, X.sample(), y, reset=reset, skip_check_array=True)
    y = _check_y(y, multi_output=True, estimator=estimator)
    check_consistent_length(X, y)
    return X, y


def check_X(estimator: Any, X: Any) -> Any:
    """Validate rows to predict, as scikit-learn does."""
    if not isinstance(X, Source):
        return validate_data(estimator, X, reset=False, accept_sparse="csr", dtype=TYPES)
    validate_data(estimator, X.sample(), reset=False, skip_check_array=True)
    return X


def as_rows(X: Any) -> Any:
    """Return validated rows as an array or a source."""
    return SparseRows(X) if hasattr(X, "toarray") else X


def some_rows(X: Any, index: np.ndarray) -> Any:
    """Return some rows of what the user gave."""
    return Part(X, index) if isinstance(X, Source) else _safe_indexing(X, index)


def refuse(X: Any, who: str) -> None:
    """Refuse what cannot be rows of numbers.

    Raises
    ------
    DataError
        With what to do instead.
    """
    several = isinstance(X, list | tuple) and any(len(getattr(part, "shape", ())) > 1 for part in X)
    if several or (isinstance(X, Mapping) and not issparse(X)):  # a DOK matrix is a dict
        kind = f"a {type(X).__name__} of {len(X)} {'arrays' if several else 'entries'}"
        raise DataError(
            f"{who}: X is {kind}; several inputs are not taken. Put their columns side by side into one array, "
            "np.hstack([a, b]), and let a module split them: module=Net, forward(X) with X[:, :m] and X[:, m:]; "
            "or give a torch Dataset whose items are such rows"
        )
    if isinstance(X, DataLoader):
        raise DataError(
            f"{who}: X is a DataLoader; give its dataset: fit(loader.dataset), with batch_size, num_workers"
        )
    if isinstance(X, IterableDataset):
        raise DataError(
            f"{who}: X is an IterableDataset, whose rows have no numbers to draw by; give a Dataset with __len__ and "
            "__getitem__, or write the rows to a .npy file or to Parquet and give the path"
        )
    if isinstance(X, Iterator):
        raise DataError(
            f"{who}: X is a {type(X).__name__}, which gives its rows only once; give an array, np.stack(list(X)), or "
            "train on one part after the other with partial_fit"
        )


def _opened(estimator: Any, X: Any, target: str | None, names: Sequence[str] | None) -> Any:
    who = type(estimator).__name__
    refuse(X, who)
    if isinstance(X, Dataset):
        return DatasetRows(X, workers=estimator.num_workers)
    if isinstance(X, str | os.PathLike):
        path, limit = _existing(Path(X), who), bytes_of(estimator.memory_limit)
        if is_parquet(path):
            return ParquetRows(path, limit=limit, columns=names, target=target)
        X = _open_npy(path, limit)
    if memory_map(X) is None:
        return X
    limit = bytes_of(estimator.memory_limit)
    return MappedRows(X, limit=limit) if _size(X) > limit else X


def _existing(path: Path, who: str) -> Path:
    readable = "a .npy file, a Parquet file or a folder of Parquet files"
    if not path.exists():
        raise DataError(f"{who}: X is the path {str(path)!r}, where nothing is; it may be {readable}")
    if path.suffix == ".npy" or is_parquet(path):
        return path
    if path.suffix in (".csv", ".tsv", ".txt") or ".csv" in path.suffixes:
        raise DataError(
            f"{who}: X is the path of a text file, {str(path)!r}, which is not read piece by piece; read it, "
            f"pandas.read_csv({str(path)!r}), or turn it into Parquet once: "
            "pandas.read_csv(...).to_parquet('data.parquet')"
        )
    raise DataError(f"{who}: X is the path {str(path)!r}; it may be {readable}")


def _open_npy(path: Path, limit: int) -> np.ndarray:
    try:
        mapped = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}; save numbers with np.save") from error
    if not isinstance(mapped, np.ndarray):
        raise DataError(f"{str(path)!r} holds several arrays, as np.savez writes them; save one with np.save")
    return mapped if _size(mapped) > limit else np.load(path)


def _size(X: np.ndarray) -> int:
    """Return the bytes of an array as it would be trained on."""
    return X.size * read_type(X.dtype).itemsize


def _loaded(opened: Any, limit: int) -> Any:
    """Return Parquet that fits in memory as a frame; everything else is what it is."""
    if not isinstance(opened, ParquetRows):
        return opened
    if opened.nbytes <= limit:
        return opened.load()
    opened.check_groups()
    return opened
