"""Active learning: query strategies on tables, and two published experiments on small numbers of labels.

python benchmarks/active.py --data DIR [--out active.jsonl] [--report benchmarks/active.md] [--seeds 5]
    [--only NAME ...]

tables      eight data sets, 20 labels and 20 rounds of 20: logistic regression with every strategy for classes, and a
            small network on two of them
polynomial  a surface fitted by polynomials of degree 12 from 100 to 300 points: rows drawn alike, by leverage, and by
            leverage with few neighbors together
dimension   1,000 columns and up to 800 labels: margins, of the true boundary and of the model's, against random rows

One thread. Nothing is tuned, and pools and rows to judge by are the same for all strategies of a seed. Every run is
written to the file as it ends, and a second call goes on.
"""

import argparse
import json
import re
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.polynomial.legendre import legvander
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

import sklearnloss
from sklearnloss import LossClassifier, Strategy, make_preprocessor, simulate
from sklearnloss.active.simulate import first_rows, split_pool
from sklearnloss.comparison.strategy_findings import penalty_matrix, rounds_won
from sklearnloss.functional.leverage import leverage_scores
from sklearnloss.functional.pivotal import inclusion_probabilities

SETS = {  # file, and the column of classes
    "abalone": ("cls_abalone", "y"),
    "bank": ("cls_bank_additional", "y"),
    "credit": ("cls_credit_default", "Y"),
    "ionosphere": ("cls_ionosphere", "y"),
    "letter": ("cls_letter", "y"),
    "phoneme": ("cls_phoneme", "y"),
    "segment": ("cls_weka_segment_challenge", "class"),
    "spambase": ("cls_spambase", "y"),
}
LEFT_OUT = {  # of the registered strategies, by the reason
    "for simulations": ("margin_oracle",),
    "for regression": ("greedy_x", "greedy_y", "greedy_xy", "qbc_variance", "leverage", "pivotal_leverage"),
    "for several labels": ("max_loss", "min_confidence"),
    "the order of `least_confidence` where classes have no distances": ("loki_next_class",),
    "50 fits for each class and query, hours": ("expected_error_reduction",),
}
FEW = 10  # classes up to which batch_bald is run: 10 s a query with 26
SLOW = ("batch_bald",)
NETWORK_SETS = ("ionosphere", "segment")
NETWORK = ("random", "margin", "entropy", "badge", "bald", "coreset", "typiclust", "egl")
POOL, TEST, RARE = 4000, 4000, 50
ROUNDS = {"n_initial": 20, "batch_size": 20, "n_rounds": 20}

DEGREE, SIDE, TRIALS, POINTS = 12, 100, 50, (100, 150, 200, 250, 300)
DRAWN = {"uniform": "alike", "bernoulli": "by leverage", "pivotal": "by leverage, few neighbors together"}

COLUMNS, UNLABELED, HELD, SEPARATION = 1000, 5000, 5000, 2.0
WIDE = {"n_initial": 20, "batch_size": 30, "n_rounds": 26}
ASKED = {"random": "random rows", "margin": "margin of the model", "oracle": "margin of the true boundary"}
WIDE_SEEDS = 3


def strategies() -> list[str]:
    """Return the registered strategies that are run on tables, chance first."""
    left_out = {name for names in LEFT_OUT.values() for name in names}
    names = [c.name for c in sklearnloss.components("strategy") if c.plugin == "core" and c.name not in left_out]
    return sorted(names, key=lambda name: (name != "random", name))


# -- tables -----------------------------------------------------------------------------------------------------------


