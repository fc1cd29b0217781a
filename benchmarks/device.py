"""The package on an accelerator: the same numbers as on the CPU, and how fast.

python benchmarks/device.py [--device cuda] [--out device.md] [--skip losses estimators speed]

losses      value and gradient of every loss on the cases of the conformance suite, in float64, against the CPU
estimators  fits of every estimator: scores near those of the CPU, the same twice, saved, loaded elsewhere, resumed
speed       epochs against a hand-written loop that keeps its data resident, losses over pairs against
            pytorch-metric-learning where it is installed, sorts instead of pairs; medians after a warm-up
"""

import argparse
import copy
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import sklearnloss
from sklearnloss import LLPClassifier, Loss, LossClassifier, LossRegressor, MetricEmbedder, bag_targets, components
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.bags import BagParts
from sklearnloss.testing.cases import SEED, Case, build, cases, total

LINES: list[str] = []
TOLERANCE = 1e-7  # of a value or gradient, relative to the largest
TIES = frozenset({"outputs of ±200", "rows at +200", "all zero", "duplicates"})  # cases in which outputs are equal


def say(text: str = "") -> None:
    """Print a line, and keep it for the report."""
    print(text, flush=True)
    LINES.append(text)


# -- losses -----------------------------------------------------------------------------------------------------------


def moved(value: Any, device: str) -> Any:
    """Return a value on the device."""
    if isinstance(value, BagParts):
        return BagParts(*(moved(part, device) for part in value))
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).to(device)
    return value.to(device) if isinstance(value, Tensor) else value


def there(case: Case, device: str) -> Case:
    """Return a case on the device."""
    facts, fit = ({k: moved(v, device) for k, v in part.items()} for part in (case.facts, case.fit))
    return replace(case, output=case.output.to(device), y=case.y.to(device), facts=facts, fit=fit)


def value_and_gradient(component: Any, case: Case, device: str, built: Any) -> tuple[Tensor, Tensor]:
    """Return the sum of a loss and its gradient, on the CPU."""
    output = case.inputs.clone().requires_grad_()
    leaf = case.with_inputs(output)
    facts = dict(leaf.facts)
    if "rng" in facts:
        facts["rng"] = torch.Generator(device).manual_seed(SEED)
    data: list[Any] = [leaf.output] if component.role else []
    for name in component.data[1:]:
        data.append(leaf.y if name == "y" else leaf.fit[name] if name in leaf.fit else facts[name])
    wanted = [n for n in (*component.needs, *component.wishes) if n != "y"]
    named = {n: facts[n] if n in facts else leaf.fit[n] for n in wanted}
    if "y" in (*component.needs, *component.wishes):
        named["y"] = leaf.y
    value = total(built(*data, **named))
    value = value.sum()
    gradient = None
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value, output, allow_unused=True)
    return value.detach().cpu(), torch.zeros(()) if gradient is None else gradient.cpu()


def check_losses(device: str) -> None:
    """Compare every loss on every case with the CPU."""
    found = [c for c in components("loss") if c.plugin == "core"]
    wrong, skipped, n_cases, worst = [], [], 0, 0.0
    ties: set[str] = set()
    for component in found:
        draws = {"rng", "generator"} & {*component.facts, *component.fit_needs}
        for case in cases(component):
            try:
                built = build(component, case)
                other = copy.deepcopy(built).to(device) if isinstance(built, nn.Module) else built
                here = value_and_gradient(component, case, "cpu", built)
                away = value_and_gradient(component, there(case, device), device, other)
            except ParameterError:  # a loss that must be told what of
                skipped.append(component.name)
                break
            except Exception as error:
                wrong.append(f"{component.name}, {case.name}: {type(error).__name__}: {str(error).splitlines()[0]}")
                continue
            n_cases += 1
            if draws:  # generators of two devices draw differently: finite is all that can be asked
                if not all(bool(t.isfinite().all()) for t in away):
                    wrong.append(f"{component.name}, {case.name}: not finite")
                skipped.append(component.name)
                continue
            for a, b in zip(here, away, strict=True):
                gap = float((a - b).abs().max() / (1 + a.abs().max())) if a.shape == b.shape else float("inf")
                what = "gradient" if a is here[1] else "value"
                if gap < TOLERANCE:
                    worst = max(worst, gap)
                elif what == "gradient" and case.name in TIES:
                    ties.add(component.name)
                else:
                    wrong.append(f"{component.name}, {case.name}: {what} off by {gap:.1e}")
    say(f"{len(found)} losses, {n_cases} cases; largest difference {worst:.1e}.")
    say()
    say(f"Losses that draw, of which only finite values are asked: {', '.join(sorted(set(skipped)))}.")
    say()
    say(f"Other subgradients where outputs are equal, which a sort may order in any way: {', '.join(sorted(ties))}.")
    say()
    say(f"wrong: {len(wrong)}")
    for line in wrong:
        say(f"- {line}")


# -- estimators -------------------------------------------------------------------------------------------------------


