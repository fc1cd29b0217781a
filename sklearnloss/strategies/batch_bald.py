"""BALD of a whole batch."""

from typing import Annotated

import numpy as np
from scipy.special import entr

from sklearnloss.component import strategy
from sklearnloss.constraints import PositiveInt, Search

__all__ = ["batch_bald"]

BLOCK = 2**21  # joint probabilities that are held at a time


@strategy("batch_bald", unit="batch")
def batch_bald(
    committee: np.ndarray,
    *,
    n: int,
    rng: np.random.Generator,
    max_configurations: Annotated[PositiveInt, Search(64, 65536)] = 1024,
    candidates: Annotated[PositiveInt, Search(1, 10_000)] = 500,
) -> np.ndarray:
    r"""Ask rows that together tell most about the model: not ten times the same doubt.

    Parameters
    ----------
    committee : array of shape (m, n_pool, k)
        Probabilities by each member, which stand for draws of the model.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws classes of the batch once there are too many combinations.
    max_configurations : int in [1, inf), default=1024
        Combinations of classes that are followed; while there are fewer, the result is exact, afterwards so many are
        drawn.
    candidates : int in [1, inf), default=500
        Rows that are looked at, those with the largest ``bald``, but not fewer than ``n``.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    Greedy in the joint mutual information

    .. math:: I(y_1, \dots, y_n; \theta) = H(y_1, \dots, y_n) - \sum_i \mathbb{E}_\theta H(y_i \mid \theta)

    of which the first row is that of ``bald``. O(n m k) for each candidate and each combination that is followed.

    References
    ----------
    .. [1] Kirsch, van Amersfoort, Gal. "BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
       learning". NeurIPS 2019.

    Examples
    --------
    >>> same, other = [[1.0, 0.0], [1.0, 0.0], [0.9, 0.1]], [[0.0, 1.0], [0.0, 1.0], [0.8, 0.2]]
    >>> third = [[1.0, 0.0], [1.0, 0.0], [0.1, 0.9]]
    >>> batch_bald(np.array([same, other, third]), n=2, rng=np.random.default_rng(0)).tolist()
    [0, 2]
    """
    members, _, k = committee.shape
    own = entr(committee).sum(axis=2).mean(axis=0)  # (n_pool,), expected entropy of each row
    gain = entr(committee.mean(axis=0)).sum(axis=1) - own
    kept = np.argsort(-gain, kind="stable")[: max(candidates, n)]
    proba, own = committee[:, kept], own[kept]  # (m, c, k), (c,)
    joint = np.ones((members, 1))  # (m, s): probability of each combination of the batch's classes
    scale = np.ones(1)  # what a combination stands for
    taken: list[int] = []
    free = np.ones(len(kept), dtype=bool)
    while len(taken) < n:
        entropy = _joint_entropy(joint, scale, proba)  # (c,)
        best = int(np.where(free, entropy - own, -np.inf).argmax())
        taken.append(best)
        free[best] = False
        joint = (joint[:, :, None] * proba[:, best, None, :]).reshape(members, -1)
        scale = np.repeat(scale, k)
        if joint.shape[1] > max_configurations:
            joint, scale = _drawn(joint, scale, max_configurations, rng)
    return np.asarray(kept[taken])


def _joint_entropy(joint: np.ndarray, scale: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Return the entropy of the batch's classes with those of each candidate, (c,)."""
    members, rows, k = proba.shape
    entropy = np.empty(rows)
    step = max(1, BLOCK // (joint.shape[1] * k))
    for start in range(0, rows, step):
        part = proba[:, start : start + step]
        together = joint.T @ part.reshape(members, -1) / members  # (s, b * k)
        entropy[start : start + step] = (scale @ entr(together)).reshape(-1, k).sum(axis=1)
    return entropy


def _drawn(joint: np.ndarray, scale: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw combinations by their probability, each of which stands for its share."""
    weight = scale * joint.mean(axis=0)
    weight = weight / weight.sum()
    rows = rng.choice(len(weight), size, p=weight)
    return joint[:, rows], scale[rows] / (size * weight[rows])
