"""What a comparison keeps on disk."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sklearnloss.comparison.store import Store, fingerprint
from sklearnloss.exceptions import LoadError, OutputError

IDENTITY = {"data": "abc", "scoring": ["accuracy"]}


def record(fold, error=None):
    return {"repeat": 0, "fold": fold, "error": error}


def lines(folder):
    return (folder / "fits.jsonl").read_bytes().splitlines()


def test_a_record_is_on_disk_when_add_returns(tmp_path):
    store = Store(tmp_path / "a" / "b", IDENTITY)
    store.add("key", record(0))
    assert [json.loads(line) for line in lines(store.path)] == [{"key": "key", **record(0)}]
    store.close()


def test_records_are_found_again_but_those_that_failed_are_tried_again(tmp_path):
    store = Store(tmp_path, IDENTITY)
    for fold, error in [(0, None), (1, "ValueError"), (2, None)]:
        store.add("key", record(fold, error))
    store.close()
    again = Store(tmp_path, IDENTITY)
    assert again.records == {("key", 0, 0): record(0), ("key", 0, 2): record(2)}
    again.close()


@pytest.mark.parametrize("torn", [b'{"key": "k', b'{"key": "key", "repeat": 0, "fold": 5, "error": null}'])
def test_a_line_that_was_cut_off_is_no_record_and_is_overwritten(tmp_path, torn):
    store = Store(tmp_path, IDENTITY)
    store.add("key", record(0))
    store.close()
    with open(tmp_path / "fits.jsonl", "ab") as file:
        file.write(torn)
    again = Store(tmp_path, IDENTITY)
    again.add("key", record(1))
    again.close()
    assert [json.loads(line)["fold"] for line in lines(tmp_path)] == [0, 1]


def test_a_damaged_line_is_refused_with_its_number(tmp_path):
    store = Store(tmp_path, IDENTITY)
    store.close()
    (tmp_path / "fits.jsonl").write_bytes(b'{"key": 1}\n')
    with pytest.raises(LoadError, match=r"line 1 of .*fits.jsonl' is damaged"):
        Store(tmp_path, IDENTITY)


def test_another_comparison_is_not_mixed_in(tmp_path):
    Store(tmp_path, IDENTITY).close()
    with pytest.raises(LoadError, match="holds a comparison with another scoring; name another folder"):
        Store(tmp_path, {**IDENTITY, "scoring": ["roc_auc"]})


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(LoadError, match=r"holds no comparison, but other files such as 'thesis.tex'"):
        Store(tmp_path, IDENTITY)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_manifest_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "comparison.json").write_bytes(b"\xff")
    with pytest.raises(LoadError, match="delete the folder to begin anew"):
        Store(tmp_path, IDENTITY)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        Store(tmp_path / "file", IDENTITY)


def test_a_full_disk_is_said_and_costs_one_record(tmp_path, monkeypatch):
    store = Store(tmp_path, IDENTITY)
    store.add("key", record(0))

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"fits.jsonl': No space left on device"):
            store.add("key", record(1))
    store.close()
    again = Store(tmp_path, IDENTITY)
    assert ("key", 0, 0) in again.records
    again.close()


@pytest.mark.skipif(sys.platform == "win32", reason="locks are those of POSIX")
def test_two_processes_do_not_write_to_one_folder(tmp_path):
    store = Store(tmp_path, IDENTITY)
    code = (
        "import pathlib; from sklearnloss.comparison.store import Store; "
        f"Store(pathlib.Path({str(tmp_path)!r}), {IDENTITY!r})"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    store.close()
    assert "another process writes to folder" in other.stderr


def test_a_fingerprint_sees_contents_and_nothing_else():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})
    assert fingerprint(frame) == fingerprint(frame.copy())
    assert fingerprint(frame) != fingerprint(frame.rename(columns={"a": "c"}))
    assert fingerprint(frame) != fingerprint(frame.assign(b=["x", "y"]))
    array = np.arange(6.0).reshape(2, 3)
    assert fingerprint(array) == fingerprint(np.asfortranarray(array))
    assert fingerprint(array) != fingerprint(array.T)
    assert fingerprint(array) != fingerprint(array.astype(np.float32))
    assert fingerprint(array, None) != fingerprint(array, array)


def test_a_fingerprint_is_the_same_in_another_process():
    code = (
        "import numpy as np, pandas as pd; from sklearnloss.comparison.store import fingerprint; "
        "print(fingerprint(pd.DataFrame({'a': [1., None], 'b': ['x', 'y'], 'c': pd.Categorical(['u', 'v'])}), "
        "np.array(['p', 'q'], dtype=object), None, 'text'))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout != ""
