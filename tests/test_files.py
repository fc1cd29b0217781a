"""Files are written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from sklearnloss.exceptions import OutputError
from sklearnloss.files import Lock, make_folder, write_atomically


def test_bytes_and_a_writer_both_arrive(tmp_path):
    write_atomically(tmp_path / "a", b"one")
    write_atomically(tmp_path / "b", lambda file: file.write(b"two"))
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"one", b"two")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("before", [None, b"before"])
def test_a_full_disk_leaves_what_was_there(tmp_path, before):
    target = tmp_path / "a"
    if before is not None:
        target.write_bytes(before)

    def write(file):
        file.write(b"part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match=r"could not write '.*a': No space left on device"):
        write_atomically(target, write)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_full_disk_at_the_last_moment_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"before")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(tmp_path / "a", b"after")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]


def test_an_error_of_the_writer_is_its_own(tmp_path):
    def write(file):
        raise KeyError("x")

    with pytest.raises(KeyError):
        write_atomically(tmp_path / "a", write)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(OutputError, match=r"nowhere.a': No such file or directory"):
        write_atomically(tmp_path / "nowhere" / "a", b"")
    with pytest.raises(OutputError, match="it is a directory"):
        write_atomically(tmp_path, b"")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="file"):
        make_folder(tmp_path / "file" / "folder")
    assert make_folder(tmp_path / "x" / "y").is_dir()


def test_permissions_are_those_of_any_new_file_and_are_kept(tmp_path):
    write_atomically(tmp_path / "a", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "a").chmod(0o600)
    write_atomically(tmp_path / "a", b"more")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


posix = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")


@posix
def test_a_lock_is_had_once_and_again_after_its_release(tmp_path):
    lock = Lock(tmp_path / "a.lock")
    with pytest.raises(BlockingIOError):
        Lock(tmp_path / "a.lock")
    lock.release()
    assert list(tmp_path.iterdir()) == []
    again = Lock(tmp_path / "a.lock")
    lock.release()  # its own, not the other's
    assert [p.name for p in tmp_path.iterdir()] == ["a.lock"]
    again.release()


@posix
def test_a_lock_that_nobody_holds_on_to_is_free(tmp_path):
    lock = Lock(tmp_path / "a.lock")
    del lock
    Lock(tmp_path / "a.lock").release()


@posix
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from sklearnloss.files import Lock\n"
        "lock = Lock(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.lock"])
    assert done.returncode == -9
    assert [p.name for p in tmp_path.iterdir()] == ["a.lock"]
    Lock(tmp_path / "a.lock").release()


@posix
def test_a_file_system_without_locks_lets_everybody_pass(tmp_path, monkeypatch):
    import fcntl

    def none(handle, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    first, second = Lock(tmp_path / "a.lock"), Lock(tmp_path / "a.lock")
    first.release()
    second.release()


def test_a_lock_in_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="No such file or directory"):
        Lock(tmp_path / "nowhere" / "a.lock")
