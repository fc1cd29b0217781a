"""Learning loss."""

from typing import Annotated

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.constraints import Positive, PositiveInt, Search
from sklearnloss.functional.loss_prediction import predicted_losses

__all__ = ["learning_loss"]


@strategy("learning_loss", unit="pool")
def learning_loss(
    embeddings: np.ndarray,
    *,
    embeddings_labeled: np.ndarray,
    losses_labeled: np.ndarray,
    rng: np.random.Generator,
    margin: Annotated[Positive, Search(0.1, 5)] = 1.0,
    hidden: Annotated[PositiveInt, Search(4, 128, log=True)] = 32,
    epochs: Annotated[PositiveInt, Search(5, 500, log=True)] = 100,
    lr: Annotated[Positive, Search(1e-4, 0.1, log=True)] = 0.01,
) -> np.ndarray:
    r"""Ask first the rows whose loss a small network predicts to be large.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        Embeddings of the pool.
    embeddings_labeled : array of shape (m, d)
        Those of the rows with labels.
    losses_labeled : array of shape (m,)
        Their losses, by models that did not see them.
    rng : numpy Generator
        Seed of the network.
    margin : float in (0, inf), default=1.0
        By how much the prediction of the larger loss of two must lead.
    hidden : int in [1, inf), default=32
        Width of the network.
    epochs : int in [1, inf), default=100
        Steps over all pairs of labeled rows.
    lr : float in (0, inf), default=0.01
        Learning rate of Adam.

    Returns
    -------
    array of shape (n,)
        Predicted losses; only their order means something.

    Notes
    -----
    .. math:: \overline{\max\big(0, m - s_{ij} (r_i - r_j)\big)}, \qquad s_{ij} = \operatorname{sign}(l_i - l_j)

    over pairs of labeled rows. The authors train the network beside the model, on features of several layers; here it
    sees the embeddings, after the model was fitted, and losses that the model did not learn by heart.

    References
    ----------
    .. [1] Yoo, Kweon. "Learning loss for active learning". CVPR 2019.

    Examples
    --------
    >>> rows = np.linspace(0, 1, 20)[:, None]
    >>> predicted = learning_loss(
    ...     rows, embeddings_labeled=rows, losses_labeled=rows[:, 0] ** 2, rng=np.random.default_rng(0)
    ... )
    >>> bool((np.diff(predicted) > 0).mean() > 0.9)
    True
    """
    return predicted_losses(
        embeddings,
        embeddings_labeled,
        losses_labeled,
        rng,
        objective="hinge",
        margin=margin,
        hidden=hidden,
        epochs=epochs,
        lr=lr,
    )
