"""Do learnt weights beat the average? Aggregations of quantiles on five data sets, beside forests and MAPIE.

python benchmarks/quantile.py --data DIR [--cache FOLDER] [--report benchmarks/quantile.md] [--repeats 3]
    [--only SET ...]

Five folds, three times, 19 levels; the five base models that `QuantileAggregator` has by default, each fitted six times
for a fold, five of them out of fold. What they predict is kept in the cache, and a second run goes on from there; all
weightings and all ways against crossing are learnt from the same predictions. Conformal calibration has base models of
its own, fitted without the rows that are held out, on the folds of the first time. One thread.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, train_test_split

from sklearnloss import QuantileAggregator
from sklearnloss.functional.forecasts import pinball_values
from sklearnloss.metrics.coverage import coverage
from sklearnloss.metrics.crossing_rate import crossing_rate
from sklearnloss.metrics.interval_score import interval_score
from sklearnloss.metrics.width import width

SETS = {
    "energy": "reg_energy",
    "concrete": "reg_concrete",
    "airfoil": "reg2_airfoil",
    "kin8nm": "reg_kin8nm",
    "power plant": "reg_power_plant",
}
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


PARTS = {"predictions": predictions, "peers": peers, "conformal": conformal}


def kept(part: str, split: Split, folder: Path, where: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a part from the cache; make them if they are not there."""
    path = where / f"{part}-{split[0].replace(' ', '_')}-{split[1]}-{split[2]}.npz"
    if not path.exists():
        start = time.perf_counter()
        found = PARTS[part](split, folder)
        unfinished = path.with_suffix(".tmp.npz")
        np.savez_compressed(unfinished, **found)
        unfinished.rename(path)
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    with np.load(path) as arrays:
        return dict(arrays)


def splits(names: list[str], repeats: int) -> Iterator[Split]:
    """Yield all splits, the first repeat of every data set before the second."""
    for repeat in range(repeats):
        for name in names:
            for fold in range(FOLDS):
                yield name, repeat, fold


def work(names: list[str], repeats: int) -> Iterator[tuple[str, Split]]:
    """Yield each part and split that is kept."""
    for split in splits(names, repeats):
        yield "predictions", split
        yield "peers", split
        if split[1] == 0:
            yield "conformal", split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data files")
    parser.add_argument("--cache", type=Path, default=Path("quantile_cache"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    arguments.cache.mkdir(parents=True, exist_ok=True)
    for part, split in work(arguments.only, arguments.repeats):
        kept(part, split, arguments.data, arguments.cache)


if __name__ == "__main__":
    main()
