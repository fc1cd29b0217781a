"""Do the losses of regression do what they promise? Five questions, each on real rows, beside the squared error.

python benchmarks/regression.py --data DIR [--out regression.jsonl] [--report benchmarks/regression.md]
    [--only PART ...]

One thread, float32, the same network, optimizer and number of epochs for every loss; nothing is tuned.

tails      targets of training with noise of Student's t, clean ones to judge by
crps       distributions: their score, and what their intervals of 90 % cover
few        rare targets: many rows at the low end of the range, few at the high one, and a test set that is even
monotone   slopes of the wrong sign in columns with which the target rises
u2         a share of the targets of training too low, clean ones to judge by

Every fit is written to the file as it ends, and a second run goes on from there.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split

import sklearnloss
from sklearnloss import Loss, LossRegressor
from sklearnloss.metrics.coverage import coverage

SETS = {
    "concrete": "reg_concrete",
    "energy": "reg_energy",
    "airfoil": "reg2_airfoil",
    "kin8nm": "reg_kin8nm",
    "power plant": "reg_power_plant",
}
SEEDS = range(5)
EPOCHS = {"kin8nm": 30, "power plant": 30}  # of the others, 100

Job = tuple[str, str, str, str, int]  # part, data, setting, method, seed
Scores = dict[str, float]
Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # X, X_test, y, y_test


# -- data and model ---------------------------------------------------------------------------------------------------


@cache
def load(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and target, the last column of the file, the target in standard deviations above its least."""
    table = pd.read_csv(folder / f"{SETS[name]}.csv.gz").to_numpy(float)
    y = table[:, -1]
    return table[:, :-1].astype(np.float32), ((y - y.min()) / y.std()).astype(np.float32)


def split(name: str, seed: int, folder: Path) -> Rows:
    X, y = load(name, folder)
    return tuple(train_test_split(X, y, test_size=0.25, random_state=seed))  # type: ignore[return-value]


def fitted(
    loss: Any, name: str, seed: int, X: np.ndarray, y: np.ndarray, weights: Any = None, **more: Any
) -> LossRegressor:
    shared = {"hidden_layer_sizes": (128, 128), "lr": 2e-3, "max_epochs": EPOCHS.get(name, 100), "random_state": seed}
    return LossRegressor(loss, **(shared | more)).fit(X, y, sample_weight=weights)


def rmse(gap: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(gap))))


# -- the parts: one fit each ------------------------------------------------------------------------------------------

NOISE = {"clean": None, "t of 2": 2.0, "t of 1.5": 1.5}  # degrees of freedom
POINTS: dict[str, Any] = {name: name for name in ("mse", "mae", "huber", "student_t_nll", "hl_gauss")}
POINTS["hl_gauss, median"] = "hl_gauss"


