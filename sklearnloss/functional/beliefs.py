"""Belief propagation over rows of two classes: pairs that want to agree, bags that want a count."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from scipy.special import expit

from sklearnloss.functional.assignment import count_log_odds

__all__ = ["Edges", "Links", "propagate"]

BLOCK = 1 << 22  # similarities held at once
TINY = 1e-12
SETTLED = 1e-3  # change of log odds at which messages no longer move
FAR = 40.0  # log odds of a row that is decided
FARTHEST = 700.0  # log odds beyond which float64 knows no probability


@dataclass(frozen=True)
class Links:
    """Undirected edges, each once.

    Attributes
    ----------
    first, second : int array of shape (m,)
        Their ends.
    weight : array of shape (m,)
        Kernel, in (0, 1].
    n : int
        Number of rows.
    """

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray
    n: int


@dataclass(frozen=True)
class Edges:
    """The nearest neighbours of each row.

    Attributes
    ----------
    neighbors : int array of shape (n, q)
        Nearest by cosine, without the row itself.
    weight : array of shape (n, q)
        Kernel of each.
    kept : bool array of shape (n,)
        Rows whose neighbours count.
    """

    neighbors: np.ndarray
    weight: np.ndarray
    kept: np.ndarray

    @classmethod
    def between(cls, rows: np.ndarray, n_neighbors: int, length_scale: float | Literal["median"]) -> Self:
        """Find the neighbours, by blocks of a matrix product, O(n**2 d).

        Parameters
        ----------
        rows : array of shape (n, d)
            Standardised.
        n_neighbors : int
            Neighbours of each; fewer if there are no more rows.
        length_scale : float or "median"
            Of the kernel ``exp(-distance / length_scale)``; the median distance of neighbours.
        """
        n = len(rows)
        q = min(n_neighbors, n - 1)
        values = torch.as_tensor(np.ascontiguousarray(rows, dtype=np.float32))
        unit = values / values.norm(dim=1, keepdim=True).clamp(min=TINY)
        found = np.empty((n, q), dtype=np.int64)
        step = max(1, BLOCK // n)
        for start in range(0, n, step):
            near = unit[start : start + step] @ unit.T
            own = torch.arange(len(near))
            near[own, start + own] = -torch.inf
            found[start : start + step] = near.topk(q, dim=1).indices.numpy()
        apart = np.empty((n, q))
        for j in range(q):  # one by one: all differences would take n q d numbers
            apart[:, j] = np.linalg.norm(rows - rows[found[:, j]], axis=1)
        scale = (np.median(apart) if q else 1.0) if length_scale == "median" else length_scale
        return cls(found, np.exp(-apart / max(float(scale), TINY)), np.ones(n, dtype=bool))

    def of_sources(self, kept: np.ndarray) -> Self:
        """Return the neighbours of some rows only."""
        return type(self)(self.neighbors, self.weight, self.kept & kept)

    def undirected(self) -> Links:
        """Return each pair once, whether one or both find the other."""
        n, q = self.neighbors.shape
        sources = np.repeat(np.arange(n), q)[np.repeat(self.kept, q)]
        targets, weight = self.neighbors[self.kept].ravel(), self.weight[self.kept].ravel()
        low, high = np.minimum(sources, targets), np.maximum(sources, targets)
        _, once = np.unique(low * n + high, return_index=True)
        return Links(low[once], high[once], weight[once], n)


def propagate(
    links: Links,
    bag: np.ndarray,
    counts: np.ndarray,
    *,
    bag_strength: np.ndarray,
    neighbor_strength: float,
    center: float,
    prior: np.ndarray | None = None,
    iterations: int,
    damping: float,
) -> np.ndarray:
    r"""Return the probability of each row being positive, (n,), never zero.

    The field is
    :math:`\exp(-\sum_b s_b (\sum_{i \in b} y_i - S_b)^2 + 2 s \sum_{i \sim j} w_{ij} (y_i - \rho) (y_j - \rho))`.

    Parameters
    ----------
    links : Links
        Neighbours.
    bag : int array of shape (n,)
        Bag of each row.
    counts : array of shape (b,)
        Positives that each bag should have; they need not be whole.
    bag_strength : array of shape (b,)
        How strictly.
    neighbor_strength : float
        How much neighbours want to agree.
    center : float in [0, 1]
        The share :math:`\rho` of positives from which agreement is told. At 1/2 the second sum is that of
        :math:`-s w_{ij} (y_i - y_j)^2`.
    prior : array of shape (n,), default=None
        Log odds that rows have by themselves.
    iterations : int
        Rounds of messages, all at once; it ends sooner where they no longer change.
    damping : float in [0, 1)
        Share of the last message in the next.

    Notes
    -----
    Sum-product in log odds; the messages of bags are exact. On a tree the probabilities are exact.
    """
    m = len(links.first)
    source = np.concatenate([links.first, links.second])  # of the two messages along each pair
    target = np.concatenate([links.second, links.first])
    back = np.concatenate([np.arange(m, 2 * m), np.arange(m)])
    coupling = 2 * neighbor_strength * np.concatenate([links.weight, links.weight])
    both, one, none = coupling * (1 - center) ** 2, -coupling * center * (1 - center), coupling * center**2
    own = np.zeros(links.n) if prior is None else prior
    told = _Counts(bag, counts, bag_strength)
    pair, whole = np.zeros(2 * m), told.messages(own)
    for _ in range(iterations):
        near = own + np.bincount(target, weights=pair, minlength=links.n)
        cavity = (whole + near)[source] - pair[back]
        new_pair = np.logaddexp(both + cavity, one) - np.logaddexp(one + cavity, none)
        new_whole = told.messages(near)
        moved = max(np.abs(new_pair - pair).max(initial=0), np.abs(new_whole - whole).max(initial=0))
        pair = damping * pair + (1 - damping) * new_pair
        whole = damping * whole + (1 - damping) * new_whole
        if moved < SETTLED:
            break
    total = own + whole + np.bincount(target, weights=pair, minlength=links.n)
    found: np.ndarray = expit(np.clip(total, -FARTHEST, FARTHEST))
    return found


class _Counts:
    """What the bags tell their rows."""

    def __init__(self, bag: np.ndarray, counts: np.ndarray, strength: np.ndarray) -> None:
        self.bag, self.n_bags = torch.as_tensor(bag), len(counts)
        number = np.arange(np.bincount(bag).max() + 1)
        self.log_potential = torch.as_tensor(-strength[:, None] * (number - counts[:, None]) ** 2)

    def messages(self, log_odds: np.ndarray) -> np.ndarray:
        """Return what to add to the log odds of each row, from those of the others and the count."""
        known = torch.as_tensor(np.clip(log_odds, -FAR, FAR))
        found = count_log_odds(known, None, self.bag, self.n_bags, log_potential=self.log_potential)
        moved: np.ndarray = (found - known).clamp(-FAR, FAR).numpy()
        return moved
