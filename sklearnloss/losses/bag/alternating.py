"""Cross entropy with the likeliest labels that have the counts of their bag."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.functional.assignment import whole_counts
from sklearnloss.functional.bags import bag_mean
from sklearnloss.typing import Logits, PerBag, Proportions


# 1. The paper fits a support vector machine to the end between two choices of labels, and lets counts differ from the
#    known ones at a price. Here labels are chosen anew at each step, and counts are met.
# 2. More than two classes are not in the paper.
@loss("alternating", task="bag", unit="bag", static=False, status="known")
def alternating(logits: Logits, y: Proportions, *, bag: Tensor, n_bags: int) -> PerBag:
    r"""Cross entropy of the rows with hard labels: the likeliest of all that have the counts of their bag.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Scores of the rows.
    y : Tensor of shape (b, k)
        Proportions of each bag; times its size, rounded by largest remainder, they are the counts.
    bag : Tensor of shape (n,)
        Bag of each row.
    n_bags : int
        Number of bags b.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not negative.

    Notes
    -----
    .. math:: \ell_b = \min_{\hat y} -\frac{1}{n_b} \sum_{i \in b} \log p_{i, \hat y_i} \quad \text{where} \quad
              \#\{i : \hat y_i = c\} = n_b y_{bc}

    It is the limit of ``llp_ot`` at ``epsilon=0``. Labels change at ties only, so the gradient is that of the value.
    Two classes: the rows of largest log odds are positive, O(n log n). More: an assignment problem for each bag, at
    worst O(n_b^3), on the CPU: milliseconds for bags of 256 rows, tenths of a second for those of 1,024. Rows have no
    weights: counts are of rows.

    Labels confirm what the network says at the start, so the result depends on the seed more than that of soft labels.

    References
    ----------
    .. [1] Yu, Liu, Kumar, Jebara, Chang. "∝SVM for learning with label proportions". ICML 2013.

    Examples
    --------
    >>> logits, y = torch.tensor([[0.0, 3.0], [0.0, 1.0], [0.0, 2.0]]), torch.tensor([[2 / 3, 1 / 3]])
    >>> alternating(logits, y, bag=torch.tensor([0, 0, 0]), n_bags=1)  # the first row is positive
    tensor([1.1629])
    """
    counts = whole_counts(y, bag, n_bags)
    choose = _largest if y.shape[1] == 2 else _assigned
    return bag_mean(F.cross_entropy(logits, choose(logits.detach(), counts, bag), reduction="none"), bag, n_bags)


def _largest(logits: Tensor, counts: Tensor, bag: Tensor) -> Tensor:
    """Return labels (n,) of two classes: of each bag the rows of largest log odds are positive."""
    order = (logits[:, 0] - logits[:, 1]).argsort(stable=True)
    order = order[bag[order].argsort(stable=True)]  # bag after bag, the largest log odds first
    size = counts.sum(1)
    rank = torch.arange(len(bag), device=bag.device) - (size.cumsum(0) - size)[bag[order]]
    return torch.empty_like(bag).scatter(0, order, (rank < counts[bag[order], 1]).long())


def _assigned(logits: Tensor, counts: Tensor, bag: Tensor) -> Tensor:
    """Return labels (n,) of more classes, by an assignment problem for each bag."""
    score = logits.log_softmax(1).double().nan_to_num().cpu().numpy()  # that it is no number, the value will say
    order = bag.argsort(stable=True).cpu().numpy()
    labels = np.empty(len(order), dtype=np.int64)
    first = 0
    for count in counts.cpu().numpy():
        rows = order[first : first + count.sum()]
        places = np.repeat(np.arange(len(count)), count)  # class of each place that is to be filled
        labels[rows] = places[linear_sum_assignment(score[np.ix_(rows, places)], maximize=True)[1]]
        first += len(rows)
    return torch.from_numpy(labels).to(bag.device)
