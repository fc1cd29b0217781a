"""Losses over pairs of positives and negatives: by sorts and cells, beside all pairs, blocks of pairs, and bce.

python benchmarks/auc.py [--only logistic squared_hinge] [--sizes 1000 10000 100000 1000000]

n scores in float32, 10 % of them of positives; forward and backward of the scores, one thread. Each line is a process
of its own, in which the sides take turns; the least time of each counts. Memory is the peak of resident memory during
the first step less what was resident before. All pairs go through autograd as one array, up to 10,000 rows; blocks, up
to 100,000 rows, are of 64 positives with all negatives, their gradient written by hand. The error is that of the
gradient of single rows, against float64 sums over the pairs of each, over the largest such gradient of their class.
Linux only.
"""

import argparse
import gc
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sklearnloss import Loss

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SHARE = 0.1  # of the positives
FRACTION = 0.1  # of the negatives in pauc
ALL_PAIRS_ROWS, BLOCK_ROWS = 10_000, 100_000  # at most
SPENT = 0.25  # seconds for each side, at least five steps if one takes less than a second
CHECKED = 20  # rows of each class whose gradient is checked

Step = Callable[[Tensor, Tensor], Tensor]
# what stands for a pair of which the positive leads by t, and its derivative
SURROGATES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "logistic": (lambda t: torch.nn.functional.softplus(-t), lambda t: -torch.sigmoid(-t)),
    "squared_hinge": (lambda t: (1 - t).relu().square(), lambda t: -2 * (1 - t).relu()),
    "hinge": (lambda t: (1 - t).relu(), lambda t: -(t < 1).to(t.dtype)),
    "squared": (lambda t: (1 - t).square(), lambda t: -2 * (1 - t)),
}
LOSSES: dict[str, tuple[str, dict[str, Any], str]] = {  # name, parameters, surrogate of the pairs
    "bce": ("bce", {}, ""),
    **{name: ("mann_whitney", {"surrogate": name}, name) for name in SURROGATES},
    "pauc": ("pauc", {"fraction": FRACTION}, "squared_hinge"),
    "ap": ("ap", {}, ""),
}


# -- what is compared -------------------------------------------------------------------------------------------------


