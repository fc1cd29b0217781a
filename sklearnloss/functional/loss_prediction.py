"""A small network that learns to order losses from pairs."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["pair_ranking_loss", "predicted_losses"]

PAIRS = 250_000  # of a step; of more labeled rows some are drawn


def pair_ranking_loss(predicted: Tensor, losses: Tensor, *, objective: str, margin: float = 1.0) -> Tensor:
    """Return how badly predictions order losses, over all pairs of different loss.

    Parameters
    ----------
    predicted, losses : Tensors of shape (n,)
        Predictions, and what they should order.
    objective : {"logistic", "hinge"}
        ``log(1 + exp(-difference))``, or ``max(0, margin - difference)``.
    margin : float, default=1.0
        For ``"hinge"``.

    Returns
    -------
    Tensor of shape ()
        Zero where all losses are equal.

    Examples
    --------
    >>> round(pair_ranking_loss(torch.zeros(3), torch.tensor([1.0, 2.0, 3.0]), objective="logistic").item(), 6)
    0.693147
    """
    sign = torch.sign(losses[:, None] - losses)
    ahead = sign * (predicted[:, None] - predicted)
    values = F.softplus(-ahead) if objective == "logistic" else (margin - ahead).relu()
    counted = sign != 0
    return (values * counted).sum() / counted.sum().clamp(min=1)


def predicted_losses(
    embeddings: np.ndarray,
    embeddings_labeled: np.ndarray,
    losses: np.ndarray,
    rng: np.random.Generator,
    *,
    objective: str,
    margin: float = 1.0,
    hidden: int,
    epochs: int,
    lr: float,
) -> np.ndarray:
    """Return what a network of one hidden layer, trained on the order of known losses, predicts for other rows.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        Rows to predict for.
    embeddings_labeled : array of shape (m, d)
        Rows with losses; both are standardized by these.
    losses : array of shape (m,)
        Losses.
    rng : numpy Generator
        Seed of the weights, and of the pairs where there are many.
    objective, margin
        As in `pair_ranking_loss`.
    hidden, epochs, lr
        Width, steps and learning rate.

    Returns
    -------
    array of shape (n,)

    Examples
    --------
    >>> rows = np.linspace(0, 1, 9)[:, None]
    >>> out = predicted_losses(
    ...     rows, rows, rows[:, 0], np.random.default_rng(0), objective="hinge", hidden=8, epochs=50, lr=0.05
    ... )
    >>> int(out.argmax())
    8
    """
    mean, scale = embeddings_labeled.mean(axis=0), embeddings_labeled.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    known = torch.from_numpy(((embeddings_labeled - mean) / scale).astype(np.float64))
    truth = torch.from_numpy(np.asarray(losses, dtype=np.float64))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(rng.integers(2**62)))
        net = nn.Sequential(nn.Linear(known.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, 1)).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=1e-4)
    size = int(PAIRS**0.5)
    for _ in range(epochs):
        rows = slice(None) if len(known) <= size else torch.from_numpy(rng.choice(len(known), size, replace=False))
        optimizer.zero_grad()
        value = pair_ranking_loss(net(known[rows]).squeeze(1), truth[rows], objective=objective, margin=margin)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        pool = torch.from_numpy(((embeddings - mean) / scale).astype(np.float64))
        return np.asarray(net(pool).squeeze(1).numpy())