@cache
def load(name: str, folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the columns and the classes, those with few rows left out."""
    file, target = SETS[name]
    table = pd.read_csv(folder / f"{file}.csv.gz").drop(columns="ID", errors="ignore")
    y = table.pop(target).to_numpy()
    classes, counts = np.unique(y, return_counts=True)
    kept = np.isin(y, classes[counts >= RARE])
    return table[kept], y[kept]


@cache
def rows_of(name: str, folder: Path, seed: int) -> tuple[np.ndarray, ...]:
    """Return X and y of a pool, and of rows to judge by; columns are encoded and scaled as the pool has them."""
    X, y = load(name, folder)
    pool, test = split_pool(y, 0.3, seed, classes=True)
    rng = np.random.default_rng(seed)
    pool = pool[first_rows(y[pool], POOL, rng, classes=True)]
    test = test[first_rows(y[test], TEST, rng, classes=True)]
    prepare = make_preprocessor().fit(X.iloc[pool])
    parts = (np.asarray(prepare.transform(X.iloc[rows]), dtype=np.float64) for rows in (pool, test))
    X_pool, X_test = parts
    return X_pool, y[pool], X_test, y[test]


def replay(name: str, model: str, strategy: str, seed: int, folder: Path) -> dict[str, Any]:
    """Return the learning curve of a strategy."""
    X, y, X_test, y_test = rows_of(name, folder, seed)
    estimator: Any = LogisticRegression(max_iter=1000)
    if model == "network":
        X, X_test = X.astype(np.float32), X_test.astype(np.float32)
        estimator = LossClassifier(
            hidden_layer_sizes=(50,), lr=0.01, max_epochs=40, batch_size=64, standardize=False, random_state=seed
        )
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run = simulate(estimator, X, y, X_test, y_test, strategy=strategy, random_state=seed, **ROUNDS)
        except sklearnloss.exceptions.SklearnLossError as error:
            return {"error": str(error)}
    return {
        "error": None,
        "labels": run.n_labels.tolist(),
        "scores": run.scores.tolist(),
        "area": run.area,
        "query": float(np.median(run.seconds)),
        "seconds": time.perf_counter() - started,
    }


# -- polynomials of degree 12 -----------------------------------------------------------------------------------------


@cache
def surface() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points of a grid (n, 2), their polynomials (n, 91), and a smooth function that is none (n,)."""
    line = np.linspace(-1, 1, SIDE)
    points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    x, y = points.T
    across, up = legvander(x, DEGREE), legvander(y, DEGREE)
    columns = [across[:, i] * up[:, j] for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]
    return points, np.stack(columns, axis=1), np.sin(4 * x - 2 * y) + 1 / (1 + 4 * (x**2 + y**2))


def fitted(rows: np.ndarray, weights: np.ndarray) -> float:
    """Return the relative error of the least squares fit to some rows, on all."""
    _, columns, values = surface()
    root = np.sqrt(weights)
    slope = np.linalg.lstsq(columns[rows] * root[:, None], values[rows] * root, rcond=None)[0]
    return float(np.linalg.norm(columns @ slope - values) / np.linalg.norm(values))


def trial(method: str, k: int, seed: int) -> float:
    """Return the error of a fit to about so many rows."""
    points, columns, _ = surface()
    rng = np.random.default_rng([seed, k])
    if method == "uniform":
        return fitted(rng.choice(len(points), k, replace=False), np.ones(k))
    if method == "pivotal":
        draw = Strategy("pivotal_leverage").choose().build()
        return fitted(*draw(columns, X_pool=points, n=k, rng=rng))
    p = inclusion_probabilities(leverage_scores(columns), k)
    rows = np.flatnonzero(rng.random(len(p)) < p)
    return fitted(rows, 1 / p[rows])


# -- many columns -----------------------------------------------------------------------------------------------------


class Boundary:
    """The true boundary of the simulation: the first column is zero on it."""

    def __init__(self) -> None:
        self.coef_ = np.eye(1, COLUMNS)

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return the first column."""
        return X[:, 0]


def wide(strategy: str, seed: int) -> dict[str, Any]:
    """Return a learning curve on rows of which one column tells the class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=UNLABELED + HELD)
    X = rng.normal(size=(len(y), COLUMNS))
    X[:, 0] += SEPARATION * (2 * y - 1)
    asked = Strategy("margin_oracle", oracle=Boundary()) if strategy == "oracle" else strategy
    model = LogisticRegression(C=100.0, max_iter=1000)
    started = time.perf_counter()
    run = simulate(
        model, X[:UNLABELED], y[:UNLABELED], X[UNLABELED:], y[UNLABELED:], strategy=asked, random_state=seed, **WIDE
    )
    return {"labels": run.n_labels.tolist(), "scores": run.scores.tolist(), "seconds": time.perf_counter() - started}


