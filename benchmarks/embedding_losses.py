"""Losses over pairs beside pytorch-metric-learning: time and memory of a step, forward and backward.

python benchmarks/embedding_losses.py [--losses supcon triplet] [--sizes 256 1024 4096 16384] [--out results.jsonl]

Batches of B embeddings, 128 numbers each, float32, four rows a class; one thread. Each line is a process of its own,
in which both sides take turns of 50 ms or a step; the least time of each counts. Memory is the peak of resident
memory during the first step less what was resident before. The peer is left out from 16,384 rows on, where it would
pass 9 GiB, and where a step takes more than a minute. With ``--out`` finished lines are kept, and not done again.
Linux only.
"""

import argparse
import gc
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from sklearnloss import Loss
from sklearnloss.functional.pairs import Block, Kept, Mined, Window

WIDTH, PER_CLASS = 128, 4
SIZES = (256, 1024, 4096, 16384)
PEER_ROWS = 4096  # at most
PEER_BYTES = 9 * 2**30
PEER_SECONDS = 60.0
SPENT = 2.0  # seconds for each side, at least three steps
TURN = 0.05  # seconds of a turn, at least one step: training clears no caches between two steps

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


# -- what is compared -------------------------------------------------------------------------------------------------


def ours(name: str, *, pairs: Mined | None = None, **params: Any) -> Step:
    loss = Loss(name, **params).choose().build()

    def step(embeddings: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        result = loss(embeddings, y) if pairs is None else loss(embeddings, y, pairs=pairs)
        if isinstance(result, tuple):
            totals, valid = result
            return totals.sum() / valid.sum().clamp(min=1)
        return result.mean()

    return step


def peer(name: str, *args: Any, miner: tuple[str, dict[str, Any]] | None = None, **params: Any) -> Callable[[], Step]:
    def make() -> Step:
        from pytorch_metric_learning import losses, miners

        loss = getattr(losses, name)(*args, **params)
        if miner is None:
            return loss
        mine = getattr(miners, miner[0])(**miner[1])
        return lambda embeddings, y: loss(embeddings, y, mine(embeddings, y))

    return make


def informative(block: Block) -> Kept:
    """Keep the pairs of the multi-similarity miner, at its margin of 0.1."""
    positives = block.cosines.gather(1, block.partners).masked_fill(~block.is_positive, torch.inf)  # (b, m)
    negative = block.is_negative
    negatives = block.cosines.masked_fill(~negative, -torch.inf)  # (b, n)
    near = negatives + 0.1 > positives.amin(1, keepdim=True)
    far = positives - 0.1 < negatives.amax(1, keepdim=True)
    return Kept((near & negative).scatter(1, block.partners, far & block.is_positive))


SEMIHARD = Mined(lambda _: Kept(triplets=Window(0.0, 0.2)), unit="window")
CASES: dict[str, tuple[Callable[[], Step], Callable[[], Step] | None]] = {
    "supcon": (lambda: ours("supcon"), peer("SupConLoss", temperature=0.1)),
    "ntxent": (lambda: ours("ntxent"), peer("NTXentLoss", temperature=0.07)),
    "tuplet": (lambda: ours("tuplet"), peer("TupletMarginLoss", margin=5.73, scale=64)),
    "contrastive": (lambda: ours("contrastive"), peer("ContrastiveLoss")),
    "triplet": (lambda: ours("triplet"), peer("TripletMarginLoss", margin=0.05)),
    "triplet+semihard": (
        lambda: ours("triplet", margin=0.2, pairs=SEMIHARD),
        peer(
            "TripletMarginLoss",
            margin=0.2,
            miner=("TripletMarginMiner", {"margin": 0.2, "type_of_triplets": "semihard"}),
        ),
    ),
    "multi_similarity": (lambda: ours("multi_similarity", lam=0.5), peer("MultiSimilarityLoss", 2, 50, 0.5)),
    "multi_similarity+multi_similarity_miner": (
        lambda: ours("multi_similarity", lam=0.5, pairs=Mined(informative)),
        peer("MultiSimilarityLoss", 2, 50, 0.5, miner=("MultiSimilarityMiner", {"epsilon": 0.1})),
    ),
    "circle": (lambda: ours("circle"), peer("CircleLoss", m=0.4, gamma=80)),
    "snr_contrastive": (lambda: ours("snr_contrastive"), peer("SignalToNoiseRatioContrastiveLoss")),
    "tcm": (lambda: ours("tcm"), peer("ThresholdConsistentMarginLoss")),
    "histogram": (lambda: ours("histogram"), peer("HistogramLoss", n_bins=100)),
    "fastap": (lambda: ours("fastap"), peer("FastAPLoss", num_bins=10)),
    "smoothap": (lambda: ours("smoothap"), peer("SmoothAPLoss", temperature=0.01)),
    "nca": (lambda: ours("nca"), peer("NCALoss", softmax_scale=1)),
    "lifted": (lambda: ours("lifted"), peer("GeneralizedLiftedStructureLoss", neg_margin=1, pos_margin=0)),
    "npairs": (lambda: ours("npairs"), peer("NPairsLoss")),
    "margin": (lambda: ours("margin"), peer("MarginLoss", margin=0.2, beta=1.2)),
    "angular": (lambda: ours("angular"), peer("AngularLoss", alpha=40)),
    "intra_pair_variance": (lambda: ours("intra_pair_variance"), peer("IntraPairVarianceLoss")),
    "ranked_list": (lambda: ours("ranked_list"), peer("RankedListLoss", margin=0.4, Tn=5, alpha=1.2)),
    "focal_supcon": (lambda: ours("focal_supcon"), None),
}


# -- one line, in a process of its own --------------------------------------------------------------------------------


def status(key: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def batch(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(n, generator=generator)
    return torch.randn(n, WIDTH, generator=generator), (torch.arange(n) // PER_CLASS)[order]


def seconds(step: Step, embeddings: torch.Tensor, y: torch.Tensor) -> float:
    leaf = embeddings.clone().requires_grad_()
    started = time.perf_counter()
    step(leaf, y).backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - started


def first(step: Step, embeddings: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Return the seconds of a step, and the MiB above what was resident before."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = status("VmRSS")
    spent = seconds(step, embeddings, y)
    return spent, (status("VmHWM") - before) / 2**20


def say(**event: Any) -> None:
    print(json.dumps(event), flush=True)


def measure(name: str, n: int) -> None:
    """Print an event a line: what a step of each side took, and why the peer has none."""
    torch.set_num_threads(1)
    mine, make_other = CASES[name]
    small, (embeddings, y) = batch(32), batch(n)
    sides = {"ours": mine()}
    seconds(sides["ours"], *small)
    spent, mib = first(sides["ours"], embeddings, y)
    say(side="ours", seconds=spent, mib=mib)
    if make_other is not None and n <= PEER_ROWS:
        try:
            other = make_other()
        except ImportError:
            say(side="peer", reason="pytorch-metric-learning is not installed")
        else:
            resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + PEER_BYTES, resource.RLIM_INFINITY))
            try:
                seconds(other, *small)
                spent, mib = first(other, embeddings, y)
            except (RuntimeError, MemoryError) as error:
                if "memory" not in str(error) and not isinstance(error, MemoryError):
                    raise
                say(side="peer", reason="> 9 GiB")
            else:
                sides["peer"] = other
                say(side="peer", seconds=spent, mib=mib)
    spent, turns = 0.0, 0
    while spent < SPENT * len(sides) or (turns < 2 and spent < 10 * SPENT):
        for side, step in sides.items():
            turn = 0.0
            while turn < TURN:
                took = seconds(step, embeddings, y)
                turn += took
                say(side=side, seconds=took)
            spent += turn
        turns += 1


# -- all lines --------------------------------------------------------------------------------------------------------


def events(command: list[str]) -> Iterator[dict[str, Any]]:
    """Yield what a process prints, and end it where it prints nothing for too long."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while True:
            timer = threading.Timer(PEER_SECONDS, child.kill)
            timer.start()
            line = child.stdout.readline()
            timer.cancel()
            if not line:
                break
            yield json.loads(line)
        if child.wait() > 0:
            raise SystemExit(f"{' '.join(command)} failed")


def compared(name: str, n: int) -> dict[str, Any]:
    result: dict[str, Any] = {"loss": name, "rows": n}
    for event in events([sys.executable, __file__, "--inside", "--losses", name, "--sizes", str(n)]):
        side = result.setdefault(event["side"], {})
        if "reason" in event:
            side["reason"] = event["reason"]
            continue
        side["ms"] = min(1000 * event["seconds"], side.get("ms", float("inf")))
        side.setdefault("mib", event.get("mib"))
    if "peer" not in result and CASES[name][1] is not None and n <= PEER_ROWS:
        result["peer"] = {"reason": f"> {PEER_SECONDS:.0f} s"}
    return result


def short(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.2g}" if x < 10 else f"{x:.1f}"


def line(result: dict[str, Any]) -> str:
    mine, other = result["ours"], result.get("peer", {"reason": "-"})
    cells = [result["loss"], f"{result['rows']:,}", short(mine["ms"]), f"{mine['mib']:.0f}"]
    if "ms" in other:
        cells += [short(other["ms"]), f"{other['mib']:.0f}", f"{short(other['ms'] / mine['ms'])} x"]
    else:
        cells += [other["reason"], "", ""]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", nargs="+", choices=CASES, default=list(CASES), help="default: all")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="rows of a batch")
    parser.add_argument("--out", type=Path, help="a file of JSON lines, to go on with")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        measure(arguments.losses[0], arguments.sizes[0])
        return
    done = {}
    if arguments.out is not None and arguments.out.exists():
        results = map(json.loads, arguments.out.read_text().splitlines())
        done = {(result["loss"], result["rows"]): result for result in results}
    print("| loss | rows | ms | MiB | peer: ms | peer: MiB | peer's time over ours |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.losses:
        for n in arguments.sizes:
            result = done.get((name, n)) or compared(name, n)
            print(line(result), flush=True)
            if arguments.out is not None and (name, n) not in done:
                with arguments.out.open("a") as file:
                    file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
