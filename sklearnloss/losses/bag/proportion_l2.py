"""Squared difference of the proportions of bags."""

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.functional.bags import bag_mean
from sklearnloss.typing import Logits, PerBag, Proportions


@loss("proportion_l2", task="bag", unit="bag", proper=True, status="known")
def proportion_l2(
    logits: Logits, y: Proportions, *, bag: Tensor, n_bags: int, sample_weight: Tensor | None = None
) -> PerBag:
    r"""Sum over the classes of the squared gap between the mean prediction of a bag and its proportions.

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

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, in [0, 2].

    Notes
    -----
    .. math:: \ell_b = \sum_c (\bar p_{bc} - y_{bc})^2, \qquad \bar p_b = \frac{1}{n_b} \sum_{i \in b} p_i

    A sum, not a mean. A bag of one row has the Brier score. It stays bounded where proportions are noisy or rounded to
    zero, but rows that are confidently wrong have no gradient. Gaps of large bags are small, so their gradients are:
    a larger learning rate than that of ``proportion_ce`` may be needed. O(n k).

    References
    ----------
    .. [1] Busa-Fekete, Choi, Dick, Gentile, Munoz Medina. "Easy learning from label proportions". NeurIPS 2023. It
       compares losses that match proportions.

    Examples
    --------
    >>> import torch
    >>> logits, bag = torch.tensor([[0.0, 3.0], [0.0, -3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])
    >>> proportion_l2(logits, torch.tensor([[0.2, 0.8], [0.0, 1.0]]), bag=bag, n_bags=2)
    tensor([0.1800, 0.0045])
    """
    return (bag_mean(logits.softmax(1), bag, n_bags, sample_weight) - y).square().sum(1)