# -- all runs ---------------------------------------------------------------------------------------------------------

Job = tuple[str, str, str, int]  # part and data set, what is varied, strategy, seed


def jobs(only: list[str], seeds: int, folder: Path) -> Iterator[Job]:
    """Yield the runs, short parts first, all strategies of a seed before the next."""
    if "polynomial" in only:
        yield from (("polynomial", str(k), method, 0) for k in POINTS for method in DRAWN)
    if "dimension" in only:
        yield from (("dimension", "", name, seed) for seed in range(WIDE_SEEDS) for name in ASKED)
    for seed in range(seeds):
        for name in SETS:
            if name not in only:
                continue
            if name in NETWORK_SETS:
                yield from ((name, "network", strategy, seed) for strategy in NETWORK)
            many = len(np.unique(load(name, folder)[1])) > FEW
            yield from ((name, "logistic", s, seed) for s in strategies() if not (many and s in SLOW))


def run(job: Job, folder: Path) -> dict[str, Any]:
    """Do a run."""
    part, kind, name, seed = job
    if part == "polynomial":
        return {"errors": [trial(name, int(kind), number) for number in range(TRIALS)]}
    if part == "dimension":
        return wide(name, seed)
    return replay(part, kind, name, seed, folder)


# -- report -----------------------------------------------------------------------------------------------------------

Rows = list[dict[str, Any]]
Curves = dict[str, dict[str, np.ndarray]]  # set, strategy, scores (n_seeds, r + 1)


def curves_of(rows: Rows, model: str) -> Curves:
    """Return the curves of strategies that have one for each seed of a set."""
    found: Curves = {}
    for name in SETS:
        mine = [r for r in rows if (r["part"], r["kind"]) == (name, model)]
        seeds = sorted({r["seed"] for r in mine})
        for strategy in dict.fromkeys(r["strategy"] for r in mine):
            scores = [r["scores"] for r in mine if r["strategy"] == strategy and not r["error"]]
            if len(scores) == len(seeds):
                found.setdefault(name, {})[strategy] = np.array(scores)
    return found


def areas_of(rows: Rows, model: str, data: str, strategy: str) -> list[float]:
    """Return the area of each seed."""
    kind = (data, model, strategy)
    return [r["area"] for r in rows if (r["part"], r["kind"], r["strategy"]) == kind and not r["error"]]


def tables(rows: Rows, model: str) -> list[str]:
    """Return areas by set, and rounds against random rows."""
    curves = curves_of(rows, model)
    sets = [name for name in SETS if "random" in curves.get(name, {})]
    if not sets:
        return []
    names = list(dict.fromkeys(s for name in sets for s in curves[name]))
    mean = {n: {s: float(np.mean(areas_of(rows, model, n, s))) for s in curves[n]} for n in sets}
    everywhere = [s for s in names if all(s in curves[n] for n in sets)]
    ranks = np.mean([rankdata([-mean[n][s] for s in everywhere]) for n in sets], axis=0)
    rank = dict(zip(everywhere, ranks, strict=True))
    order = sorted(names, key=lambda s: rank.get(s, np.inf))
    penalty = sum(penalty_matrix([curves[n][s][:, 1:] for s in everywhere]) for n in sets) / len(sets)
    beaten = dict(zip(everywhere, penalty.sum(axis=1) / max(len(everywhere) - 1, 1), strict=True))
    text = [f"| | {' | '.join(sets)} | mean rank | penalty | query |", "|---|" + "---|" * (len(sets) + 3)]
    for s in order:
        cells = [cell(areas_of(rows, model, n, s), best=mean[n].get(s) == max(mean[n].values())) for n in sets]
        queries = [r["query"] for r in rows if (r["kind"], r["strategy"]) == (model, s) and not r["error"]]
        ranked = f"{rank[s]:.1f} | {beaten[s]:.2f}" if s in rank else " | "
        text.append(f"| `{s}` | {' | '.join(cells)} | {ranked} | {1000 * np.median(queries):.0f} ms |")
    text += ["", WON.format(rounds=" to ".join(map(str, extremes(curves, sets))))]
    text += [f"| | {' | '.join(sets)} | all |", "|---|" + "---|" * (len(sets) + 1)]
    for s in order:
        if s == "random":
            continue
        counts = {n: rounds(curves[n][s], curves[n]["random"]) for n in sets if s in curves[n]}
        cells = ["/".join(map(str, counts[n])) if n in counts else "" for n in sets]
        total = np.sum(list(counts.values()), axis=0)
        text.append(f"| `{s}` | {' | '.join(cells)} | {'/'.join(map(str, total))} |")
    return [*text, ""]


