"""Sources: where rows of X come from when they do not lie in memory as an array."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sklearnloss.exceptions import DataError

__all__ = ["FileRows", "Part", "Source", "SparseRows", "check_finite", "read_type", "row_chunks"]

WINDOW = 1 / 4  # of the memory limit: the rest is for decoding, for the batch and for what the allocator keeps


class Source(ABC):
    """Rows of numbers that are read, and made dense, when they are asked for.

    It has what is used of an array: ``shape``, ``dtype``, ``len()`` and ``[rows]``, with rows a slice or row numbers.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    dtype : numpy.dtype
        Of what is read: float32 or float64.
    order : str
        The sampler that suits it where neither the user nor the loss names one.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    order: ClassVar[str] = "shuffle"

    @abstractmethod
    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the rows (m, d) of these numbers, dense and in C order."""

    def stream(self, batches: Iterable[np.ndarray], *, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the row numbers of each batch and its rows; a source may look ahead to read well.

        Parameters
        ----------
        batches : iterable of int arrays
            Row numbers of one batch after the other.
        seed : int, default=0
            Of what reading itself draws at random.
        """
        for index in batches:
            yield index, self.take(index)

    def sample(self) -> Any:
        """Return a row as scikit-learn takes it, with the names of the columns where it has them."""
        return self[:1]

    def identity(self) -> Any:
        """Return what tells these rows from others in another process.

        Raises
        ------
        DataError
            If nothing does.
        """
        raise DataError(
            f"checkpoint needs rows that are known again in another process, and {type(self).__name__} are not; give "
            "an array, a .npy file or Parquet"
        )

    @property
    def whole(self) -> Any:
        """All rows at once, as an object in memory.

        Raises
        ------
        DataError
            If they are read piece by piece.
        """
        raise DataError(
            "a sampler that looks at X needs all of it in memory, but X is read piece by piece; choose a sampler that "
            "looks at y or at row facts, or raise memory_limit"
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return self.take(np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows))


class SparseRows(Source):
    """A CSR matrix, of which only the rows asked for are made dense."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        self.shape, self.dtype = matrix.shape, matrix.dtype

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers."""
        return self.matrix[index].toarray()

    def identity(self) -> Any:
        """Return the matrix."""
        return self.matrix

    @property
    def whole(self) -> Any:
        """The matrix."""
        return self.matrix


class Part(Source):
    """Some rows of a source, as held-out rows are."""

    def __init__(self, source: Source, index: np.ndarray) -> None:
        self.source, self.index = source, index
        self.shape, self.dtype = (len(index), source.shape[1]), source.dtype

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers."""
        return self.source.take(self.index[index])

    def stream(self, batches: Iterable[np.ndarray], *, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the row numbers of each batch and its rows."""
        asked: list[np.ndarray] = []

        def recorded() -> Iterator[np.ndarray]:
            for index in batches:
                asked.append(index)
                yield self.index[index]

        for _, rows in self.source.stream(recorded(), seed=seed):
            yield asked.pop(0), rows

    def sample(self) -> Any:
        """Return a row of the source."""
        return self.source.sample()


class FileRows(Source):
    """Rows of files that are larger than the memory they may take.

    Batches are read by windows: the rows of as many batches as fit are read in the order of the file, each once, and
    dealt out. Values are checked as they are read.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    dtype : numpy.dtype
        Of what is read.
    limit : int
        Bytes that all of it together may take.

    Attributes
    ----------
    block : int array of shape (n,)
        Number of the block of contiguous rows that each row is read with; ascending.
    buffer_size : int
        Rows that are best mixed at once; two such buffers fill a window.
    """

    order = "shuffle_blocks"

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any], *, limit: int) -> None:
        self.shape, self.dtype = shape, dtype
        self.window = max(2, int(limit * WINDOW) // (shape[1] * dtype.itemsize))
        self.buffer_size = self.window // 2

    @property
    def nbytes(self) -> int:
        """Bytes of all rows as they are read."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    @abstractmethod
    def block(self) -> np.ndarray:
        """Number of the block of each row."""

    @property
    @abstractmethod
    def files(self) -> list[Path]:
        """What is read."""

    def identity(self) -> Any:
        """Return the files, their sizes and when they were written: reading all of them would take as long as a fit."""
        found = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in self.files]
        return [self.shape, self.dtype.str, found]

    @abstractmethod
    def read(self, index: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers, which need not ascend, unchecked."""

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers; a value that is no number is an error."""
        rows = self.read(index)
        check_finite(rows, index)
        return rows

    def stream(self, batches: Iterable[np.ndarray], *, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the row numbers of each batch and its rows, read window by window."""
        for window in self._windows(batches):
            numbers, place = np.unique(np.concatenate(window), return_inverse=True)
            held = self.take(numbers)
            edges = np.cumsum([0, *map(len, window)]).tolist()
            for index, (start, stop) in zip(window, pairwise(edges), strict=True):
                yield index, held[place[start:stop]]
            del held  # before the next window is read

    def _windows(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Group the batches that are read together: as many as fit, and no block twice where the order allows."""
        block = self.block
        window: list[np.ndarray] = []
        blocks, rows = np.empty(0, block.dtype), 0
        for index in batches:
            own = np.unique(block[index])
            shared = np.intersect1d(own, blocks, assume_unique=True)
            if window and (rows + len(index) > self.window or not len(shared)):
                yield window
                window, blocks, rows = [], np.empty(0, block.dtype), 0
            window.append(index)
            blocks, rows = np.union1d(blocks, own), rows + len(index)
        if window:
            yield window


def read_type(given: Any) -> np.dtype[Any]:
    """Return the dtype that numbers are read as: float32 stays, all else becomes float64, as scikit-learn has it."""
    return np.dtype(np.float32 if given == np.float32 else np.float64)


def check_finite(rows: np.ndarray, index: np.ndarray) -> None:
    """Refuse NaN and infinite values, and say where the first one stands.

    Raises
    ------
    DataError
        With row, column and value.
    """
    # the sum of finite numbers is finite unless it overflows, and it needs no second array
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(rows.sum()) or np.isfinite(rows).all():
            return
    row, column = np.argwhere(~np.isfinite(rows))[0].tolist()
    what = "NaN" if np.isnan(rows[row, column]) else "infinity"
    raise DataError(
        f"Input X contains {what}: row {int(index[row])}, column {column}. Only finite numbers can be learnt from; "
        "fill in such rows, or leave them out"
    )


def row_chunks(X: Any, elements: int = 1 << 19, *, width: int = 1) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of rows, and those rows of X; each holds about ``elements`` numbers, also of ``width`` a row.

    That is two megabytes in float32, which a cache holds.
    """
    size = max(1, elements // max(width, int(np.prod(X.shape[1:]))))
    slices = (slice(start, min(start + size, X.shape[0])) for start in range(0, X.shape[0], size))
    if not isinstance(X, Source):
        for rows in slices:
            yield rows, X[rows]
        return
    for index, part in X.stream(np.arange(rows.start, rows.stop) for rows in slices):
        yield slice(int(index[0]), int(index[-1]) + 1), part
