"""What losses of scores cost: time and memory of forward and backward, over those of F.cross_entropy.

python benchmarks/losses.py [--only ldr focal] [--seconds 1]

Every loss whose first argument is logits, label_logits, scores or cosines, with its defaults, at n rows and k classes;
float32, one thread. A loss of scores, of which a row has one, takes n k rows. Each line is a process of its own, in
which both sides take turns of 20 ms or a step; the least time of the processor counts, so that other work on the
machine matters little. Memory is the most that torch has allocated during a step, the gradient included and the scores
themselves not, as its profiler counts it; F.cross_entropy takes three times the scores.

A loss of rows whose docstring says O(n k), or O(n) of scores, without a factor, sort or passes, is closed: it should
cost no more than 4 times F.cross_entropy. Others are there with what their docstrings say, and not beyond the k of
`LARGEST`.
"""

import argparse
import gc
import inspect
import json
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.profiler import DeviceType
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from sklearnloss import components
from sklearnloss.component import Component

ROLES = ("logits", "label_logits", "scores", "cosines")
SHAPES = ((1024, 10), (1024, 1000), (256, 100_000))
WIDTH = 64  # of the features
TURN = 0.02  # seconds of a turn, at least one step
TURNS = 5  # of each side, at least
AIM = 4.0
SUPPLIED = {"head_weight", "class_values", "priors"}  # wishes that every fit can grant
CLOSED = re.compile(r"(?!.*(factor|sort|passes))O\(n( k| n_labels| k m)?\)[.,;].*")
# the most classes; with more, a line of these would take minutes, or more than 16 GiB
LARGEST = dict.fromkeys(("amarx", "ap", "em_llp", "ensloss", "pauc", "vcl"), 1000)

Step = Callable[[Tensor], Tensor]


# -- what is compared -------------------------------------------------------------------------------------------------


def cost(component: Component) -> str:
    """Return what the docstring says of time and memory, the sentences with O( in them."""
    text = (inspect.getdoc(component.obj) or "").partition("References\n")[0]
    text = " ".join(re.sub(r"\.\. math::.*?(\n\n|$)", "", text, flags=re.DOTALL).split())
    return " ".join(sentence for sentence in re.split(r"(?<=\.)\s+(?=[A-Z`])", text) if "O(" in sentence)


def is_closed(component: Component) -> bool:
    return component.unit == "row" and CLOSED.fullmatch(cost(component)) is not None


