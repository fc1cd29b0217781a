"""Inter-variable contrastive loss."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.auc import class_weights, pair_mean
from sklearnloss.functional.numerics import softplus
from sklearnloss.typing import Labels, Scalar, Scores, Weights

NOTHING = -1e30  # log of the sum over a class without rows; finite, as minus infinity has no gradient


@loss("vcl", task="binary", unit="batch", link="none", sampler="stratified", static=False)
def vcl(
    scores: Scores,
    y: Labels,
    *,
    tau: Annotated[Positive, Search(0.05, 1, log=True)] = 0.1,
    margin: Annotated[Positive, Search(0.1, 1)] = 0.9,
    weight: Annotated[NonNegative, Search(0, 1)] = 0.01,
    group: Tensor | None = None,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Share of a group's softmax that its ones receive, and a hinge on every pair of a one and a zero of the group.

    It was made for the variables of integer programs: which of them are one in a good solution of their program.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; larger for the ones.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    tau : float in (0, inf), default=0.1
        Temperature that divides the scores in the softmax.
    margin : float in (0, inf), default=0.9
        By how much the probability of a one should be above that of a zero.
    weight : float in [0, inf), default=0.01
        Weight of the hinge.
    group : Tensor of shape (n,), default=None
        Which rows belong together, such as the variables of one program: ``fit(X, y, group=...)``. None: all.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows within their group.

    Returns
    -------
    Tensor of shape ()
        Mean over the groups with ones and zeros, never negative; zero if there is none.

    Notes
    -----
    In each group, with its ones P and zeros N,

    .. math::
        \ell = -\log \frac{\sum_{i \in P} e^{s_i / \tau}}{\sum_{i} e^{s_i / \tau}}
        + \frac{w}{|P||N|} \sum_{i \in P} \sum_{j \in N} [m - (\sigma(s_i) - \sigma(s_j))]_+ .

    The first part says nothing about the level of the scores and is content with a single one that is far ahead; the
    hinge asks all of them to be ahead, in probabilities. The first is the softplus of a difference of two logarithms of
    sums, which does not overflow where the authors' exponentials do, from a probability of 0.99986 on. They take the
    sum over the groups; several solutions of one program are groups of their own.

    The level of the scores is nearly free: there is no link, and ``calibrate="sigmoid"`` gives probabilities and a
    threshold. A batch may cut a group into parts, each of which then counts as a group. O(n log n) if groups are of
    similar size.

    References
    ----------
    .. [1] Pu, Li, Gao, Liu, Geng, Liu, Chen, Fan. "CoCo-MILP: inter-variable contrastive and intra-constraint
       competitive MILP solution prediction". AAAI 2026.

    Examples
    --------
    >>> scores = torch.tensor([0.2, 0.1, 0.0, -0.1])
    >>> vcl(scores, torch.tensor([1.0, 0.0, 1.0, 0.0]))
    tensor(0.3220)
    """
    positive, negative = class_weights(y, sample_weight)
    table = [torch.where(positive + negative > 0, scores, 0.0), positive, negative]
    if group is None:
        table = [t[None] for t in table]
    else:
        index, there = _by_group(group)  # (groups, rows of the largest)
        table = [torch.where(there, t[index], 0.0) for t in table]
    s, ones, zeros = table
    hinges, exists = pair_mean(torch.sigmoid(s), ones, zeros, surrogate="hinge", tau=margin)  # (groups,)
    z = s.to(torch.promote_types(s.dtype, torch.float32)) / tau
    contrast = softplus(_log_sum(z, zeros) - _log_sum(z, ones))
    values = torch.where(exists, contrast + weight * margin * hinges, 0.0)
    return (values.sum() / exists.sum().clamp(min=1)).to(scores.dtype)


def _by_group(group: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows of each group, and which of these are no padding: (groups, rows of the largest)."""
    _, place, counts = group.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    order = place.argsort(stable=True)
    slots = torch.arange(int(counts.max()), device=group.device)
    there = slots < counts[:, None]
    return order[torch.where(there, (counts.cumsum(0) - counts)[:, None] + slots, 0)], there


def _log_sum(z: Tensor, weights: Tensor) -> Tensor:
    """Return the log of the weighted sum of exponentials, (groups,)."""
    some = weights > 0
    return torch.where(some, z + torch.where(some, weights, 1.0).log(), NOTHING).logsumexp(1)
