"""Do learnt weights beat the average? Aggregations of quantiles on five data sets, beside forests and MAPIE.

python benchmarks/quantile.py --data DIR [--cache FOLDER] [--report benchmarks/quantile.md] [--repeats 3]
    [--only SET ...]

Five folds, three times (once for the two large sets), 19 levels; the five base models that `QuantileAggregator` has by
default, each fitted six times for a fold, five of them out of fold. What they predict is kept in the cache, and a
second run goes on from there; all weightings and all ways against crossing are learnt from the same predictions.
Conformal calibration has base models of its own, fitted without the rows that are held out, on the folds of the first
time. One thread.
"""

import argparse
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, train_test_split

from sklearnloss import QuantileAggregator
from sklearnloss.metrics.coverage import coverage
from sklearnloss.metrics.crossing_rate import crossing_rate
from sklearnloss.metrics.interval_score import interval_score
from sklearnloss.metrics.pinball import pinball
from sklearnloss.metrics.width import width

SETS = {
    "energy": "reg_energy",
    "concrete": "reg_concrete",
    "airfoil": "reg2_airfoil",
    "kin8nm": "reg_kin8nm",
    "power plant": "reg_power_plant",
}
LARGE = ("kin8nm", "power plant")  # two minutes a split
FOLDS = 5
LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))
OUTER = (0, 18)  # columns of 0.05 and 0.95
MODELS = ("linear", "boosting", "forest", "pinball", "gaussian_nll")
GLOBAL = ("average", "median", "best", "coarse", "medium", "fine")
WEIGHTINGS = {name: {"weights": name} for name in GLOBAL}
WEIGHTINGS |= {f"{name}, local": {"weights": name, "local": True} for name in ("coarse", "medium", "fine")}
CROSSING = ("sort", "isotonic", "minmax", "penalty", None)

Split = tuple[str, int, int]  # data set, repeat, fold


# -- data -------------------------------------------------------------------------------------------------------------


@cache
def load(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and target, the last column of the file."""
    table = pd.read_csv(folder / f"{SETS[name]}.csv.gz").to_numpy(float)
    return table[:, :-1], table[:, -1]


def parts(split: Split, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return X and y of the rows to fit, and of the others."""
    name, repeat, fold = split
    X, y = load(name, folder)
    train, test = list(KFold(FOLDS, shuffle=True, random_state=repeat).split(X))[fold]
    return X[train], y[train], X[test], y[test]


# -- what takes long, kept on disk ------------------------------------------------------------------------------------


def predictions(split: Split, folder: Path) -> dict[str, Any]:
    """Return what the base models predict, out of fold and for the other rows."""
    X, y, X_test, _ = parts(split, folder)
    model = QuantileAggregator(quantiles=LEVELS, weights="average", store_predictions=True, random_state=split[1])
    model.fit(X, y)
    assert tuple(model.names_) == MODELS
    return {"G": model.predictions_.astype(np.float32), "G_test": model.predict_models(X_test).astype(np.float32)}


def conformal(split: Split, folder: Path) -> dict[str, Any]:
    """Return calibrated quantiles of the other rows."""
    X, y, X_test, _ = parts(split, folder)
    model = QuantileAggregator(quantiles=LEVELS, conformal="cqr", random_state=split[1]).fit(X, y)
    return {"quantiles": model.predict_quantiles(X_test)}


def peers(split: Split, folder: Path) -> dict[str, Any]:
    """Return quantiles of quantile-forest and the interval of MAPIE's conformalized quantile regression."""
    from mapie.regression import ConformalizedQuantileRegressor
    from quantile_forest import RandomForestQuantileRegressor

    X, y, X_test, _ = parts(split, folder)
    forest = RandomForestQuantileRegressor(random_state=split[1]).fit(X, y)
    X_fit, X_held, y_fit, y_held = train_test_split(X, y, test_size=0.2, random_state=split[1])
    boosting = HistGradientBoostingRegressor(loss="quantile", quantile=0.5, random_state=split[1])
    mapie = ConformalizedQuantileRegressor(boosting, confidence_level=0.9)
    mapie.fit(X_fit, y_fit).conformalize(X_held, y_held)
    interval = mapie.predict_interval(X_test)[1][:, :, 0]
    return {"forest": forest.predict(X_test, quantiles=list(LEVELS)), "mapie": interval}


def weightings(split: Split, folder: Path, where: Path) -> dict[str, Any]:
    """Return the pinball loss, and the share of rows that cross, of each weighting and way against crossing."""
    X, y, X_test, y_test = parts(split, folder)
    arrays = kept("predictions", split, folder, where)
    found = {}
    for name, crossing in choices(split[1]):
        model = QuantileAggregator(quantiles=LEVELS, crossing=crossing, random_state=split[1], **WEIGHTINGS[name])
        model.fit_predictions(arrays["G"], y, X=X if model.local else None)
        quantiles = model.predict_predictions(arrays["G_test"], X=X_test if model.local else None)
        crossed = crossing_rate(y_test, quantiles, per="row")
        found[f"{name}/{crossing}"] = np.array([pinball(y_test, quantiles, levels=LEVELS), crossed])
        if (name, crossing) == ("medium", "sort"):
            found["quantiles"] = quantiles
    return found


def choices(repeat: int) -> list[tuple[str, str | None]]:
    """Return weightings and ways against crossing; all ways for those that do not depend on the row, the first time."""
    return [
        (name, way)
        for name, params in WEIGHTINGS.items()
        for way in (CROSSING if repeat == 0 and not params.get("local") else CROSSING[:1])
    ]


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "predictions": predictions,
    "peers": peers,
    "conformal": conformal,
    "weightings": weightings,
}