def fact(name: str, n: int, k: int) -> Any:
    """Return what a loss may need besides scores: rows in order, bags of four of them, 64 features."""
    generator = torch.Generator().manual_seed(1)
    match name:
        case "bag":
            return torch.arange(n) // 4
        case "n_bags":
            return n // 4
        case "bag_proportions":
            return torch.softmax(torch.randn(n // 4, k, generator=generator), 1)
        case "bag_sizes":
            return torch.full((n // 4,), 4.0)
        case "class_counts":
            return torch.arange(1.0, k + 1)
        case "priors":
            return torch.full((k,), 1 / k)
        case "class_values":
            return torch.arange(float(k))
        case "teacher":
            return torch.randn(n, k, generator=generator)
        case "X":
            return torch.randn(n, WIDTH, generator=generator)
        case "features":
            return torch.randn(n, WIDTH, generator=generator, requires_grad=True)
        case "head_weight" | "prototypes":
            return torch.randn(k, WIDTH, generator=generator, requires_grad=True)
        case "module":
            return nn.Linear(WIDTH, k)
        case "x_scale":
            return torch.ones(WIDTH)
        case "propensity":
            return torch.full((n,), 0.5)
        case "index":
            return torch.arange(n)
        case "rng":
            return generator
    return {"epoch": 0, "n_samples": n, "n_classes": k, "embedding_dim": WIDTH}[name]


def ours(component: Component, n: int, k: int) -> tuple[Step, Tensor]:
    """Return a step of the loss, and the scores that it takes."""
    generator = torch.Generator().manual_seed(0)
    of_rows = component.role == "scores"
    per_class = {p.name: p.default for p in component.parameters}.get("centers_per_class", 1)
    n, k = (n * k, 1) if of_rows else (n, k // per_class)
    scores = torch.randn((n,) if of_rows else (n, k * per_class), generator=generator)
    if component.role == "cosines":
        scores.tanh_()

    def given(name: str) -> Any:
        return fact(name, n, k)

    if component.unit == "bag":
        y = given("bag_proportions")
    elif component.role in ("scores", "label_logits"):
        y = (torch.rand(scores.shape, generator=generator) < 0.2).float()
    else:
        y = torch.randint(k, (n,), generator=generator)
    loss = component.obj(**{name: given(name) for name in component.fit_needs}) if component.is_class else component.obj
    data = [y if name == "y" else given(name) for name in component.data[1:]]
    named = {name: given(name) for name in (*component.needs, *sorted(SUPPLIED & set(component.wishes)))}

    def step(scores: Tensor) -> Tensor:
        result: Any = loss(scores, *data, **named)
        if isinstance(result, tuple):
            totals, valid = result
            return totals.sum() / valid.sum().clamp(min=1)
        return result.mean()

    return step, scores


def cross_entropy(n: int, k: int) -> tuple[Step, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(k, (n,), generator=generator)
    return lambda logits: F.cross_entropy(logits, y), torch.randn(n, k, generator=generator)


# -- one line, in a process of its own --------------------------------------------------------------------------------


def seconds(step: Step, scores: Tensor) -> float:
    leaf = scores.detach().requires_grad_()
    started = time.process_time()
    step(leaf).backward()  # type: ignore[no-untyped-call]
    return time.process_time() - started


def peak(step: Step, scores: Tensor) -> int:
    """Return the bytes that torch held at most beyond what was there before."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        seconds(step, scores)
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        assert event.device_type() == DeviceType.CPU
        held += event.nbytes()
        most = max(most, held)
    return most


def measure(component: Component, n: int, k: int, spend: float) -> dict[str, float]:
    sides = {"ours": ours(component, n, k), "cross_entropy": cross_entropy(n, k)}
    found = {f"{side}, bytes": float(peak(*what)) for side, what in sides.items()}
    least = dict.fromkeys(sides, float("inf"))
    spent, turns = 0.0, 0
    while turns < TURNS or (spent < spend and turns < 50 * TURNS):
        turns += 1
        for side, what in sides.items():
            turn = 0.0
            while turn < TURN:
                took = seconds(*what)
                turn += took
                least[side] = min(least[side], took)
            spent += turn
    return found | {f"{side}, seconds": took for side, took in least.items()}


def apart(component: Component, n: int, k: int, spend: float) -> dict[str, float]:
    """Measure in a child, so that memory begins anew without importing anew."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # the profiler says when it begins and ends
        try:
            text = json.dumps(measure(component, n, k, spend))
        except BaseException as error:
            text = json.dumps({"failed": repr(error)})
        with os.fdopen(writing, "w") as file:
            file.write(text)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        result: dict[str, Any] = json.load(file)
    os.waitpid(child, 0)
    if "failed" in result:
        raise SystemExit(f"{component.name} at {n} x {k}: {result['failed']}")
    return result


# -- all lines --------------------------------------------------------------------------------------------------------


def ratios(component: Component, spend: float) -> list[tuple[float, float] | None]:
    """Return time and memory over cross entropy at each shape, None where it is not tried."""
    found: list[tuple[float, float] | None] = []
    for n, k in SHAPES:
        if k > LARGEST.get(component.name, k):
            found.append(None)
            continue
        result = apart(component, n, k, spend)
        time_, memory = (result[f"ours, {unit}"] / result[f"cross_entropy, {unit}"] for unit in ("seconds", "bytes"))
        found.append((time_, memory))
    return found


def worst(found: list[tuple[float, float] | None]) -> float:
    return max(ratio for pair in found if pair is not None for ratio in pair)


def line(component: Component, found: list[tuple[float, float] | None]) -> str:
    cells = [f"`{component.name}`", "yes" if is_closed(component) else "", cost(component) or "not said"]
    for pair in found:
        cells += ["-", "-"] if pair is None else [f"{ratio:,.1f}" for ratio in pair]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    every = {c.name: c for c in components("loss") if c.plugin == "core" and c.role in ROLES}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=every, metavar="NAME", default=list(every), help="default: all")
    parser.add_argument("--seconds", type=float, default=1.0, help="spent on each line at least")
    arguments = parser.parse_args()
    table = {}
    for name in arguments.only:
        print(name, end=" ", file=sys.stderr, flush=True)
        table[name] = ratios(every[name], arguments.seconds)
    print(file=sys.stderr)
    print("| loss | closed | cost | " + " | ".join(f"{n:,} x {k:,}: time | memory" for n, k in SHAPES) + " |")
    print("|" + "---|" * (3 + 2 * len(SHAPES)))
    for name in sorted(table, key=lambda name: worst(table[name]), reverse=True):
        print(line(every[name], table[name]))
    print()
    for name in arguments.only:
        if name in LARGEST:
            print(f"`{name}` is not tried beyond {LARGEST[name]:,} classes.")
    closed = {name: worst(found) for name, found in table.items() if is_closed(every[name])}
    if closed:
        name = max(closed, key=lambda name: closed[name])
        beyond = sum(ratio > AIM for ratio in closed.values())
        print(f"Worst closed loss: `{name}`, {closed[name]:.1f} x; {beyond} of {len(closed)} are beyond {AIM:.0f} x.")


if __name__ == "__main__":
    main()
