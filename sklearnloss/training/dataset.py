"""Rows of a torch Dataset, read through a DataLoader."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sklearnloss.exceptions import DataError
from sklearnloss.training.sources import Source, check_finite, read_type

__all__ = ["DatasetRows"]


class DatasetRows(Source):
    """A map-style dataset whose items are ``x`` or ``(x, y)``.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        With ``__len__`` and ``__getitem__``; x is a row (d,).
    workers : int, default=0
        Processes that read; 0 reads in this one.

    Raises
    ------
    DataError
        If it has no length, or its items are no rows.
    """

    def __init__(self, dataset: Dataset[Any], *, workers: int = 0) -> None:
        if not hasattr(dataset, "__len__") or len(dataset) == 0:
            raise DataError(
                f"X, a {type(dataset).__name__}, must have a length of at least 1: rows are drawn by number"
            )
        first = _features(dataset[0])
        if first.ndim != 1 or first.dtype.kind not in "fiub":
            raise DataError(
                f"x, an item of the {type(dataset).__name__}, must be a row of numbers (d,), got {first.dtype} of "
                f"shape {first.shape}; flatten it, and let the module give it its shape again: "
                f"nn.Unflatten(1, {first.shape})"
            )
        self.dataset, self.workers = dataset, workers
        self.shape = (len(dataset), len(first))
        self.dtype = read_type(first.dtype)

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers."""
        return self._checked(_stacked([_features(self.dataset[i]) for i in index.tolist()]), index)

    def stream(self, batches: Iterable[np.ndarray], *, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the row numbers of each batch and its rows; workers read ahead."""
        for index, rows in self._loaded(batches, _collate_features, seed):
            yield index, self._checked(rows, index)

    def targets(self) -> np.ndarray:
        """Return y of all items, in one pass.

        Raises
        ------
        DataError
            If the items are no pairs.
        """
        chunks = (np.arange(start, min(start + 256, len(self))) for start in range(0, len(self), 256))
        return np.concatenate([y for _, y in self._loaded(chunks, _collate_targets, 0)])

    def _loaded(
        self, batches: Iterable[np.ndarray], collate: Callable[[list[Any]], np.ndarray], seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        asked: deque[np.ndarray] = deque()

        def recorded() -> Iterator[list[int]]:
            for index in batches:
                asked.append(index)
                yield index.tolist()

        loader: DataLoader[Any] = DataLoader(
            self.dataset,
            batch_sampler=recorded(),
            num_workers=self.workers,
            collate_fn=collate,
            generator=torch.Generator().manual_seed(seed),  # else the loader draws from the global one
        )
        for loaded in loader:
            yield asked.popleft(), loaded

    def _checked(self, rows: np.ndarray, index: np.ndarray) -> np.ndarray:
        if rows.shape[1:] != self.shape[1:]:
            raise DataError(
                f"the items of the dataset differ: the first is ({self.shape[1]},), another {rows.shape[1:]}"
            )
        rows = rows.astype(self.dtype, copy=False)
        check_finite(rows, index)
        return rows


def _is_pair(item: Any) -> bool:
    """Whether an item is ``(x, y)`` or ``(x,)``, rather than a row of numbers."""
    return isinstance(item, tuple | list) and len(item) > 0 and np.ndim(item[0]) > 0


def _features(item: Any) -> np.ndarray:
    if isinstance(item, Mapping) or (_is_pair(item) and len(item) > 2):
        raise DataError(
            f"an item of a dataset must be x or (x, y), got a {type(item).__name__} of {len(item)}; put the inputs "
            "side by side into one row x, and let the module split its columns"
        )
    return _array(item[0] if _is_pair(item) else item)


def _targets(item: Any) -> np.ndarray:
    if not (_is_pair(item) and len(item) == 2):
        raise DataError("y is None, and the items of the dataset are no pairs (x, y); give y: fit(dataset, y)")
    return _array(item[1])


def _array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _stacked(values: list[np.ndarray]) -> np.ndarray:
    if len({value.shape for value in values}) > 1:
        raise DataError(f"the items of the dataset differ in shape: {sorted({value.shape for value in values})}")
    return np.stack(values)


def _collate_features(items: list[Any]) -> np.ndarray:
    return _stacked([_features(item) for item in items])


def _collate_targets(items: list[Any]) -> np.ndarray:
    return _stacked([_targets(item) for item in items])
