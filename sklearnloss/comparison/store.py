"""What a comparison keeps on disk: what it compares, and a line for each fit that has ended.

A line is written and synced when a fit ends, so that whatever ends the process costs the fits in flight and no other.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from sklearnloss.comparison.fits import Record
from sklearnloss.estimators._fingerprint import Fingerprint
from sklearnloss.exceptions import LoadError
from sklearnloss.files import Lock, explained, make_folder, write_atomically

__all__ = ["MemoryStore", "OtherComparisonError", "Store", "fingerprint", "mark_of"]

MANIFEST, FITS = "comparison.json", "fits.jsonl"
FORMAT = 1


class OtherComparisonError(LoadError):
    """The folder holds a comparison of other data, or with other settings."""


class MemoryStore:
    """Records of finished fits, kept as long as the process lives."""

    path: Path | None = None

    def __init__(self) -> None:
        self.records: dict[tuple[str, int, int], Record] = {}

    def add(self, key: str, record: Record) -> None:
        """Keep a record under the key of its loss, its repeat and its fold."""
        self.records[key, record["repeat"], record["fold"]] = record

    def close(self) -> None:
        """Nothing is open."""


class Store(MemoryStore):
    """Records of finished fits in a folder.

    Parameters
    ----------
    path : Path
        The folder; made unless it is there.
    identity : dict
        What decides the results besides the losses: data, splits, estimator, scores, versions.

    Raises
    ------
    LoadError
        If the folder holds another comparison, or something else.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        super().__init__()
        self.path = make_folder(path)
        try:
            self.lock = Lock(self.path / ".lock")
        except BlockingIOError:
            raise LoadError(f"another process writes to folder {str(path)!r}; wait for it, or name another") from None
        try:
            self._claim(identity)
            self._read()
        except BaseException:
            self.lock.release()
            raise
        with explained(self.path / FITS):
            self.file = open(self.path / FITS, "ab")
            if self.torn:  # the process ended while it wrote: what it wrote of that line is no record
                self.file.truncate(self.torn_at)

    def add(self, key: str, record: Record) -> None:
        """Keep a record, on disk before this returns."""
        super().add(key, record)
        with explained(self.path / FITS):  # type: ignore[operator]
            self.file.write(json.dumps({"key": key, **record}, allow_nan=False).encode() + b"\n")
            self.file.flush()
            os.fsync(self.file.fileno())

    def close(self) -> None:
        """Close the file of records, and let others have the folder."""
        self.file.close()
        self.lock.release()

    def _claim(self, identity: dict[str, Any]) -> None:
        """Write what is compared, or see that the folder holds the same."""
        assert self.path is not None
        manifest = self.path / MANIFEST
        if not manifest.exists():
            foreign = [p.name for p in self.path.iterdir() if not p.name.startswith(".")]
            if foreign:
                raise LoadError(
                    f"folder {str(self.path)!r} holds no comparison, but other files such as {foreign[0]!r}"
                )
            write_atomically(manifest, json.dumps({"format": FORMAT, **identity}, indent=1).encode())
            return
        try:
            found = json.loads(manifest.read_bytes())
        except (OSError, ValueError) as error:
            raise LoadError(f"{str(manifest)!r} cannot be read: {error}; delete the folder to begin anew") from None
        differing = [k for k in identity if found.get(k) != json.loads(json.dumps(identity[k]))]
        if found.get("format") != FORMAT or differing:
            what = ", ".join(differing) or "format"
            raise OtherComparisonError(
                f"folder {str(self.path)!r} holds a comparison with another {what}; name another folder, or delete it "
                "to begin anew"
            )

    def _read(self) -> None:
        assert self.path is not None
        fits = self.path / FITS
        content = fits.read_bytes() if fits.exists() else b""
        self.torn_at = content.rfind(b"\n") + 1
        self.torn = self.torn_at < len(content)
        for number, line in enumerate(content[: self.torn_at].splitlines(), 1):
            try:
                record = json.loads(line)
                if not record["error"]:  # what failed may succeed today
                    super().add(record.pop("key"), record)
            except (ValueError, KeyError, AttributeError) as error:
                raise LoadError(
                    f"line {number} of {str(fits)!r} is damaged ({error}); delete it to do that fit again"
                ) from None


def fingerprint(*values: Any) -> str:
    """Return a hash of the contents of arrays, DataFrames and plain values, the same in every process."""
    digest = hashlib.sha256()
    for value in values:
        if hasattr(value, "columns") and hasattr(value, "dtypes"):
            _hash_frame(digest, value)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        else:
            digest.update(joblib.hash(value, hash_name="sha1").encode())
    return digest.hexdigest()[:16]


def _hash_frame(digest: Any, frame: Any) -> None:
    for name in frame.columns:
        column = frame[name]
        values = column.to_numpy()
        digest.update(f"{name!r}{column.dtype}".encode())
        if values.dtype.kind in "biufcmM":
            digest.update(np.ascontiguousarray(values).view(np.uint8))
        else:
            digest.update("\x1f".join(map(repr, values.tolist())).encode())


def mark_of(value: Any) -> str:
    """Return a hash of an object's code and data, where its text may be short of both."""
    mark = Fingerprint()
    mark.add_object(value)
    return mark.name()
