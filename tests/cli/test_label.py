"""``sklearnloss label``: on a terminal of its own, through a pipe, and with what cannot be used."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_iris

pty = pytest.importorskip("pty", reason="terminals are those of POSIX")

COMMAND = Path(sys.executable).with_name("sklearnloss")


@pytest.fixture
def table(tmp_path):
    frame = load_iris(as_frame=True).data.iloc[::5].reset_index(drop=True)
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def answers(table):
    path = table.with_name("t.csv.labels.jsonl")
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines][1:]


class Terminal:
    """The command on a pseudo-terminal."""

    def __init__(self, *arguments):
        self.handle, own = pty.openpty()
        self.process = subprocess.Popen(
            [COMMAND, "label", *map(str, arguments)],
            stdin=own, stdout=own, stderr=own, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        os.close(own)
        self.shown = ""

    def until(self, text, seconds=30):
        """Read until a text is shown."""
        end, start = time.monotonic() + seconds, len(self.shown)
        while text not in self.shown[start:]:
            assert time.monotonic() < end, f"{text!r} was not shown: {self.shown[start:][-2000:]}"
            if select.select([self.handle], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.handle, 65536).decode(errors="replace")
                except OSError:  # it has left
                    assert text in self.shown[start:], self.shown[start:][-2000:]
                    return

    def press(self, keys):
        os.write(self.handle, keys.encode())

    def leave(self):
        self.process.wait(30)
        os.close(self.handle)
        return self.process.returncode


@pytest.fixture
def start():
    """Start sessions that do not outlive the test."""
    begun = []

    def begin(*arguments):
        begun.append(Terminal(*arguments))
        return begun[-1]

    yield begin
    for terminal in begun:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()


def test_a_session_on_a_terminal(table, start):
    terminal = start(table, "--target", "species", "--classes", "setosa,virginica")
    terminal.until("0 of 30 labeled")
    terminal.press("1")
    terminal.until("1 of 30 labeled")
    terminal.press("2")
    terminal.until("2 of 30 labeled")
    terminal.press("u")
    terminal.until("1 of 30 labeled")
    terminal.press("\x1b[A")  # an arrow is no answer
    terminal.until("no label has the key")
    terminal.press("n")
    terminal.until("name of the label:")
    terminal.press("versicolor\n")
    terminal.until("2 of 30 labeled")
    assert "versicolor" in terminal.shown.rsplit("row", 1)[1]
    terminal.press("s")
    terminal.until("1 skipped")
    terminal.press("q")
    terminal.until("2 of 30 rows have a label")
    assert terminal.leave() == 0
    given = [e.get("label", "skip" if "skip" in e else "undo") for e in answers(table)]
    assert given == ["setosa", "virginica", "undo", "versicolor", "skip"]
    assert "Traceback" not in terminal.shown


def test_kill_9_loses_no_answer_and_the_same_command_goes_on(table, start):
    seen = 0
    for attempt in range(2):
        terminal = start(table, "--target", "species", "--classes", "a,b")
        terminal.until(f"{seen} of 30 labeled")
        for key in "12"[: attempt + 1]:
            terminal.press(key)
            seen += 1
            terminal.until(f"{seen} of 30 labeled")
        os.killpg(terminal.process.pid, signal.SIGKILL)
        terminal.leave()
        assert len(answers(table)) == seen


def test_ctrl_c_leaves_with_every_answer(table, start):
    terminal = start(table, "--target", "species", "--classes", "a,b")
    terminal.until("0 of 30 labeled")
    terminal.press("1")
    terminal.until("1 of 30 labeled")
    terminal.press("\x03")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("1 of 30 rows have a label")
    terminal.leave()
    assert "Traceback" not in terminal.shown
    assert len(answers(table)) == 1


def piped(*arguments, lines=()):
    return subprocess.run(
        [COMMAND, "label", *map(str, arguments)],
        input="".join(f"{line}\n" for line in lines), capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_answers_through_a_pipe_are_exported_beside_what_the_table_had(table):
    frame = pd.read_csv(table)
    frame["species"] = ["setosa", *[None] * 29]
    frame.to_csv(table, index=False)
    done = piped(table, "-t", "species", "-c", "virginica", lines=["virginica", "1", "2", "q"])
    assert done.returncode == 0, done.stderr
    assert "4 of 30 rows have a label" in done.stdout
    out = table.with_name("out.csv")
    done = piped(table, "-t", "species", "--export", out)
    assert done.stdout == f"4 of 30 rows have a label: {out}\n"
    exported = pd.read_csv(out)
    assert exported["species"].notna().sum() == 4
    assert exported["species"][0] == "setosa"
    pd.testing.assert_frame_equal(exported.drop(columns="species"), frame.drop(columns="species"))
    by_row = {e["row"]: e["label"] for e in answers(table)}
    assert all(exported["species"][row] == label for row, label in by_row.items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv", "-t", "y"], "there is no file"),
        (["t.csv", "-t", "y", "--strategy", "marign"], "unknown strategy 'marign'; did you mean 'margin'"),
        (["t.csv", "-t", "y", "--loss", "focall"], "unknown loss 'focall'; did you mean 'focal'"),
        (["t.csv", "-t", "y", "--drop", "sepal"], "'sepal'"),
        (["t.csv", "-t", "y", "--answers", "t.csv"], "is no file of answers"),
        (["t.csv", "-t", "y", "--answers", "no/where.jsonl"], "could not write"),
        (["t.csv", "-t", "y", "--export", "out.csv"], "there is nothing to export: no row has a label"),
        (["one.csv", "-t", "y"], "has no column beside 'y'"),
        (["empty.csv", "-t", "y"], "and no rows"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line_and_nothing_is_written(table, run, monkeypatch, arguments, message):
    monkeypatch.chdir(table.parent)
    Path("one.csv").write_text("y\na\nb\n")
    Path("empty.csv").write_text("x,y\n")
    before = {p.name: p.read_bytes() for p in table.parent.iterdir()}
    done = run("label", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {p.name: p.read_bytes() for p in table.parent.iterdir()} == before
