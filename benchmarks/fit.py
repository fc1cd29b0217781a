"""Fit, predict and import: sklearnloss against a hand-written loop, skorch and the bare module, in one run.

python benchmarks/fit.py [--repeats 15] [--json FILE]

float32, perceptron with 100 hidden units, batches of 128, Adam, five epochs, one thread. The hand-written loop keeps
its data resident and uses fused Adam: the practical limit. Runs alternate; the figures are medians.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from torch import nn

from sklearnloss import LossClassifier

EPOCHS, BATCH, HIDDEN, RATE = 5, 128, 100, 1e-3


def perceptron(n_features: int, n_classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, n_classes))


class Perceptron(nn.Module):
    """The same perceptron as a class, for skorch."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.layers = perceptron(n_features, n_classes)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.layers(X)


def by_hand(X: np.ndarray, y: np.ndarray) -> nn.Module:
    torch.manual_seed(0)
    rows, labels = torch.as_tensor(X), torch.as_tensor(y)
    module = perceptron(X.shape[1], int(y.max()) + 1)
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE, fused=True)
    criterion = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        order = torch.randperm(len(rows))
        for start in range(0, len(rows), BATCH):
            index = order[start : start + BATCH]
            optimizer.zero_grad()
            criterion(module(rows[index]), labels[index]).backward()
            optimizer.step()
    return module


def by_sklearnloss(X: np.ndarray, y: np.ndarray) -> LossClassifier:
    return LossClassifier(max_epochs=EPOCHS, batch_size=BATCH, lr=RATE, random_state=0).fit(X, y)


def by_skorch(X: np.ndarray, y: np.ndarray) -> NeuralNetClassifier:
    net = NeuralNetClassifier(
        Perceptron,
        module__n_features=X.shape[1],
        module__n_classes=int(y.max()) + 1,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        max_epochs=EPOCHS,
        batch_size=BATCH,
        lr=RATE,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    return net.fit(X, y)


def alternate(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each job, run in turns after a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(repeats):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(name: str, X: np.ndarray, y: np.ndarray, repeats: int) -> dict[str, float]:
    fits = alternate(
        {"hand": lambda: by_hand(X, y), "ours": lambda: by_sklearnloss(X, y), "skorch": lambda: by_skorch(X, y)},
        repeats,
    )
    model, net = by_sklearnloss(X, y), by_skorch(X, y)
    rows, module = torch.as_tensor(X), by_hand(X, y)

    def bare() -> None:
        with torch.no_grad():
            module(rows)

    predictions = alternate(
        {"bare": bare, "ours": lambda: model.predict(X), "skorch": lambda: net.predict(X)}, 3 * repeats
    )
    figures = {
        "fit: by hand, ms": 1e3 * fits["hand"],
        "fit: ours, ms": 1e3 * fits["ours"],
        "fit: ours / by hand": fits["ours"] / fits["hand"],
        "fit: skorch / ours": fits["skorch"] / fits["ours"],
        "predict: ours / bare module": predictions["ours"] / predictions["bare"],
        "predict: skorch / bare module": predictions["skorch"] / predictions["bare"],
    }
    for label, value in figures.items():
        print(f"{name:14s} {label:32s} {value:9.2f}", flush=True)
    return figures


def seconds_of(*command: str, repeats: int = 5) -> float:
    """Return the least wall time of a command, its files being cached."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    best = float("inf")
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        best = min(best, time.perf_counter() - started)
    return best


def imports(repeats: int) -> dict[str, float]:
    peers = seconds_of(sys.executable, "-c", "import torch, sklearn, skorch", repeats=repeats)
    ours = seconds_of(
        sys.executable, "-c", "import torch, sklearn, skorch, sklearnloss; sklearnloss.LossClassifier", repeats=repeats
    )
    script = os.path.join(os.path.dirname(sys.executable), "sklearnloss")
    figures = {
        "import: torch, sklearn, skorch, s": peers,
        "import: sklearnloss above it, s": ours - peers,
        "sklearnloss --help, s": seconds_of(script, "--help", repeats=repeats),
    }
    for label, value in figures.items():
        print(f"{'start':14s} {label:34s} {value:7.3f}", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, Python {platform.python_version()}, one thread, float32")
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    wide, labels = rng.normal(size=(8000, 784)).astype(np.float32), rng.integers(0, 10, 8000)
    results = {
        "digits": measure("digits", X.astype(np.float32), y, arguments.repeats),
        "8,000 x 784": measure("8,000 x 784", wide, labels, max(3, arguments.repeats // 3)),
        "start": imports(max(3, arguments.repeats // 3)),
    }
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
