"""Rows of Parquet files, read by row groups."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearnloss.exceptions import DataError, did_you_mean
from sklearnloss.training.sources import FileRows, read_type

__all__ = ["ParquetRows", "is_parquet"]

STRIP = 4096  # rows that are turned from columns to rows at once; six times as fast as column by column


def is_parquet(path: Path) -> bool:
    """Whether a path is a Parquet file, or a folder that holds some."""
    return path.suffix in (".parquet", ".pq") or (path.is_dir() and any(path.glob("*.parquet")))


class ParquetRows(FileRows):
    """The numeric columns of a Parquet file, or of the files of a folder in the order of their names.

    Parameters
    ----------
    path : Path
        A file, or a folder of ``*.parquet``.
    limit : int
        Bytes that it may take.
    columns : sequence of str or None, default=None
        Columns to read; None is all but the target.
    target : str or None, default=None
        The column that holds y.

    Attributes
    ----------
    names : list of str
        The columns.

    Raises
    ------
    DataError
        If a column is missing or holds no numbers.
    """

    def __init__(
        self, path: Path, *, limit: int, columns: Sequence[str] | None = None, target: str | None = None
    ) -> None:
        self.paths = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not self.paths:
            raise DataError(f"{str(path)!r} holds no *.parquet; of a partitioned folder give one part, or one file")
        schemas, rows = [], []
        for file in self.files:
            with _opened(file) as opened:
                schemas.append(opened.schema_arrow)
                rows.append([opened.metadata.row_group(i).num_rows for i in range(opened.num_row_groups)])
        if target is not None:
            for schema, file in zip(schemas, self.files, strict=True):
                _check_column(schema, target, file)
                if schema.field(target).type != schemas[0].field(target).type:
                    raise DataError(
                        f"the target {target!r} is {schema.field(target).type} in {str(file)!r} and "
                        f"{schemas[0].field(target).type} in {str(self.files[0])!r}; write them with one type"
                    )
        self.target = target
        self.names = _features(schemas[0], target) if columns is None else list(columns)
        types = {
            _number_type(schema, n, file) for schema, file in zip(schemas, self.files, strict=True) for n in self.names
        }
        self.groups = [(file, i) for file, counts in enumerate(rows) for i in range(len(counts))]
        self.sizes = np.array([count for counts in rows for count in counts], dtype=np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.held: tuple[int, np.ndarray | None] = (-1, None)
        super().__init__((int(self.sizes.sum()), len(self.names)), read_type(np.result_type(*types)), limit=limit)

    def check_groups(self) -> None:
        """Refuse row groups that do not fit in the memory they may take.

        Raises
        ------
        DataError
            With the largest group and how to write smaller ones.
        """
        largest = int(self.sizes.argmax())
        if self.sizes[largest] > self.buffer_size:
            file = self.files[self.groups[largest][0]]
            raise DataError(
                f"{str(file)!r} has a row group of {int(self.sizes[largest]):,} rows, of which memory_limit allows "
                f"{self.buffer_size:,}; raise memory_limit, or write smaller groups: "
                f"pyarrow.parquet.write_table(table, path, row_group_size={self.buffer_size})"
            )

    @property
    def files(self) -> list[Path]:
        """The files in the order of their rows."""
        return self.paths

    def identity(self) -> Any:
        """Return the files and the columns of them."""
        return [super().identity(), self.names]

    @property
    def block(self) -> np.ndarray:
        """Number of the row group of each row."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def read(self, index: np.ndarray) -> np.ndarray:
        """Return the rows of these numbers, from one row group after the other."""
        rows = np.empty((len(index), self.shape[1]), self.dtype)
        group = np.searchsorted(self.starts, index, side="right") - 1  # (m,)
        for number in np.unique(group):
            here = np.flatnonzero(group == number)
            rows[here] = self._group(int(number))[index[here] - self.starts[number]]
        return rows

    def _group(self, number: int) -> np.ndarray:
        """Return a row group; the last one is kept, as the next rows are often of the same."""
        if self.held[0] != number:
            self.held = (-1, None)  # the old one goes before the new one comes
            self.held = (number, self._decoded(number))
        assert self.held[1] is not None
        return self.held[1]

    def _decoded(self, number: int) -> np.ndarray:
        """Return a row group; columns come an eighth at a time, as decoding takes several times what it gives."""
        import pyarrow as pa

        file, group = self.groups[number]
        rows = np.empty((int(self.sizes[number]), len(self.names)), self.dtype)
        width = -(-len(self.names) // 8)
        with _opened(self.files[file]) as opened:
            for left in range(0, len(self.names), width):
                names = self.names[left : left + width]
                table = opened.read_row_group(group, columns=names, use_threads=False)
                _fill(rows[:, left : left + width], table.select(names))
                del table  # before the next is read
        pa.default_memory_pool().release_unused()
        return rows

    def load(self) -> Any:
        """Return all rows as a frame of one block, group by group, so that nothing is held twice."""
        import pandas as pd

        rows = np.empty(self.shape, self.dtype)
        for number, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            rows[start : start + size] = self._decoded(number)
        return pd.DataFrame(rows, columns=self.names, copy=False)

    def sample(self) -> Any:
        """Return the first row as a frame, for its names."""
        import pandas as pd

        return pd.DataFrame(self[:1], columns=self.names)

    def targets(self) -> np.ndarray:
        """Return the column that holds y.

        Raises
        ------
        DataError
            If it has missing values.
        """
        import pyarrow as pa

        columns = []
        for file in self.files:
            with _opened(file) as opened:
                columns.append(opened.read(columns=[self.target], use_threads=False).column(0))
        values = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if values.null_count:
            raise DataError(f"the target {self.target!r} is missing in {values.null_count} rows; leave those rows out")
        return values.to_numpy()


def _fill(rows: np.ndarray, table: Any) -> None:
    """Write a table by strips of rows, which a cache holds; a null becomes NaN."""
    import pyarrow as pa

    kind, start = pa.from_numpy_dtype(rows.dtype), 0
    for strip in table.to_batches(max_chunksize=STRIP):
        columns = [column.cast(kind, safe=False).to_numpy(zero_copy_only=False) for column in strip.columns]
        np.stack(columns, axis=1, out=rows[start : start + len(strip)])
        start += len(strip)


def _features(schema: Any, target: str | None) -> list[str]:
    """Return the columns of a file but the target, and but what pandas wrote down of its index."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    names = [name for name in schema.names if name != target and name not in index]
    if not names:
        raise DataError(f"there is no column for X besides the target {target!r}; columns are {schema.names}")
    return names


def _check_column(schema: Any, name: str, file: Path) -> None:
    if name not in schema.names:
        near = did_you_mean(name, schema.names)
        raise DataError(f"{str(file)!r} has no column {name!r}{near}; it has {', '.join(map(repr, schema.names))}")
    if schema.names.count(name) > 1:
        raise DataError(f"{str(file)!r} has several columns {name!r}; each needs a name of its own")


def _number_type(schema: Any, name: str, file: Path) -> Any:
    """Return the dtype of a column in numpy."""
    import pyarrow as pa

    _check_column(schema, name, file)
    kind = schema.field(name).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DataError(
            f"{str(file)!r}: column {name!r} is {kind}, and X must be numbers; encode it, or write the files without "
            f"it. If it is the target, name it: fit(path, {name!r})"
        )
    return np.dtype(kind.to_pandas_dtype())


def _opened(file: Path) -> Any:
    try:
        import pandas  # noqa: F401
        from pyarrow import ArrowInvalid, parquet
    except ImportError as error:
        raise ImportError('reading Parquet needs pyarrow and pandas: pip install "sklearnloss[data]"') from error
    try:
        return parquet.ParquetFile(file)
    except ArrowInvalid as error:
        raise DataError(f"{str(file)!r} cannot be read as Parquet: {error}") from error
