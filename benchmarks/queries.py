"""Query strategies on large pools: margins, k-centre, leverage scores and BADGE beside the usual ways.

python benchmarks/queries.py [--only margin centers leverage badge]

One thread; sides take turns in one process, and the least time of each counts. Memory is the peak of what numpy
allocates during a call, less its result.

margin    1,000,000 x 10 probabilities, against np.partition.
centers   1,000 of 100,000 x 64 rows, 20 labeled. A loop over sklearn.metrics.pairwise_distances is timed for 20 centers
          and extrapolated to 1,000; a loop of one product of matrix and vector a center runs in full, and chooses the
          same rows.
leverage  100,000 x 64 rows, against the Q of a QR decomposition and the U of an SVD, with the largest difference.
badge     100 of 50,000 x 64 rows with probabilities of 10 classes, against k-means++ on the gradients themselves, 640
          numbers a row, with the same draws; and 100 of 2,000 rows against Badge of scikit-activeml, if installed; both
          predict the probabilities first.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from threadpoolctl import threadpool_limits

from sklearnloss.functional.centers import farthest_points
from sklearnloss.functional.leverage import leverage_scores
from sklearnloss.strategies.badge import badge
from sklearnloss.strategies.margin import margin

TURNS = 25  # at most, and until a side has used so many seconds:
SPENT = 5.0
POOL, WIDTH, CLASSES, LABELED = 100_000, 64, 10, 20
CENTERS, TIMED_CENTERS = 1000, 20
ASKED, BADGE_POOL, PEER_POOL = 100, 50_000, 2000

Side = Callable[[], Any]
Line = tuple[str, str, float, float, str]  # what, by what, seconds, MiB, remark


def least(sides: Mapping[str, Side]) -> dict[str, float]:
    """Return the least seconds of each side; they take turns."""
    found = dict.fromkeys(sides, float("inf"))
    used = dict.fromkeys(sides, 0.0)
    for _ in range(TURNS):
        for name, side in sides.items():
            if used[name] < SPENT:
                started = time.perf_counter()
                side()
                spent = time.perf_counter() - started
                found[name], used[name] = min(found[name], spent), used[name] + spent
    return found


def memory(side: Side) -> float:
    """Return the MiB that a call allocates at most, less its result."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = side()
    peak = tracemalloc.get_traced_memory()[1] - before - np.asarray(result).nbytes
    tracemalloc.stop()
    return peak / 2**20


def lines(what: str, sides: Mapping[str, Side], remarks: Mapping[str, str] | None = None) -> Iterator[Line]:
    seconds = least(sides)
    for name, side in sides.items():
        yield what, name, seconds[name], memory(side), (remarks or {}).get(name, "")


# -- what is compared -------------------------------------------------------------------------------------------------


def by_partition(proba: np.ndarray) -> np.ndarray:
    two = np.partition(proba, -2, axis=1)[:, -2:]
    return 1 - (two[:, 1] - two[:, 0])


def margins(rng: np.random.Generator) -> Iterator[Line]:
    wide = rng.dirichlet(np.ones(10), size=1_000_000)
    for proba in (wide, wide.astype(np.float32)):
        assert np.array_equal(margin(proba), by_partition(proba))
        sides = {"margin": lambda p=proba: margin(p), "np.partition": lambda p=proba: by_partition(p)}
        yield from lines(f"margin, {proba.dtype}", sides)


def by_pairwise_distances(points: np.ndarray, labeled: np.ndarray, n: int) -> list[int]:
    nearest = pairwise_distances(points, labeled).min(axis=1)
    chosen: list[int] = []
    while len(chosen) < n:
        chosen.append(int(nearest.argmax()))
        np.minimum(nearest, pairwise_distances(points, points[chosen[-1:]])[:, 0], out=nearest)
    return chosen


def by_products(points: np.ndarray, labeled: np.ndarray, n: int) -> list[int]:
    squares = np.einsum("ij,ij->i", points, points)
    nearest = np.full(len(points), np.inf, points.dtype)
    for row in labeled:
        np.minimum(nearest, squares - 2 * (points @ row) + row @ row, out=nearest)
    chosen: list[int] = []
    while len(chosen) < n:
        best = int(nearest.argmax())
        chosen.append(best)
        np.minimum(nearest, squares - 2 * (points @ points[best]) + squares[best], out=nearest)
    return chosen


