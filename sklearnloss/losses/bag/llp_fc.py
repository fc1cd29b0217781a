"""Forward correction: the bag of a row as its noisy label."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.functional.bags import bag_mean, bag_sum
from sklearnloss.typing import Logits, PerBag, Proportions


# 1. The paper splits the bags into groups of k before training; here the bags of a batch are the group, so that groups
#    change and no bag is left over. The transition need not be square for the correction.
# 2. Where a class is in no bag of the batch the transition is 0 / 0 in the paper; here its column is zero.
@loss("llp_fc", task="bag", unit="bag", aliases=("llpfc",))
def llp_fc(
    logits: Logits,
    y: Proportions,
    *,
    bag: Tensor,
    n_bags: int,
    bag_weight: Tensor | None = None,
    sample_weight: Tensor | None = None,
) -> PerBag:
    r"""How well the bag of each row, among those of the batch, is told from what is predicted for the row.

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
    bag_weight : Tensor of shape (b,), default=None
        Weights of the bags, their prior probabilities; None is the weight of their rows.
    sample_weight : Tensor of shape (n,), default=None
        Weights of rows within their bag.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not negative. A bag that is alone in its batch, and has all classes, has 0 and no gradient.

    Notes
    -----
    .. math:: \ell_b = -\frac{1}{n_b} \sum_{i \in b} \log \sum_c T_{bc} \, p_{ic}, \qquad
              T_{bc} = P(\text{bag } b \mid \text{class } c) = \frac{w_b \, y_{bc}}{\sum_{b'} w_{b'} \, y_{b'c}}

    Cross entropy of the bag, a label of which the noise is known: the rows of a bag are taken for draws from the
    classes in its proportions, whatever bag it is. It is least at the probabilities of the classes in the mixture of
    the batch's bags. With equal weights of bags (``bag_weight="equal"`` of the estimator) it is the paper's
    LLPFC-uniform.

    A batch has to hold several bags, the more different, the better; a bag larger than ``batch_size`` is a batch of its
    own and tells only which classes it lacks. Pure bags, one for each class, give cross entropy. O(n k).

    References
    ----------
    .. [1] Zhang, Wang, Scott. "Learning from label proportions by learning with label noise". NeurIPS 2022.
    .. [2] Patrini, Rozza, Menon, Nock, Qu. "Making deep neural networks robust to label noise: a loss correction
       approach". CVPR 2017.

    Examples
    --------
    >>> logits, bag = torch.tensor([[0.0, 3.0], [0.0, -3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])
    >>> llp_fc(logits, torch.tensor([[0.5, 0.5], [0.0, 1.0]]), bag=bag, n_bags=2)
    tensor([0.3354, 0.7417])
    """
    if bag_weight is None:
        weight = torch.ones(len(bag), dtype=y.dtype, device=y.device) if sample_weight is None else sample_weight
        bag_weight = bag_sum(weight, bag, n_bags)  # (b,)
    held = bag_weight.clamp(min=torch.finfo(y.dtype).tiny).log()[:, None] + y.log()  # (b, k); -inf where y is zero
    of_class = torch.where((y > 0).any(0), held.logsumexp(0), 0.0)  # (k,)
    log_told = (logits.log_softmax(1) + (held - of_class)[bag]).logsumexp(1)  # (n,)
    return -bag_mean(log_told, bag, n_bags, sample_weight)
