"""Learning from label proportions: how good rows are predicted by models that saw bags only, method by method.

python benchmarks/llp.py --data DIR [--out llp.jsonl] [--report benchmarks/llp.md] [--seeds 3]
    [--only PART ...]

random     adult and digits, random bags of 16, 64 and 256 rows, every method; beside them the same network on the
           labels of rows, and on the proportions of bags as if they were labels of rows
feature    adult, a bag for each occupation and education, a few methods
precincts  two elections: vote shares of demographic groups from shares of precincts, beside ecological regression

One network and number of epochs for all methods of a data set, three seeds, one thread, float32; nothing is tuned, and
no label of a row is used but to judge. Every fit is written to the file as it ends, and a second run goes on.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split

import sklearnloss
from sklearnloss import (
    BagKFold,
    LLPClassifier,
    Loss,
    LossClassifier,
    Mode,
    bag_kl_scorer,
    bag_targets,
)
from sklearnloss.bags.targets import mean_by_bag

SIZES = (16, 64, 256)
TRAINING = {
    "adult": {"hidden_layer_sizes": (100,), "batch_size": 512, "max_epochs": 10},
    "digits": {"hidden_layer_sizes": (100,), "batch_size": 256, "max_epochs": 50},
}
NAMES = (
    "proportion_ce", "proportion_l1", "proportion_l2", "bag_interp", "llp_vat", "llp_ot", "easy_llp", "llp_fc",
    "em_llp", "mean_map", "alternating", "prior_entropy",
)  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {name: {"loss": name} for name in NAMES}
METHODS |= {
    "bag_interp, rho=0.05": {"loss": Loss("bag_interp", rho=0.05)},
    "proportion_ce, mixbag": {"mixup": "mixbag"},
    "ci_proportion, mixbag": {"loss": "ci_proportion", "mixup": "mixbag"},
    "proportion_ce, llp_bp": {"mode": "llp_bp"},
    "proportion_ce, llp_bp as in the paper": {
        "mode": Mode("llp_bp", network_prior=False, centered=False, soft=False, neighbor_strength=10.0, n_neighbors=5)
    },
    "bags as labels": {"loss": Loss("bag_interp", rho=1.0)},
}
FEW = ("proportion_ce", "em_llp", "proportion_ce, llp_bp", "proportion_ce, mixbag")
CEILING = "labels of rows"


# -- data -------------------------------------------------------------------------------------------------------------


@cache
def load(name: str, folder: Path) -> tuple[np.ndarray, ...]:
    """Return X and y to train on, X and y to judge by, and what feature bags are made of."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X.astype(np.float32), y, random_state=0, stratify=y)
        return X_train, y_train, X_test, y_test, np.zeros(len(X_train))
    tables = [pd.read_csv(folder / f"cls_adult_{part}.csv.gz") for part in ("train", "test")]
    table = pd.concat(tables)
    target = table.columns[-1]
    y = table[target].astype(str).str.contains(">").to_numpy(int)
    X = pd.get_dummies(table.drop(columns=target)).to_numpy(np.float32)
    texts = [c for c in table.columns[:-1] if not pd.api.types.is_numeric_dtype(table[c])]
    education = next(c for c in texts if table[c].astype(str).str.contains("Bachelors").any())
    occupation = next(c for c in texts if table[c].astype(str).str.contains("Exec-managerial").any())
    n = len(tables[0])
    cells = (table[education].astype(str) + table[occupation].astype(str)).to_numpy()
    return X[:n], y[:n], X[n:], y[n:], np.unique(cells[:n], return_inverse=True)[1]


def make_ids(kind: str, n: int, cells: np.ndarray, seed: int) -> np.ndarray:
    """Return the bag of each row."""
    return cells if kind == "feature" else np.random.default_rng(seed).permutation(n) // int(kind)


# -- fits -------------------------------------------------------------------------------------------------------------


def fit(data: str, kind: str, method: str, seed: int, folder: Path) -> dict[str, float]:
    """Train one method and judge it by the labels of other rows."""
    X, y, X_test, y_test, cells = load(data, folder)
    how: dict[str, Any] = {**TRAINING[data], "random_state": seed}
    start = time.perf_counter()
    model: Any
    if method == CEILING:
        model = LossClassifier(**how).fit(X, y)
    else:
        model = LLPClassifier(**how, **METHODS[method]).fit(X, y, bags=make_ids(kind, len(X), cells, seed))
    seconds = time.perf_counter() - start
    proba = model.predict_proba(X_test)
    score = roc_auc_score(y_test, proba[:, 1]) if proba.shape[1] == 2 else (proba.argmax(1) == y_test).mean()
    return {"score": float(score), "seconds": seconds}


