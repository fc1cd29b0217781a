"""What kind of problem the data pose, in figures."""

import hashlib
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils.multiclass import type_of_target

from sklearnloss.bags.scorers import Judged, kl
from sklearnloss.bags.targets import check_proportions, is_bag_targets, read_bags
from sklearnloss.comparison.frames import column_kinds, column_names, is_missing, missing_cells, to_numbers, to_texts
from sklearnloss.estimators._targets import ClassTargets, Kind
from sklearnloss.exceptions import DataError

__all__ = ["describe_data", "find_task", "plain_target"]


def plain_target(y: Any) -> np.ndarray:
    """Return a target as an array: a column as (n,), labels as (n, n_labels) of integers."""
    if sparse.issparse(y):
        return y.toarray().astype(np.int64)
    values = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    return values.astype(np.int64) if values.ndim == 2 and values.dtype.kind == "b" else values


def find_task(y: Any) -> Kind | Literal["llp"]:
    """Return what a target asks for.

    Parameters
    ----------
    y : array of shape (n,) or (n, n_labels)
        Classes, or labels of zeros and ones; or what `bag_targets` makes.

    Returns
    -------
    {"binary", "multiclass", "multilabel", "llp"}

    Raises
    ------
    DataError
        If it holds quantities, is empty, has one class, or holds several columns of something else.

    Examples
    --------
    >>> find_task(["no", "yes", "no"]), find_task([[1, 0], [1, 1]])
    ('binary', 'multilabel')
    """
    values = plain_target(y)
    if not values.size:
        raise DataError("the target is empty")
    if is_bag_targets(values):
        return "llp"
    if values.dtype.kind in "fO" and (missing := sum(map(is_missing, values.ravel().tolist()))):
        raise DataError(f"the target is missing in {missing} of {len(values)} rows; leave these rows out")
    kind = type_of_target(values)
    if kind == "multilabel-indicator":
        return "multilabel"
    if kind.startswith("continuous"):
        raise DataError(
            f"the target looks continuous: {len(np.unique(values))} different numbers in {len(values)} rows; what is "
            "compared learns from classes. Regression is not compared yet; cut the target into classes"
        )
    if values.ndim != 1:
        raise DataError(f"a target must be (n,), or (n, n_labels) of zeros and ones; got {values.shape}")
    try:
        return ClassTargets.of(values).kind
    except (TypeError, ValueError) as error:
        raise DataError(f"the target cannot be used: {error}") from error


