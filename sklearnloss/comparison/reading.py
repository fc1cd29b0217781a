"""Reading a file into a DataFrame, or saying in one line why not.

A text table is read twice: once line by line, which finds what pandas would pass over in silence (a line that is too
short, two columns of one name, no header), and once by pandas.
"""

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, Any

from sklearnloss.comparison.frames import require_pandas
from sklearnloss.exceptions import DataError, did_you_mean

__all__ = ["cut", "read_file"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SAMPLE = 1 << 16  # bytes that are looked at before the whole file is
MISSING = ["?"]  # beside what pandas takes for missing: nothing, NA, NaN, None, null, n/a, ...
OTHER_FORMATS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV",
    b"ARROW1": "a Feather file; save it as Parquet",
    b"\x93NUMPY": "a NumPy array; give it in Python: sklearnloss.compare(X, y)",
    b"\x89HDF": "an HDF5 file; save it as Parquet",
}
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def cut(names: Iterable[Any], limit: int = 10) -> str:
    """Return the first names, quoted, and how many more there are.

    Examples
    --------
    >>> cut(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    known = [repr(str(name)) for name in names]
    more = f" and {len(known) - limit} more" if len(known) > limit else ""
    return ", ".join(known[:limit]) + more


def read_file(path: Path, *, separator: str | None, others: Iterable[str]) -> tuple[Any, str | None]:
    """Read a text table or a Parquet file.

    Parameters
    ----------
    path : Path
        A text table with a header, packed or not, or a Parquet file or folder.
    separator : str or None
        What stands between the fields; None finds out.
    others : iterable of str
        Names that the user may have meant if there is no such file.

    Returns
    -------
    frame : DataFrame
        The table.
    separator : str or None
        What stood between the fields of a text table; None for Parquet, whose columns have types.

    Raises
    ------
    DataError
        If there is no such file, or it is no table.
    """
    with _explained(path):
        if path.is_dir():
            return _read_parquet(path), None
        if not path.exists():
            raise DataError(_missing(path, others))
        with open(path, "rb") as file:
            head = file.read(8)
        if head[:4] == b"PAR1" or path.suffix.lower() in (".parquet", ".pq"):
            return _read_parquet(path), None
        return _read_text(_TextFile.of(path, head), separator)


def _missing(path: Path, others: Iterable[str]) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no file {str(path)!r}: its folder {str(folder)!r} does not exist"
    beside = [entry.name for entry in folder.iterdir()]
    near = did_you_mean(path.name, [*beside, *others] if path.name == str(path) else beside)
    return f"there is no file {str(path)!r}{near or f' in {str(folder.resolve())!r}'}"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into one line that names it."""
    try:
        yield
    except DataError:
        raise
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(f"{path.name!r} is damaged: it could not be unpacked ({_first_line(error)})") from error
    except OSError as error:
        raise DataError(f"could not read {str(path)!r}: {error.strerror or _first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _read_parquet(path: Path) -> Any:
    if path.is_dir() and not any(path.rglob("*.parquet")):
        raise DataError(
            f"{str(path)!r} is a folder without .parquet files; give a CSV or Parquet file, or a folder of Parquet ones"
        )
    pandas = require_pandas("load_table")
    try:
        frame = pandas.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise ImportError('Parquet needs pyarrow: pip install "sklearnloss[data]"') from error
    except (OSError, ValueError) as error:  # pyarrow's own are of these
        raise DataError(f"{path.name!r} is no readable Parquet file: {_first_line(error)}") from error
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index(named) if named else frame


@dataclass(frozen=True)
class _TextFile:
    """A text table: how it is packed, and in which encoding."""

    path: Path
    packing: str
    encoding: str
    sample: str

    @classmethod
    def of(cls, path: Path, head: bytes) -> "_TextFile":
        packing = _packing(head)
        with _unpacked(path, packing) as file:
            start = file.read(SAMPLE)
        mark = next((encoding for mark, encoding in BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)
        for magic, what in OTHER_FORMATS.items():
            if start.startswith(magic):
                raise DataError(f"{path.name!r} is no text table: it is {what}")
        if mark is None and b"\x00" in start:
            raise DataError(f"{path.name!r} is no text table: it holds binary data")
        encoding = mark or _encoding(path, packing)
        sample = io.TextIOWrapper(io.BytesIO(start), encoding, errors="ignore", newline=None).read()
        if not sample.strip():
            raise DataError(f"{path.name!r} is empty; a table has a line of column names and then one line per row")
        return cls(path, packing, encoding, sample)

    @contextmanager
    def opened(self) -> Iterator[io.TextIOWrapper]:
        """Open it as unpacked, decoded text."""
        with _unpacked(self.path, self.packing) as file, io.TextIOWrapper(file, self.encoding, newline="") as text:
            yield text


def _packing(head: bytes) -> str:
    """Return how a file is packed, by its first bytes, whatever its name says."""
    magics = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
    return next((packing for magic, packing in magics.items() if head.startswith(magic)), "none")


@contextmanager
def _unpacked(path: Path, packing: str) -> Iterator[IO[bytes]]:
    if packing != "zip":
        opener: Any = {"none": open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}[packing]
        with opener(path, "rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
        if "[Content_Types].xml" in names:
            raise DataError(
                f"{path.name!r} is no text table: it is an Excel workbook or another document; save it as CSV"
            )
        if len(names) != 1:
            raise DataError(f"{path.name!r} must hold one file, it holds {len(names)}: {cut(names)}")
        with archive.open(names[0]) as file:
            yield file


def _encoding(path: Path, packing: str) -> str:
    """Return UTF-8 if the whole file is that, else the old code page of Windows, or its superset that never fails."""
    for encoding in ("utf-8", "cp1252"):
        try:
            with _unpacked(path, packing) as file, io.TextIOWrapper(file, encoding) as text:
                while text.read(SAMPLE):
                    pass
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _read_text(file: _TextFile, separator: str | None) -> tuple[Any, str]:
    pandas = require_pandas("load_table")
    separator = separator or _find_separator(file)
    header = _check_lines(file, separator)
    with file.opened() as text:
        try:
            frame = pandas.read_csv(
                text, sep=separator, index_col=False, skipinitialspace=True, na_values=MISSING, low_memory=False
            )
        except (pandas.errors.ParserError, ValueError) as error:
            raise DataError(_unparsed(file.path.name, _first_line(error))) from error
    frame.columns = header
    nameless = [j for j, name in enumerate(header) if name.startswith("Unnamed: ") and frame.iloc[:, j].isna().all()]
    return frame.drop(columns=frame.columns[nameless]), separator  # what a separator at the end of each line makes


def _unparsed(name: str, reason: str) -> str:
    if found := re.search(r"EOF inside string starting at row (\d+)", reason):
        return f"{name!r}, line {int(found[1]) + 1}: a quotation mark is left open"
    return f"{name!r} could not be read: {reason}"


def _find_separator(file: _TextFile) -> str:
    """Return what splits the first lines into equally many fields."""
    lines = file.sample.splitlines()
    whole = lines[:-1] if len(file.sample) >= SAMPLE // 4 and len(lines) > 1 else lines  # the last may be cut off
    counts = {sep: _field_counts(whole[:200], sep) for sep in SEPARATORS}
    even = [sep for sep, n in counts.items() if n and n[0] > 1 and len(set(n)) == 1]
    if file.path.name.lower().split(".")[1:2] == ["tsv"] and "\t" in even:
        return "\t"
    if len(even) > 1:
        raise DataError(
            f"{file.path.name!r}: {' and '.join(SEPARATORS[sep] for sep in even)} both split every line evenly; say "
            f"which are meant: separator={even[0]!r} (--separator {even[0]!r})"
        )
    if even:
        return even[0]
    return max(SEPARATORS, key=lambda sep: counts[sep][0] if counts[sep] else 0)


def _field_counts(lines: list[str], separator: str) -> list[int]:
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=separator, skipinitialspace=True)
    try:
        return [len(row) for row in rows if row]
    except csv.Error:
        return []


def _check_lines(file: _TextFile, separator: str) -> list[str]:
    """Return the names of the columns; refuse lines with more or fewer fields, and names that stand twice."""
    name = file.path.name
    header: list[str] = []
    n_rows = 0
    with file.opened() as text:
        for line, row in _records(name, text, separator):
            if not header:
                header = row
                continue
            n_rows += 1
            if len(row) != len(header):
                raise DataError(_ragged(name, line, row, header, separator))
    names = [text.strip() or f"Unnamed: {j}" for j, text in enumerate(header)]
    _check_header(name, names)
    if not n_rows:
        raise DataError(f"{name!r} has a header of {len(names)} columns and no rows")
    return names


def _records(name: str, lines: Iterator[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Return the number of the line on which each record begins, and its fields; blank lines are none."""
    number = 1
    for line in lines:
        if '"' not in line:
            if line.strip(" \r\n"):  # tabs alone are a row of missing values
                yield number, line.rstrip("\r\n").split(separator)
            number += 1
            continue
        quoted = csv.reader(chain([line], lines), delimiter=separator, skipinitialspace=True)
        try:
            yield number, next(quoted)  # as many lines as the quotation marks hold together
        except csv.Error as error:
            raise DataError(f"{name!r}, line {number}: {error}; is a quotation mark left open?") from error
        number += quoted.line_num


def _ragged(name: str, line: int, row: list[str], header: list[str], separator: str) -> str:
    message = (
        f"{name!r}, line {line}: {len(row)} fields, but the header has {len(header)} (separated by {_word(separator)})"
    )
    if any("\n" in text for text in row):
        return f"{message}; is a quotation mark left open in that line?"
    if len(row) == len(header) + 1 and line == 2:
        return f"{message}; if the first field numbers the rows, give it a name in the header too"
    if len(row) > len(header):
        return f"{message}; put fields that hold the separator in quotation marks"
    return message


def _word(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))


def _check_header(name: str, names: list[str]) -> None:
    numbers = [text for text in names if re.fullmatch(r"[+-]?\d*[.,]?\d+([eE][+-]?\d+)?", text)]
    values = [float(text.replace(",", ".")) for text in numbers]
    counted = all(text.isdigit() for text in numbers) and all(a < b for a, b in pairwise(values))
    if 2 * len(numbers) >= len(names) and not counted:
        raise DataError(
            f"{name!r} seems to have no header, its first line is data: {cut(names, 5)}; put a line with the names of "
            "the columns in front"
        )
    if twice := [text for text, count in Counter(names).items() if count > 1]:
        raise DataError(f"{name!r}: the header has {cut(twice)} more than once; each column needs a name of its own")
