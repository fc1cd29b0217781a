"""Learning the weights of a quantile aggregation from out-of-fold predictions."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.functional.noncrossing import WAYS, crossing_margin, uncrossed
from sklearnloss.training.seeds import seeded

__all__ = ["Granularity", "Mixer", "Objective", "learn", "mixed"]

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

FAR = -7.0  # where other levels start in a fine mixture: together they weigh about two percent of 19 levels
HUBER = 0.05  # width of the rounded corner, in standard deviations of y
PENALTY, MARGIN = 1.0, 0.01  # of crossing, and the distance of neighbours that it asks for, for a unit of levels
WATCHED = 0.2  # share of the rows that say when to stop, where weights could follow noise
LR, LOCAL_LR = 0.1, 0.003
STEPS, PATIENCE, LEAST = 500, 25, 3e-5  # a step that gains less than this share of the loss is none
CHUNK = 4_000_000  # numbers of local weights held at once in prediction


@dataclass(frozen=True)
class Granularity:
    """What has a weight of its own: a model, a model at a level, or a model's level at a level."""

    name: str  # coarse, medium or fine
    n_models: int
    n_levels: int

    @property
    def shape(self) -> tuple[int, int]:
        """Of the scores: those that share a softmax, by those that do not."""
        m, q = self.n_models, self.n_levels
        return {"coarse": (m, 1), "medium": (m, q), "fine": (m * q, q)}[self.name]

    def start(self) -> Tensor:
        """Return scores of the plain average; nearly so for fine, where a score of minus infinity could not move."""
        if self.name != "fine":
            return torch.zeros(self.shape, dtype=torch.float64)
        same = torch.eye(self.n_levels, dtype=torch.float64).repeat(self.n_models, 1)  # (m * q, q)
        return FAR * (1 - same)


def mixed(predictions: Tensor, scores: Tensor) -> Tensor:
    """Return the weighted means of models, (n, q).

    Parameters
    ----------
    predictions : Tensor of shape (n, m, q)
        Quantiles of each model.
    scores : Tensor of shape (m, 1), (m, q) or (m * q, q), with or without a first axis of n
        A softmax over the first of these makes them weights.
    """
    weights = scores.softmax(dim=-2)
    if weights.shape[-2] == predictions.shape[1]:
        return (predictions * weights).sum(dim=1)
    flat = predictions.flatten(1)  # (n, m * q)
    return flat @ weights if weights.ndim == 2 else torch.einsum("nk,nkq->nq", flat, weights)


@dataclass(frozen=True)
class Objective:
    """What the weights minimise: a loss of quantiles, and how crossing is kept away meanwhile."""

    loss: str
    crossing: str | None
    levels: Tensor

    def __call__(self, quantiles: Tensor, y: Tensor, sample_weight: Tensor) -> Tensor:
        """Return the mean loss of quantiles (n, q)."""
        if self.crossing in WAYS:
            quantiles = uncrossed(quantiles, self.crossing, self.levels)
        values = self._values(y[:, None] - quantiles).mean(dim=1)
        if self.crossing == "penalty":
            values = values + PENALTY * crossing_margin(quantiles, self.levels, MARGIN)
        return (values * sample_weight).sum() / sample_weight.sum()

    def _values(self, gap: Tensor) -> Tensor:
        if self.loss == "huber_pinball":
            size = gap.abs()
            rounded = torch.where(size <= HUBER, gap.square() / (2 * HUBER), size - HUBER / 2)
            return torch.where(gap > 0, self.levels, 1 - self.levels) * rounded
        pinball = torch.maximum(self.levels * gap, (self.levels - 1) * gap)
        return 2 * pinball if self.loss == "wis" else pinball


class _LocalScores(nn.Module):
    """A small network from standardised rows to what is added to the starting scores; nothing, at first."""

    def __init__(self, n_features: int, granularity: Granularity) -> None:
        super().__init__()
        self.shape = granularity.shape
        last = nn.Linear(64, self.shape[0] * self.shape[1])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(n_features, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), last)
        self.register_buffer("base", granularity.start().float())
        self.base: Tensor

    def forward(self, features: Tensor) -> Tensor:
        return self.base + self.layers(features).reshape(-1, *self.shape)


class _GlobalScores(nn.Module):
    """The same scores for all rows."""

    def __init__(self, granularity: Granularity) -> None:
        super().__init__()
        self.scores = nn.Parameter(granularity.start())

    def forward(self, features: Tensor) -> Tensor:
        return self.scores