def describe_data(X: Any, y: Any, groups: Any = None, *, names: ArrayLike | None = None) -> dict[str, Any]:
    """Return the facts about a table that matter for the choice of a loss.

    Parameters
    ----------
    X : array, sparse matrix, pandas or polars DataFrame of shape (n, d)
        Features.
    y : array of shape (n,) or (n, n_labels)
        Classes, or labels of zeros and ones; or what `bag_targets` makes.
    groups : array of shape (n,), default=None
        Which rows belong together.
    names : sequence of shape (k,), default=None
        Of the classes of bags; None numbers them.

    Returns
    -------
    dict
        Of numbers, texts, lists and dicts, ready for JSON:

        - ``task``, ``rows``, ``columns``, ``column_kinds`` (columns of each kind) and ``memory_bytes`` of the values;
        - ``missing``: ``cells``, their ``share``, ``columns`` and ``rows`` with any;
        - ``classes``: ``name``, ``count``, ``share``, the most frequent first; of labels, their positives;
        - ``class_names``: the same names in the order of the values, or of the columns of labels: that of confusion
          matrices;
        - ``imbalance``: rows of the largest class over those of the smallest;
        - ``duplicates``: ``rows`` that some other row equals in every column; ``conflicting``, those of them whose
          equals do not all have one target; ``outvoted``, those whose target is not the most frequent of their equals;
        - ``constant_columns``: the names of columns of one value, or none;
        - with several labels ``labels_per_row``: ``mean``, ``min``, ``max``; with groups ``groups``: ``count``,
          ``smallest``, ``largest``;
        - of bags ``bags``: ``count``, rows of the ``smallest``, the ``median`` and the ``largest``, and ``mean_kl``,
          what ``bag_kl`` is if the shares of all rows are predicted for every bag. Their ``classes`` have ``name``, the
          ``share`` of all rows, and ``low`` and ``high``, the least and greatest share of a bag; there is neither
          ``imbalance``, nor anything of equal rows with other targets.

    Raises
    ------
    DataError
        If the target cannot be used, or is of another length.

    Examples
    --------
    >>> facts = describe_data(np.array([[1.0, 2.0], [1.0, 2.0], [3.0, np.nan]]), ["a", "b", "b"])
    >>> facts["duplicates"], facts["imbalance"], facts["missing"]["columns"]
    ({'rows': 2, 'conflicting': 2, 'outvoted': 1}, 2.0, 1)
    """
    X = X if hasattr(X, "shape") else np.asarray(X)
    task, values = find_task(y), plain_target(y)
    if len(values) != X.shape[0]:
        raise DataError(f"X has {X.shape[0]} rows and the target {len(values)}")
    kinds = column_kinds(X)
    codes = _codes(X, kinds)
    missing = missing_cells(X)
    facts: dict[str, Any] = {
        "task": task,
        "rows": int(X.shape[0]),
        "columns": int(X.shape[1]),
        "column_kinds": {kind: kinds.count(kind) for kind in ("number", "date", "category", "sparse") if kind in kinds},
        "memory_bytes": _memory(X),
        "missing": {
            "cells": int(missing.sum()),
            "share": float(missing.sum() / max(X.shape[0] * X.shape[1], 1)),
            "columns": int((missing.sum(axis=0) > 0).sum()),
            "rows": int((missing.sum(axis=1) > 0).sum()),
        },
        "duplicates": _duplicates(codes, None if task == "llp" else values),
        "constant_columns": _constant_columns(codes, column_names(X)),
    }
    match task:
        case "llp":
            facts |= _bags(values, names)
        case "multilabel":
            facts |= _labels(values, [str(name) for name in y.columns] if hasattr(y, "columns") else None)
        case _:
            facts |= _classes(values)
    if groups is not None:
        sizes = np.unique(np.asarray(groups).astype(str), return_counts=True)[1]
        facts["groups"] = {"count": len(sizes), "smallest": int(sizes.min()), "largest": int(sizes.max())}
    return facts


def _classes(values: np.ndarray) -> dict[str, Any]:
    classes, counts = np.unique(values, return_counts=True)
    return _counted([str(value) for value in classes], counts, len(values))


def _labels(matrix: np.ndarray, names: list[str] | None) -> dict[str, Any]:
    names = names or [str(j) for j in range(matrix.shape[1])]
    per_row = matrix.sum(axis=1)
    spread = {"mean": float(per_row.mean()), "min": int(per_row.min()), "max": int(per_row.max())}
    return {**_counted(names, matrix.sum(axis=0), len(matrix)), "labels_per_row": spread}


def _counted(names: list[str], counts: np.ndarray, rows: int) -> dict[str, Any]:
    order = np.argsort(-counts, kind="stable")
    return {
        "classes": [{"name": names[j], "count": int(counts[j]), "share": float(counts[j] / rows)} for j in order],
        "class_names": names,
        "imbalance": float(counts.max() / max(counts.min(), 1)),
    }


