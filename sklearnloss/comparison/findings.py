"""What a comparison found, in numbers: the fits, and the ranked table over them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from sklearnloss.comparison.candidates import Candidate
from sklearnloss.comparison.fits import Record
from sklearnloss.comparison.scoring import ceiling
from sklearnloss.comparison.statistics import bayesian_t_test, corrected_interval, corrected_t_test, holm
from sklearnloss.exceptions import DataError

__all__ = ["Findings", "Row", "Settings"]

NAN = math.nan
CALIBRATION = ("ece", "ece_equal_mass", "ece_classwise", "ks", "nll", "brier")


@dataclass(frozen=True)
class Settings:
    """How a comparison was done: everything a reader needs to judge it and to do it again.

    Attributes
    ----------
    name, task : str
        Of the data, and of the problem.
    scoring : tuple of str
        Names of the scores; the first is ranked by.
    scorer : str
        The first as Python; empty for a function of the user's.
    baseline : str
        The loss that the others are tested against.
    rope : float
        Scores closer than this are equivalent in practice.
    test_share : float
        Share of the rows of a split that are held out.
    splits : int
        Number of them, over all repeats.
    repeats : int
        Each with other folds and another seed.
    random_state : int
        Seed of the first repeat.
    plan, splitter : str
        The splits in words, and as Python.
    source : str
        Python that makes ``X`` and ``y``.
    target : str
        Python that makes of these what fits are given for ``y`` where it is something else, and ``classes``.
    estimator, preprocessor : str
        As Python, the loss left out.
    imports : tuple of (str, str)
        Module and name of each class in these.
    fit_facts : tuple of str
        What ``fit`` was given besides X and y.
    grouped, ordered, frame : bool
        Whether rows were kept together by ``groups``, ordered by ``times``, and whether X is a DataFrame.
    notes : tuple of str
        What the user should know of the choices that were made.
    versions : mapping of str to str
        Of the libraries.
    """

    name: str
    task: str
    scoring: tuple[str, ...]
    scorer: str
    baseline: str
    rope: float
    test_share: float
    splits: int
    repeats: int
    random_state: int
    plan: str
    splitter: str
    source: str
    estimator: str
    preprocessor: str
    imports: tuple[tuple[str, str], ...] = ()
    target: str = ""
    fit_facts: tuple[str, ...] = ()
    grouped: bool = False
    ordered: bool = False
    frame: bool = False
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One loss in the table; numbers that do not exist are NaN.

    Attributes
    ----------
    loss : str
        Its name.
    status : {"ok", "failed", "not run"}
        Whether it has a score; ``reason`` says why not.
    fits : int
        Splits that the score is over.
    score, low, high : float
        Mean over the splits, and the 95 % interval, corrected for overlapping training rows.
    difference, p, p_holm : float
        To the baseline: mean difference; corrected resampled t-test, and adjusted for the number of losses.
    worse, equivalent, better : float
        Probabilities of the Bayesian correlated t-test with the region of practical equivalence.
    scores : dict of str to float
        Means of all scores.
    ece, ece_equal_mass, ece_classwise, ks : float
        Calibration errors of its probabilities: expected, over bins of equal width, of equal numbers of rows, and class
        by class; Kolmogorov-Smirnov. Of two classes the probability of the second is judged, of more the highest.
    nll, brier : float
        Log loss and Brier score.
    proper : bool
        Whether the probabilities are meant to be those of the classes.
    fit_seconds, predict_seconds : float
        Medians of a fit, and of predicting or embedding the rows held out.
    """

    loss: str
    status: Literal["ok", "failed", "not run"]
    reason: str = ""
    fits: int = 0
    score: float = NAN
    low: float = NAN
    high: float = NAN
    difference: float = NAN
    p: float = NAN
    p_holm: float = NAN
    worse: float = NAN
    equivalent: float = NAN
    better: float = NAN
    scores: Mapping[str, float] = field(default_factory=dict)
    ece: float = NAN
    ece_equal_mass: float = NAN
    ece_classwise: float = NAN
    ks: float = NAN
    nll: float = NAN
    brier: float = NAN
    proper: bool = False
    fit_seconds: float = NAN
    predict_seconds: float = NAN
    warnings: tuple[str, ...] = ()


