"""Means of a surrogate over all pairs of a positive and a negative: what stands for the area under the ROC curve."""

from typing import Any, Literal

import torch
from torch import Tensor

from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.rank_sums import falling, hinge_pairs, wide
from sklearnloss.functional.softplus_pairs import softplus_pairs

__all__ = ["Surrogate", "class_weights", "hardest", "one_side", "pair_mean", "surrogate_of", "weighted_only"]

Surrogate = Literal["logistic", "squared_hinge", "hinge", "squared"]

LONG = 1024  # rows from which several labels are taken one by one, each with its own positives only


def class_weights(y: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the weight of each row as a positive and as a negative, one of them zero; labels may be columns.

    Examples
    --------
    >>> class_weights(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 2.0]))
    (tensor([3., 0.]), tensor([0., 2.]))
    """
    y = y.to(torch.promote_types(y.dtype, torch.float32))
    if sample_weight is None:
        return y, 1 - y
    weight = sample_weight.to(y.dtype)
    weight = weight[:, None] if y.ndim > 1 else weight
    return weight * y, weight * (1 - y)


def surrogate_of(t: Tensor, surrogate: Surrogate) -> Tensor:
    """Return what stands for a pair in the wrong order, or a row on the wrong side, of its lead t.

    Examples
    --------
    >>> surrogate_of(torch.tensor([-1.0, 2.0]), "squared_hinge")
    tensor([4., 0.])
    """
    match surrogate:
        case "logistic":
            return softplus(-t)
        case "squared_hinge":
            return (1 - t).relu().square()
        case "hinge":
            return (1 - t).relu()  # clamping has a slope at the corner, where the sums over pairs have none
        case "squared":
            return (1 - t).square()


def pair_mean(
    scores: Tensor, positive: Tensor, negative: Tensor, *, surrogate: Surrogate, tau: Any = 1.0
) -> tuple[Tensor, Tensor]:
    r"""Return the weighted mean of a surrogate over all pairs of a positive and a negative.

    Parameters
    ----------
    scores : Tensor of shape (..., n)
        Scores, one problem a row.
    positive, negative : Tensor of shape (..., n)
        Weights of the rows as positives and as negatives; a pair has the product. Rows without weight in either may
        have any score, infinite ones too.
    surrogate : {"logistic", "squared_hinge", "hinge", "squared"}
        Of :math:`t`, the lead of the positive over the negative in units of tau: :math:`\log(1 + e^{-t})`,
        :math:`[1 - t]_+^2`, :math:`[1 - t]_+` or :math:`(1 - t)^2`.
    tau : float in (0, inf), default=1.0
        What divides the scores.

    Returns
    -------
    value : Tensor of shape (...)
        Zero, with a gradient of zero, where a class is missing.
    exists : BoolTensor of shape (...)
        Whether both classes are there.

    Notes
    -----
    ``"squared"`` is made of means and variances, :math:`(1 - \bar t)^2 + \operatorname{Var}_+ + \operatorname{Var}_-`
    of the scores over tau: O(n). The hinges take a sort, see `hinge_pairs`: O(n log n). Few logistic pairs are gone
    through one by one, many by cells, see `softplus_pairs`.

    Examples
    --------
    >>> scores = torch.tensor([1.0, 0.0, 0.0, -1.0, 2.0])
    >>> positive = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    >>> pair_mean(scores, positive, 1 - positive, surrogate="logistic")
    (tensor(0.8145), tensor(True))
    """
    if scores.ndim > 1 and scores.shape[-1] > LONG and not _mapped(scores, positive, negative):
        each = [pair_mean(*row, surrogate=surrogate, tau=tau) for row in zip(scores, positive, negative, strict=True)]
        values, exist = zip(*each, strict=True)
        return torch.stack(values), torch.stack(exist)
    if surrogate in ("hinge", "squared_hinge"):
        return _hinges(scores, positive, negative, 1 if surrogate == "hinge" else 2, tau)
    (u, a, any_positive), (v, b, any_negative) = (one_side(scores, weights) for weights in (positive, negative))
    exists = (any_positive & any_negative).squeeze(-1)
    centre = ((a * u).sum(-1, keepdim=True) + (b * v).sum(-1, keepdim=True)).detach() / 2
    u, v = (u - centre) / tau, (v - centre) / tau
    if surrogate == "squared":
        value = _squared(u, v, a, b)
    else:
        working = torch.promote_types(scores.dtype, torch.float32)  # centred, they lose nothing in it
        value = softplus_pairs(*(t.to(working) for t in (u, v, a, b)))
    return value.to(scores.dtype) * exists, exists


def _shares(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights (..., n) that sum to one, or are all zero, and whether there are any, (..., 1)."""
    total = weights.sum(-1, keepdim=True)
    return weights / torch.where(total > 0, total, 1.0), total > 0


