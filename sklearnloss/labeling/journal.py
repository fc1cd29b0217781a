"""The answers of a session: a file that grows by a line an answer, each on the disk before the next question."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sklearnloss.exceptions import DataError, OutputError
from sklearnloss.files import Lock, explained

__all__ = ["Journal"]

VERSION = 1


class Journal:
    """Answers in the order in which they were given.

    The first line says what table they are of. Each further one is an answer, appended in one write and forced to the
    disk. A process that is killed in the middle of a write leaves a last line without an end, which was never
    acknowledged: it is cut off when the file is opened again.

    Parameters
    ----------
    path : Path
        The file; it is made if it is not there.
    identity : dict
        What tells the table apart: of another table the file is refused.

    Attributes
    ----------
    entries : list of dict
        The answers.

    Raises
    ------
    DataError
        If the file is something else, of another table, or in use by another session.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        try:
            self.lock = Lock(path.with_name(f".{path.name}.lock"))
        except BlockingIOError:
            raise DataError(f"{str(path)!r} is in use by another session; close it first") from None
        try:
            self.entries = self._open({"sklearnloss_labels": VERSION, **identity})
        except BaseException:
            self.lock.release()
            raise

    def _open(self, header: dict[str, Any]) -> list[dict[str, Any]]:
        with explained(self.path):
            known = self.path.read_bytes() if self.path.exists() else b""
            whole = known[: known.rfind(b"\n") + 1]
            self.handle = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666)
            if len(whole) < len(known) and (whole or _began(known)):
                os.ftruncate(self.handle, len(whole))
        lines = list(_read(whole, self.path))
        if known and not whole and not _began(known):
            os.close(self.handle)
            raise DataError(_foreign(self.path))
        if not lines:
            self._write(header)
            return []
        if "sklearnloss_labels" not in lines[0]:
            os.close(self.handle)
            raise DataError(_foreign(self.path))
        if differ := [name for name, value in header.items() if lines[0].get(name) != value]:
            os.close(self.handle)
            raise DataError(
                f"{str(self.path)!r} holds the answers to another table: its {differ[0]} was "
                f"{lines[0].get(differ[0])!r}, now it is {header[differ[0]]!r}; give another file with --answers"
            )
        return lines[1:]

    def append(self, entry: dict[str, Any]) -> None:
        """Keep an answer; when this returns it is on the disk.

        Raises
        ------
        OutputError
            If it could not be written; the answers before are kept.
        """
        self._write(entry)
        self.entries.append(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
        with explained(self.path):
            start = os.fstat(self.handle).st_size
            written = os.write(self.handle, line)
            if written < len(line):  # a full disk: no half line stays
                os.ftruncate(self.handle, start)
                raise OutputError(f"could not write {str(self.path)!r}: no space left on the disk")
            os.fsync(self.handle)

    def close(self) -> None:
        """Let others have the file."""
        os.close(self.handle)
        self.lock.release()


def _began(known: bytes) -> bool:
    """Whether these bytes are the beginning of a first line of ours."""
    mark = b'{"sklearnloss_labels"'
    return known[: len(mark)] == mark[: len(known)]


def _read(whole: bytes, path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            if number == 1:
                raise DataError(_foreign(path))
            raise DataError(f"{str(path)!r}, line {number}, is no answer; mend or remove the line")
        yield entry


def _foreign(path: Path) -> str:
    return f"{str(path)!r} is no file of answers; give another with --answers"
