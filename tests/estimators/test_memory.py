"""Resident memory, measured in a process of its own."""

import subprocess
import sys

import pytest

PROCESS = """
import gc, re, sys
from pathlib import Path
import numpy as np
import torch
from sklearnloss import LossClassifier

torch.set_num_threads(1)
form, path, n, d, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
model = LossClassifier(max_epochs=1, batch_size=1024, hidden_layer_sizes=(8,), random_state=0, memory_limit=limit)
model.fit(np.random.default_rng(0).normal(size=(3000, d)).astype(np.float32), np.arange(3000) % 3)
model.predict(np.ones((3000, d), np.float32))
if form == "map":
    X = np.memmap(path, np.float32, "w+", shape=(n, d))  # a file of zeros that takes no space
    X[:: n // 50, 0] = 1
    X.flush()
    X = np.memmap(path, np.float32, "r", shape=(n, d))
else:
    X = np.ones((n, d), np.float32)

def status(key):
    return int(re.search(rf"{key}:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

for job in (lambda: model.fit(X, np.arange(n) % 3), lambda: model.predict(X), lambda: model.predict_proba(X)):
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    job()
    print(status("VmHWM") - before)
"""


def peaks(form, path, n, d, limit):
    """Return the bytes above what was resident before, in fit, predict and predict_proba."""
    command = [sys.executable, "-c", PROCESS, form, str(path), str(n), str(d), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return [int(line) for line in done.stdout.split()]


pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc"),
    pytest.mark.slow,
]


def test_a_map_far_beyond_the_limit_stays_within_it(tmp_path):
    n, d, limit = 100_000, 1024, 80_000_000  # 410 MB
    assert max(peaks("map", tmp_path / "X.bin", n, d, limit)) < limit


def test_an_array_in_memory_is_not_copied(tmp_path):
    n, d = 50_000, 1024  # 205 MB
    assert max(peaks("array", tmp_path / "none", n, d, 1)) < 0.3 * 4 * n * d
