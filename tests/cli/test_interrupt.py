"""Ctrl-C in the middle of ``sklearnloss compare``."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def fits(folder):
    path = folder / "compare-iris" / "fits.jsonl"
    return len(path.read_bytes().splitlines()) if path.exists() else 0


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_ctrl_c_shows_what_was_finished_and_the_same_command_goes_on(tmp_path):
    arguments = "compare iris --losses cross_entropy,gce --epochs 40 --folds 6 --repeats 1 --jobs 2"
    command = [Path(sys.executable).with_name("sklearnloss"), *arguments.split()]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while fits(tmp_path) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "stopped after" in stderr
    assert stdout.splitlines()[0].split()[:2] == ["loss", "accuracy"]
    assert stdout.splitlines()[-1] == "report: compare-iris/report.html"
    kept = fits(tmp_path)
    assert 2 <= kept < 12
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"found {kept} of 12 fits" in again.stderr
    assert fits(tmp_path) == 12
