"""Logistic loss with class means that are estimated from the means of bags."""

from typing import Annotated

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.bags import bag_mean
from sklearnloss.typing import Logits, PerBag, Proportions

SAME = 1e-10  # share of variance between bags below which their proportions differ by rounding only


# 1. The paper weighs all bags the same in its least squares; here they weigh by their rows, as the variances of their
#    means ask. Then the targets of a bag sum to one whatever the sizes, and depend on nothing but its proportions.
# 2. Where the proportions do not determine the class means, the paper inverts a singular matrix; here what they leave
#    open is taken to be the same in all classes. The ridge draws the class means to each other, not to zero.
# 3. The paper's penalty on the parameters is the weight decay of the estimator.
@loss("mean_map", task="bag", unit="bag", aliases=("meanmap",))
class MeanMap(nn.Module):
    r"""Cross entropy whose linear part is what the classes' means must be for the bags' means to be what they are.

    For a linear model the labels enter the logistic loss through the class means of the inputs alone. Those are found
    from the means of bags by least squares, as each bag is a known mixture of classes.

    Parameters
    ----------
    bag_proportions : Tensor of shape (B, k)
        Proportions of all bags.
    bag_sizes : Tensor of shape (B,)
        Rows of all bags.
    ridge : float in [0, inf), default=0.0
        Draws the class means to each other, for bags with proportions near each other or few of them. 1 is as much as
        pure bags tell; bags of m rows drawn at random tell 1/m.

    Notes
    -----
    .. math:: \ell_b = \frac{1}{n_b} \sum_{i \in b} \Big(\log \sum_c e^{z_{ic}} - \sum_c t_{bc} z_{ic}\Big), \qquad
              t_{bc} = \pi_c \frac{n}{n_b} A_{cb}

    .. math:: A = (\Gamma^\top W \Gamma)^{-1} \Gamma^\top W, \qquad \pi = \Gamma^\top W 1 / n

    with the proportions :math:`\Gamma`, :math:`W = \operatorname{diag}(n_b)` and :math:`n = \sum_b n_b`. Over all rows
    the linear part is :math:`\sum_c \pi_c \hat M_c`, where :math:`\hat M = A \bar z` are the estimated means of
    :math:`z_c` in the classes. The targets :math:`t_b` of a bag sum to one and may be negative. Another form of them is

    .. math:: t_b = \pi + (y_b - \pi) K, \qquad K = R^{-1} (R^{-1} \Gamma^\top W \Gamma R^{-1} / n + \lambda)^{-1} R,
              \qquad R = \operatorname{diag}(\sqrt{\pi})

    where eigenvalues of zero are not inverted. Pure bags give cross entropy; bags of m rows drawn at random have
    ``K = m``, which is ``easy_llp``; ``ridge -> inf`` gives cross entropy with :math:`\pi`.

    It assumes that a row of a class is the same in all bags. The estimate is unbiased for every function of a row, but
    a network can make functions of which its error is large: the loss has no lower limit, and a linear model
    (``hidden_layer_sizes=()``), weight decay or early stopping should keep it. It is meant for
    ``bag_weight="size"``, the default of ``LLPClassifier``.

    ``K`` is kept as r axes of length k, where r is the smaller of B and k: O(n k + b k r), memory O(n k + k r), and
    once O(B k r), memory O(B k).

    References
    ----------
    .. [1] Quadrianto, Smola, Caetano, Le. "Estimating labels from label proportions". Journal of Machine Learning
       Research 10, 2009.

    Examples
    --------
    >>> y = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    >>> mean_map = MeanMap(bag_proportions=y, bag_sizes=torch.tensor([2.0, 1.0]))
    >>> mean_map.targets(y)
    tensor([[ 1.8750, -0.8750],
            [-2.5000,  3.5000]])
    >>> mean_map(torch.tensor([[0.0, 3.0], [0.0, -3.0], [0.0, 3.0]]), y, bag=torch.tensor([0, 0, 1]), n_bags=2)
    tensor([ 1.5486, -7.4514])
    """

    priors: Tensor
    root: Tensor
    axes: Tensor

    def __init__(
        self,
        *,
        bag_proportions: Tensor,
        bag_sizes: Tensor,
        ridge: Annotated[NonNegative, Search(1e-3, 1, log=True)] = 0.0,
    ) -> None:
        super().__init__()
        gamma, share = bag_proportions.double(), bag_sizes.double() / bag_sizes.double().sum()
        priors = share @ gamma  # (k,)
        root = torch.where(priors > 0, priors, 1.0).sqrt()  # a class that is in no bag has zeros anyway
        scaled = share.sqrt()[:, None] * gamma / root  # (B, k)
        # of many bags the triangle has the same axes in fewer rows; squaring the matrix would cost half of the digits
        _, lengths, axes = torch.linalg.svd(torch.linalg.qr(scaled, mode="r").R, full_matrices=False)  # (r,), (r, k)
        kept = lengths.square()  # in [0, 1]
        factor = torch.where(kept > SAME, 1 / (kept + ridge), 0.0)
        self.register_buffer("priors", priors.to(bag_proportions.dtype))
        self.register_buffer("root", root.to(bag_proportions.dtype))
        self.register_buffer("axes", (factor.sqrt()[:, None] * axes).to(bag_proportions.dtype))

    def targets(self, y: Proportions) -> Tensor:
        """Return what stands for the labels of the rows of bags with proportions y, (b, k)."""
        return self.priors + (y - self.priors) / self.root @ self.axes.T @ self.axes * self.root

    def forward(
        self, logits: Logits, y: Proportions, *, bag: Tensor, n_bags: int, sample_weight: Tensor | None = None
    ) -> PerBag:
        """Return one value per bag, of logits (n, k) and proportions y (b, k)."""
        return -(self.targets(y) * bag_mean(logits.log_softmax(1), bag, n_bags, sample_weight)).sum(1)
