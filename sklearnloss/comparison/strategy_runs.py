"""Runs of a comparison of query strategies: active learning replayed, seed by seed."""

import math
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from joblib import delayed
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from sklearnloss.active.simulate import simulate
from sklearnloss.comparison.engine import Compared, Engine
from sklearnloss.comparison.engine import Shared as SharedProblem
from sklearnloss.comparison.fits import Record, first_line, load_problem, pinned
from sklearnloss.comparison.splitting import Split
from sklearnloss.comparison.store import MemoryStore, mark_of
from sklearnloss.spec import choose

__all__ = ["Asked", "Pools", "Replays", "run_replay"]


@dataclass(frozen=True)
class Asked:
    """A strategy of a comparison: its name in tables, and what the learner takes."""

    name: str
    spec: Any

    @property
    def key(self) -> str:
        """A hash of what decides whom it asks, code of the user's included."""
        choice = choose("strategy", self.spec)
        return mark_of([choice.component.obj, choice.all_params()])


@dataclass(frozen=True)
class Pools:
    """Everything that is the same for all strategies.

    Attributes
    ----------
    X, y : array, sparse matrix or DataFrame
        All rows.
    splits : tuple of Split
        Into pool and rows to judge by, one a seed.
    scorers : mapping of str to callable
        One: the score of a learning curve.
    """

    X: Any
    y: np.ndarray
    splits: tuple[Split, ...]
    scorers: Mapping[str, Any]


class Replays(Engine):
    """Runs of a comparison of strategies, seed by seed.

    Parameters
    ----------
    problem, candidates, template, store, **settings
        As of an `Engine`; the template is the model.
    arguments : mapping
        Of `simulate`.
    """

    named: ClassVar[str] = "strategy"
    counted: ClassVar[str] = "runs"

    def __init__(
        self,
        problem: Pools,
        candidates: Sequence[Asked],
        template: Any,
        store: MemoryStore,
        *,
        arguments: Mapping[str, Any],
        **settings: Any,
    ) -> None:
        super().__init__(problem, candidates, template, store, **settings)
        self.arguments = dict(arguments)

    def _key(self, candidate: Compared) -> str:
        assert isinstance(candidate, Asked)
        return candidate.key

    def _job(self, shared: SharedProblem | Path, number: int, candidate: Compared) -> Any:
        run = delayed(run_replay)
        name, spec = candidate.name, candidate.spec
        return run(shared, number, self.template, name, spec, self.arguments, threads=self.threads)


def run_replay(
    problem: Any,
    number: int,
    estimator: Any,
    name: str,
    spec: Any,
    arguments: Mapping[str, Any],
    *,
    threads: int = 1,
) -> Record:
    """Replay a strategy on a split; an error becomes a record that says what it was.

    Parameters
    ----------
    problem : Pools or Path
        The problem, or the file that it is in.
    number : int
        Which split.
    estimator : classifier or regressor
        The model.
    name : str
        Of the strategy in the record.
    spec : strategy
        What the learner takes.
    arguments : mapping
        Of `simulate`.
    threads : int, default=1
        Of numerical libraries.

    Returns
    -------
    dict
        Plain numbers, strings and lists; ``error`` is None, or says what went wrong.
    """
    pools: Any = load_problem(problem) if isinstance(problem, Path) else problem
    split = pools.splits[number]
    record: Record = {"strategy": name, "repeat": split.repeat, "fold": split.fold, "error": None}
    with warnings.catch_warnings(record=True) as caught, pinned(threads):
        warnings.simplefilter("always")
        try:
            record |= _replayed(pools, split, _seeded(estimator, split.seed), spec, arguments)
        except Exception as error:  # a strategy may raise anything; it must not cost the others
            record |= {"error": first_line(error), "traceback": traceback.format_exc(limit=-8)}
    shown = {first_line(w.message) for w in caught if not issubclass(w.category, DeprecationWarning | FutureWarning)}
    return record | {"warnings": sorted(shown)}


def _replayed(pools: Pools, split: Split, estimator: Any, spec: Any, arguments: Mapping[str, Any]) -> Record:
    [(metric, scorer)] = pools.scorers.items()
    rows = [_rows(values, part) for part in (split.train, split.test) for values in (pools.X, pools.y)]
    given = {**arguments, "scoring": scorer, "random_state": split.seed}
    started = time.perf_counter()
    run = simulate(estimator, *rows, strategy=spec, **given)
    seconds = time.perf_counter() - started
    wrong = ~np.isfinite(run.scores)
    if wrong.any():
        raise ValueError(f"the score {metric!r} is {run.scores[wrong][0]} with {run.n_labels[wrong][0]} labels")
    chance = choose("strategy", spec).component.full_name == "core:random"
    return {
        "scores": {metric: run.area},
        "curve": {"labels": run.n_labels.tolist(), "score": run.scores.tolist()},
        "seconds": run.seconds.tolist(),
        "run_seconds": seconds,
        "full": _full_score(estimator, rows, given) if chance else None,
    }


def _full_score(estimator: Any, rows: list[Any], given: Mapping[str, Any]) -> float | None:
    """Return the score of a model that knows the labels of the whole pool; None if that fails."""
    try:
        whole = {**given, "n_initial": len(rows[1]), "n_rounds": 1}
        score = float(simulate(estimator, *rows, strategy="random", **whole).scores[0])
    except Exception:  # a pool may be too large to learn at once
        return None
    return score if math.isfinite(score) else None


def _rows(values: Any, rows: np.ndarray) -> Any:
    part = _safe_indexing(values, rows)
    return np.asarray(part) if isinstance(part, np.ndarray) else part  # rows of a memory map are in memory now


def _seeded(estimator: Any, seed: int) -> Any:
    """Return a clone whose seeds that were left open are this one."""
    fresh = clone(estimator)
    return fresh.set_params(**dict.fromkeys(_open_seeds(fresh), seed))


def _open_seeds(estimator: Any) -> Iterator[str]:
    for name, value in estimator.get_params().items():
        if name.rpartition("__")[2] == "random_state" and value is None:
            yield name