def kept(part: str, split: Split, folder: Path, where: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a part from the cache; make them if they are not there."""
    path = where / f"{part}-{split[0].replace(' ', '_')}-{split[1]}-{split[2]}.npz"
    if not path.exists():
        start = time.perf_counter()
        found = PARTS[part](split, folder, *([where] if part == "weightings" else []))
        unfinished = path.with_suffix(".tmp.npz")
        np.savez_compressed(unfinished, **found)
        unfinished.rename(path)
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    with np.load(path) as arrays:
        return dict(arrays)


def splits(names: list[str], repeats: int) -> Iterator[Split]:
    """Yield all splits, the first repeat of every data set before the second; the large sets have only the first."""
    for repeat in range(repeats):
        for name in names:
            if repeat and name in LARGE:
                continue
            for fold in range(FOLDS):
                yield name, repeat, fold


def work(names: list[str], repeats: int) -> Iterator[tuple[str, Split]]:
    """Yield each part and split that is kept."""
    for split in splits(names, repeats):
        yield "predictions", split
        yield "peers", split
        yield "weightings", split
        if split[1] == 0:
            yield "conformal", split


# -- report -----------------------------------------------------------------------------------------------------------


class Results:
    """What came out, by data set: scores of methods on each split."""

    def __init__(self, names: list[str], repeats: int, folder: Path, where: Path) -> None:
        self.names = names
        self.loss: dict[tuple[str, str], list[float]] = defaultdict(list)  # data set, method
        self.crossed: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.first: dict[tuple[str, str], list[float]] = defaultdict(list)  # losses of the first repeat
        self.intervals: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
        for split in splits(names, repeats):
            self._add(
                split, *(kept(part, split, folder, where) for part in ("predictions", "peers", "weightings")), folder
            )
            if split[1] == 0:
                self._judge("conformal", split, kept("conformal", split, folder, where)["quantiles"][:, OUTER], folder)

    def _add(self, split: Split, base: Any, peer: Any, own: Any, folder: Path) -> None:
        name, repeat, _ = split
        y = parts(split, folder)[3]
        models = {m: np.sort(base["G_test"][:, i], axis=1) for i, m in enumerate(MODELS)} | {
            "forest of quantile-forest": peer["forest"]
        }
        for method, quantiles in models.items():
            self.loss[name, method].append(pinball(y, quantiles, levels=LEVELS))
        for method in own.keys() - {"quantiles"}:
            loss, crossed = own[method]
            if method.endswith("/sort"):
                self.loss[name, method.removesuffix("/sort")].append(loss)
            if repeat == 0:
                self.first[name, method].append(loss)
                self.crossed[name, method].append(crossed)
        if repeat == 0:
            self._judge("as they are", split, own["quantiles"][:, OUTER], folder)
            self._judge("quantile-forest", split, peer["forest"][:, OUTER], folder)
            self._judge("MAPIE", split, np.sort(peer["mapie"], axis=1), folder)

    def _judge(self, method: str, split: Split, interval: np.ndarray, folder: Path) -> None:
        y = parts(split, folder)[3]
        values = coverage(y, interval), width(y, interval), interval_score(y, interval, coverage=0.9)
        self.intervals[split[0], method].append(values)

    def over_average(self, name: str, method: str) -> float:
        """Return the mean pinball loss over that of the plain average."""
        return float(np.mean(self.loss[name, method]) / np.mean(self.loss[name, "average"]))

    def wins(self, method: str, other: str) -> str:
        """Return on how many splits a method loses less than another."""
        pairs = [(a, b) for n in self.names for a, b in zip(self.loss[n, method], self.loss[n, other], strict=True)]
        return f"{sum(a < b for a, b in pairs)} of {len(pairs)}"


def best_single(results: Results) -> dict[str, str]:
    """Return the base model that loses least on each data set, in hindsight."""
    return {n: min(MODELS, key=lambda m: float(np.mean(results.loss[n, m]))) for n in results.names}


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def ratio(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if value < 1 else f"{value:.3f}"


def of_weightings(results: Results) -> list[str]:
    """Return the table of weightings and of models alone."""
    names = results.names
    best = best_single(results)
    lines = [row("", *names, "all", "less than the average"), row(*["---"] * (len(names) + 3))]
    for method in [*WEIGHTINGS, *MODELS, "forest of quantile-forest"]:
        values = [results.over_average(n, method) for n in names]
        mean = float(np.exp(np.mean(np.log(values))))
        shown = [f"**{ratio(v)}**" if best[n] == method else ratio(v) for n, v in zip(names, values, strict=True)]
        won = "" if method == "average" else results.wins(method, "average")
        lines.append(row(method if " of " in method else f"`{method}`", *shown, ratio(mean), won))
    return lines


def of_crossing(results: Results) -> list[str]:
    """Return the table of ways against crossing: loss over that of the sorted average, and rows that cross."""
    lines = [row("", *GLOBAL, "rows that cross, `medium`"), row(*["---"] * (len(GLOBAL) + 2))]
    for way in CROSSING:
        cells = []
        for weights in GLOBAL:
            logs = [
                np.log(np.mean(results.first[n, f"{weights}/{way}"]) / np.mean(results.first[n, "average/sort"]))
                for n in results.names
            ]
            cells.append(ratio(float(np.exp(np.mean(logs)))))
        crossed = np.mean([np.mean(results.crossed[n, f"medium/{way}"]) for n in results.names])
        lines.append(row(f"`{way}`", *cells, f"{100 * crossed:.1f} %"))
    return lines


def of_intervals(results: Results) -> list[str]:
    """Return the table of 90 % intervals: coverage, and interval score over that of the first method."""
    lines = [row("", *results.names), row(*["---"] * (len(results.names) + 1))]
    for method, title in INTERVALS.items():
        cells = []
        for name in results.names:
            covered, _, score = np.mean(results.intervals[name, method], axis=0)
            first = np.mean(results.intervals[name, "as they are"], axis=0)[2]
            cells.append(f"{100 * covered:.1f} %, {score / first:.2f}")
        lines.append(row(title, *cells))
    return lines


INTERVALS = {
    "as they are": "`medium`",
    "conformal": '`medium`, `conformal="cqr"`',
    "quantile-forest": "quantile-forest",
    "MAPIE": "MAPIE, boosting",
}


def report(results: Results, repeats: int) -> str:
    """Return the page."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
    ).stdout.strip()
    versions = ", ".join(f"{p} {version(p)}" for p in ("scikit-learn", "torch", "quantile-forest", "MAPIE"))
    return "\n".join([
        HEAD.format(folds=FOLDS, repeats=repeats, large=" and ".join(LARGE), versions=versions, commit=commit),
        "## Weightings\n", WEIGHTED, *of_weightings(results), "",
        "## Against crossing\n", CROSSED, *of_crossing(results), "",
        "## Intervals of 90 %\n", COVERED, *of_intervals(results), "",
    ])  # fmt: skip