def jobs(parts: list[str], seeds: int) -> Iterator[tuple[str, str, str, str, int]]:
    """Yield part, data, bags, method and seed, all methods of a seed before the next."""
    for seed in range(seeds):
        if "random" in parts:
            for data in TRAINING:
                for method in [CEILING, *METHODS]:
                    for size in SIZES[:1] if method == CEILING else SIZES:
                        yield "random", data, str(size), method, seed
        if "feature" in parts:
            for method in FEW:
                yield "feature", "adult", "feature", method, seed


# -- precincts --------------------------------------------------------------------------------------------------------


Election = tuple[np.ndarray, np.ndarray, np.ndarray, list[str], list[str]]


def waterbury(folder: Path) -> Election:
    """Return shares of groups (b, g), of votes (b, k), votes (b,), and the names of both."""
    table = pd.read_csv(folder / "llp_waterbury_precincts.csv.gz")
    groups = table[["White.Pct", "Black.Pct", "Hispanic.Pct"]].to_numpy()  # they overlap
    groups = groups / groups.sum(axis=1, keepdims=True)
    votes = table[["Tom.Foley", "Dan.Malloy"]].to_numpy()
    votes = np.column_stack([votes, np.maximum(1 - votes.sum(axis=1), 0)])
    votes = votes / votes.sum(axis=1, keepdims=True)
    total = table["Total.Votes"].to_numpy(float)
    return groups, votes, total, ["White", "Black", "Hispanic"], ["Foley", "Malloy", "other"]


def santa_clara(folder: Path) -> Election:
    """Return the same of the contest of three."""
    table = pd.read_csv(folder / "llp_santa_clara_precincts.csv.gz")
    groups = table[["pct_ind_vote", "pct_e_asian_vote", "pct_non_asian_vote"]].to_numpy()
    groups = groups / groups.sum(axis=1, keepdims=True)
    votes = table[["pct_for_hardy2", "pct_for_kolstad2", "pct_for_nadeem2"]].to_numpy()
    votes = votes / votes.sum(axis=1, keepdims=True)
    total = table["total2"].to_numpy(float)
    return groups, votes, total, ["Indian", "East Asian", "not Asian"], ["Hardy", "Kolstad", "Nadeem"]


def by_groups(groups: np.ndarray, votes: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, float, str]:
    """Return vote shares of groups (g, k) of the model that bags chose, its score on other bags, and what it is."""
    b, g = groups.shape
    bag, group = np.repeat(np.arange(b), g), np.tile(np.arange(g), b)
    X = np.column_stack([np.eye(g)[group], np.repeat(groups, g, axis=0)])
    weight = (groups * total[:, None]).ravel()
    kept = weight > 0
    # columns of the group alone: each votes everywhere alike; with the make-up of the precinct: it may differ
    grid = {"hidden_layer_sizes": [(), (16,)], "weight_decay": [0.0, 0.01, 0.1]}
    model = LLPClassifier(lr=0.02, max_epochs=300, batch_size=10_000, standardize=False, random_state=0)
    y = bag_targets(votes[bag[kept]], bag[kept])
    best, found, said = -np.inf, np.empty(0), ""
    for columns, about in ((g, "group"), (2 * g, "group and precinct")):
        search = GridSearchCV(model, grid, cv=BagKFold(5, shuffle=True, random_state=0), scoring=bag_kl_scorer)
        search.fit(X[kept][:, :columns], y, sample_weight=weight[kept] / weight.mean())
        if search.best_score_ > best:
            proba = search.predict_proba(X[kept][:, :columns])
            found = mean_by_bag(proba, group[kept], g, weight[kept])
            best, said = float(search.best_score_), f"{about}, {search.best_params_}"
    return found, best, said