def tasks() -> dict[str, tuple[Any, Any, Any, Any, Any]]:
    """Return estimators, with data to learn from and to judge by."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    split = train_test_split(X, y, random_state=0)
    D, t = load_diabetes(return_X_y=True)
    numbers = train_test_split(D.astype(np.float32), t, random_state=0)
    bags = np.arange(len(split[0])) // 8
    known = np.stack([(split[2] == c) for c in range(10)], axis=1).astype(float)
    shares = np.stack([known[bags == b].mean(axis=0) for b in np.unique(bags)])[bags]
    binary = (split[0], split[1], (split[2] > 4).astype(int), (split[3] > 4).astype(int))
    plain = {"max_epochs": 10, "random_state": 0}
    return {
        "LossClassifier('ldr')": (LossClassifier("ldr", **plain), *split),
        "LossClassifier('arcface')": (LossClassifier("arcface", **plain), *split),
        "LossClassifier('aucm'), min_max": (
            LossClassifier(Loss("aucm", mode="min_max"), calibrate="sigmoid", **plain), *binary),
        "LossClassifier('elr')": (LossClassifier("elr", **plain), *split),
        "LossClassifier, bf16": (LossClassifier(precision="bf16", **plain), *split),
        "LossClassifier, mixup": (LossClassifier(mixup="mixup", **plain), *split),
        "LossClassifier, early stopping": (LossClassifier(early_stopping=True, **plain), *split),
        "LossRegressor('gaussian_nll')": (LossRegressor("gaussian_nll", max_epochs=30, random_state=0), *numbers),
        "LossRegressor('crps_normal')": (LossRegressor("crps_normal", max_epochs=30, random_state=0), *numbers),
        "MetricEmbedder('supcon')": (MetricEmbedder("supcon", **plain), *split),
        "MetricEmbedder('triplet'), semihard, memory": (
            MetricEmbedder("triplet", miner="semihard", memory=256, **plain), *split),
        "LLPClassifier": (LLPClassifier(**plain), split[0], split[1], bag_targets(shares, bags), split[3]),
    }  # fmt: skip


def check_estimators(device: str) -> None:
    """Fit each estimator on both devices, save it, load it, and go on from a checkpoint."""
    say("| estimator | score on the CPU | on the device | twice the same | saved there, loaded here | resumed |")
    say("|---|---|---|---|---|---|")
    for name, (model, X, X_test, y, y_test) in tasks().items():
        try:
            say(f"| {name} | {' | '.join(_one(model, X, y, X_test, y_test, device))} |")
        except Exception:
            say(f"| {name} | {traceback.format_exc(limit=-2)!r} |")


def _one(model: Any, X: Any, y: Any, X_test: Any, y_test: Any, device: str) -> list[str]:
    here = clone(model).set_params(device="cpu").fit(X, y)
    away = clone(model).set_params(device=device).fit(X, y)
    again = clone(model).set_params(device=device).fit(X, y)
    outputs = [_output(m, X_test) for m in (away, again)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        away.save(path)
        loaded = sklearnloss.load(path, device="cpu")
        gap = float(np.abs(_output(loaded, X_test) - outputs[0]).max())
        resumed = _resumed(clone(model).set_params(device=device, checkpoint=Path(folder) / "c"), X, y, X_test)
    same = "yes" if np.array_equal(*outputs) else f"off by {np.abs(outputs[0] - outputs[1]).max():.0e}"
    back = "yes" if np.array_equal(resumed, outputs[0]) else f"off by {np.abs(resumed - outputs[0]).max():.0e}"
    return [f"{here.score(X_test, y_test):.3f}", f"{away.score(X_test, y_test):.3f}", same, f"off by {gap:.0e}", back]


class Stop(Exception):
    """What interrupts a fit."""


def _resumed(model: Any, X: Any, y: Any, X_test: Any) -> np.ndarray:
    """Return the output of a fit that was broken off in the middle and called again."""
    from skorch.callbacks import Callback

    class Break(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            if net.epoch_ >= model.max_epochs // 2:
                raise Stop

    try:
        model.set_params(callbacks=[Break()]).fit(X, y)
    except Stop:
        pass
    return _output(model.set_params(callbacks=None).fit(X, y), X_test)


def _output(model: Any, X: Any) -> np.ndarray:
    if isinstance(model, MetricEmbedder):
        return model.transform(X)
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


# -- speed ------------------------------------------------------------------------------------------------------------


def timed(step: Callable[[], Any], device: str, *, least: int = 5, seconds: float = 2.0) -> float:
    """Return the median milliseconds of a step after two to warm up."""
    sync = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    for _ in range(2):
        step()
    sync()
    times, begin = [], time.perf_counter()
    while len(times) < least or (time.perf_counter() - begin < seconds and len(times) < 200):
        start = time.perf_counter()
        step()
        sync()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def check_speed(device: str) -> None:
    """Time epochs, losses over pairs, and sorts."""
    say("| 60,000 x 784, 100 hidden, an epoch | bare loop, ms | LossClassifier, ms | ratio |")
    say("|---|---|---|---|")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60_000, 784)).astype(np.float32), rng.integers(10, size=60_000)
    for batch in (128, 1024, 8192):
        bare, ours = bare_epoch(X, y, batch, device), our_epoch(X, y, batch, device)
        say(f"| batches of {batch} | {bare:.0f} | {ours:.0f} | {ours / bare:.2f} |")
    say()
    say("| B x 128, forward and backward, ms (peak MiB) | ours | pytorch-metric-learning |")
    say("|---|---|---|")
    for name, peer in PEERS.items():
        for size in (1024, 4096, 16384):
            ours = pairs_step(our_loss(name), size, device)
            theirs = pairs_step(lambda peer=peer: peer_loss(*peer), size, device) if size < 16384 else "-"
            say(f"| {name}, {size} | {ours} | {theirs} |")
    say()
    say("| n scores, 10 % positive, forward and backward, ms | logistic | squared hinge | average precision | bce |")
    say("|---|---|---|---|---|")
    for n in (10_000, 1_000_000):
        cells = []
        for loss in (Loss("mann_whitney"), Loss("mann_whitney", surrogate="squared_hinge"), Loss("ap"), Loss("bce")):
            scores = torch.randn(n, device=device, requires_grad=True)
            labels = (torch.rand(n, device=device) < 0.1).float()
            cells.append(f"{timed(lambda f=loss, s=scores, t=labels: back(f(s, t).mean(), s), device):.2f}")
        say(f"| {n:,} | {' | '.join(cells)} |")


def back(value: Tensor, leaf: Tensor) -> None:
    """Run a step backward."""
    leaf.grad = None
    value.backward()


def bare_epoch(X: np.ndarray, y: np.ndarray, batch: int, device: str) -> float:
    """Return the milliseconds of an epoch of a hand-written loop."""
    rows, labels = torch.as_tensor(X, device=device), torch.as_tensor(y, device=device)
    module = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10)).to(device)
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    criterion = nn.CrossEntropyLoss()

    def epoch() -> None:
        order = torch.randperm(len(rows), device=device)
        for start in range(0, len(rows), batch):
            index = order[start : start + batch]
            optimizer.zero_grad()
            criterion(module(rows[index]), labels[index]).backward()
            optimizer.step()

    return timed(epoch, device, least=3, seconds=3)


def our_epoch(X: np.ndarray, y: np.ndarray, batch: int, device: str) -> float:
    """Return the milliseconds of an epoch: those of eleven less those of one, over ten."""
    model = LossClassifier(standardize=False, batch_size=batch, device=device, random_state=0)
    times = []
    for epochs in (1, 1, 6):
        start = time.perf_counter()
        clone(model).set_params(max_epochs=epochs).fit(X, y)
        times.append(1000 * (time.perf_counter() - start))
    return (times[2] - times[1]) / 5


PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "supcon": ("SupConLoss", {}),
    "triplet": ("TripletMarginLoss", {}),
    "ntxent": ("NTXentLoss", {}),
    "multi_similarity": ("MultiSimilarityLoss", {}),
    "contrastive": ("ContrastiveLoss", {}),
}


def our_loss(name: str) -> Callable[[], Callable[[Tensor, Tensor], Tensor]]:
    """Return what makes a loss of ours."""

    def make() -> Callable[[Tensor, Tensor], Tensor]:
        function = Loss(name).choose().build()

        def value(embeddings: Tensor, y: Tensor) -> Tensor:
            result = function(embeddings, y)
            return result[0].sum() / result[1].sum().clamp(min=1) if isinstance(result, tuple) else result.mean()

        return value

    return make


def peer_loss(name: str, params: dict[str, Any]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a loss of pytorch-metric-learning."""
    from pytorch_metric_learning import losses

    return getattr(losses, name)(**params)


