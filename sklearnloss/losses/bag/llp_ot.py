"""Cross entropy with the labels of an optimal transport from the rows of a bag to its proportions."""

from typing import Annotated

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, PositiveInt, Search
from sklearnloss.functional.assignment import fitted_plan
from sklearnloss.functional.bags import bag_mean
from sklearnloss.typing import Logits, PerBag, Proportions


# 1. The cross entropy of the mean prediction is no term of its own: sum with `proportion_ce`.
@loss("llp_ot", task="bag", unit="bag", gradient="surrogate", status="known")
def llp_ot(
    logits: Logits,
    y: Proportions,
    *,
    bag: Tensor,
    n_bags: int,
    sample_weight: Tensor | None = None,
    epsilon: Annotated[Positive, Search(0.05, 5, log=True)] = 1.0,
    iterations: PositiveInt = 30,
) -> PerBag:
    r"""Cross entropy of the rows with soft labels that are near to their predictions and meet the bag's proportions.

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
    epsilon : float in (0, inf), default=1.0
        Entropy of the labels. 1 projects the predictions on the proportions in relative entropy; near 0 labels are
        hard, as those of ``alternating``; if it is large they are the proportions.
    iterations : int in [1, inf), default=30
        Scalings by which the labels are found. The smaller ``epsilon``, the more it takes to meet the proportions.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not negative.

    Notes
    -----
    .. math:: \ell_b = -\sum_{i \in b} w_i \sum_c q_{ic} \log p_{ic}, \qquad q = \arg\min_q \sum_{i \in b} w_i \sum_c
              q_{ic} (-\log p_{ic} + \epsilon \log q_{ic})

    over labels with :math:`\sum_c q_{ic} = 1` and :math:`\sum_{i \in b} w_i q_{ic} = y_{bc}`, where :math:`w_i` is the
    share of a row in its bag. The labels are kept fixed, so the gradient is :math:`w_i (p_i - q_i)`. It is that of the
    minimum itself, which is the transport cost with its entropy; the value returned lacks the entropy.

    A bag of one row has the cross entropy of a soft label, and a pure bag that of its class. Labels lean on what is
    predicted already; ``Loss("llp_ot") + Loss("proportion_ce")`` adds what does not. O(n k iterations).

    References
    ----------
    .. [1] Dulac-Arnold, Zeghidour, Cuturi, Beyer, Vert. "Deep multi-class learning from label proportions". 2019.
    .. [2] "OT-LLP: optimal transport for learning from label proportions". Submitted to ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> logits, y = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    >>> llp_ot(logits, y, bag=torch.tensor([0, 0]), n_bags=1)
    tensor([0.6790])
    """
    log_p = logits.log_softmax(1)
    labels = fitted_plan(log_p, y, bag, n_bags, sample_weight, iterations=iterations, epsilon=epsilon)
    return bag_mean(-(labels * log_p).sum(1), bag, n_bags, sample_weight)