def goodman(groups: np.ndarray, votes: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the coefficients of ecological regression (g, k), and the same score of its fits, fold by fold."""
    root = np.sqrt(total)[:, None]
    b = len(groups)
    lost = []
    for train, test in BagKFold(5, shuffle=True, random_state=0).split(groups, bag_targets(votes, np.arange(b))):
        slope = np.linalg.lstsq(groups[train] * root[train], votes[train] * root[train], rcond=None)[0]
        share = np.clip(groups[test] @ slope, 1e-6, None)
        share = share / share.sum(axis=1, keepdims=True)
        apart = (votes[test] * np.log(np.maximum(votes[test], 1e-12) / share)).sum(axis=1)
        lost.append(-np.average(apart, weights=total[test]))
    return np.linalg.lstsq(groups * root, votes * root, rcond=None)[0], float(np.mean(lost))


def precincts(folder: Path) -> str:
    """Return the tables of both elections."""
    text = []
    for title, read in (("Waterbury", waterbury), ("Santa Clara", santa_clara)):
        groups, votes, total, names, candidates = read(folder)
        ours, score, said = by_groups(groups, votes, total)
        theirs, other = goodman(groups, votes, total)
        text += [
            f"{title}, {len(groups)} precincts. Score on precincts that are held out (minus the divergence, more is "
            f"better): `LLPClassifier` {score:.4f}, regression {other:.4f}. Chosen: {said}.\n",
            "| | " + " | ".join(f"{c}, ours | regression" for c in candidates) + " |",
            "|---|" + "---|---|" * len(candidates),
        ]
        for j, name in enumerate(names):
            cells = [f"{100 * ours[j, c]:.0f} % | {100 * theirs[j, c]:.0f} %" for c in range(len(candidates))]
            text.append(
                f"| {name} ({100 * np.average(groups[:, j], weights=total):.0f} %) | " + " | ".join(cells) + " |"
            )
        text.append("")
    return "\n".join(text)


# -- report -----------------------------------------------------------------------------------------------------------


def cell(rows: list[dict[str, Any]], data: str, kind: str, method: str) -> str:
    """Return the mean over the seeds, and half the range if there are several."""
    values = [r["score"] for r in rows if (r["data"], r["bags"], r["method"]) == (data, kind, method)]
    if not values:
        return ""
    spread = f" ± {(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return re.sub(r"\b0\.", ".", f"{np.mean(values):.3f}{spread}")


def report(rows: list[dict[str, Any]], parts: list[str], folder: Path) -> str:
    """Return the page."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
    ).stdout.strip()
    seeds = max((r["seed"] for r in rows), default=-1) + 1
    text = [HEAD.format(torch=version("torch"), sklearn=version("scikit-learn"), commit=commit, seeds=seeds)]
    if "random" in parts:
        columns = [(data, str(size)) for data in TRAINING for size in SIZES]
        text += [RANDOM, "| | " + " | ".join(f"{data}, {size}" for data, size in columns) + " | seconds |"]
        text.append("|---|" + "---|" * (len(columns) + 1))
        for method in [CEILING, *METHODS]:
            kinds = [(data, "16" if method == CEILING else size) for data, size in columns]
            times = [r["seconds"] for r in rows if r["method"] == method and r["data"] == "adult" and r["bags"] == "64"]
            cells = [cell(rows, data, size, method) for data, size in kinds]
            shown = method if method in (CEILING, "bags as labels") else f"`{method}`"
            text.append(
                f"| {shown} | " + " | ".join(cells) + f" | {np.mean(times):.1f} |"
                if times
                else f"| {shown} | " + " | ".join(cells) + " | |"
            )
        text.append("")
    if "feature" in parts:
        text += [FEATURE, "| | adult, occupation x education |", "|---|---|"]
        text += [f"| `{method}` | {cell(rows, 'adult', 'feature', method)} |" for method in FEW]
        text.append("")
    if "precincts" in parts:
        text += [PRECINCTS, precincts(folder)]
    return "\n".join(text)


HEAD = """# Learning from label proportions

Written by `python benchmarks/llp.py --data DIR --report benchmarks/llp.md` (torch {torch}, scikit-learn {sklearn};
commit {commit}). Means of {seeds} seed(s), after ± half the range. One hidden layer of 100, Adam 0.001; adult 10 epochs
in batches of 512 rows, digits 50 epochs in batches of 256; defaults of every method, nothing tuned.
"""
RANDOM = """## Random bags

Area under the curve on adult's test file, accuracy on a quarter of digits, by the size of the bags. "Bags as labels"
has the proportions of its bag as the soft label of each row. Seconds of a fit on adult, bags of 64.
"""
FEATURE = """## Bags that mean something

A bag for each occupation and education, of 1 to over a thousand rows; area under the curve.
"""
PRECINCTS = """## Two elections

Each precinct is a bag of its demographic groups, with their shares as weights (scaled down where groups overlap). Which
model, and which columns it sees, was chosen by `bag_kl_scorer` on precincts that were held out. Shares of the votes of
each group, beside the coefficients of ecological regression (Goodman), weighted by votes, which may leave 0 to 100 %.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data files")
    parser.add_argument("--out", type=Path, default=Path("llp.jsonl"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", type=Path, help="where the tables go, in Markdown; standard output if left out")
    names = ("random", "feature", "precincts")
    parser.add_argument("--only", nargs="+", choices=names, default=list(names), metavar="PART")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sklearnloss.components()  # imports are not part of a fit
    rows = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    done = {(r["part"], r["data"], r["bags"], r["method"], r["seed"]) for r in rows}
    todo = [job for job in jobs(arguments.only, arguments.seeds) if job not in done]
    print(f"{len(done)} fits are in {arguments.out}, {len(todo)} to do", file=sys.stderr)
    with arguments.out.open("a") as file:
        for part, data, kind, method, seed in todo:
            row = {"part": part, "data": data, "bags": kind, "method": method, "seed": seed}
            rows.append(row | fit(data, kind, method, seed, arguments.data))
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
    text = report([row for row in rows if row["seed"] < arguments.seeds], arguments.only, arguments.data)
    if arguments.report is None:
        print(text)
    else:
        arguments.report.write_text(text)


if __name__ == "__main__":
    main()
