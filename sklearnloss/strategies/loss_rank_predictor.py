"""Rows whose loss is predicted to rank high."""

from typing import Annotated

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.constraints import AtLeastOne, Positive, PositiveInt, Search
from sklearnloss.functional.centers import farthest_points
from sklearnloss.functional.loss_prediction import predicted_losses

__all__ = ["loss_rank_predictor"]


@strategy("loss_rank_predictor", unit="batch")
def loss_rank_predictor(
    embeddings: np.ndarray,
    *,
    embeddings_labeled: np.ndarray,
    losses_labeled: np.ndarray,
    n: int,
    rng: np.random.Generator,
    factor: Annotated[AtLeastOne, Search(1, 20)] = 4.0,
    hidden: Annotated[PositiveInt, Search(4, 128, log=True)] = 32,
    epochs: Annotated[PositiveInt, Search(5, 500, log=True)] = 100,
    lr: Annotated[Positive, Search(1e-4, 0.1, log=True)] = 0.01,
) -> np.ndarray:
    r"""Ask rows that a small network expects to be lost, far from each other.

    It learns the order of the losses, not their size: which of two labeled rows the model lost more by, as seen by
    models that did not know the row.

    Parameters
    ----------
    embeddings : array of shape (n_pool, d)
        Embeddings of the pool.
    embeddings_labeled : array of shape (m, d)
        Those of the rows with labels.
    losses_labeled : array of shape (m,)
        Their losses, by models that did not see them.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        Seed of the network.
    factor : float in [1, inf), default=4.0
        How many times ``n`` rows with the largest predictions are candidates, among which those are taken that are far
        from each other; one takes the largest alone.
    hidden : int in [1, inf), default=32
        Width of the network.
    epochs : int in [1, inf), default=100
        Steps over all pairs of labeled rows.
    lr : float in (0, inf), default=0.01
        Learning rate of Adam.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    With predictions r and losses l, over pairs of different loss,

    .. math:: \overline{\log\big(1 + e^{-s_{ij} (r_i - r_j)}\big)}, \qquad s_{ij} = \operatorname{sign}(l_i - l_j)

    It does not depend on the scale of the losses; a constant prediction has log 2.

    References
    ----------
    .. [1] Wang, Song, Fan, Wang, Xie, Zhang. "Bootstrap masked visual modeling via hard patches mining". PAMI, 2025.

    Examples
    --------
    >>> rows = np.linspace(0, 1, 20)[:, None]
    >>> loss_rank_predictor(
    ...     rows, embeddings_labeled=rows, losses_labeled=rows[:, 0] ** 2, n=2, factor=1.0,
    ...     rng=np.random.default_rng(0),
    ... ).tolist()
    [19, 18]
    """
    predicted = predicted_losses(
        embeddings, embeddings_labeled, losses_labeled, rng, objective="logistic", hidden=hidden, epochs=epochs, lr=lr
    )
    size = min(len(predicted), max(n, int(np.ceil(factor * n))))
    candidates = np.argsort(-predicted, kind="stable")[:size]
    if size == n:
        return candidates
    first = candidates[:1]
    far = farthest_points(embeddings[candidates[1:]], n - 1, centers=embeddings[first], rng=rng)
    return np.concatenate([first, candidates[1:][far]])
