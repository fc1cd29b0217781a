"""Writing files whole or not at all."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sklearnloss.exceptions import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Lock", "explained", "make_folder", "write_atomically"]


def write_atomically(path: str | os.PathLike[str], content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file so that a reader, or a crash at any moment, finds the old content or the new one, never a part.

    Parameters
    ----------
    path : str or path
        Where to; the folder must exist.
    content : bytes or callable
        The content, or a function that writes it to an open binary file.

    Raises
    ------
    OutputError
        If it could not be written; what stood there before is unchanged.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> place = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_atomically(place, b"whole")
    >>> place.read_bytes()
    b'whole'
    """
    target = Path(path)
    with explained(target):
        if target.is_dir():
            raise IsADirectoryError(None, "it is a directory")
        name = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        try:
            with open(name, "xb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                os.chmod(name, target.stat().st_mode & 0o777)
            os.replace(name, target)
        except BaseException:
            name.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, and those above it, unless it is there.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    folder = Path(path)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


class Lock:
    """A file by which one fit, of any process or thread, says that another file is its own.

    The system frees it when the process ends, however it ends. Where a file system knows no locks (or on Windows)
    there is always one to be had.

    Parameters
    ----------
    path : Path
        The lock's own file, which is removed on release.

    Raises
    ------
    BlockingIOError
        If somebody holds it.
    OutputError
        If the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle = -1
        while self.handle < 0:
            with explained(path):
                handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
            try:
                _take(handle)
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    self.handle = handle
            except FileNotFoundError:  # its last holder has removed it since
                pass
            finally:
                if self.handle < 0:
                    os.close(handle)

    def release(self) -> None:
        """Remove the file and let others have it; a second call does nothing."""
        if self.handle >= 0:
            with suppress(
                OSError
            ):  # before others can have it; Windows removes no open file, and the next takes it over
                self.path.unlink()
            os.close(self.handle)
            self.handle = -1

    def __del__(self) -> None:
        if getattr(self, "handle", -1) >= 0:
            self.release()


def _take(handle: int) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` of what runs inside into an `OutputError` that names the file."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"could not write {str(path)!r}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a loss of power, where the system can."""
    if os.name != "posix":
        return
    with suppress(OSError):  # a folder that may not be read, a network file system; the file itself is written
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
