"""Ranks of losses over several data sets, and which of them differ."""

import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from math import lgamma, log
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import f, rankdata, studentized_range, wilcoxon

from sklearnloss.comparison.diagram import draw_ranks
from sklearnloss.comparison.frames import require_pandas
from sklearnloss.comparison.statistics import holm
from sklearnloss.exceptions import DataError, DataWarning, ParameterError, did_you_mean

__all__ = ["Friedman", "Ranking", "Scored", "rank"]

Array = np.ndarray

EXACT = 50_000  # so many orders of the ranks are enumerated in well under a second
DIGITS = 12  # means of the same scores in another order differ below this, and are ties


class Scored(Protocol):
    """What `rank` reads of a comparison on one data set."""

    @property
    def name(self) -> str:
        """The data set."""

    @property
    def scores(self) -> Mapping[str, ArrayLike]:
        """The scores of each loss on the splits; greater is better, a loss that failed is absent."""


class Friedman(NamedTuple):
    """Test of the hypothesis that all losses are equal.

    Attributes
    ----------
    statistic : float
        F of Iman and Davenport; infinite where all data sets agree on the order.
    p : float
        P-value.
    exact : bool
        Whether all orders of the ranks were counted; else p is that of an F distribution.
    """

    statistic: float
    p: float
    exact: bool


@dataclass(frozen=True)
class Ranking:
    """Result of `rank`.

    Attributes
    ----------
    ranks : dict of str to float
        Mean rank of each loss over the data sets, the best (1 is first) first.
    friedman : Friedman
        ``statistic``, ``p`` and ``exact`` of the test that all losses are equal.
    critical_difference : float
        Mean ranks further apart than this differ (Nemenyi).
    cliques : tuple of tuple of str
        The largest groups of neighbours that do not differ, the best first.
    reference : str
        The loss that the others are tested against.
    p_values : dict of str to float
        Wilcoxon's signed-rank test of each other loss against the reference, adjusted by Holm, in the order of ranks.
    data_sets : tuple of str
        The data sets.
    alpha : float
        Level of ``critical_difference``.
    """

    ranks: Mapping[str, float]
    friedman: Friedman
    critical_difference: float
    cliques: tuple[tuple[str, ...], ...]
    reference: str
    p_values: Mapping[str, float]
    data_sets: tuple[str, ...]
    alpha: float = field(default=0.05)

    def to_frame(self) -> Any:
        """Return a table with a row for each loss, the best first.

        Returns
        -------
        DataFrame
            Indexed by ``loss``, with the columns ``rank`` and ``p_value``, NaN for the reference.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = require_pandas("Ranking.to_frame")
        rows = {"rank": list(self.ranks.values()), "p_value": [self.p_values.get(name, np.nan) for name in self.ranks]}
        return pd.DataFrame(rows, index=pd.Index(self.ranks, name="loss"))

    def plot(self, ax: Any = None) -> Any:
        """Draw the critical-difference diagram: names by mean rank, a bar over those that do not differ.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure of the size that the names need.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return draw_ranks(self.ranks, self.cliques, self.critical_difference, ax)

    def __str__(self) -> str:
        width = max(4, *map(len, self.ranks))
        bars = max(len("alike"), len(self.cliques))
        lines = [f"{'rank':>6}  {'loss':<{width}}  {'alike':<{bars}}  p against {self.reference}"]
        for name, value in self.ranks.items():
            alike = "".join("|" if name in clique else " " for clique in self.cliques)
            p = _p(self.p_values[name]) if name in self.p_values else "-"
            lines.append(f"{value:6.2f}  {name:<{width}}  {alike:<{bars}}  {p}".rstrip())
        p_all = _p(self.friedman.p)
        how = "exact" if self.friedman.exact else "Iman-Davenport"
        return "\n".join(
            [
                f"{len(self.ranks)} losses on {len(self.data_sets)} data sets, mean ranks, 1 is best",
                "",
                *lines,
                "",
                f"all equal (Friedman, {how}): F = {self.friedman.statistic:.3g}, "
                f"p {'<' if p_all.startswith('<') else '='} {p_all.removeprefix('<')}",
                f"a bar holds ranks that do not differ: critical difference {self.critical_difference:.2f} "
                f"(Nemenyi, alpha = {self.alpha:g})",
                "p: Wilcoxon's signed ranks, adjusted by Holm",
            ]
        )