def sides(scores: Tensor, y: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Return the rows of the positives and those of the negatives that count."""
    negatives = (y == 0).nonzero().squeeze(1)
    if name == "pauc":
        negatives = negatives[scores.detach()[negatives].topk(round(FRACTION * len(negatives))).indices]
    return (y == 1).nonzero().squeeze(1), negatives


def all_pairs(name: str) -> Step:
    def step(scores: Tensor, y: Tensor) -> Tensor:
        if name == "ap":
            above = (1 - (scores[y == 1][:, None] - scores)).relu().square()  # (positives, n)
            return 1 - ((above * y).sum(1) / above.sum(1)).mean()
        positives, negatives = sides(scores, y, name)
        return SURROGATES[LOSSES[name][2]][0](scores[positives][:, None] - scores[negatives]).mean()

    return step


def blocks(name: str) -> Step:
    value, slope = SURROGATES.get(LOSSES[name][2], (None, None))

    def step(scores: Tensor, y: Tensor) -> Tensor:
        positives, negatives = sides(scores, y, name)
        p, q = scores.detach()[positives], scores.detach()[negatives]
        total, of_p, of_q = 0.0, torch.empty_like(p), torch.zeros_like(q)
        for start in range(0, len(p), 64):
            lead = p[start : start + 64, None] - q
            slopes = slope(lead)
            of_p[start : start + 64] = slopes.sum(1)
            of_q -= slopes.sum(0)
            total += value(lead).sum().item()
        slopes = torch.zeros_like(scores).index_add_(0, positives, of_p).index_add_(0, negatives, of_q)
        # the second part is zero and has the gradient
        return (total + ((scores - scores.detach()) * slopes).sum()) / (len(p) * len(q))

    return step


def ours(name: str) -> Step:
    loss, params, _ = LOSSES[name]
    function = Loss(loss, **params).choose().build()
    return lambda scores, y: function(scores, y).mean()


def exact_slopes(name: str, scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return some rows, positives first, and the gradient of each over its pairs in float64."""
    positives, negatives = sides(scores, y, name)
    slope, wide = SURROGATES[LOSSES[name][2]][1], scores.double()
    of_p = [slope(wide[i] - wide[negatives]).mean() / len(positives) for i in positives[:CHECKED]]
    of_q = [-slope(wide[positives] - wide[j]).mean() / len(negatives) for j in negatives[:CHECKED]]
    return torch.cat([positives[:CHECKED], negatives[:CHECKED]]), torch.stack(of_p + of_q)


# -- one line, in a process of its own --------------------------------------------------------------------------------


def status(key: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def batch(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = (torch.randperm(n, generator=generator) < SHARE * n).float()
    return torch.randn(n, generator=generator) + y, y


def gradient(step: Step, scores: Tensor, y: Tensor) -> tuple[Tensor, float]:
    leaf = scores.clone().requires_grad_()
    started = time.perf_counter()
    step(leaf, y).backward()  # type: ignore[no-untyped-call]
    spent = time.perf_counter() - started
    assert leaf.grad is not None
    return leaf.grad, spent


def measure(name: str, n: int) -> dict[str, Any]:
    """Return milliseconds and MiB of each side, and the error of our gradient."""
    scores, y = batch(n)
    steps = {"ours": ours(name), "bce": ours("bce")}
    if name != "bce" and n <= ALL_PAIRS_ROWS:
        steps["pairs"] = all_pairs(name)
    if LOSSES[name][2] and n <= BLOCK_ROWS:
        steps["blocks"] = blocks(name)
    found: dict[str, Any] = {"loss": name, "rows": n}
    for side, step in steps.items():
        gradient(step, *batch(200))
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
        before = status("VmRSS")
        slopes, spent = gradient(step, scores, y)
        found[side] = {"ms": 1000 * spent, "mib": (status("VmHWM") - before) / 2**20}
        if side == "ours" and LOSSES[name][2]:
            rows, wanted = exact_slopes(name, scores, y)
            errors, half = (slopes[rows].double() - wanted).abs(), len(rows) // 2
            found["error"] = max(
                float(errors[k].max() / wanted[k].abs().max()) for k in (slice(half), slice(half, None))
            )
    turns, used = 0, {side: found[side]["ms"] / 1000 for side in steps}
    while turns < 5 or any(seconds < SPENT for seconds in used.values()):
        turns += 1
        for side, step in steps.items():
            if used[side] < SPENT or (turns < 5 and found[side]["ms"] < 1000):
                _, spent = gradient(step, scores, y)
                used[side] += spent
                found[side]["ms"] = min(1000 * spent, found[side]["ms"])
    return found


def apart(name: str, n: int) -> dict[str, Any]:
    """Measure in a child, so that memory begins anew without importing anew."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            text = json.dumps(measure(name, n))
        except BaseException as error:
            text = json.dumps({"failed": repr(error)})
        with os.fdopen(writing, "w") as file:
            file.write(text)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        result = json.load(file)
    os.waitpid(child, 0)
    if "failed" in result:
        raise SystemExit(f"{name} at {n} rows: {result['failed']}")
    return result


# -- all lines --------------------------------------------------------------------------------------------------------


def short(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.2g}" if x < 10 else f"{x:.1f}"


def line(result: dict[str, Any]) -> str:
    mine = result["ours"]
    cells = [result["loss"], f"{result['rows']:,}", short(mine["ms"]), f"{mine['mib']:.0f}"]
    cells.append(f"{short(mine['ms'] / result['bce']['ms'])} x")
    for side in ("pairs", "blocks"):
        other = result.get(side)
        cells += ["", "", ""] if other is None else [
            short(other["ms"]), f"{other['mib']:.0f}", f"{short(other['ms'] / mine['ms'])} x"
        ]  # fmt: skip
    cells.append(f"{result['error']:.0e}" if "error" in result else "")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=LOSSES, default=list(LOSSES), help="default: all")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="rows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ours("bce")  # finds all components, once for all children
    print(
        "| loss | rows | ms | MiB | over bce | all pairs: ms | MiB | their time over ours | blocks: ms | MiB "
        "| their time over ours | error of the gradient |"
    )
    print("|" + "---|" * 12)
    for name in arguments.only:
        for n in arguments.sizes:
            print(line(apart(name, n)), flush=True)


if __name__ == "__main__":
    main()