def centers(rng: np.random.Generator) -> Iterator[Line]:
    wide = rng.normal(size=(POOL, WIDTH))
    for points in (wide, wide.astype(np.float32)):
        labeled = points[:LABELED].copy()

        def ours(points: np.ndarray = points, labeled: np.ndarray = labeled) -> np.ndarray:
            return farthest_points(points, CENTERS, centers=labeled, rng=np.random.default_rng(0))

        found, same = ours().tolist(), by_products(points, labeled, CENTERS)
        agree = sum(a == b for a, b in zip(found, same, strict=True))
        assert found[:TIMED_CENTERS] == by_pairwise_distances(points, labeled, TIMED_CENTERS)
        yield from lines(
            f"centers, {points.dtype}",
            {
                "farthest_points": ours,
                "a product a center": lambda p=points, q=labeled: by_products(p, q, CENTERS),
            },
            {"a product a center": f"{agree:,} of {CENTERS:,} rows are the same, in the same order"},
        )
        name = "pairwise_distances"
        side = {name: lambda p=points, q=labeled: by_pairwise_distances(p, q, TIMED_CENTERS)}
        start = {name: lambda p=points, q=labeled: by_pairwise_distances(p, q, 0)}
        first = least(start)[name]
        whole = first + (least(side)[name] - first) * CENTERS / TIMED_CENTERS
        yield f"centers, {points.dtype}", name, whole, memory(side[name]), f"extrapolated from {TIMED_CENTERS} centers"


def leverages(rng: np.random.Generator) -> Iterator[Line]:
    X = rng.normal(size=(POOL, WIDTH)) @ rng.normal(size=(WIDTH, WIDTH))
    sides: dict[str, Side] = {
        "leverage_scores": lambda: leverage_scores(X),
        "QR": lambda: (np.linalg.qr(X)[0] ** 2).sum(axis=1),
        "SVD": lambda: (np.linalg.svd(X, full_matrices=False)[0] ** 2).sum(axis=1),
    }
    scores = sides["leverage_scores"]()
    differences = {k: np.abs(sides[k]() / scores - 1).max() for k in ("QR", "SVD")}
    yield from lines("leverage", sides, {k: f"relative difference {d:.0e}" for k, d in differences.items()})


def by_gradients(proba: np.ndarray, embeddings: np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
    residual = proba.copy()
    residual[np.arange(len(proba)), proba.argmax(axis=1)] -= 1
    gradients = (residual[:, :, None] * embeddings[:, None, :]).reshape(len(proba), -1)
    square = np.einsum("ij,ij->i", gradients, gradients)
    nearest = np.full(len(proba), np.inf)
    chosen = [int(square.argmax())]
    while len(chosen) < n:
        last = chosen[-1]
        np.minimum(nearest, np.maximum(square - 2 * (gradients @ gradients[last]) + square[last], 0), out=nearest)
        nearest[last] = 0
        chosen.append(int(rng.choice(len(nearest), p=nearest / nearest.sum())))
    return chosen


def badges(rng: np.random.Generator) -> Iterator[Line]:
    embeddings = rng.normal(size=(BADGE_POOL, WIDTH))
    proba = rng.dirichlet(np.ones(CLASSES), size=BADGE_POOL)
    sides: dict[str, Side] = {
        "badge": lambda: badge(proba, embeddings=embeddings, n=ASKED, rng=np.random.default_rng(0)),
        "gradients": lambda: by_gradients(proba, embeddings, ASKED, np.random.default_rng(0)),
    }
    agree = sum(a == b for a, b in zip(sides["badge"](), sides["gradients"](), strict=True))
    yield from lines(f"badge, {BADGE_POOL:,} rows", sides, {"gradients": f"{agree} of {ASKED} rows are the same"})
    try:
        from skactiveml.classifier import SklearnClassifier
        from skactiveml.pool import Badge
    except ImportError:
        print("scikit-activeml is not installed")
        return
    rows = embeddings[:PEER_POOL]
    seen, labels = rng.normal(size=(200, WIDTH)), np.arange(200) % CLASSES
    known, y = np.concatenate([seen, rows]), np.concatenate([labels, np.full(PEER_POOL, np.nan)])
    model = SklearnClassifier(LogisticRegression(C=0.01), classes=range(CLASSES)).fit(known, y)
    yield from lines(
        f"badge, {PEER_POOL:,} rows",
        {
            "badge": lambda: badge(
                model.predict_proba(rows), embeddings=rows, n=ASKED, rng=np.random.default_rng(0)
            ),
            "scikit-activeml": lambda: Badge(random_state=0).query(known, y, model, fit_clf=False, batch_size=ASKED),
        },
    )  # fmt: skip


CASES = {"margin": margins, "centers": centers, "leverage": leverages, "badge": badges}


# -- all lines --------------------------------------------------------------------------------------------------------


def short(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.2g}" if x < 10 else f"{x:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="default: all")
    arguments = parser.parse_args()
    print("| what | by | ms | MiB above the result | over ours | |")
    print("|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for case in arguments.only:
            ours: dict[str, float] = {}
            for what, name, seconds, mib, remark in CASES[case](np.random.default_rng(0)):
                over = f"{short(seconds / ours[what])} x" if what in ours else ""
                ours.setdefault(what, seconds)
                print(f"| {what} | {name} | {short(1000 * seconds)} | {short(mib)} | {over} | {remark} |", flush=True)


if __name__ == "__main__":
    main()