def _bags(targets: np.ndarray, names: ArrayLike | None) -> dict[str, Any]:
    table = check_proportions(read_bags(targets["p"], targets["bag"]), whole=False)
    known, sizes = table.values, table.sizes
    shown = [str(name) for name in (np.arange(known.shape[1]) if names is None else np.asarray(names)).tolist()]
    shares = sizes @ known / sizes.sum()
    alike = np.repeat(shares[None], len(table.code), axis=0)
    return {
        "classes": [
            {
                "name": shown[j],
                "share": float(shares[j]),
                "low": float(known[:, j].min()),
                "high": float(known[:, j].max()),
            }
            for j in np.argsort(-shares, kind="stable")
        ],
        "class_names": shown,
        "bags": {
            "count": len(sizes),
            "smallest": int(sizes.min()),
            "median": float(np.median(sizes)),
            "largest": int(sizes.max()),
            "mean_kl": kl(Judged(known, alike, table.code, np.ones(len(table.code)))),
        },
    }


def _codes(X: Any, kinds: list[Any]) -> Any:
    """Return numbers (n, d), equal where the values are; a sparse matrix stays one."""
    if sparse.issparse(X):
        csr = sparse.csr_array(X, copy=True)
        csr.sum_duplicates()
        csr.eliminate_zeros()
        return csr
    codes = np.empty(X.shape)
    table = X if hasattr(X, "columns") else np.asarray(X)
    for group in (("number", "date"), ("category",), ("sparse",)):
        places = [j for j, kind in enumerate(kinds) if kind in group]
        if places:
            codes[:, places] = _codes_of(table.iloc[:, places] if hasattr(table, "iloc") else table[:, places], group)
    codes[np.isnan(codes)] = np.nan  # one bit pattern for missing
    return codes + 0.0  # and one for zero


def _codes_of(columns: Any, group: tuple[str, ...]) -> np.ndarray:
    if group == ("category",):
        return np.column_stack([np.unique(texts.astype(str), return_inverse=True)[1] for texts in to_texts(columns).T])
    numbers = to_numbers(columns)
    return numbers.toarray() if sparse.issparse(numbers) else numbers


def _duplicates(codes: Any, values: np.ndarray | None) -> dict[str, int]:
    """Return how many rows have equals, and how many of these other targets, if rows have any."""
    _, group = np.unique(_digests(codes), return_inverse=True)
    size = np.bincount(group)
    found = {"rows": int(size[size > 1].sum())}
    return found if values is None else found | _conflicts(group, size, values)


def _conflicts(group: np.ndarray, size: np.ndarray, values: np.ndarray) -> dict[str, int]:
    target = np.unique(values, axis=0, return_inverse=True)[1].ravel()
    pairs, votes = np.unique(np.column_stack([group, target]), axis=0, return_counts=True)
    targets = np.bincount(pairs[:, 0], minlength=len(size))
    most = np.zeros(len(size), dtype=np.int64)
    np.maximum.at(most, pairs[:, 0], votes)
    return {"conflicting": int(size[targets > 1].sum()), "outvoted": int((size - most).sum())}


def _digests(codes: Any) -> np.ndarray:
    """Return one number per row, equal where rows are; two others agree once in 2**64."""
    if sparse.issparse(codes):
        bounds = codes.indptr
        rows = (codes.indices[a:b].tobytes() + codes.data[a:b].tobytes() for a, b in pairwise(bounds))
    else:
        rows = (row.tobytes() for row in codes)
    digests = [hashlib.blake2b(row, digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _constant_columns(codes: Any, names: list[str]) -> list[str]:
    if sparse.issparse(codes):
        csc = codes.tocsc()
        low, high = csc.min(axis=0).toarray().ravel(), csc.max(axis=0).toarray().ravel()
        return [names[j] for j in np.flatnonzero(low == high)]
    first = codes[:1]
    same = (codes == first) | (np.isnan(codes) & np.isnan(first))
    return [names[j] for j in np.flatnonzero(same.all(axis=0))]


def _memory(X: Any) -> int:
    if sparse.issparse(X):
        return (
            int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes)
            if X.format in ("csr", "csc")
            else int(X.data.nbytes)
        )
    if hasattr(X, "memory_usage"):
        return int(X.memory_usage(index=False, deep=True).sum())
    return int(X.estimated_size()) if hasattr(X, "estimated_size") else int(X.nbytes)
