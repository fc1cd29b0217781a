"""Interpolation of bag-level and instance-level squared errors."""

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Probability
from sklearnloss.functional.bags import bag_mean
from sklearnloss.typing import Means, PerBag, Prediction


@loss("bag_interp_mse", task="bag", unit="bag")
def bag_interp_mse(
    prediction: Prediction,
    y: Means,
    *,
    bag: Tensor,
    n_bags: int,
    sample_weight: Tensor | None = None,
    rho: Probability = 0.25,
) -> PerBag:
    r"""Squared error of the mean prediction of a bag, and a share of that of each row against the bag's mean.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions for the rows.
    y : Tensor of shape (b, n_targets)
        Mean response of each bag.
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
        Mean over the targets, not negative.

    Notes
    -----
    .. math:: \ell_b = (1 - \rho) (\bar y_b - \bar f_b)^2 + \rho \, \frac{1}{n_b} \sum_{i \in b} (\bar y_b - f_i)^2
              = (\bar y_b - \bar f_b)^2 + \rho \operatorname{Var}_{i \in b} f_i

    So ``rho`` shrinks predictions within a bag towards each other. The loss of bags alone fails where there are about
    as many bags as parameters; the loss of rows alone is biased the more, the larger bags are. O(n n_targets).

    References
    ----------
    .. [1] Javanmard, Chen, Mirrokni, Badanidiyuru, Fu. "Learning from aggregate responses: instance level versus bag
       level loss functions". ICLR 2024.

    Examples
    --------
    >>> import torch
    >>> f, bag = torch.tensor([[0.2], [0.6], [0.9], [0.1]]), torch.tensor([0, 0, 1, 1])
    >>> bag_interp_mse(f, torch.tensor([[0.5], [0.75]]), bag=bag, n_bags=2)
    tensor([0.0200, 0.1025])
    """
    center = bag_mean(prediction, bag, n_bags, sample_weight)
    spread = bag_mean((prediction - center[bag]).square(), bag, n_bags, sample_weight)
    return ((y - center).square() + rho * spread).mean(1)
