"""Absolute difference of the proportions of bags."""

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.functional.bags import bag_mean
from sklearnloss.typing import Logits, PerBag, Proportions


@loss("proportion_l1", task="bag", unit="bag", status="known")
def proportion_l1(
    logits: Logits, y: Proportions, *, bag: Tensor, n_bags: int, sample_weight: Tensor | None = None
) -> PerBag:
    r"""Sum over the classes of how far the mean prediction of a bag is from its proportions.

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
    .. math:: \ell_b = \sum_c |\bar p_{bc} - y_{bc}|, \qquad \bar p_b = \frac{1}{n_b} \sum_{i \in b} p_i

    A sum, not a mean; half of it is the total variation distance, and one minus half its mean is the score of
    ``LLPClassifier`` on bags. Few bags with wrong proportions hardly move it, but rows that are confidently wrong have
    no gradient, and what it estimates is nearer the median of a bag's proportions than their expectation. O(n k).

    References
    ----------
    .. [1] Yu, Choromanski, Kumar, Jebara, Chang. "On learning from label proportions". arXiv:1402.5902, 2014.

    Examples
    --------
    >>> import torch
    >>> logits, bag = torch.tensor([[0.0, 3.0], [0.0, -3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])
    >>> proportion_l1(logits, torch.tensor([[0.2, 0.8], [0.0, 1.0]]), bag=bag, n_bags=2)
    tensor([0.6000, 0.0949])
    """
    return (bag_mean(logits.softmax(1), bag, n_bags, sample_weight) - y).abs().sum(1)
