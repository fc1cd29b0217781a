"""Soft bootstrapping."""

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Probability
from sklearnloss.typing import Labels, Logits, PerRow


@loss("soft_bootstrap", task="multiclass", status="known")
def soft_bootstrap(logits: Logits, y: Labels, *, beta: Probability = 0.95) -> PerRow:
    r"""Cross entropy to a target that the model shares in: part label, part what it believes itself.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    beta : float in [0, 1], default=0.95
        Share of the label; take less where more labels are wrong.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -\sum_j \big(\beta [j = y] + (1 - \beta) p_j\big) \log p_j

    The gradient flows through the target too: the loss is ``beta`` times cross entropy plus ``1 - beta`` times the
    entropy of the prediction, which it makes small. ``beta=1`` is cross entropy; at 0 the label is not looked at, and
    nothing is learnt. Not proper: probabilities are surer than those of the classes. O(n k).

    References
    ----------
    .. [1] Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich. "Training deep neural networks on noisy labels with
       bootstrapping". ICLR Workshop 2015.

    Examples
    --------
    >>> soft_bootstrap(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]), beta=0.8)
    tensor([0.2407])
    """
    log_p = torch.log_softmax(logits, dim=1)  # (n, k)
    entropy = -(log_p.exp() * log_p).sum(dim=1)  # (n,)
    return (1 - beta) * entropy - beta * log_p.gather(1, y[:, None]).squeeze(1)  # (n,)
