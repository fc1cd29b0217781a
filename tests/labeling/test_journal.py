import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sklearnloss.exceptions import DataError, OutputError
from sklearnloss.labeling.journal import Journal

IDENTITY = {"target": "y", "rows": 100, "table": "abc"}

WRITER = """
import sys
from pathlib import Path
from sklearnloss.labeling.journal import Journal
journal = Journal(Path(sys.argv[1]), {"target": "y", "rows": 100, "table": "abc"})
for number in range(len(journal.entries), 10**9):
    journal.append({"row": number, "label": "x" * 2000})
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.labels.jsonl"


def test_answers_are_there_when_the_file_is_opened_again(path):
    journal = Journal(path, IDENTITY)
    journal.append({"row": 3, "label": "ä"})
    journal.append({"undo": True})
    journal.close()
    again = Journal(path, IDENTITY)
    assert again.entries == [{"row": 3, "label": "ä"}, {"undo": True}]
    again.close()


def test_no_acknowledged_answer_is_lost_by_kill_9(path):
    said = -1
    for attempt in range(10):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
            said = int(process.stdout.readline())
            time.sleep(0.003 * attempt)
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()  # what it had acknowledged before it died
        said = int(rest[-1]) if rest else said
        lines = path.read_bytes().split(b"\n")
        whole = [json.loads(line) for line in lines[1:-1]]
        assert [entry["row"] for entry in whole] == list(range(len(whole)))
        assert len(whole) >= said + 1
    journal = Journal(path, IDENTITY)
    assert len(journal.entries) >= said + 1
    journal.close()


@pytest.mark.parametrize("kept", [1, 5, -1])
def test_a_line_cut_off_in_the_middle_of_a_write_is_dropped(path, kept):
    journal = Journal(path, IDENTITY)
    journal.append({"row": 1, "label": "a"})
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"row": 2, "label": "b"}'[:kept])
    again = Journal(path, IDENTITY)
    assert again.entries == [{"row": 1, "label": "a"}]
    again.append({"row": 2, "label": "c"})
    again.close()
    assert path.read_bytes() == whole + b'{"row": 2, "label": "c"}\n'


@pytest.mark.parametrize("kept", [0, 4, 30])
def test_a_first_line_cut_off_is_written_anew(path, kept):
    Journal(path, IDENTITY).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    journal = Journal(path, IDENTITY)
    journal.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "is no file of answers; give another with --answers"),
        (b"something else", "is no file of answers"),
        (b'{"rows": 100}\n', "is no file of answers"),
        (b'{"sklearnloss_labels": 1, "target": "z", "rows": 100, "table": "abc"}\n', "target was 'z', now it is 'y'"),
        (b'{"sklearnloss_labels": 1, "target": "y", "rows": 99, "table": "abc"}\n', "rows was 99, now it is 100"),
        (b'{"sklearnloss_labels": 1, "target": "y", "rows": 100, "table": "abc"}\nx\n', "line 2, is no answer"),
    ],
)
def test_another_file_is_refused_and_left_as_it_is(path, content, message):
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        Journal(path, IDENTITY)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]  # and no lock stays


def test_two_sessions_do_not_write_to_one_file(path):
    first = Journal(path, IDENTITY)
    with pytest.raises(DataError, match="is in use by another session"):
        Journal(path, IDENTITY)
    first.close()
    Journal(path, IDENTITY).close()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match="could not write"):
        Journal(tmp_path / "nowhere" / "t.jsonl", IDENTITY)


def test_a_full_disk_leaves_no_half_line(path, monkeypatch):
    journal = Journal(path, IDENTITY)
    before, write = path.read_bytes(), os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:5]))
    with pytest.raises(OutputError, match="no space left"):
        journal.append({"row": 1, "label": "a"})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert journal.entries == []
    journal.append({"row": 1, "label": "a"})
    journal.close()