@dataclass
class Mixer:
    """Learnt weights.

    Attributes
    ----------
    granularity : Granularity
        What has a weight.
    scores : nn.Module
        From features to scores.
    center, spread : array of shape (d,) or None
        By which features are standardised, if weights are local.
    losses : list of float
        The objective that was watched, after each step.
    """

    granularity: Granularity
    scores: nn.Module
    center: np.ndarray | None = None
    spread: np.ndarray | None = None
    losses: list[float] = field(default_factory=list)

    @property
    def local(self) -> bool:
        """Whether each row has its own weights."""
        return self.center is not None

    def _features(self, X: np.ndarray) -> Tensor:
        return torch.from_numpy(((X - self.center) / self.spread).astype(np.float32))

    @torch.no_grad()
    def _by_chunks(self, n: int, X: np.ndarray | None, use: Callable[[slice, Tensor], np.ndarray]) -> np.ndarray:
        if X is None or not self.local:
            return use(slice(0, n), self.scores(torch.empty(0)).double())
        size = self.granularity.shape[0] * self.granularity.shape[1]
        step = max(1, CHUNK // size)
        parts = [slice(start, min(start + step, n)) for start in range(0, n, step)]
        return np.concatenate([use(rows, self.scores(self._features(X[rows])).double()) for rows in parts])

    def predict(self, predictions: np.ndarray, X: np.ndarray | None) -> np.ndarray:
        """Return quantiles (n, q) of predictions (n, m, q)."""
        values = torch.from_numpy(predictions)
        return self._by_chunks(len(values), X, lambda rows, scores: mixed(values[rows], scores).numpy())

    def weights(self, n: int, X: np.ndarray | None) -> np.ndarray:
        """Return weights (m, q), or (n, m, q) of local ones; of fine ones the sums over a model's levels."""

        def use(rows: slice, scores: Tensor) -> np.ndarray:
            m, q = self.granularity.n_models, self.granularity.n_levels
            weights = scores.softmax(dim=-2)
            if self.granularity.name == "fine":
                weights = weights.reshape(*weights.shape[:-2], m, q, q).sum(dim=-2)
            return weights.expand(*weights.shape[:-2], m, q).numpy().copy()

        return self._by_chunks(n, X, use)


def learn(
    granularity: Granularity,
    objective: Objective,
    predictions: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray,
    X: np.ndarray | None,
    seed: int,
) -> Mixer:
    """Learn weights by full-batch Adam from the plain average on; the best step is kept.

    Parameters
    ----------
    granularity : Granularity
        What has a weight.
    objective : Objective
        What is minimised.
    predictions : array of shape (n, m, q)
        Out-of-fold quantiles of the models.
    y, sample_weight : array of shape (n,)
        Outcomes and their weights.
    X : array of shape (n, d) or None
        Features, for weights that depend on them.
    seed : int
        Of the network's start and of the rows that are watched.
    """
    mean = np.average(y, weights=sample_weight)
    scale = np.sqrt(np.average(np.square(y - mean), weights=sample_weight)) or 1.0
    dtype = torch.float64 if X is None else torch.float32
    g, target, weight = (
        torch.from_numpy(np.ascontiguousarray(a)).to(dtype)
        for a in ((predictions - mean) / scale, (y - mean) / scale, sample_weight)
    )
    objective = Objective(objective.loss, objective.crossing, objective.levels.to(dtype))
    if X is None:
        mixer, features = Mixer(granularity, _GlobalScores(granularity)), torch.empty(0)
    else:
        spread = X.std(axis=0)
        with seeded(seed):
            network = _LocalScores(X.shape[1], granularity)
        mixer = Mixer(granularity, network, X.mean(axis=0), np.where(spread > 0, spread, 1.0))
        features = mixer._features(X)

    def loss_of(rows: Tensor | slice) -> Tensor:
        own = features[rows] if mixer.local else features
        return objective(mixed(g[rows], mixer.scores(own)), target[rows], weight[rows])

    _descend(mixer, loss_of, *_rows(len(y), weight, seed, split=mixer.local or granularity.name == "fine"))
    return mixer


def _rows(n: int, weight: Tensor, seed: int, *, split: bool) -> tuple[Tensor | slice, Tensor | slice]:
    """Return the rows that are learnt from and those that are watched."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    order = order[weight[order] > 0]
    held = int(WATCHED * len(order))
    if not split or not held:
        return slice(None), slice(None)
    return order[held:], order[:held]


def _descend(
    mixer: Mixer, loss_of: Callable[[Tensor | slice], Tensor], learnt: Tensor | slice, watched: Tensor | slice
) -> None:
    """Take steps until nothing is gained, and go back to the best one."""
    parameters = list(mixer.scores.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LOCAL_LR if mixer.local else LR)
    same = isinstance(learnt, slice)
    best, kept, since = float("inf"), [p.detach().clone() for p in parameters], 0
    for _ in range(STEPS):
        loss = loss_of(learnt)
        seen = float(loss.detach()) if same else _value(loss_of, watched)
        mixer.losses.append(seen)
        if seen < best - LEAST * abs(best if np.isfinite(best) else 0.0):
            best, kept, since = seen, [p.detach().clone() for p in parameters], 0
        else:
            since += 1
        if since >= PATIENCE:
            break
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.copy_(value)


@torch.no_grad()
def _value(loss_of: Callable[[Tensor | slice], Tensor], rows: Tensor | slice) -> float:
    return float(loss_of(rows))
