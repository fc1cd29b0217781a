"""Entropy minimisation that keeps to the proportions of bags."""

from typing import Annotated, Literal

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.bags import bag_log_mean, bag_mean
from sklearnloss.functional.numerics import absent_as_rarest
from sklearnloss.typing import Logits, PerBag, Priors, Proportions

FLOOR = 1e-10  # of a proportion in the divergence, as in the authors' code: an absent class costs 23, not infinity


@loss("prior_entropy", task="bag", unit="bag", aliases=("ent_kl_prop",))
def prior_entropy(
    logits: Logits,
    y: Proportions,
    *,
    bag: Tensor,
    n_bags: int,
    priors: Priors,
    sample_weight: Tensor | None = None,
    entropy_weight: Annotated[NonNegative, Search(0.01, 10, log=True)] = 1.0,
    prior_weight: Annotated[NonNegative, Search(0.1, 10, log=True)] = 1.0,
    weighting: Literal["inverse", "equal"] = "inverse",
) -> PerBag:
    r"""Entropy of each row, which makes up its mind, and divergence of a bag from its proportions, which says how.

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
    priors : Tensor of shape (k,)
        Share of each class among the training rows, for the weights of classes.
    sample_weight : Tensor of shape (n,), default=None
        Weights of rows within their bag.
    entropy_weight : float in [0, inf), default=1.0
        Weight of the entropy of rows.
    prior_weight : float in [0, inf), default=1.0
        Weight of the divergence. At 0 any constant prediction of one class has loss 0: the network collapses.
    weighting : {"inverse", "equal"}, default="inverse"
        Weights of the classes in the entropy: proportional to one over their share, with the sum one, so that rare
        classes are decided too; or one for each.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not negative.

    Notes
    -----
    .. math:: \ell_b = -\lambda_e \frac{1}{n_b} \sum_{i \in b} \sum_c \nu_c \, p_{ic} \log p_{ic}
              + \lambda_p \operatorname{KL}(\bar p_b \,\|\, y_b), \qquad
              \nu_c = \frac{1 / \pi_c}{\sum_j 1 / \pi_j}

    The prediction is the first argument of the divergence: a class that a bag does not have is punished hard, one that
    all its rows deny has no gradient to come back, unlike in ``proportion_ce``. With equal weights and uniform
    proportions the loss is ``log(k)`` minus the mutual information of row and class.

    It was made for the adaptation of a trained network to unlabelled rows of another domain, of which only the
    proportions are known: ``warm_start``, a small learning rate, and the target's proportions as bags. O(n k).

    References
    ----------
    .. [1] Bateson, Kervadec, Dolz, Lombaert, Ben Ayed. "Source-free domain adaptation for image segmentation".
       Medical Image Analysis, 2022.

    Examples
    --------
    >>> import torch
    >>> logits, bag = torch.tensor([[0.0, 3.0], [0.0, -3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])
    >>> y, priors = torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([0.5, 0.5])
    >>> prior_entropy(logits, y, bag=bag, n_bags=2, priors=priors)
    tensor([0.0954, 0.9966])
    """
    log_p = logits.log_softmax(1)
    spread = -(log_p.exp() * log_p)  # (n, k)
    if weighting == "inverse":
        rarity = 1 / absent_as_rarest(priors)
        spread = spread * (rarity / rarity.sum())
    entropy = bag_mean(spread, bag, n_bags, sample_weight).sum(1)  # (b,)
    log_mean = bag_log_mean(log_p, bag, n_bags, sample_weight)  # (b, k)
    divergence = (log_mean.exp() * (log_mean - y.clamp(min=FLOOR).log())).sum(1)  # (b,)
    return entropy_weight * entropy + prior_weight * divergence
