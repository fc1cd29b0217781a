"""Rows of a memory map that is too large for memory, read from its file."""

import mmap
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sklearnloss.exceptions import DataError
from sklearnloss.training.sources import FileRows, read_type

__all__ = ["MappedRows", "memory_map"]

PIECE = 1 << 22  # bytes that are converted at once
BLOCKS = 16  # that are mixed at once


def memory_map(X: Any) -> np.memmap[Any, Any] | None:
    """Return the memory map that an array is, or is a view of, or None."""
    if not isinstance(X, np.ndarray):
        return None
    root = X
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, np.memmap) or not isinstance(root.base, mmap.mmap):  # a copy keeps the class of a map
        return None
    # joblib's own, of an array that was sent to a worker
    return None if "joblib_memmapping_folder" in str(root.filename) else root


class MappedRows(FileRows):
    """Rows of a memory map, read from its file: pages of a map that were touched would count as memory taken.

    Parameters
    ----------
    X : array of shape (n, d)
        A memory map, or a view of one; numbers of any type, the columns of a row side by side.
    limit : int
        Bytes that it may take.

    Raises
    ------
    DataError
        If the rows cannot be found in the file.
    """

    def __init__(self, X: np.ndarray, *, limit: int) -> None:
        root = memory_map(X)
        assert root is not None
        who = f"X, a memory map of {X.nbytes:,} bytes, is larger than memory_limit ({limit:,})"
        cure = "raise memory_limit, or save X anew with np.save (in C order) and give the path of that file"
        if X.ndim != 2 or X.dtype.kind not in "fiub":
            raise DataError(f"{who} and must be (n, d) of numbers to be read from its file, got {X.dtype} {X.shape}")
        if X.shape[1] > 1 and X.strides[1] != X.itemsize:
            raise DataError(
                f"{who}, and its rows do not lie in one piece (it is in Fortran's order, or a view); {cure}"
            )
        if root.mode == "c" or root.filename is None or not Path(root.filename).exists():
            raise DataError(f"{who}, and no file holds its values (it is copy-on-write, or its file is gone); {cure}")
        super().__init__(X.shape, read_type(X.dtype), limit=limit)
        self.path = Path(root.filename)
        start = X.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        self.offset, self.step, self.stored = root.offset + start, X.strides[0], X.dtype
        ends = np.array([0, len(X) - 1])
        if not np.array_equal(self.read(ends), X[ends].astype(self.dtype), equal_nan=True):
            raise DataError(f"{who}, and its file is another one by now; {cure}")

    @property
    def files(self) -> list[Path]:
        """The file of the map."""
        return [self.path]

    def identity(self) -> Any:
        """Return the file, and where in it the rows lie."""
        return [super().identity(), self.offset, self.step, self.stored.str]

    @property
    def block(self) -> np.ndarray:
        """Number of the block of each row."""
        return np.arange(len(self)) // max(1, self.buffer_size // BLOCKS)

    def read(self, index: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers; those that follow each other are read at once."""
        rows = np.empty((len(index), self.shape[1]), self.dtype)
        width = self.shape[1] * self.stored.itemsize
        breaks = np.flatnonzero(np.diff(index) != 1) + 1 if self.step == width else np.arange(1, len(index))
        most = max(1, PIECE // width)
        with open(self.path, "rb", buffering=0) as file:
            for start, stop in pairwise([0, *breaks.tolist(), len(index)]):
                for first in range(start, stop, most):
                    self._read_run(file, int(index[first]), rows[first : min(first + most, stop)])
        return rows

    def _read_run(self, file: BinaryIO, first: int, into: np.ndarray) -> None:
        """Read rows that follow each other in the file."""
        same = self.stored == self.dtype
        raw = into if same else np.empty(into.shape, self.stored)
        file.seek(self.offset + first * self.step)
        left = raw.view(np.uint8).reshape(-1).data
        while len(left):
            count = file.readinto(left)  # type: ignore[attr-defined]
            if not count:
                raise DataError(
                    f"{str(self.path)!r} ended before row {first + len(into)}; it was cut while it was read"
                )
            left = left[count:]
        if not same:
            into[:] = raw
