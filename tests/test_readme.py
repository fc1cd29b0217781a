"""The README's blocks run as a new user would paste them: Python in one session, commands in a shell."""

import contextlib
import io
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
COMMANDS = [
    line.split("#")[0].strip()
    for language, text in BLOCKS
    if language == "bash"
    for line in text.splitlines()
    if line.startswith("sklearnloss ")
]


def said(text):
    """Return what the comments behind ``print(...)`` promise."""
    return re.findall(r"print\(.*\)  # (.*)", text)


def test_python_blocks_run_in_order_and_print_what_they_say(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    session = types.ModuleType("readme")  # what __main__ is in a notebook: its functions can be pickled
    monkeypatch.setitem(sys.modules, "readme", session)
    python = [text for language, text in BLOCKS if language == "python"]
    assert len(python) >= 5
    for text in python:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(text, str(README), "exec"), vars(session))
        assert output.getvalue().splitlines() == said(text), text


def test_there_are_commands_to_run():
    assert {command.split()[1] for command in COMMANDS} >= {"compare", "list", "info", "plugins", "check", "new-plugin"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_succeeds(command, tmp_path):
    script = os.path.join(os.path.dirname(sys.executable), command.split()[0])
    done = subprocess.run([script, *command.split()[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
