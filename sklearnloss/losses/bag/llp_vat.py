"""Cross entropy of proportions with predictions that do not change near the rows."""

from typing import Annotated

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, PositiveInt, Search
from sklearnloss.functional.bags import bag_mean, proportion_cross_entropy
from sklearnloss.functional.gradients import evaluating, input_gradient
from sklearnloss.typing import Logits, Network, PerBag, Proportions

PROBE = 1e-2  # length of the step by which the direction is found, where the official 1e-6 is lost in float32


# 1. Lengths are in standard deviations of the columns, not in units of X.
# 2. The network is in evaluation mode at both places; the official code leaves dropout on.
# 3. One random start for all rows, not one for each: then neither the order of rows nor their repetition matters.
# 4. The official code lets the weight grow over the first two fifths of training; here it is constant.
@loss("llp_vat", task="bag", unit="bag", gradient="surrogate", static=False)
def llp_vat(
    logits: Logits,
    y: Proportions,
    *,
    bag: Tensor,
    n_bags: int,
    X: Tensor,
    module: Network,
    x_scale: Tensor,
    rng: Generator,
    sample_weight: Tensor | None = None,
    weight: Annotated[NonNegative, Search(0.01, 1, log=True)] = 0.05,
    eps: Annotated[NonNegative, Search(0.1, 3, log=True)] = 1.0,
    n_power: PositiveInt = 1,
) -> PerBag:
    r"""Cross entropy of the proportions, and how much the rows' predictions change in the worst direction.

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
    X : Tensor of shape (n, d)
        The rows.
    module : nn.Module
        The network from X to the scores.
    x_scale : Tensor of shape (d,)
        Standard deviation of each column.
    rng : torch.Generator
        Source of the start of the power iteration.
    sample_weight : Tensor of shape (n,), default=None
        Weights of rows within their bag.
    weight : float in [0, inf), default=0.05
        Weight of the second term; 0 is ``proportion_ce``.
    eps : float in [0, inf), default=1.0
        Length of the change of a row, its columns in standard deviations.
    n_power : int in [1, inf), default=1
        Power iterations by which the direction is found.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not below the entropy of its proportions.

    Notes
    -----
    .. math:: \ell_b = -\sum_c y_{bc} \log \bar p_{bc} + \frac{\lambda}{n_b} \sum_{i \in b}
              \operatorname{KL}\big(p(x_i) \,\|\, p(x_i + r_i)\big), \qquad
              r_i = \arg\max_{\|r / s\|_2 \le \epsilon} \operatorname{KL}\big(p(x_i) \,\|\, p(x_i + r)\big)

    with the weight :math:`\lambda`, standard deviations :math:`s`, and :math:`p(x_i)` and :math:`r_i` kept fixed. Near
    a row the divergence is a quadratic form; a power iteration on its matrix, one gradient each, turns a random
    direction to the worst one. For two classes and a linear network one iteration finds it exactly. Virtual adversarial
    training leaves the network's state and the gradients of its parameters as they were. O(n k), and ``n_power + 2``
    further passes.

    References
    ----------
    .. [1] Tsai, Lin. "Learning from label proportions with consistency regularization". ACML 2020.
    .. [2] Miyato, Maeda, Koyama, Ishii. "Virtual adversarial training: a regularization method for supervised and
       semi-supervised learning". IEEE TPAMI, 2019.

    Examples
    --------
    >>> layer, X, y = torch.nn.Linear(2, 2), torch.zeros(2, 2), torch.tensor([[0.5, 0.5]])
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[0.0, 0.0], [3.0, 4.0]])), layer.bias.zero_()
    >>> facts = {"X": X, "module": layer, "x_scale": torch.ones(2), "rng": torch.Generator().manual_seed(0)}
    >>> # log(2), and the divergence of probabilities 0.5 from those of scores 0 and 5
    >>> llp_vat(layer(X), y, bag=torch.tensor([0, 0]), n_bags=1, weight=1.0, **facts).detach()
    tensor([2.5067])
    """
    with evaluating(module):
        with torch.no_grad():
            here = module(X).log_softmax(1)  # (n, k)
        worst = _worst(module, X, here, x_scale=x_scale, rng=rng, n_power=n_power)  # (n, d)
        change = _divergence(here, module(X + eps * worst))  # (n,)
    fit = proportion_cross_entropy(logits, y, bag, n_bags, sample_weight)
    return fit + weight * bag_mean(change, bag, n_bags, sample_weight)


def _worst(module: Network, X: Tensor, here: Tensor, *, x_scale: Tensor, rng: Generator, n_power: int) -> Tensor:
    """Return the step (n, d) of length one, in standard deviations, that changes a prediction most."""
    start = torch.randn(X.shape[1], dtype=X.dtype, device=X.device, generator=rng)
    direction = F.normalize(start, dim=0).expand_as(X)
    for _ in range(n_power):
        beside = X + PROBE * x_scale * direction
        slope = input_gradient(module, beside, lambda output: _divergence(here, output), x_scale=x_scale)
        direction = F.normalize(slope, dim=1, eps=torch.finfo(slope.dtype).tiny)  # none where nothing changes
    return x_scale * direction


def _divergence(here: Tensor, output: Tensor) -> Tensor:
    """Return the divergence (n,) of what an output predicts from log probabilities."""
    return (here.exp() * (here - output.log_softmax(1))).sum(1)
