"""A comparison that is killed goes on from the fits that had ended."""

import json
import random
import subprocess
import sys
import time

from sklearn.datasets import load_iris

from sklearnloss import LossClassifier, compare

SCRIPT = """
import sys, time
from sklearn.datasets import load_iris
from sklearnloss import LossClassifier, compare
from sklearnloss.comparison import fits
true_fit = fits._fit_and_judge

def slow(*arguments):
    time.sleep(0.1)  # so that it is killed within a fit more often than not
    return true_fit(*arguments)

fits._fit_and_judge = slow
compare(*load_iris(return_X_y=True), losses=["cross_entropy", "gce", "ldr"], cv=5, repeats=2,
        estimator=LossClassifier(max_epochs=3), store=sys.argv[1])
"""


def finished(folder):
    """Return the whole lines of the file of fits."""
    path = folder / "fits.jsonl"
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1].splitlines()


def test_killed_at_random_moments_it_loses_no_finished_fit_and_ends_as_if_undisturbed(tmp_path):
    folder, moments, kills, before = tmp_path / "store", random.Random(0), 0, []
    while True:
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)], stderr=subprocess.PIPE)
        wanted = len(before) + moments.randint(5, 9)
        while process.poll() is None and len(finished(folder)) < wanted:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.15)
        if process.poll() is not None:
            assert process.returncode == 0, process.stderr.read().decode()
            break
        process.kill()
        process.communicate()
        kills += 1
        after = finished(folder)
        assert after[: len(before)] == before
        assert len(after) > len(before)
        before = after
    process.communicate()
    assert kills >= 3
    done = [json.loads(line) for line in finished(folder)]
    assert len(done) == 30  # none was done twice
    arguments = {"losses": ["cross_entropy", "gce", "ldr"], "cv": 5, "repeats": 2}
    estimator = LossClassifier(max_epochs=3)
    resumed = compare(*load_iris(return_X_y=True), **arguments, estimator=estimator, store=folder)
    undisturbed = compare(*load_iris(return_X_y=True), **arguments, estimator=estimator)
    for loss, scores in undisturbed.scores.items():
        assert resumed.scores[loss].tolist() == scores.tolist()
