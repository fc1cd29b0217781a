"""Fits that are killed: ``python killed.py FOLDER`` prints what became of them as JSON.

Each attempt is a fork of this process, which has torch already, and is ended by SIGKILL at a random moment of its fit,
by a timer that it starts itself in a random epoch.
"""

import itertools
import json
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # an optimizer loads it, at length
from sklearn.datasets import make_blobs

from sklearnloss import Loss, LossClassifier, components
from sklearnloss.training.archive import read_archive
from sklearnloss.training.net import LossNet

KILLS = 4  # of each setting
SETTINGS = {
    "dropout and a schedule": {"dropout": 0.3, "lr_schedule": "cosine", "max_grad_norm": 1.0, "precision": "fp32"},
    "early stopping and a loss with state": {
        "loss": Loss("aldr") + 0.1 * Loss("focal"), "early_stopping": True, "n_iter_no_change": 40,
        "validation_fraction": 0.2, "calibrate": "temperature", "sampler": "per_class",
    },
    "mixup and momentum": {"loss": "ldr", "mixup": "mixup", "optimizer": {"spec": "sgd", "momentum": 0.9}},
    "a loss that draws": {"loss": "ensloss", "optimizer": "adamw", "class_weight": "balanced"},
    "a seed of the system": {"random_state": None, "loss": "aucm", "loss__mode": "min_max"},
}  # fmt: skip


def fit(setting, checkpoint, target):
    """Fit and save."""
    params = {"hidden_layer_sizes": (16,), "max_epochs": 40, "random_state": 0, "batch_size": 16} | SETTINGS[setting]
    classes = 2 if params.get("loss") in ("ensloss", "aucm") else 3
    X, y = make_blobs(120, n_features=5, centers=classes, cluster_std=4.0, random_state=0)
    model = LossClassifier(checkpoint=checkpoint)
    model.set_params(**params).fit(X, y)
    model.save(target)


def attempt(setting, checkpoint, target, *, seed, kill=None):
    """Fit in a fork; return whether it ended by itself."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"{setting}: the fit failed"
        return not os.WIFSIGNALED(status)
    code = 1
    try:
        warnings.simplefilter("error")
        fresh = np.random.default_rng
        np.random.default_rng = lambda given=None: fresh(seed if given is None else given)  # the system's seed
        if kill is not None:
            kill_in(*kill)
        fit(setting, checkpoint, target)
        code = 0
    finally:
        os._exit(code)


def kill_in(epoch, delay):
    """Let this process be killed some time after it has begun an epoch, counted from 1 for this attempt."""
    run, begun = LossNet.run_single_epoch, itertools.count(1)

    def timed(net, *args, **kwargs):
        if next(begun) == epoch:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return run(net, *args, **kwargs)

    LossNet.run_single_epoch = timed


def epochs_in(folder):
    """Return the epochs that a checkpoint has finished."""
    files = list(folder.glob("*.ckpt"))
    return read_archive(files[0])[0]["done"] if files else 0


def story(setting, folder, draw):
    """Kill a fit again and again, let it end, and compare it with one that nobody killed."""
    folder.mkdir()
    undisturbed, survived, checkpoint = folder / "undisturbed", folder / "survived", folder / "checkpoint"
    attempt(setting, None, undisturbed, seed=12345)
    done = []
    while len(done) < KILLS:
        seed = 12345 if not done or done[-1] == 0 else 999
        # the epoch, the writing after it, or a later one, as quick as the machine is
        if attempt(setting, checkpoint, survived, seed=seed, kill=(draw.integers(1, 8), draw.uniform(0, 0.02))):
            break
        done.append(epochs_in(checkpoint))
    attempt(setting, checkpoint, survived, seed=999)
    (content, tensors), (other, others) = read_archive(undisturbed), read_archive(survived)
    for part in (content, other):  # the only things that are not the same: where the checkpoint is, how long it took
        part["params"].pop("checkpoint")
        for row in (*part["net"]["history"], *part["attributes"]["history_"]):
            row["dict"] = [pair for pair in row["dict"] if pair[0] != "dur"]
    return {
        "setting": setting,
        "done": done,
        "same_words": content == other,
        "same_tensors": tensors.keys() == others.keys() and all(same(tensors[n], others[n]) for n in tensors),
        "left": sorted(p.suffix for p in checkpoint.iterdir()),
    }


def same(one, other):
    """Return whether two tensors are equal, NaN included."""
    return one.dtype == other.dtype and torch.equal(one.nan_to_num(7.0), other.nan_to_num(7.0))


if __name__ == "__main__":
    torch.set_num_threads(1)
    components()  # what every fork would load anew
    generator = np.random.default_rng(0)
    root = Path(sys.argv[1])
    print(json.dumps([story(s, root / str(i), generator) for i, s in enumerate(SETTINGS)]))
