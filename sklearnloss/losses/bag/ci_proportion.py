"""Proportion loss of merged bags that is silent inside a confidence interval."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.bags import BagParts, bag_log_mean
from sklearnloss.typing import Logits, PerBag, Proportions

TINY = 1e-12


@loss("ci_proportion", task="bag", unit="bag")
def ci_proportion(
    logits: Logits,
    y: Proportions,
    *,
    bag: Tensor,
    n_bags: int,
    bag_parts: BagParts | None = None,
    sample_weight: Tensor | None = None,
    confidence: Annotated[float, Interval(0, 1), Search(0.5, 0.999)] = 0.99,
    ci_rule: Literal["paper", "author_code", "exact"] = "paper",
    finite_population: bool = False,
) -> PerBag:
    r"""Cross entropy of proportions, of a merged bag only where it is beyond what sampling leaves open.

    For ``mixup="mixbag"``. Without it, and for bags that it left whole, this is ``proportion_ce``.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Scores of the rows.
    y : Tensor of shape (b, k)
        Proportions of each bag; of a merged one those expected.
    bag : Tensor of shape (n,)
        Bag of each row.
    n_bags : int
        Number of bags b.
    bag_parts : BagParts, default=None
        Where the rows of each bag come from; None: no bag was merged.
    sample_weight : Tensor of shape (n,), default=None
        Weights of rows within their bag. Intervals are those of numbers of rows.
    confidence : float in (0, 1), default=0.99
        How likely the true proportion of a class is in its interval. Towards 0 the intervals vanish, towards 1 merged
        bags teach nothing.
    ci_rule : {"paper", "author_code", "exact"}, default="paper"
        Half-width of the interval: the weighted sum of those of both parts; that of the authors' code, so wide that
        merged bags hardly count; or from the variance of the sum of both parts, the narrowest.
    finite_population : bool, default=False
        Whether intervals are narrower by the share of a bag that was drawn, as without replacement they are; a bag
        drawn whole leaves nothing open.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not negative. It jumps at the ends of the interval.

    Notes
    -----
    .. math:: \ell_b = -\sum_c q_c \log \begin{cases} q_c & |\bar p_c - q_c| \le h_c \\ \bar p_c &
              \text{else} \end{cases}, \qquad h = t (a s_1 + b s_2), \quad
              s_i = \sqrt{\frac{q_i (1 - q_i)}{g_i}}

    with the mean prediction :math:`\bar p`, the expected proportions :math:`q = a q_1 + b q_2`, shares
    :math:`a = g_1 / (g_1 + g_2) = 1 - b` of the rows, and the normal quantile t, 2.576 for 99 %. The code has
    :math:`h = t (t s_1 + b s_2)`; exact is :math:`h = t \sqrt{a^2 s_1^2 + b^2 s_2^2}`. A finite population multiplies
    :math:`s_i^2` by :math:`(n_i - g_i) / (n_i - 1)`. Where :math:`q_1` and :math:`q_2` are 0 or 1 the interval is a
    point. Logarithms are of means as in ``proportion_ce``. O(n k).

    References
    ----------
    .. [1] Asanomi, Matsuo, Suehiro, Bise. "MixBag: bag-level data augmentation for learning from label proportions".
       ICCV 2023.

    Examples
    --------
    >>> bag, y = torch.tensor([0, 0, 1, 1]), torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    >>> two, one = torch.tensor([2.0, 2.0]), torch.tensor([1.0, 0.0])  # the first bag is merged, a row of each
    >>> parts = BagParts(y, y, two - one, one, two, two)
    >>> ci_proportion(torch.tensor([[0.0, 1.0]] * 4), y, bag=bag, n_bags=2, bag_parts=parts)
    tensor([0.6931, 0.8133])
    """
    mean = bag_log_mean(logits.log_softmax(1), bag, n_bags, sample_weight)  # (b, k)
    if bag_parts is not None:
        width = _half_width(bag_parts, confidence, ci_rule, finite_population)
        inside = (bag_parts.n_second > 0)[:, None] & ((mean.exp() - y).abs() <= width)
        mean = torch.where(inside, y.clamp(min=TINY).log().to(mean.dtype), mean)
    return -torch.where(y > 0, y * mean, 0.0).sum(1)


def _half_width(parts: BagParts, confidence: float, rule: str, finite_population: bool) -> Tensor:
    """Return how far the true proportions may be from those expected, (b, k)."""
    rows = parts.n_first + parts.n_second
    a, b = (parts.n_first / rows)[:, None], (parts.n_second / rows)[:, None]
    sampled = ((parts.first, parts.n_first, parts.size_first), (parts.second, parts.n_second, parts.size_second))
    first, second = (_variance(q, g, n, finite_population) for q, g, n in sampled)
    t = 2**0.5 * torch.erfinv(torch.as_tensor(confidence, dtype=torch.float64, device=a.device)).to(a.dtype)
    if rule == "exact":
        return t * (a.square() * first + b.square() * second).sqrt()
    return t * ((a if rule == "paper" else t) * first.sqrt() + b * second.sqrt())


def _variance(q: Tensor, g: Tensor, n: Tensor, finite_population: bool) -> Tensor:
    """Return the variance of the proportions (b, k) among g of n rows."""
    one = q * (1 - q) / g.clamp(min=1)[:, None]
    return one * ((n - g) / (n - 1).clamp(min=1))[:, None] if finite_population else one
