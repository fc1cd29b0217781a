"""Interpolation of bag-level and row-level cross entropies of proportions."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Probability
from sklearnloss.functional.bags import bag_log_mean, bag_mean
from sklearnloss.typing import Logits, PerBag, Proportions


@loss("bag_interp", task="bag", unit="bag", status="known", aliases=("bag_interp_ce",))
def bag_interp(
    logits: Logits,
    y: Proportions,
    *,
    bag: Tensor,
    n_bags: int,
    sample_weight: Tensor | None = None,
    rho: Probability = 0.25,
) -> PerBag:
    r"""Cross entropy of the mean prediction of a bag, and a share of that of each row against the bag's proportions.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Scores of the rows.
    y : Tensor of shape (b, k)
        Proportions of each bag.
    bag : Tensor of shape (n,)
        Bag of each row.
    n_bags : int
        Number of bags b.
    sample_weight : Tensor of shape (n,), default=None
        Weights of rows within their bag.
    rho : float in [0, 1], default=0.25
        0 looks at bags only, 1 at rows only. Choose it on bags that are held out.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not below the entropy of its proportions; it rises with ``rho``.

    Notes
    -----
    .. math:: \ell_b = -\sum_c y_{bc} \Big((1 - \rho) \log \bar p_{bc}
              + \rho \, \frac{1}{n_b} \sum_{i \in b} \log p_{ic}\Big), \qquad
              \bar p_b = \frac{1}{n_b} \sum_{i \in b} p_i

    ``rho=0`` is ``proportion_ce``. ``rho=1`` takes the proportions for a soft label of each row, which draws all rows
    of a bag to the same prediction, the more wrongly, the larger the bag. The difference of the two is never negative,
    and nothing for a bag of one row. For means of numbers in place of classes it is ``bag_interp_mse``. O(n k).

    References
    ----------
    .. [1] Javanmard, Chen, Mirrokni, Badanidiyuru, Fu. "Learning from aggregate responses: instance level versus bag
       level loss functions". ICLR 2024.

    Examples
    --------
    >>> logits, bag = torch.tensor([[0.0, 3.0], [0.0, -3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])
    >>> bag_interp(logits, torch.tensor([[0.5, 0.5], [0.0, 1.0]]), bag=bag, n_bags=2)
    tensor([0.9070, 0.0486])
    """
    log_p = logits.log_softmax(1)
    of_bag = bag_log_mean(log_p, bag, n_bags, sample_weight)  # (b, k)
    of_rows = bag_mean(log_p, bag, n_bags, sample_weight)  # (b, k)
    return -torch.where(y > 0, y * ((1 - rho) * of_bag + rho * of_rows), 0.0).sum(1)