def of_tails(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    X, X_test, y, y_test = split(data, seed, folder)
    if (df := NOISE[setting]) is not None:
        y = y + 0.3 * np.random.default_rng(seed).standard_t(df, len(y)).astype(np.float32)
    model = fitted(POINTS[method], data, seed, X, y)
    points = model.predict_quantiles(X_test, [0.5])[:, 0] if "median" in method else model.predict(X_test)
    return {"RMSE": rmse(points - y_test), "MAE": float(np.abs(points - y_test).mean())}


SPREADS: dict[str, Any] = {name: name for name in ("gaussian_nll", "crps_normal", "mixture_density", "pinball")}
SPREADS |= {
    "afcrps": "afcrps",
    "afcrps, alpha=0": Loss("afcrps", alpha=0.0),
    "afcrps, n_members=32": Loss("afcrps", n_members=32),
    "afcrps, both": Loss("afcrps", n_members=32, alpha=0.0),
}


def of_crps(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    X, X_test, y, y_test = split(data, seed, folder)
    model = fitted(SPREADS[method], data, seed, X, y)
    return {
        "CRPS": float(model.predict_dist(X_test).crps(y_test).mean()),
        "coverage": float(coverage(y_test, model.predict_interval(X_test, coverage=0.9))),
    }


BINS = 10
MOST = 400  # rows to fit in the fullest bin, as far as there are; in the rarest it is a hundredth
RARE: dict[str, Any] = {
    "mse": "mse",
    "mse, weighted": "mse",
    "balanced_mse": "balanced_mse",
    "balanced_mse, loss_lr=10": "balanced_mse",
    "mse + conr": Loss("mse") + Loss("conr"),
    "mse + 4 conr": Loss("mse") + 4 * Loss("conr"),
    "mae": "mae",
    "mae + 4 conr": Loss("mae") + 4 * Loss("conr"),
}


def of_few(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    X, y = load(data, folder)
    low, high = np.quantile(y, (0.01, 0.99))[:: 1 if setting == "rare high" else -1]
    bins = np.clip(((y - low) / (high - low) * BINS).astype(int), 0, BINS - 1)
    train, test, counts = [], [], []
    for number, most in enumerate(np.geomspace(MOST, MOST / 100, BINS)):
        rows = np.random.default_rng([seed, number]).permutation(np.flatnonzero(bins == number))
        test.append(rows[:100])
        train.append(rows[100:][: round(most)])
        counts.append(len(train[-1]))
    rows, of_row = np.concatenate(train), np.repeat(counts, counts)
    weights = len(rows) / BINS / of_row if "weighted" in method else None
    rate = 10.0 if "loss_lr" in method else 1.0
    model = fitted(RARE[method], "few", seed, X[rows], y[rows], weights, loss_lr=rate)
    error = np.array([np.abs(model.predict(X[rows]) - y[rows]).mean() for rows in test])
    many, few = np.array(counts) >= 50, np.array(counts) < 15
    return {"MAE": float(error.mean()), "MAE, many": float(error[many].mean()), "MAE, few": float(error[few].mean())}


RISING = {"made": (0, 1), "concrete": (0, 7)}  # of concrete, cement and age
SLOPES = {f"mse + {factor} monotone_penalty": factor for factor in (1, 10, 100, 1000)}


def made(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return five columns, and a target of standard deviation one that rises with the first two of them."""
    X = rng.uniform(-1, 1, size=(n, 5)).astype(np.float32)
    y = np.tanh(3 * X[:, 0]) + (1 + X[:, 1]) ** 2 / 2 + np.sin(3 * X[:, 2]) + X[:, 3] * X[:, 4]
    return X, y / np.float32(1.29)


def of_monotone(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    if data == "made":
        rng = np.random.default_rng(seed)
        (X, y), (X_test, y_test) = made(500, rng), made(2000, rng)
        y = y + rng.normal(size=len(y)).astype(np.float32)
    else:
        X, X_test, y, y_test = split(data, seed, folder)
    loss: Any = Loss("mse")
    if method != "mse":
        loss = loss + SLOPES[method] * Loss("monotone_penalty", increasing=RISING[data])
    model = fitted(loss, data, seed, X, y, activation="silu")
    scores = {"RMSE": rmse(model.predict(X_test) - y_test)}
    rng, low, high = np.random.default_rng(0), X.min(0), X.max(0)
    places = {"rows": np.clip(X_test, low, high), "box": rng.uniform(low, high, size=(5000, len(low)))}
    for place, points in places.items():
        falls = []
        for column in RISING[data]:
            raised = points.astype(np.float32)
            raised[:, column] += rng.uniform(size=len(points)) * (high[column] - raised[:, column])
            falls.append(model.predict(points.astype(np.float32)) - model.predict(raised))
        scores[f"falls in {place}, %"] = 100 * float(np.mean(np.array(falls) > 1e-4))
        scores[f"greatest fall in {place}"] = float(max(0, np.max(falls)))
    return scores


LOWERED = {"0 %": 0.0, "30 %": 0.3, "60 %": 0.6}
INCOMPLETE: dict[str, Any] = {"mse, complete": "mse", "mse": "mse", "mae": "mae", "u2": "u2"}
INCOMPLETE |= {f"u2, noise_std={value}": Loss("u2", noise_std=value) for value in (0.05, 0.6)}
INCOMPLETE["u2, noise_std measured"] = "u2"


def of_u2(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    X, X_test, y, y_test = split(data, seed, folder)
    rng = np.random.default_rng(seed)
    seen = np.where(rng.uniform(size=len(y)) < LOWERED[setting], y * rng.uniform(size=len(y)), y).astype(np.float32)
    loss = INCOMPLETE[method]
    if "measured" in method:  # by what the fit of the complete targets misses, which nobody has in practice
        noise = rmse(fitted("mse", data, seed, X, y).predict(X_test) - y_test)
        loss = Loss("u2", noise_std=noise / float(seen.std()))
    model = fitted(loss, data, seed, X, y if "complete" in method else seen)
    gap = model.predict(X_test) - y_test
    return {"MAE": float(np.abs(gap).mean()), "bias": float(gap.mean())}


# -- all fits ---------------------------------------------------------------------------------------------------------

Part = tuple[Callable[..., Scores], tuple[str, ...], tuple[str, ...], list[str]]  # data, settings, methods
PARTS: dict[str, Part] = {
    "tails": (of_tails, ("concrete", "airfoil", "kin8nm"), tuple(NOISE), list(POINTS)),
    "crps": (of_crps, ("concrete", "energy", "airfoil", "power plant"), ("",), list(SPREADS)),
    "few": (of_few, ("kin8nm", "power plant"), ("rare high", "rare low"), list(RARE)),
    "monotone": (of_monotone, tuple(RISING), ("",), ["mse", *SLOPES]),
    "u2": (of_u2, ("concrete", "energy", "kin8nm"), tuple(LOWERED), list(INCOMPLETE)),
}


def jobs(part: str) -> list[Job]:
    """Return each fit of a part, all methods of a seed before the next."""
    _, names, settings, methods = PARTS[part]
    return [
        (part, name, setting, method, seed)
        for seed in SEEDS
        for name in names
        for setting in settings
        for method in methods
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data files")
    parser.add_argument("--out", type=Path, default=Path("regression.jsonl"))
    parser.add_argument("--report", type=Path, help="where the tables go, in Markdown; standard output if left out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sklearnloss.components()
    rows = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    done: dict[Job, Scores] = {tuple(row["job"]): row["scores"] for row in rows}
    todo = [job for part in arguments.only for job in jobs(part) if job not in done]
    print(f"{len(done)} fits are in {arguments.out}, {len(todo)} to do", file=sys.stderr)
    with arguments.out.open("a") as file:
        for job in todo:
            part, data, setting, method, seed = job
            done[job] = PARTS[part][0](method, data, setting, seed, arguments.data)
            file.write(json.dumps({"job": job, "scores": done[job]}) + "\n")
            file.flush()
    text = "\n".join([HEAD, *(table(part, done) for part in arguments.only)])
    if arguments.report is None:
        print(text)
    else:
        arguments.report.write_text(text)


HEAD = """# Losses of regression: five questions

Written by `python benchmarks/regression.py --data DIR --report benchmarks/regression.md`, twenty minutes. Means of five
seeds, after ± half the range from the lowest to the highest; a quarter of the rows held out unless said otherwise;
errors in standard deviations of the target. One thread, float32, perceptron d-128-128 (ReLU), Adam with a rate of
0.002, batches of 128, 100 epochs (30 on whole kin8nm and power plant), nothing tuned: each loss has its default
parameters unless they are named. "8 of 20" counts fits: sets, settings and seeds.
"""
TITLES = {
    "tails": """## Does `hl_gauss` stand tails better than `mse`?

Targets to fit with 0.3 standard deviations times Student's t of 2 or 1.5 degrees of freedom, or without ("clean");
clean targets to judge by. "Median" is the median of the histogram; the point forecast of `hl_gauss` is its mean.

With noise `hl_gauss` has a lower RMSE than `mse` in 29 of 30 fits, by a quarter in the median; but it is behind `mae`
and `student_t_nll` in 29 of 30 and behind `huber` in 21. On clean targets it is behind `mse` in 15 of 15, by 7 to 36 %.
The median of its histogram is nearer than the mean (MAE) in 26 of 30 noisy fits.""",
    "crps": """## Are distributions of `afcrps` better than those of likelihoods?

Continuous ranked probability score of `predict_dist` on rows held out, and the share of them in `predict_interval` of
90 %. "Both" is 32 members and `alpha=0`.

By default `afcrps` has a lower score than `gaussian_nll` in 12 of 20 fits; with 32 members and `alpha=0` in 17, than
`crps_normal` in 13 and than `pinball` in 12. Eight members at `alpha=0.95` are quantiles at the levels .003, .145, ...,
.997, of which the outermost are hard to learn: their intervals cover .85 to .97. The intervals of likelihoods and
quantiles cover .61 to .80 on the three small sets, in place of .90.""",
    "few": """## Do `balanced_mse` and `conr` help where targets are rare?

Ten bins of equal width over the range of the target; 400 rows to fit in the bin at one end (as far as there are), by
equal factors down to 4 at the other, which has the high or the low targets; 100 other rows of each bin to judge by,
so all bins count the same. "Many" are bins with 50 rows to fit or more, "few" with fewer than 15. 100 epochs on both.
"Weighted" has a `sample_weight` that is inverse to the rows of the bin.

`balanced_mse` has a lower error on few than `mse` in 16 of 20 fits, by 7 % in the median, a higher one on many in 18,
by 4 %, and overall a lower one in 15, by 2 %; a faster sigma (`loss_lr=10`) makes all differences smaller. Of `conr` no
effect is seen: on few it is ahead of `mse` in 12 of 20 fits with the factor 1 and in 9 with 4, and of `mae` in 8. It
pulls rows to others of a near target in their batch, and a rare row seldom has one.""",
    "monotone": """## Does `monotone_penalty` remove violations, and at what cost?

Made: 500 rows of five columns, the target rising with two of them, noise as wide as the target; clean targets to judge
by. Concrete: strength must rise with cement and age. All with the activation "silu". A fall: the prediction sinks, by
more than .0001, as one of these columns is raised at random and all else stays, at rows held out or at random in the
box of the rows to fit.

Falls become rarer with every factor: from 4 and 29 % in the boxes of made data and concrete to .002 and .006 % at 1000,
where the greatest is .03 in the mean on concrete, from 2.3. The mean RMSE rises by 2 % on made data and by 1 % on
concrete; with factors up to 100 it is lower than that of `mse` in 26 of 30 fits. At 1000 falls are left in some seeds:
no factor guarantees that there are none.""",
    "u2": """## Does `u2` undo targets that are too low?

A share of the targets to fit (above the least of the set) is multiplied by a uniform number in (0, 1); whole ones to
judge by. "Complete" is fitted to whole targets, a ceiling. "Measured": `noise_std` is the RMSE of that fit on rows held
out, which nobody knows in practice. The default is .2.

With 30 and 60 % of the targets too low `u2` has a lower error than `mse` in 30 of 30 fits, by 35 and 50 % in the
median, and than `mae` in 10 and 15 of 15; where none is too low it is behind `mse` in 13 of 15. Its bias hangs on
`noise_std`: too large a one pulls the predictions down by half a standard deviation or more, too small a one lifts
them. The measured one is as good as .05 on energy; on the others it is behind the default in 26 of 30 fits.""",
}


def table(part: str, done: dict[Job, Scores]) -> str:
    """Return a row for each set, setting and score, a column for each method."""
    _, names, settings, methods = PARTS[part]
    lines = [
        "| | " + " | ".join(f"`{m}`" if " " not in m else m for m in methods) + " |",
        "|---" * (len(methods) + 1) + "|",
    ]
    for name in names:
        for setting in settings:
            found = {m: [done[job] for job in jobs(part) if job[1:4] == (name, setting, m)] for m in methods}
            for score in found[methods[0]][0]:
                cells = [cell([scores[score] for scores in found[m]]) for m in methods]
                title = ", ".join(word for word in (name, setting, score) if word)
                lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return TITLES[part] + "\n\n" + "\n".join(lines) + "\n"


def cell(values: list[float]) -> str:
    return re.sub(r"\b0\.", ".", f"{np.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}")


if __name__ == "__main__":
    main()