class Findings:
    """The finished fits of a comparison, and the table over them.

    Parameters
    ----------
    settings : Settings
        How it was done.
    candidates : sequence of Candidate
        The losses.
    records : mapping of str to sequence of dict
        Every finished fit of each loss, in the order of the splits.
    data : mapping
        What the data are like.
    finished : bool
        Whether every fit was done.
    """

    def __init__(
        self,
        settings: Settings,
        candidates: Sequence[Candidate],
        records: Mapping[str, Sequence[Record]],
        *,
        data: Mapping[str, Any],
        finished: bool,
    ) -> None:
        self.settings = settings
        self.candidates = list(candidates)
        self.records = {name: list(kept) for name, kept in records.items()}
        self.data = dict(data)
        self.finished = finished

    @property
    def name(self) -> str:
        """Name of the data."""
        return self.settings.name

    @property
    def metric(self) -> str:
        """The score that the losses are ranked by."""
        return self.settings.scoring[0]

    @cached_property
    def failures(self) -> dict[str, str]:
        """What went wrong, by loss."""
        return {name: r["error"] for name, kept in self.records.items() for r in kept if r["error"]}

    @cached_property
    def used(self) -> dict[str, list[Record]]:
        """The fits that the table is over: those on the splits that every loss was fitted on.

        If the budget ended before any split was done by all, those there are.
        """
        sound = {c.name: self.records.get(c.name, []) for c in self.candidates if c.name not in self.failures}
        common = set.intersection(*({_place(r) for r in kept} for kept in sound.values())) if sound else set()
        if not common:
            return sound
        return {name: [r for r in kept if _place(r) in common] for name, kept in sound.items()}

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """The ranked score on each split, by loss; those without any left out."""
        return {name: self._column(name, self.metric) for name, kept in self.used.items() if kept}

    @cached_property
    def rows(self) -> list[Row]:
        """The table: best first, losses without a score last."""
        found = [self._row(c) for c in self.candidates]
        tested = [row for row in found if not math.isnan(row.p)]
        adjusted = dict(zip((r.loss for r in tested), holm([r.p for r in tested]), strict=True)) if tested else {}
        found = [replace(row, p_holm=float(adjusted[row.loss])) if row.loss in adjusted else row for row in found]
        return sorted(found, key=lambda row: (row.status != "ok", -row.score if row.status == "ok" else 0.0))

    @property
    def best(self) -> str:
        """Name of the loss with the highest mean score.

        Raises
        ------
        DataError
            If no loss has a score.
        """
        first = self.rows[0]
        if first.status != "ok":
            raise DataError(f"no loss has a score; {first.loss}: {first.reason}")
        return first.loss

    # -- the numbers --------------------------------------------------------------------------------------------------

    def _column(self, loss: str, score: str) -> np.ndarray:
        values = [r["scores"][score] for r in self.used[loss]]
        return np.array([NAN if v is None else v for v in values])

    def _row(self, candidate: Candidate) -> Row:
        name = candidate.name
        if name in self.failures:
            return Row(name, "failed", self._why_failed(name), warnings=self._warnings(name))
        kept = self.used.get(name, [])
        if not kept:
            return Row(name, "not run", "the comparison ended before its first fit")
        scores = self.scores[name]
        low, high = corrected_interval(scores, self.settings.test_share)
        calibrations = [r["calibration"] for r in kept if r["calibration"]]
        row = Row(
            name,
            "ok",
            fits=len(scores),
            score=float(scores.mean()),
            low=low,
            high=min(high, ceiling(self.metric)),
            scores={s: _mean(self._column(name, s)) for s in self.settings.scoring},
            proper=candidate.proper,
            fit_seconds=float(np.median([r["fit_seconds"] for r in kept])),
            predict_seconds=float(np.median([r["predict_seconds"] for r in kept])),
            warnings=self._warnings(name),
        )
        means: dict[str, Any] = {n: _mean([c[n] for c in calibrations]) for n in CALIBRATION}
        return replace(row, **means, **self._against_baseline(name))

    def _against_baseline(self, name: str) -> dict[str, Any]:
        """Return the tests against the baseline, over the splits that both have."""
        baseline = self.settings.baseline
        if name == baseline or baseline not in self.scores:
            return {}
        mine, theirs = ({_place(r): r["scores"][self.metric] for r in self.used[n]} for n in (name, baseline))
        places = sorted(mine.keys() & theirs.keys())
        if not places:
            return {}
        a, b = np.array([mine[p] for p in places]), np.array([theirs[p] for p in places])
        t_test = corrected_t_test(a, b, self.settings.test_share)
        bayes = bayesian_t_test(a, b, self.settings.test_share, rope=self.settings.rope)
        return {"difference": t_test.difference, "p": t_test.p, **asdict(bayes)}

    def _why_failed(self, name: str) -> str:
        done = sum(not r["error"] for r in self.records[name])
        after = f" (after {done} fits without)" if done else ""
        return f"{self.failures[name]}{after}"

    def _warnings(self, name: str) -> tuple[str, ...]:
        return tuple(sorted({w for r in self.records[name] for w in r["warnings"]}))


def _place(record: Record) -> tuple[int, int]:
    return record["repeat"], record["fold"]


def _mean(values: Any) -> float:
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else NAN
