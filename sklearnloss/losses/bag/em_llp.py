"""Expectation maximization from the counts of classes in bags."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import PositiveInt
from sklearnloss.functional.assignment import count_log_odds, fitted_plan
from sklearnloss.functional.bags import bag_mean
from sklearnloss.typing import Logits, PerBag, Proportions

FAR = 700.0  # log odds beyond which float64 knows no probability
CELLS = 1 << 17  # bags by classes by counts that are looked at together


# 1. The paper enumerates the labelings of small bags with two classes. The messages of `count_log_odds` give the same
#    probabilities for bags of any size.
# 2. More classes are not in the paper: their exact posterior takes a table of all counts, O(n_b^k).
@loss("em_llp", task="bag", unit="bag", gradient="surrogate", static=False)
def em_llp(logits: Logits, y: Proportions, *, bag: Tensor, n_bags: int, iterations: PositiveInt = 30) -> PerBag:
    r"""Cross entropy of the rows with how likely each class is for them, given the counts of classes in their bag.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Scores of the rows.
    y : Tensor of shape (b, k)
        Proportions of each bag; times its size they are the counts.
    bag : Tensor of shape (n,)
        Bag of each row.
    n_bags : int
        Number of bags b.
    iterations : int in [1, inf), default=30
        Scalings by which the labels of three or more classes are brought to the proportions.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not negative.

    Notes
    -----
    .. math:: \ell_b = -\frac{1}{n_b} \sum_{i \in b} \sum_c q_{ic} \log p_{ic}, \qquad
              q_{ic} = P\Big(y_i = c \,\Big|\, \sum_{j \in b} [y_j = d] = n_b y_{bd} \text{ for all } d\Big)

    with independent rows; :math:`q` is the E-step of expectation maximization and kept fixed, so that a step on this
    loss is a partial M-step. A count that is not whole is one of the two whole numbers beside it.

    For two classes :math:`q` is exact and the gradient is that of the likelihood of the count,
    :math:`-\log P(n_b y_b) / n_b`. For more it is near: one class against the rest, each count changes the log odds of
    the plan :math:`\hat q` that has the right proportions in the mean (see ``llp_ot``) by :math:`\delta_{ic}`. As
    :math:`k` counts say what :math:`k - 1` of them do, :math:`\log q_{ic} = \log \hat q_{ic} + \frac{k - 1}{k}
    \delta_{ic}` up to a constant of the row and one of the class, which bring rows to one and means to the
    proportions. Against enumeration in small bags its error is a tenth to a third of the plan's; in large bags both
    vanish.

    Rows have no weights: counts are of rows. O(n k iterations), and O(k n_b^2) for each bag; memory O(n k),
    and O(n_b^2) for the largest bag.

    References
    ----------
    .. [1] Barucic, Kybic. "Fast learning from label proportions with small bags". ICIP 2022.
    .. [2] Kück, de Freitas. "Learning about individuals from group statistics". UAI 2005.

    Examples
    --------
    >>> logits, y = torch.tensor([[0.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    >>> em_llp(logits, y, bag=torch.tensor([0, 0]), n_bags=1)
    tensor([0.5292])
    """
    log_p = logits.log_softmax(1)
    labels = _posterior(log_p.detach().double(), y, bag, n_bags, iterations).to(log_p.dtype)
    return bag_mean(-(labels * log_p).sum(1), bag, n_bags)


def _posterior(log_p: Tensor, y: Tensor, bag: Tensor, n_bags: int, iterations: int) -> Tensor:
    """Return how likely each class is for each row, (n, k)."""
    k, counts = y.shape[1], y * torch.bincount(bag, minlength=n_bags)[:, None]
    if k == 2:
        odds = count_log_odds(log_p[:, 1] - log_p[:, 0], counts[:, 1], bag, n_bags)
        return torch.stack([(-odds).sigmoid(), odds.sigmoid()], dim=1)
    y = y.double()
    labels = fitted_plan(log_p, y, bag, n_bags, iterations=iterations)
    return fitted_plan(_corrected(labels, counts, bag, n_bags), y, bag, n_bags, iterations=iterations)


def _corrected(labels: Tensor, counts: Tensor, bag: Tensor, n_bags: int) -> Tensor:
    """Return logarithms of labels (n, k) with the changes that the counts make, one class against the rest."""
    k, largest = labels.shape[1], int(torch.bincount(bag).max())
    step = max(1, CELLS // (n_bags * (largest + 1)))
    scores = labels.log().clamp(min=-FAR)  # (n, k)
    for score, label, count in zip(*(torch.split(x, step, dim=1) for x in (scores, labels, counts)), strict=True):
        prior = label.logit().clamp(-FAR, FAR)  # (n, c)
        # each bag once for every class of the step, as c bags of the same size
        place = bag[:, None] * prior.shape[1] + torch.arange(prior.shape[1], device=bag.device)
        found = count_log_odds(prior.flatten(), count.flatten(), place.flatten(), count.numel()).view_as(prior)
        # a class of all rows, or of none, is the plan's matter
        score += (k - 1) / k * torch.where(found.isfinite(), found - prior, 0.0)
    return scores
