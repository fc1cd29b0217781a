"""Do robust losses help where labels are wrong? Digits with flipped labels, parameters chosen without clean ones.

python benchmarks/noise.py [--seeds 3] [--out noise.jsonl]

For each share of flipped labels and each seed: a stratified half-and-half split into rows to train on and clean rows to
judge by; each loss with its default parameters, and with those that do best on a fifth of the *noisy* training rows.
Every fit is written to the file as it ends, and a second run goes on from there.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.model_selection import ParameterGrid, train_test_split

from sklearnloss import Loss, LossClassifier
from sklearnloss.demo import flip

GRIDS = {
    "cross_entropy": {},
    "label_smoothing": {"smoothing": [0.1, 0.2, 0.4, 0.6]},
    "gce": {"q": [0.3, 0.5, 0.7, 0.9]},
    "ldr": {"lam": [0.3, 1.0, 3.0], "margin": [0.1, 1.0, 4.0]},
    "aldr": {"lam": [0.3, 1.0, 3.0], "margin": [0.1, 1.0, 4.0]},
    "encouraging": {"log_end": [0.25, 0.5, 0.75, 1.0]},
}
SHARES = (0.0, 0.2, 0.4)


def fit_one(loss: str, params: dict[str, float], share: float, seed: int, part: str) -> dict[str, object]:
    """Fit on all noisy rows and judge on clean ones ("clean"), or on four fifths and judge on the rest ("noisy")."""
    torch.set_num_threads(1)
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, test_size=0.5, stratify=y, random_state=seed)
    y = flip(y, share, np.random.default_rng(seed))
    if part == "noisy":
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
    model = LossClassifier(Loss(loss, **params), random_state=seed).fit(X, y)
    score = model.score(X_test, y_test)
    return {"loss": loss, "params": params, "share": share, "seed": seed, "part": part, "score": float(score)}


def key(row: dict[str, object]) -> str:
    return json.dumps([row[k] for k in ("loss", "params", "share", "seed", "part")], sort_keys=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("noise.jsonl"))
    arguments = parser.parse_args()
    done = {}
    if arguments.out.exists():
        done = {key(row): row for row in map(json.loads, arguments.out.read_text().splitlines())}
    wanted = [
        {"loss": loss, "params": params, "share": share, "seed": seed, "part": part}
        for share in SHARES
        for seed in range(arguments.seeds)
        for loss, grid in GRIDS.items()
        for params in ([{}, *ParameterGrid(grid)] if grid else [{}])
        for part in ("noisy", "clean")
    ]
    todo = [job for job in wanted if key(job) not in done]
    print(f"{len(wanted) - len(todo)} of {len(wanted)} fits are in {arguments.out}")
    with arguments.out.open("a") as file:
        for row in Parallel(n_jobs=arguments.jobs, return_as="generator")(delayed(fit_one)(**job) for job in todo):
            file.write(json.dumps(row) + "\n")
            file.flush()
            done[key(row)] = row
    report([done[key(job)] for job in wanted], arguments.seeds)


def report(rows: list[dict[str, object]], seeds: int) -> None:
    """Print the mean accuracy on clean rows, and the gain over cross entropy of the same seed."""
    table = {key(row): row["score"] for row in rows}

    def score(loss: str, params: dict[str, float], share: float, seed: int, part: str) -> float:
        return table[key({"loss": loss, "params": params, "share": share, "seed": seed, "part": part})]

    print(f"\naccuracy on clean rows, mean of {seeds} seeds; in brackets the gain over cross entropy, and its range")
    print(f"{'loss':17s}{'parameters':12s}" + "".join(f"{f'{s:.0%} flipped':>32s}" for s in SHARES))
    for loss, grid in GRIDS.items():
        candidates = [{}, *ParameterGrid(grid)] if grid else [{}]
        for how in ("default", "chosen") if grid else ("default",):
            cells, choices = [], []
            for share in SHARES:
                clean, gain = [], []
                for seed in range(seeds):
                    params = {}
                    if how == "chosen":
                        params = max(candidates, key=lambda p: score(loss, p, share, seed, "noisy"))
                        choices.append(params)
                    clean.append(score(loss, params, share, seed, "clean"))
                    gain.append(clean[-1] - score("cross_entropy", {}, share, seed, "clean"))
                cells.append(f"{np.mean(clean):.3f} ({np.mean(gain):+.3f}; {min(gain):+.3f}..{max(gain):+.3f})")
            print(f"{loss:17s}{how:12s}" + "".join(f"{cell:>32s}" for cell in cells))
            if choices:
                print(
                    f"{'':17s}  chosen at {SHARES[-1]:.0%}: {', '.join(str(c or 'default') for c in choices[-seeds:])}"
                )


if __name__ == "__main__":
    main()
