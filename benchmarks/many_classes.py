"""A step of training a head with very many classes: time and memory of ours beside Linear and cross entropy.

python benchmarks/many_classes.py [--classes 1000 10000 100000] [--rows 256] [--width 128]

Forward, backward and a step of SGD, float32, one thread. Each line is a process of its own; the least time of several
steps counts. Memory is the peak of resident memory during the steps less what was resident with the weights before.
Linux only.
"""

import argparse
import gc
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from sklearnloss import Loss
from sklearnloss.training.implicit import ImplicitHead

SECONDS = 3.0


def linear(n: int, d: int, k: int) -> Callable[[], None]:
    """Return a step of Linear, cross entropy and SGD."""
    head, hidden, y = nn.Linear(d, k), torch.randn(n, d, requires_grad=True), torch.randint(k, (n,))
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(head(hidden), y).backward()
        optimizer.step()

    return step


def ours(name: str) -> Callable[[int, int, int], Callable[[], None]]:
    """Return what makes a step of a loss on what the head sees."""

    def make(n: int, d: int, k: int) -> Callable[[], None]:
        head, hidden, y = nn.Linear(d, k), torch.randn(n, d, requires_grad=True), torch.randint(k, (n,))
        optimizer, loss = torch.optim.SGD(head.parameters(), lr=0.01), Loss(name).choose().build()

        def step() -> None:
            optimizer.zero_grad()
            loss(hidden, y, head_weight=head.weight, head_bias=head.bias).mean().backward()
            optimizer.step()

        return step

    return make


def dense(name: str) -> Callable[[int, int, int], Callable[[], None]]:
    """Return what makes a step of a loss on the scores of Linear."""

    def make(n: int, d: int, k: int) -> Callable[[], None]:
        head, hidden, y = nn.Linear(d, k), torch.randn(n, d, requires_grad=True), torch.randint(k, (n,))
        optimizer, loss = torch.optim.SGD(head.parameters(), lr=0.01), Loss(name).choose().build()

        def step() -> None:
            optimizer.zero_grad()
            loss(head(hidden), y).mean().backward()
            optimizer.step()

        return step

    return make


def implicit(n: int, d: int, k: int) -> Callable[[], None]:
    """Return a step of the Z-loss on an implicit head."""
    head, hidden, y = ImplicitHead(d, k), torch.randn(n, d, requires_grad=True), torch.randint(k, (n,))
    loss = Loss("z_loss").choose().component.moments
    assert loss is not None

    def step() -> None:
        loss(*head.moments(hidden, y), k).mean().backward()
        head.step(0.01)

    return step


STEPS = {
    "Linear + cross_entropy": linear,
    "cut_cross_entropy": ours("cut_cross_entropy"),
    "Linear + z_loss": dense("z_loss"),
    "implicit + z_loss": implicit,
}


def resident() -> float:
    """Return the resident memory in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def measure(name: str, n: int, d: int, k: int) -> tuple[float, float]:
    """Return milliseconds of a step, and MiB at its peak."""
    torch.set_num_threads(1)
    step = STEPS[name](n, d, k)
    gc.collect()
    before, peak, done = resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.0005):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    step()
    done.set()
    watcher.join()
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < SECONDS:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1000 * min(times), max(peak - before, 0)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--one", nargs=2)
    arguments = parser.parse_args()
    if arguments.one:
        print(*measure(arguments.one[0], arguments.rows, arguments.width, int(arguments.one[1])))
        return
    print(f"{'':24} {'classes':>8} {'ms':>9} {'MiB':>7} {'speed':>7} {'memory':>7}")
    for k in arguments.classes:
        first: tuple[float, float] | None = None
        for name in STEPS:
            command = [sys.executable, __file__, "--one", name, str(k), "--rows", str(arguments.rows)]
            command += ["--width", str(arguments.width)]
            spent, memory = map(
                float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            )
            first = first or (spent, memory)
            print(f"{name:24} {k:8} {spent:9.2f} {memory:7.0f} {first[0] / spent:6.2f}x {memory / first[1]:6.2f}x")


if __name__ == "__main__":
    main()