def rank(
    results: Iterable[Scored] | Mapping[str, Mapping[str, ArrayLike]] | Any,
    *,
    alpha: float = 0.05,
    baseline: str | None = None,
) -> Ranking:
    r"""Rank losses over several data sets, and say which of them differ.

    Parameters
    ----------
    results : sequence of results, mapping or DataFrame
        Objects with ``.name``, the data set, and ``.scores``, a mapping from each loss to its scores on the splits, as
        `compare` gives; or ``{data set: {loss: score or scores}}``; or a pandas DataFrame with a row for each data set
        and a column for each loss. Greater is better. A loss counts with the mean of its scores.
    alpha : float in (0, 1), default=0.05
        Level of the critical difference.
    baseline : str, default=None
        The loss that the others are tested against; None is the one of the best mean rank.

    Returns
    -------
    Ranking
        ``print`` it for a table, ``.plot()`` it for the critical-difference diagram.

    Warns
    -----
    DataWarning
        If a loss has no score on some data set, and is left out of all.

    Raises
    ------
    DataError
        If fewer than two data sets, or two losses with a score on each, are there.
    ParameterError
        If ``alpha`` is out of range, or ``baseline`` is no loss that is ranked.

    Notes
    -----
    Ties share the mean of their ranks, and the statistic of Friedman is corrected for them. With mean ranks
    :math:`R_j` of k losses on N data sets,

    .. math:: F = \frac{(N - 1) \chi^2}{N (k - 1) - \chi^2}, \qquad
       \chi^2 = \frac{(k - 1) N^2 \sum_j (R_j - \frac{k + 1}2)^2}{\sum_{ij} (r_{ij} - \frac{k + 1}2)^2}, \qquad
       \mathrm{CD} = q_\alpha \sqrt{\frac{k (k + 1)}{6 N}}

    where :math:`q_\alpha` is the studentized range over the root of two. Where few data sets and losses make few
    orders, p is their exact share instead. Wilcoxon's test shares zero differences out among both signs; with fewer
    than six data sets its p-value cannot be below 0.05. The best loss as a reference was chosen by the same data: name
    a ``baseline`` beforehand for p-values that claim something.

    References
    ----------
    .. [1] Demšar. "Statistical comparisons of classifiers over multiple data sets". JMLR 7, 2006.
    .. [2] Iman, Davenport. "Approximations of the critical region of the Friedman statistic". Communications in
       Statistics 9, 1980.

    Examples
    --------
    >>> scores = {
    ...     "iris": {"cross_entropy": 0.95, "ldr": 0.96, "mae": 0.80},
    ...     "wine": {"cross_entropy": 0.97, "ldr": 0.98, "mae": 0.90},
    ...     "digits": {"cross_entropy": 0.96, "ldr": 0.97, "mae": 0.94},
    ...     "glass": {"cross_entropy": 0.70, "ldr": 0.69, "mae": 0.60},
    ... }
    >>> print(rank(scores))
    3 losses on 4 data sets, mean ranks, 1 is best
    <BLANKLINE>
      rank  loss           alike  p against ldr
      1.25  ldr            |      -
      1.75  cross_entropy  ||     0.250
      3.00  mae             |     0.250
    <BLANKLINE>
    all equal (Friedman, exact): F = 13, p = 0.042
    a bar holds ranks that do not differ: critical difference 1.66 (Nemenyi, alpha = 0.05)
    p: Wilcoxon's signed ranks, adjusted by Holm
    """
    if not 0 < alpha < 1:
        raise ParameterError(f"rank: alpha must be a float in (0, 1), got {alpha!r}")
    data_sets, losses, table = _complete(_read(results))
    if baseline is not None and baseline not in losses:
        raise ParameterError(
            f"rank: baseline {baseline!r} is not among the ranked losses{did_you_mean(baseline, losses)}; they are "
            f"{', '.join(losses)}"
        )
    ranks = rankdata(-table, axis=1)  # (N, k)
    mean = ranks.mean(axis=0)
    order = sorted(range(len(losses)), key=lambda j: (mean[j], losses[j]))
    names, table, ranks, mean = [losses[j] for j in order], table[:, order], ranks[:, order], mean[order]
    difference = _critical_difference(len(data_sets), len(losses), alpha)
    reference = names[0] if baseline is None else baseline
    return Ranking(
        ranks=dict(zip(names, mean.tolist(), strict=True)),
        friedman=_friedman(ranks),
        critical_difference=difference,
        cliques=tuple(tuple(names[first:last]) for first, last in _cliques(mean, difference)),
        reference=reference,
        p_values=_against(reference, names, table),
        data_sets=tuple(data_sets),
        alpha=alpha,
    )


# -- reading ----------------------------------------------------------------------------------------------------------