@torch.no_grad()
def hardest(scores: Tensor, weights: Tensor, fraction: Any) -> Tensor:
    """Return the weights of the rows with the highest scores, until they are a fraction of all weights.

    The last row is taken in part, and rows of equal scores in equal parts, so that neither their order nor the rounding
    of a count matters.

    Parameters
    ----------
    scores, weights : Tensor of shape (..., n)
        Rows without weight may have any score.
    fraction : float in (0, 1]
        Share of the weight that is kept.

    Returns
    -------
    Tensor of shape (..., n)
        Without a gradient.

    Examples
    --------
    >>> hardest(torch.tensor([3.0, 1.0, 2.0, 2.0]), torch.ones(4), 0.5)
    tensor([1.0000, 0.0000, 0.5000, 0.5000])
    """
    scores = torch.where(weights > 0, scores.to(torch.promote_types(scores.dtype, torch.float32)), -torch.inf)
    order = falling(scores)
    so_far = torch.take_along_dim(weights, order, dim=-1).cumsum(-1)
    budget = fraction * so_far[..., -1:]
    place = (so_far < budget).sum(-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
    cut = scores.gather(-1, order.gather(-1, place))
    over, at = weights * (scores > cut), weights * (scores == cut)
    left = budget - over.sum(-1, keepdim=True)
    return over + at * (left / at.sum(-1, keepdim=True).clamp(min=torch.finfo(at.dtype).tiny)).clamp(0, 1)


def _hinges(
    scores: Tensor, positive: Tensor, negative: Tensor, power: Literal[1, 2], tau: Any
) -> tuple[Tensor, Tensor]:
    (a, any_positive), (b, any_negative) = (_shares(weights.to(wide(weights))) for weights in (positive, negative))
    exists = (any_positive & any_negative).squeeze(-1)
    x = scores.to(a.dtype)  # neither shifted nor scaled, so that a lead of exactly tau stays that
    x = torch.where(positive > 0, x - tau, torch.where(negative > 0, x, 0.0))
    return (hinge_pairs(x, a, b, power=power) / tau**power).to(scores.dtype) * exists, exists


def _squared(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    mean_u, mean_v = (a * u).sum(-1, keepdim=True), (b * v).sum(-1, keepdim=True)
    spread = (a * (u - mean_u).square()).sum(-1) + (b * (v - mean_v).square()).sum(-1)
    return (1 - (mean_u - mean_v).squeeze(-1)).square() + spread


def one_side(scores: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the scores of one class, in float64, what share each has, and whether there are any, (..., 1).

    Scores without weight are left out. Of several problems as many are kept as the fullest has, and under ``vmap``,
    where shapes must not depend on numbers, all; where there is no weight the mean of the others then stands.

    Examples
    --------
    >>> one_side(torch.tensor([5.0, 6.0, 7.0]), torch.tensor([1.0, 0.0, 3.0]))
    (tensor([5., 7.], dtype=torch.float64), tensor([0.2500, 0.7500], dtype=torch.float64), tensor([True]))
    """
    if weights.ndim == 1 and not _mapped(weights):
        index = weights.nonzero().squeeze(1)
        share = weights.index_select(0, index).to(wide(weights))
        some = index.new_full((1,), len(index) > 0, dtype=torch.bool)
        return scores.index_select(-1, index).to(share.dtype), share / share.sum(), some
    if not _mapped(weights):
        there = weights > 0
        index = there.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)
        index = index[..., : int(there.sum(-1).max())]
        scores, weights = (torch.take_along_dim(t, index, dim=-1) for t in (scores, weights))
    share, some = _shares(weights.to(wide(weights)))
    scores = torch.where(share > 0, scores.to(share.dtype), 0.0)
    mean = (share * scores).sum(-1, keepdim=True).detach()
    return torch.where(share > 0, scores, mean), share, some


def weighted_only(scores: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows with weight, for `pair_mean`; under ``vmap``, where shapes must not depend on numbers, all.

    Examples
    --------
    >>> weighted_only(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0]))
    (tensor([1., 3.]), tensor([1., 0.]), tensor([0., 1.]))
    """
    weight = positive + negative
    if _mapped(weight):
        return scores, positive, negative
    rows = weight.nonzero().squeeze(1)
    return scores.index_select(-1, rows), positive.index_select(0, rows), negative.index_select(0, rows)


def _mapped(*tensors: Tensor) -> bool:
    """Return whether ``vmap`` looks at one of these, so that shapes must not depend on numbers."""
    return any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in tensors)