def pairs_step(make: Callable[[], Callable[[Tensor, Tensor], Tensor]], size: int, device: str) -> str:
    """Return milliseconds and peak memory of a step over pairs, or why there is none."""
    try:
        loss = make()
        embeddings = torch.randn(size, 128, device=device, requires_grad=True)
        y = (torch.arange(size, device=device) // 4)[torch.randperm(size, device=device)]
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        value = timed(lambda: back(loss(embeddings, y), embeddings), device, least=3, seconds=0.7)
        peak = (torch.cuda.max_memory_allocated() - before) / 2**20 if device.startswith("cuda") else float("nan")
        return f"{value:.2f} ({peak:.0f})"
    except Exception as error:
        return type(error).__name__


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--skip", nargs="*", default=[], choices=["losses", "estimators", "speed"])
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    device = arguments.device
    what = torch.cuda.get_device_name() if device.startswith("cuda") else device
    say("# On an accelerator")
    say()
    say(
        f"Written by `python benchmarks/device.py`: {what}, torch {torch.__version__}, Python {sys.version.split()[0]}."
    )
    for name, check in (("losses", check_losses), ("estimators", check_estimators), ("speed", check_speed)):
        if name in arguments.skip:
            continue
        say()
        say(f"## {name.capitalize()}")
        say()
        start = time.perf_counter()
        try:
            check(device)
        except Exception:
            say(traceback.format_exc())
        print(f"({name}: {time.perf_counter() - start:.0f} s)", flush=True)
        if arguments.out:
            arguments.out.write_text("\n".join(LINES) + "\n")


if __name__ == "__main__":
    main()