def _read(results: Any) -> dict[str, dict[str, float]]:
    """Return the mean score of each loss on each data set; NaN where it has none."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(results, pandas.DataFrame):
        pairs = [(str(name), row.to_dict()) for name, row in results.iterrows()]
    elif isinstance(results, Mapping):
        pairs = [(str(name), _mapping(scores)) for name, scores in results.items()]
    elif isinstance(results, Iterable) and not isinstance(results, str):
        pairs = [_read_one(result) for result in results]
    else:
        raise DataError(_no_result(results))
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"rank: data set {twice[0]!r} is there {names.count(twice[0])} times; give each its own name")
    return {name: {str(loss): _mean(name, loss, s) for loss, s in scores.items()} for name, scores in pairs}


def _read_one(result: Any) -> tuple[str, Mapping[str, ArrayLike]]:
    name, scores = getattr(result, "name", None), getattr(result, "scores", None)
    if name is None or not isinstance(scores, Mapping):
        raise DataError(_no_result(result))
    return str(name), scores


def _mapping(scores: Any) -> Mapping[str, ArrayLike]:
    """Return the scores of a data set: a mapping, or the result of ``compare``."""
    scores = getattr(scores, "scores", scores)
    if not isinstance(scores, Mapping):
        raise DataError(_no_result(scores))
    return scores


def _no_result(given: Any) -> str:
    return (
        f"rank: {type(given).__name__} is no result; give results of compare (with .name and .scores), "
        "a mapping {data set: {loss: score}} or {data set: result}, or a pandas DataFrame with a row for each data set"
    )


def _mean(data_set: str, loss: str, scores: ArrayLike) -> float:
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"rank: the scores of {loss!r} on {data_set!r} must be numbers, got {scores!r}") from error
    return float(values.mean()) if values.size else float("nan")


def _complete(scores: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[str], Array]:
    """Return data sets, losses with a score on each, and the scores (N, k); warn of other losses."""
    if len(scores) < 2:
        raise DataError(
            f"rank: ranks are over several data sets, got {len(scores)}: {list(scores)}; of one, see its own comparison"
        )
    known = sorted({loss for row in scores.values() for loss in row})
    missing = {loss: [d for d, row in scores.items() if not np.isfinite(row.get(loss, np.nan))] for loss in known}
    kept = [loss for loss in known if not missing[loss]]
    gaps = "; ".join(
        f"{loss!r} has no score on {', '.join(map(repr, missing[loss]))}" for loss in known if missing[loss]
    )
    if len(kept) < 2:
        raise DataError(
            f"rank: at least two losses need a score on every data set, got {kept}{'; ' * bool(gaps)}{gaps}"
        )
    if gaps:
        warnings.warn(f"rank leaves losses out that miss a data set: {gaps}", DataWarning, stacklevel=3)
    table = np.array([[row[loss] for loss in kept] for row in scores.values()])  # (N, k)
    size = np.abs(table).max(axis=1, keepdims=True)
    size[size == 0] = 1
    return list(scores), kept, np.round(table / size, DIGITS) * size


# -- tests ------------------------------------------------------------------------------------------------------------


def _critical_difference(n: int, k: int, alpha: float) -> float:
    q = studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * n)))


def _friedman(ranks: Array) -> Friedman:
    """Test ranks (N, k) for equality, with the correction for ties."""
    n, k = ranks.shape
    centred = ranks - (k + 1) / 2
    spread = float((centred**2).sum())
    if spread == 0:  # all losses tie on each data set
        return Friedman(0.0, 1.0, exact=True)
    between = float((centred.sum(axis=0) ** 2).sum())
    chi2 = (k - 1) * between / spread
    rest = n * (k - 1) - chi2
    statistic = (n - 1) * chi2 / rest if rest > 1e-9 else np.inf  # of order one where two data sets disagree
    exact = (n - 1) * lgamma(k + 1) <= log(EXACT)  # k!^(n - 1) orders
    p = _exact_p(centred, between) if exact else float(f.sf(statistic, k - 1, (k - 1) * (n - 1)))
    return Friedman(float(statistic), p, exact)


def _exact_p(centred: Array, between: float) -> float:
    """Return the share of the orders of each row's ranks whose sums are as far apart; the first row may stay."""
    sums = centred[:1]
    for row in centred[1:]:
        orders = np.array(list(permutations(row)))  # (k!, k)
        sums = (sums[:, None] + orders).reshape(-1, len(row))
    return float(((sums**2).sum(axis=1) >= between - 1e-9).mean())  # ranks are halves of integers


def _cliques(mean: Array, difference: float) -> list[tuple[int, int]]:
    """Return the longest runs [first, last) of sorted mean ranks within the difference, of two at least."""
    found: list[tuple[int, int]] = []
    for first in range(len(mean)):
        last = int(np.searchsorted(mean, mean[first] + difference, side="right"))
        if last - first > 1 and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _against(reference: str, names: list[str], table: Array) -> dict[str, float]:
    """Return adjusted p-values of the other losses against the reference."""
    others = [name for name in names if name != reference]
    own = table[:, names.index(reference)]
    p = holm([_wilcoxon(table[:, names.index(name)] - own) for name in others])
    return dict(zip(others, p.tolist(), strict=True))


def _wilcoxon(differences: Array) -> float:
    size = np.abs(differences).max()
    if size == 0:
        return 1.0
    return float(wilcoxon(np.round(differences / size, DIGITS), zero_method="zsplit").pvalue)


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"
