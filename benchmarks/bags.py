"""Cost of bags: an epoch of LLPClassifier over one with row labels, its memory, and belief propagation.

python benchmarks/bags.py [--rows 1000000] [--bags 10000] [--only PART ...]

epoch      20 features, two hidden layers of 100, batches of 1,000 rows, float32; seconds of three epochs, in turns
memory     peak of resident memory, data and libraries included, each in a process of its own
beliefs    llp_bp's field of 50,000 rows in bags of 256: neighbours, and 100 rounds of messages

One thread.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

from sklearnloss import LLPClassifier, LossClassifier
from sklearnloss.functional.beliefs import Edges, propagate

EPOCHS, REPEATS = 3, 3


def data(rows: int, bags: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 20)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=rows) > 0).astype(int)
    return X, y, rng.permutation(rows) % bags


def fit(kind: str, X: np.ndarray, y: np.ndarray, bag: np.ndarray) -> float:
    """Return the seconds of one epoch, without what comes before the first."""
    how = {"hidden_layer_sizes": (100, 100), "batch_size": 1000, "max_epochs": EPOCHS, "random_state": 0}
    model = LossClassifier(**how).fit(X, y) if kind == "rows" else LLPClassifier(**how).fit(X, y, bags=bag)
    return statistics.median(row["dur"] for row in model.history_)


def of_epoch(rows: int, bags: int) -> None:
    X, y, bag = data(rows, bags)
    seconds: dict[str, list[float]] = {"rows": [], "bags": []}
    for _ in range(REPEATS):
        for kind in seconds:
            seconds[kind].append(fit(kind, X, y, bag))
    own, other = (statistics.median(seconds[kind]) for kind in ("bags", "rows"))
    print(f"epoch, {rows:,} rows in {bags:,} bags: {own:.2f} s, with labels of rows {other:.2f} s, {own / other:.2f} x")


def of_memory(rows: int, bags: int) -> None:
    peaks = {}
    for kind in ("rows", "bags"):
        command = [sys.executable, __file__, "--rows", str(rows), "--bags", str(bags), "--measure", kind]
        peaks[kind] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    own, other = peaks["bags"], peaks["rows"]
    print(f"memory: {own:.0f} MB, with labels of rows {other:.0f} MB, {own / other:.2f} x")


def measure(kind: str, rows: int, bags: int) -> None:
    X, y, bag = data(rows, bags)
    fit(kind, X[:2000], y[:2000], bag[:2000] % 10)  # imports are not part of it
    fit(kind, X, y, bag)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def of_beliefs() -> None:
    X, y, _ = data(50_000, 1)
    bag = np.arange(50_000) // 256
    counts = np.bincount(bag, weights=y)
    start = time.perf_counter()
    links = Edges.between(X, 20, "median").undirected()
    found = time.perf_counter()
    propagate(
        links, bag, counts, bag_strength=np.full(len(counts), 10.0), neighbor_strength=0.05, center=0.5, iterations=100,
        damping=0.5,
    )  # fmt: skip
    print(f"beliefs: neighbours {found - start:.1f} s, messages {time.perf_counter() - found:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bags", type=int, default=10_000)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parts = ("epoch", "memory", "beliefs")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), metavar="PART")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.measure:
        measure(arguments.measure, arguments.rows, arguments.bags)
        return
    if "epoch" in arguments.only:
        of_epoch(arguments.rows, arguments.bags)
    if "memory" in arguments.only:
        of_memory(arguments.rows, arguments.bags)
    if "beliefs" in arguments.only:
        of_beliefs()


if __name__ == "__main__":
    main()
