"""What a comparison of query strategies found, in numbers: learning curves, and the ranked table over them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from sklearnloss.comparison.fits import Record
from sklearnloss.comparison.scoring import ceiling
from sklearnloss.comparison.statistics import corrected_interval, corrected_t_test, holm
from sklearnloss.diagnostics.al_vs_passive import clearly_ahead, few_labels
from sklearnloss.exceptions import DataError

__all__ = ["LEVEL", "StrategyFindings", "StrategyRow", "StrategySettings", "penalty_matrix", "rounds_won"]

NAN = math.nan
LEVEL = 0.05  # of the tests
Array = np.ndarray


@dataclass(frozen=True)
class StrategySettings:
    """How strategies were compared: everything a reader needs to judge it and to do it again.

    Attributes
    ----------
    name : str
        Of the data.
    metric : str
        The score, as readers know it.
    scorer : str
        The score, as scikit-learn knows it; empty for a function of the user's.
    baseline : str
        The strategy that the others are tested against.
    n_initial, batch_size, n_rounds, n_seeds : int
        Labels at the beginning and of a round, rounds, and seeds.
    n_pool, n_test, columns : int
        Rows of a pool, rows that judge, and columns.
    classes : int
        Classes or labels; 0 of a regression.
    random_state : int
        What the seeds come from.
    estimator : str
        As Python.
    params : mapping
        Of the learner, where they were given.
    versions : mapping of str to str
        Of the libraries.
    """

    name: str
    metric: str
    scorer: str
    baseline: str
    n_initial: int
    batch_size: int
    n_rounds: int
    n_seeds: int
    n_pool: int
    n_test: int
    columns: int
    classes: int
    random_state: int
    estimator: str
    params: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def test_share(self) -> float:
        """Share of the rows that judge: what intervals are corrected by."""
        return self.n_test / (self.n_pool + self.n_test)


@dataclass(frozen=True)
class StrategyRow:
    """One strategy in the table; numbers that do not exist are NaN.

    Attributes
    ----------
    strategy : str
        Its name.
    status : {"ok", "failed", "not run"}
        Whether it has a curve; ``reason`` says why not.
    seeds : int
        Seeds that the numbers are over.
    area, low, high : float
        Area under the learning curve over its width, which is the mean score over the labels, and its 95 % interval.
    difference, p, p_holm : float
        To the baseline: mean difference of the areas; paired t-test over seeds, and adjusted for their number.
    wins, ties, losses : int
        Rounds in which it is ahead of the baseline, level, and behind, by a paired t-test at 5 % each.
    final : float
        Mean score after the last round.
    labels : float
        Labels with which its mean curve first reaches the baseline's last score; infinite if it does not.
    query_seconds : float
        Median time of a query, without the fits.
    warnings : tuple of str
        What runs warned of.
    """

    strategy: str
    status: str
    reason: str = ""
    seeds: int = 0
    area: float = NAN
    low: float = NAN
    high: float = NAN
    difference: float = NAN
    p: float = NAN
    p_holm: float = NAN
    wins: int = 0
    ties: int = 0
    losses: int = 0
    final: float = NAN
    labels: float = NAN
    query_seconds: float = NAN
    warnings: tuple[str, ...] = ()


def rounds_won(a: Array, b: Array, *, level: float = LEVEL) -> Array:
    """Return for each round whether a is significantly ahead of b (1), behind (-1), or neither (0).

    Parameters
    ----------
    a, b : arrays of shape (n_seeds, r)
        Scores of two strategies over the same seeds.
    level : float in (0, 1), default=0.05
        Of the paired t-test of each round; a single seed wins nothing.

    Returns
    -------
    int array of shape (r,)

    Examples
    --------
    >>> a = np.array([[0.5, 0.8, 0.9], [0.5, 0.9, 0.8], [0.5, 0.7, 0.9]])
    >>> rounds_won(a, a - np.array([[0.0, 0.1, 0.1], [0.0, 0.11, -0.1], [0.0, 0.09, 0.1]])).tolist()
    [0, 1, 0]
    """
    tests = [corrected_t_test(x, y, 0.0) for x, y in zip(a.T, b.T, strict=True)]
    return np.array([int(np.sign(t.difference)) if t.p < level else 0 for t in tests], dtype=np.int64)


def penalty_matrix(curves: Sequence[Array], *, level: float = LEVEL) -> Array:
    r"""Return how often each strategy is beaten by each other, as a share of the rounds.

    Parameters
    ----------
    curves : sequence of arrays of shape (n_seeds, r)
        Scores of each strategy after each round, over the same seeds, without those of the first labels.
    level : float in (0, 1), default=0.05
        Of the paired t-tests.

    Returns
    -------
    array of shape (m, m)
        Entry (i, j) adds 1 / r for each round in which j is significantly ahead of i. The sums of matrices of several
        data sets count rounds of all of them.

    Notes
    -----
    Row i is what i is penalized for; the paper's matrix is its transpose, with means of columns below.

    References
    ----------
    .. [1] Ash, Zhang, Krishnamurthy, Langford, Agarwal. "Deep batch active learning by diverse, uncertain gradient
       lower bounds". ICLR 2020.

    Examples
    --------
    >>> low = np.array([[0.5, 0.6], [0.51, 0.61], [0.52, 0.6]])
    >>> penalty_matrix([low, low + np.array([0.0, 0.2])]).tolist()
    [[0.0, 0.5], [0.0, 0.0]]
    """
    m = len(curves)
    found = np.zeros((m, m))
    for i in range(m):
        for j in range(i + 1, m):
            won = rounds_won(curves[i], curves[j], level=level)
            found[i, j], found[j, i] = (won < 0).mean(), (won > 0).mean()
    return found


class StrategyFindings:
    """The finished runs of a comparison of strategies, and the table over them.

    Parameters
    ----------
    settings : StrategySettings
        How it was done.
    names : sequence of str
        The strategies.
    records : mapping of str to sequence of dict
        Every finished run of each strategy, in the order of the seeds.
    finished : bool
        Whether every run was done.
    """

    def __init__(
        self,
        settings: StrategySettings,
        names: Sequence[str],
        records: Mapping[str, Sequence[Record]],
        *,
        finished: bool,
    ) -> None:
        self.settings = settings
        self.names = list(names)
        self.records = {name: list(kept) for name, kept in records.items()}
        self.finished = finished

    @property
    def name(self) -> str:
        """Name of the data."""
        return self.settings.name

    @cached_property
    def failures(self) -> dict[str, str]:
        """What went wrong, by strategy."""
        return {name: r["error"] for name, kept in self.records.items() for r in kept if r["error"]}

    @cached_property
    def used(self) -> dict[str, list[Record]]:
        """The runs that the table is over: of seeds that all these strategies were run with."""
        done = {
            name: {r["repeat"]: r for r in self.records.get(name, [])}
            for name in self.names
            if name not in self.failures and self.records.get(name)
        }
        seeds = set.intersection(*map(set, done.values())) if done else set()
        if done and not seeds:  # it was broken off within the first: a strategy without that seed was not run
            counts = Counter(seed for runs in done.values() for seed in runs)
            seeds = {max(counts, key=counts.__getitem__)}
        return {name: [runs[s] for s in sorted(seeds)] for name, runs in done.items() if seeds <= runs.keys()}

    @cached_property
    def n_labels(self) -> Array:
        """Labels before the first round, and after each, (r + 1,)."""
        first = next(iter(self.used.values()), None)
        return np.array(first[0]["curve"]["labels"] if first else [], dtype=np.int64)

    @cached_property
    def curves(self) -> dict[str, Array]:
        """Scores of each strategy (n_seeds, r + 1), by name; those that failed left out."""
        return {name: np.array([r["curve"]["score"] for r in kept]) for name, kept in self.used.items()}

    @cached_property
    def scores(self) -> dict[str, Array]:
        """Areas under the learning curves of each strategy (n_seeds,), by name: what `rank` looks at."""
        metric = self.settings.metric
        return {name: np.array([r["scores"][metric] for r in kept]) for name, kept in self.used.items()}

    @cached_property
    def full_score(self) -> float:
        """Mean score of models that know the labels of the whole pool; NaN if none could be fitted."""
        known = [r["full"] for kept in self.records.values() for r in kept if r.get("full") is not None]
        return float(np.mean(known)) if known else NAN

    @cached_property
    def rows(self) -> list[StrategyRow]:
        """The table: largest area first, strategies without a curve last."""
        found = [self._row(name) for name in self.names]
        tested = [row for row in found if not math.isnan(row.p)]
        adjusted = dict(zip((r.strategy for r in tested), holm([r.p for r in tested]), strict=True)) if tested else {}
        found = [
            replace(row, p_holm=float(adjusted[row.strategy])) if row.strategy in adjusted else row for row in found
        ]
        return sorted(found, key=lambda row: (row.status != "ok", -row.area if row.status == "ok" else 0.0))

    @property
    def ranked(self) -> list[StrategyRow]:
        """The rows that have a curve, best first."""
        return [row for row in self.rows if row.status == "ok"]

    @property
    def best(self) -> str:
        """Name of the strategy with the largest area.

        Raises
        ------
        DataError
            If no strategy has a curve.
        """
        first = self.rows[0]
        if first.status != "ok":
            raise DataError(f"no strategy has a learning curve; {first.strategy}: {first.reason}")
        return first.strategy

    @cached_property
    def penalty(self) -> Array:
        """How often each strategy is beaten by each other (m, m), in the order of the table: `penalty_matrix`."""
        return penalty_matrix([self.curves[row.strategy][:, 1:] for row in self.ranked])

    def interval(self, strategy: str) -> tuple[Array, Array]:
        """Return the 95 % interval of each point of a learning curve, (r + 1,) and (r + 1,); NaN of a single seed."""
        points = [corrected_interval(column, self.settings.test_share) for column in self.curves[strategy].T]
        low, high = np.array(points).T
        return low, np.minimum(high, self._ceiling)

    @cached_property
    def warning(self) -> str:
        """Why random rows may be the better choice with so few labels; empty if nothing speaks for them."""
        settings, base = self.settings, self.settings.baseline
        if base not in self.curves or self.n_labels[-1] >= settings.columns:
            return ""
        others = [row.strategy for row in self.ranked if row.strategy != base]
        gains = {name: (self.curves[name] - self.curves[base]).mean(axis=1) for name in others}
        doubtful = {name: gain.mean() for name, gain in gains.items() if not clearly_ahead(gain)}
        if not doubtful:
            return ""
        how = ", ".join(f"{gain:+.3f}" for gain in doubtful.values())
        who = _listed([repr(name) for name in doubtful])
        return few_labels(int(self.n_labels[-1]), settings.columns, who, f"{how} {settings.metric} on average")

    # -- the numbers --------------------------------------------------------------------------------------------------

    @property
    def _ceiling(self) -> float:
        return ceiling(self.settings.scorer)

    def _row(self, name: str) -> StrategyRow:
        warned = tuple(sorted({w for r in self.records.get(name, []) for w in r["warnings"]}))
        if name in self.failures:
            done = sum(not r["error"] for r in self.records[name])
            after = f" (after {done} {'seed' if done == 1 else 'seeds'} without)" if done else ""
            return StrategyRow(name, "failed", f"{self.failures[name]}{after}", warnings=warned)
        if name not in self.used:
            return StrategyRow(name, "not run", "the comparison ended before its first run")
        areas, curve = self.scores[name], self.curves[name]
        low, high = corrected_interval(areas, self.settings.test_share)
        row = StrategyRow(
            name,
            "ok",
            seeds=len(areas),
            area=float(areas.mean()),
            low=low,
            high=min(high, self._ceiling),
            final=float(curve[:, -1].mean()),
            labels=self._labels(curve.mean(axis=0)),
            query_seconds=float(np.median([s for r in self.used[name] for s in r["seconds"]])),
            warnings=warned,
        )
        return replace(row, **self._against_baseline(name))

    def _labels(self, curve: Array) -> float:
        """Return the labels with which a mean curve first reaches the baseline's last score."""
        if self.settings.baseline not in self.curves:
            return NAN
        goal = float(self.curves[self.settings.baseline][:, -1].mean())
        reached = np.flatnonzero(curve >= goal - 1e-12 * abs(goal))  # means of the same scores differ by rounding
        return float(self.n_labels[reached[0]]) if len(reached) else math.inf

    def _against_baseline(self, name: str) -> dict[str, Any]:
        """Return the tests against the baseline."""
        base = self.settings.baseline
        if name == base or base not in self.curves:
            return {}
        test = corrected_t_test(self.scores[name], self.scores[base], 0.0)
        won = rounds_won(self.curves[name][:, 1:], self.curves[base][:, 1:])
        counts = {"wins": int((won > 0).sum()), "ties": int((won == 0).sum()), "losses": int((won < 0).sum())}
        return {"difference": test.difference, "p": test.p, **counts}


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