def rounds(a: np.ndarray, b: np.ndarray) -> tuple[int, int, int]:
    """Return rounds won, tied and lost."""
    won = rounds_won(a[:, 1:], b[:, 1:])
    return int((won > 0).sum()), int((won == 0).sum()), int((won < 0).sum())


def extremes(curves: Curves, sets: list[str]) -> list[int]:
    """Return the fewest and the most rounds of the sets."""
    counts = [curves[n]["random"].shape[1] - 1 for n in sets]
    return sorted({min(counts), max(counts)})


def cell(values: list[float], *, best: bool = False) -> str:
    """Return the mean over the seeds, and half the range; the best of a column in bold."""
    if not values:
        return ""
    mean = re.sub(r"^0\.", ".", f"{np.mean(values):.3f}")
    spread = re.sub(r"^0\.", ".", f"{(max(values) - min(values)) / 2:.3f}")
    return f"{f'**{mean}**' if best else mean} ± {spread}"


def polynomial(rows: Rows) -> list[str]:
    """Return median errors by the number of points."""
    text = [f"| | {' | '.join(map(str, POINTS))} |", "|---|" + "---|" * len(POINTS)]
    for method, words in DRAWN.items():
        found = {r["kind"]: r["errors"] for r in rows if r["part"] == "polynomial" and r["strategy"] == method}
        cells = [f"{np.median(found[str(k)]):.4f}" if str(k) in found else "" for k in POINTS]
        text.append(f"| {words} | {' | '.join(cells)} |")
    floor = fitted(np.arange(SIDE**2), np.ones(SIDE**2))
    return [*text, "", f"The fit to all {SIDE**2:,} points has {floor:.4f}.", ""]


def dimension(rows: Rows) -> list[str]:
    """Return mean accuracies at some numbers of labels."""
    shown = [20, 110, 200, 410, 620, 800]
    text = [f"| labels | {' | '.join(map(str, shown))} | area |", "|---|" + "---|" * (len(shown) + 1)]
    for name, words in ASKED.items():
        mine = [r for r in rows if r["part"] == "dimension" and r["strategy"] == name]
        if not mine:
            continue
        scores, labels = np.array([r["scores"] for r in mine]), mine[0]["labels"]
        cells = [f"{scores[:, labels.index(n)].mean():.3f}" for n in shown]
        area = np.trapezoid(scores.mean(axis=0), labels) / (labels[-1] - labels[0])
        text.append(f"| {words} | {' | '.join(cells)} | {area:.3f} |")
    return [*text, ""]


def report(rows: Rows, only: list[str]) -> str:
    """Return the page."""
    here = {"cwd": Path(__file__).parent, "capture_output": True, "text": True, "check": False}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], **here).stdout.strip()
    seeds = max((r["seed"] for r in rows if r["part"] in SETS), default=-1) + 1
    text = [HEAD.format(torch=version("torch"), sklearn=version("scikit-learn"), commit=commit, seeds=seeds)]
    if set(only) & set(SETS):
        because = "; ".join(f"{', '.join(f'`{n}`' for n in names)} ({why})" for why, names in LEFT_OUT.items())
        left = textwrap.fill(LEFT.format(because=because, few=FEW), 120, break_on_hyphens=False)
        text += [TABLES, left, "", *tables(rows, "logistic")]
        text += [NETWORKS, *tables(rows, "network")]
    if "polynomial" in only:
        text += [POLYNOMIAL.format(trials=TRIALS), *polynomial(rows)]
    if "dimension" in only:
        text += [DIMENSION.format(seeds=WIDE_SEEDS), *dimension(rows)]
    return "\n".join(text)