HEAD = """# Aggregations of quantiles

Written by `python benchmarks/quantile.py --data DIR --report benchmarks/quantile.md` ({versions}; commit {commit}).
{folds} folds, done {repeats} x ({large} once), 19 levels, the five base models that `QuantileAggregator` has by
default; nothing is tuned.
"""
WEIGHTED = """Mean pinball loss over that of the plain average of the five models, quantiles sorted; the weighted
interval score is twice the pinball loss, so these are its ratios too. "All" is the geometric mean, the last column
counts splits. In bold the best single model, in hindsight.
"""
CROSSED = """The same, folds of the first repeat, geometric mean over the data sets, over the sorted average. For the
first three nothing is learnt: the way is only applied to what is predicted.
"""
COVERED = """Share of outcomes inside, and the interval score over that of the first line (less is better); folds of the
first repeat. MAPIE calibrates two `HistGradientBoostingRegressor` on a fifth of the rows; where its ends are in the
wrong order they are swapped.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data files")
    parser.add_argument("--cache", type=Path, default=Path("quantile_cache"))
    parser.add_argument("--report", type=Path, help="where the tables go, in Markdown; standard output if left out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    arguments.cache.mkdir(parents=True, exist_ok=True)
    for part, split in work(arguments.only, arguments.repeats):
        kept(part, split, arguments.data, arguments.cache)
    text = report(Results(arguments.only, arguments.repeats, arguments.data, arguments.cache), arguments.repeats)
    if arguments.report is None:
        print(text)
    else:
        arguments.report.write_text(text)


if __name__ == "__main__":
    main()
