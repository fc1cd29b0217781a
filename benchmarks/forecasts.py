"""Speed of quantiles and ensembles: levels against one level, members sorted against all pairs, what weights add.

python benchmarks/forecasts.py [--repeats 15] [--only PART ...]

levels     fit of LossRegressor("pinball") with 99 levels over one with a single level, 10,000 x 20
crps       afcrps, forward and backward, over the same loss from all pairs; and scoringrules where it is installed
weights    time of QuantileAggregator.fit outside the fits and predictions of its five default base models, 10,000 x 20,
           19 levels

One thread; both sides in turns in one process, medians.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sklearnloss import Loss, LossRegressor, QuantileAggregator
from sklearnloss.estimators import _quantile_folds
from sklearnloss.losses.regression.afcrps import afcrps
from sklearnloss.metrics.crps import crps

N, D = 10_000, 20
MEMBERS = ((1024, 20), (1024, 100), (256, 1000))  # rows, members
NINETEEN = tuple(round(0.05 * i, 2) for i in range(1, 20))


def in_turns(sides: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for name in sides:
        sides[name]()  # warm
    for _ in range(repeats):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)).astype(np.float32)
    return X, (X[:, 0] + np.exp(X[:, 1] / 2) * rng.normal(size=N)).astype(np.float32)


def of_levels(repeats: int) -> None:
    X, y = rows()
    many = tuple(i / 100 for i in range(1, 100))

    def fit(levels: tuple[float, ...]) -> LossRegressor:
        model = LossRegressor(Loss("pinball", levels=levels), hidden_layer_sizes=(100,), max_epochs=5, random_state=0)
        return model.fit(X, y)

    found = in_turns({"1": lambda: fit((0.5,)), "99": lambda: fit(many)}, repeats)
    print(f"levels: 99 in {found['99']:.3f} s, 1 in {found['1']:.3f} s: {found['99'] / found['1']:.2f} x")


def all_pairs(members: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the almost fair score by its formula."""
    m, alpha = members.shape[-1], 0.95
    apart = (members[..., :, None] - members[..., None, :]).abs().sum((-1, -2))
    return (members - y[..., None]).abs().mean(-1) - (1 - (1 - alpha) / m) / (2 * m * (m - 1)) * apart


def of_crps(repeats: int) -> None:
    peer = importlib.util.find_spec("scoringrules") is not None
    for n, m in MEMBERS:
        generator = torch.Generator().manual_seed(0)
        y = torch.randn(n, 1, generator=generator)
        x = torch.randn(n, 1, m, generator=generator).requires_grad_()

        def step(loss: Callable[..., torch.Tensor], x: torch.Tensor = x, y: torch.Tensor = y) -> None:
            x.grad = None
            loss(x, y).mean().backward()  # type: ignore[no-untyped-call]

        found = in_turns({"sort": lambda: step(afcrps), "pairs": lambda: step(all_pairs)}, repeats)
        line = (
            f"crps, {n} x {m}: sorted {1e3 * found['sort']:.2f} ms, all pairs {1e3 * found['pairs']:.2f} ms, "
            f"{found['pairs'] / found['sort']:.0f} x"
        )
        if peer:
            import scoringrules

            outcomes, ensemble = y[:, 0].double().numpy(), x[:, 0].detach().double().numpy()
            scores = in_turns(
                {
                    "ours": lambda e=ensemble, o=outcomes: crps(o, e),
                    "peer": lambda e=ensemble, o=outcomes: scoringrules.crps_ensemble(o, e, estimator="qd"),
                },
                repeats,
            )
            line += f"; the metric {1e3 * scores['ours']:.2f} ms, scoringrules' qd {1e3 * scores['peer']:.2f} ms"
        print(line)


def of_weights(repeats: int) -> None:
    X, y = rows()
    fit_base, spent = _quantile_folds._fit_base, [0.0]

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        found = fit_base(*arguments)
        spent[0] += time.perf_counter() - start
        return found

    _quantile_folds._fit_base = timed
    try:
        for weights in ("medium", "fine"):
            spent[0], start = 0.0, time.perf_counter()
            QuantileAggregator(quantiles=NINETEEN, weights=weights, random_state=0).fit(X, y)
            whole = time.perf_counter() - start
            print(f"weights={weights}: fit {whole:.1f} s, outside the base models {100 * (1 - spent[0] / whole):.1f} %")
    finally:
        _quantile_folds._fit_base = fit_base


PARTS = {"levels": of_levels, "crps": of_crps, "weights": of_weights}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in arguments.only:
        PARTS[part](arguments.repeats)


if __name__ == "__main__":
    main()