HEAD = """# Active learning

Written by `python benchmarks/active.py --data DIR --report benchmarks/active.md` (torch {torch}, scikit-learn
{sklearn}; commit {commit}). Means of {seeds} seed(s), nothing tuned.
"""
TABLES = """## Tables

Areas under the learning curves over their width: mean accuracy from 20 to 420 labels (ionosphere: to all 246 of its
pool), after ± half the range over the seeds, the best of a column in bold. Each seed has a pool of 70 % of the rows, at
most 4,000, and judges by the others, at most 4,000; 20 first labels, the same for all strategies, and 20 rounds of 20.
Logistic regression on columns that are scaled, and categories one by one, as the pool has them; of abalone the classes
with 50 rows and more. Of two classes `margin`, `entropy` and `least_confidence` ask in the same order. "Mean rank" and
"penalty" are among strategies with all sets; the penalty is the share of rounds, over all sets and other strategies, in
which a strategy is significantly behind. "Query" is the median time to choose the rows of a round.
"""
LEFT = (
    "Left out: {because}. `batch_bald` is run up to {few} classes. Another empty cell is a strategy that failed: "
    "`learning_loss` and `loss_rank_predictor` need two labeled rows of each class."
)
WON = """Rounds won, tied and lost against random rows, of {rounds}, by a paired t-test over the seeds at 5 %.
"""
NETWORKS = """## A network

The same with one hidden layer of 50, Adam 0.01, 40 epochs in batches of 64; embeddings and gradients are those of its
last layer, and a committee is eight such networks.
"""
POLYNOMIAL = """## Polynomials of degree 12

The experiment of Shimizu et al. (ICLR 2024): sin(4 x - 2 y) + 1 / (1 + 4 (x² + y²)) on a grid of 100 x 100 points of
[-1, 1]², fitted by weighted least squares in the 91 polynomials of degree 12 to so many points. Median relative error
on the grid of {trials} trials. The last line is `pivotal_leverage`, which the paper finds ahead of independent draws by
leverage, and these ahead of draws alike.
"""
DIMENSION = """## Fewer labels than columns

The simulation of Tifrea et al. (ICML 2023): 5,000 rows to ask of 1,000 normal columns, of which the first is two
standard deviations to the left or right by class; logistic regression (C = 100), 20 first labels and rounds of 30.
Mean accuracy over {seeds} seeds on 5,000 other rows. The paper finds margins behind random rows while there are fewer
labels than columns, even those of the true boundary (`margin_oracle`).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data files")
    parser.add_argument("--out", type=Path, default=Path("active.jsonl"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--report", type=Path, help="where the tables go, in Markdown; standard output if left out")
    names = (*SETS, "polynomial", "dimension")
    parser.add_argument("--only", nargs="+", choices=names, default=list(names), metavar="NAME")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sklearnloss.components()  # imports are not part of a run
    rows = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    done = {(r["part"], r["kind"], r["strategy"], r["seed"]) for r in rows}
    todo = [job for job in jobs(arguments.only, arguments.seeds, arguments.data) if job not in done]
    print(f"{len(done)} runs are in {arguments.out}, {len(todo)} to do", file=sys.stderr, flush=True)
    started = time.monotonic()
    with arguments.out.open("a") as file:
        for number, job in enumerate(todo, 1):
            row = dict(zip(("part", "kind", "strategy", "seed"), job, strict=True))
            rows.append(row | run(job, arguments.data))
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
            print(f"{number}/{len(todo)} {time.monotonic() - started:.0f} s {job}", file=sys.stderr, flush=True)
    text = report([row for row in rows if row["seed"] < arguments.seeds], arguments.only)
    if arguments.report is None:
        print(text)
    else:
        arguments.report.write_text(text)


if __name__ == "__main__":
    main()
