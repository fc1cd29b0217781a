"""Labels of rows that agree with what is known of their bags: soft ones by scaling, and exact ones by counting."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sklearnloss.functional.bags import bag_log_mean

__all__ = ["count_log_odds", "count_log_potential", "count_marginals", "fitted_plan", "whole_counts"]

CELLS = 1 << 23  # numbers of forward messages held at once
WHOLE = 1e-6  # a count that is so near to a whole number is one


@torch.no_grad()
def fitted_plan(
    log_p: Tensor,
    y: Tensor,
    bag: Tensor,
    n_bags: int,
    sample_weight: Tensor | None = None,
    *,
    iterations: int = 50,
    epsilon: float | Tensor = 1.0,
) -> Tensor:
    r"""Return soft labels (n, k) near to the predictions whose mean over each bag is the bag's proportions.

    Parameters
    ----------
    log_p : Tensor of shape (n, k)
        Logarithms of what is predicted for the rows, finite; a constant for each row changes nothing.
    y : Tensor of shape (b, k)
        Proportions of each bag; a class of proportion zero is given to no row.
    bag : Tensor of shape (n,)
        Bag of each row, 0..b-1.
    n_bags : int
        Number of bags b.
    sample_weight : Tensor of shape (n,), default=None
        Weights of rows within their bag.
    iterations : int in [1, inf), default=50
        How often rows and classes are scaled in turn.
    epsilon : float in (0, inf), default=1.0
        Weight of the entropy. Near 0 labels are hard, but for ties; if it is large they are the proportions.

    Returns
    -------
    Tensor of shape (n, k)
        Each row sums to one; the means of the classes come to ``y`` as iterations go on. Without a graph.

    Notes
    -----
    With the share :math:`w_i` of each row in its bag, it is the plan of entropic optimal transport:

    .. math:: \min_q \sum_{i \in b} w_i \sum_c q_{ic} (-\log p_{ic} + \epsilon \log q_{ic})
              \quad \text{where} \quad \sum_c q_{ic} = 1, \; \sum_{i \in b} w_i q_{ic} = y_{bc}

    so :math:`q_{ic} \propto v_{bc} \, p_{ic}^{1 / \epsilon}`. With ``epsilon=1`` it is the projection of ``p`` on the
    constraints in relative entropy, found by iterative proportional fitting.

    Where ``log_p`` differs by much more than ``epsilon`` the plain iteration hardly moves. So the first half of the
    iterations goes down to ``epsilon`` from the largest difference in the bag. All bags at once, in logarithms;
    O(n k iterations).

    References
    ----------
    .. [1] Cuturi. "Sinkhorn distances: lightspeed computation of optimal transport". NeurIPS 2013.
    .. [2] Schmitzer. "Stabilized sparse scaling algorithms for entropy regularized transport problems". SIAM Journal on
       Scientific Computing, 2019.

    Examples
    --------
    >>> log_p = torch.tensor([[0.9, 0.1], [0.6, 0.4]]).log()
    >>> fitted_plan(log_p, torch.tensor([[0.5, 0.5]]), torch.tensor([0, 0]), 1)
    tensor([[0.7101, 0.2899],
            [0.2899, 0.7101]])
    """
    spread = log_p.amax(1) - log_p.amin(1)
    start = spread.new_zeros(n_bags).scatter_reduce(0, bag, spread, "amax") / epsilon
    start, target = start.clamp(min=1)[:, None], y.log()
    lift = torch.zeros_like(y)
    for step in range(iterations):
        softness = epsilon * start ** max(0.0, 1 - 2 * step / iterations)  # (b, 1)
        labels = ((log_p + lift[bag]) / softness[bag]).log_softmax(1)
        found = bag_log_mean(labels, bag, n_bags, sample_weight)
        lift = torch.where(y > 0, lift + softness * (target - found), -torch.inf)
    return ((log_p + lift[bag]) / epsilon).softmax(1)


def count_marginals(
    log_odds: Tensor, counts: Tensor | None, bag: Tensor, n_bags: int, *, log_potential: Tensor | None = None
) -> Tensor:
    r"""Return the probability that each row is positive, given how many rows of its bag are.

    Parameters
    ----------
    log_odds : Tensor of shape (n,)
        Log odds of each row being positive, independently of the others; finite.
    counts : Tensor of shape (b,) or None
        Positive rows of each bag, 0 to its size; between two whole numbers as `count_log_potential` says. None where
        ``log_potential`` is given.
    bag : Tensor of shape (n,)
        Bag of each row, 0..b-1.
    n_bags : int
        Number of bags b.
    log_potential : Tensor of shape (b, m), default=None
        In place of counts: the logarithm, up to a constant of the bag, of how well 0..m-1 positive rows agree with
        what is known of the bag; m - 1 is at least the size of the largest bag. ``-inf`` excludes a count. Noise of a
        known scale for example is ``-0.5 * ((torch.arange(m) - counts[:, None]) / scale[:, None]) ** 2``.

    Returns
    -------
    Tensor of shape (n,)
        In [0, 1]; over a bag they sum to its count, or to the expected one. Without a graph.

    See Also
    --------
    count_log_odds : The same as log odds, which tell apart what rounds to 0 or 1.

    Notes
    -----
    .. math:: P(y_i = 1) \propto \sum_{y : y_i = 1} \phi\Big(\sum_{j \in b} y_j\Big)
              \prod_{j \in b} \sigma(a_j)^{y_j} \sigma(-a_j)^{1 - y_j}

    with the log odds :math:`a` and the potential :math:`\phi`. Exact, by messages forward and backward along the rows
    about the count so far: O(size**2) for each bag, in float64 and in logarithms, bags of nearly one size together.
    Where the count is known, a constant added to the log odds of a bag changes nothing.

    Examples
    --------
    >>> odds = torch.tensor([3.0, 1.0, 1.0])
    >>> count_marginals(odds.log(), torch.tensor([1]), torch.tensor([0, 0, 0]), 1)
    tensor([0.6000, 0.2000, 0.2000])
    """
    return count_log_odds(log_odds, counts, bag, n_bags, log_potential=log_potential).sigmoid()


@torch.no_grad()
def count_log_odds(
    log_odds: Tensor, counts: Tensor | None, bag: Tensor, n_bags: int, *, log_potential: Tensor | None = None
) -> Tensor:
    """Return what `count_marginals` does as log odds (n,), infinite where the count leaves no doubt.

    Examples
    --------
    >>> count_log_odds(torch.tensor([0.0, 0.0]), torch.tensor([2]), torch.tensor([0, 0]), 1)
    tensor([inf, inf])
    """
    sizes = torch.bincount(bag, minlength=n_bags)
    if log_potential is None:
        assert counts is not None, "either counts or log_potential"
        log_potential = count_log_potential(counts, int(sizes.max()))
    rows = torch.argsort(bag, stable=True)  # bag after bag
    first = sizes.cumsum(0) - sizes
    found = torch.empty(len(bag), dtype=torch.float64, device=bag.device)
    for group, size in _similar(sizes.tolist()):
        bags = torch.tensor(group, device=bag.device)
        place = torch.arange(size, device=bag.device)
        there = place < sizes[bags, None]  # (g, m)
        index = rows[(first[bags, None] + place).clamp(max=len(bag) - 1)]
        odds = torch.where(there, log_odds[index].double(), -torch.inf)  # rows that are not there are never positive
        found[index[there]] = _messages(odds, log_potential[bags, : size + 1].double())[there]
    return found.to(log_odds.dtype)


def count_log_potential(counts: Tensor, n_max: int) -> Tensor:
    """Return the logarithm of how well each number of positive rows agrees with a count, (b, n_max + 1).

    Parameters
    ----------
    counts : Tensor of shape (b,)
        Counts in [0, n_max], such as a proportion times the size of its bag.
    n_max : int
        Largest number of positive rows.

    Returns
    -------
    Tensor of shape (b, n_max + 1)
        In float64. A count within 1e-6, and the rounding of its dtype, of a whole number is that number: 0 there and
        ``-inf`` elsewhere. Any other count is one of the two beside it, the more likely, the nearer.

    Notes
    -----
    Interpolation needs no scale and has no jump. Where the proportions are known to be noisy, with some standard
    deviation, a Gaussian potential says so better; see `count_marginals`.

    Examples
    --------
    >>> count_log_potential(torch.tensor([1.0, 1.25]), 2).exp()
    tensor([[0.0000, 1.0000, 0.0000],
            [0.0000, 0.7500, 0.2500]], dtype=torch.float64)
    """
    rounding = 4 * torch.finfo(counts.dtype).eps if counts.is_floating_point() else 0.0
    counts = counts.double()
    whole = (counts - counts.round()).abs() <= WHOLE + rounding * counts
    counts = torch.where(whole, counts.round(), counts)
    number = torch.arange(n_max + 1, dtype=torch.float64, device=counts.device)
    return (1 - (number - counts[:, None]).abs()).clamp(min=0).log()


def _similar(sizes: list[int]) -> Iterator[tuple[list[int], int]]:
    """Yield bags of nearly one size, as many as fit, with the size of the largest."""
    group: list[int] = []
    for b in sorted(range(len(sizes)), key=lambda b: -sizes[b]):
        size = sizes[group[0]] if group else 0
        if group and (5 * sizes[b] < 4 * size - 8 or (len(group) + 1) * size * (size + 1) > CELLS):
            yield group, size
            group = []
        group.append(b)
    yield group, sizes[group[0]]


def _messages(log_odds: Tensor, log_potential: Tensor) -> Tensor:
    """Return log odds (g, m) of the rows of bags, given potentials (g, m + 1) of their counts.

    Likelihoods are in units of that of all rows being negative, so that they stay the same where a row is negative.
    """
    m = log_odds.shape[1]
    before = torch.full((m, *log_potential.shape), -torch.inf, dtype=torch.float64, device=log_odds.device)
    before[0, :, 0] = 0  # likelihood of each count of positives among the rows before
    for i in range(m - 1):
        before[i + 1] = before[i]
        positive = before[i, :, :-1] + log_odds[:, i, None]
        before[i + 1, :, 1:] = torch.logaddexp(before[i, :, 1:], positive)
    after = log_potential  # likelihood of the rest, given each count so far
    found = torch.empty_like(log_odds)
    for i in range(m - 1, -1, -1):
        positive = after[:, 1:] + log_odds[:, i, None]
        one = (before[i, :, :-1] + positive).logsumexp(1)
        found[:, i] = one - (before[i] + after).logsumexp(1)
        after = torch.cat([torch.logaddexp(after[:, :-1], positive), after[:, -1:]], dim=1)
    return found


def whole_counts(y: Tensor, bag: Tensor, n_bags: int) -> Tensor:
    """Return how many rows of each bag have each class, (b, k): proportions times sizes, rounded by largest remainder.

    Parameters
    ----------
    y : Tensor of shape (b, k)
        Proportions of each bag.
    bag : Tensor of shape (n,)
        Bag of each row, 0..b-1.
    n_bags : int
        Number of bags b.

    Returns
    -------
    LongTensor of shape (b, k)
        Each row sums to the size of the bag; of equal remainders the first class is rounded up.

    Examples
    --------
    >>> whole_counts(torch.tensor([[0.5, 0.3, 0.2]]), torch.zeros(4, dtype=torch.int64), 1)
    tensor([[2, 1, 1]])
    """
    size = torch.zeros(n_bags, dtype=y.dtype, device=y.device).index_add(0, bag, y.new_ones(len(bag)))
    share = y * size[:, None]
    low = share.floor()
    missing = size - low.sum(1)
    rank = (low - share).argsort(dim=1, stable=True).argsort(dim=1)
    return (low + (rank < missing[:, None])).long()
