"""Which query strategy suits these data? Active learning replayed with each, over the same seeds."""

import os
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import get_scorer
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_consistent_length

from sklearnloss.active.learner import ActiveLearner, is_labeled
from sklearnloss.active.pool import as_table, row_range
from sklearnloss.active.simulate import seeds_of, split_pool
from sklearnloss.comparison.code import python_of
from sklearnloss.comparison.engine import Watcher
from sklearnloss.comparison.progress import watcher_for
from sklearnloss.comparison.scoring import name_of_scorer, title
from sklearnloss.comparison.splitting import Split, seed_of
from sklearnloss.comparison.store import MemoryStore, Store, fingerprint, mark_of
from sklearnloss.comparison.strategy_findings import StrategySettings
from sklearnloss.comparison.strategy_result import StrategyComparison
from sklearnloss.comparison.strategy_runs import Asked, Pools, Replays
from sklearnloss.exceptions import ComparisonInterrupted, DataError, DataWarning, ParameterError, did_you_mean
from sklearnloss.spec import Spec, as_spec

__all__ = ["compare_strategies", "usual_strategies"]

LIBRARIES = ("sklearnloss", "scikit-learn", "torch", "numpy")
LEARNER = ("committee", "subsample")  # parameters of the learner that a user may give


def compare_strategies(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    strategies: Any = None,
    n_initial: int = 20,
    batch_size: int = 10,
    n_rounds: int = 20,
    n_seeds: int = 5,
    test_size: float = 0.3,
    scoring: Any = None,
    baseline: Any = "random",
    n_jobs: int | None = None,
    threads: int = 1,
    store: str | os.PathLike[str] | None = None,
    progress: bool | str | Watcher = False,
    random_state: int = 0,
    name: str = "data",
    **params: Any,
) -> StrategyComparison:
    """Replay active learning with several strategies on labeled data like those to come, and say which learns fastest.

    Parameters
    ----------
    estimator : classifier or regressor
        The model. Parameters ``random_state`` that are None, in it and in its parts, are given the seed of the run.
    X : array, sparse matrix or DataFrame of shape (n, d)
        Rows.
    y : array of shape (n,) or (n, n_labels)
        Their labels, or numbers of a regression.
    strategies : sequence of str, callable or Strategy, or mapping of names to these, default=None
        What is compared; ``random`` is always among them. None is a few that suit the model: `usual_strategies`.
    n_initial, batch_size, n_rounds : int in [1, inf), default=20, 10, 20
        Labels to begin with, labels of a round, and rounds; fewer where the pool ends.
    n_seeds : int in [1, inf), default=5
        Splits into pool and rows to judge by, stratified by class, each with first rows of its own, the same for all
        strategies.
    test_size : float in (0, 1), default=0.3
        Share of the rows to judge by.
    scoring : str, callable or None, default=None
        As in scikit-learn; None is the model's own score.
    baseline : str, callable or Strategy, default="random"
        What the others are tested against; added if it is not among them.
    n_jobs : int or None, default=None
        Runs at a time, as in joblib.
    threads : int in [1, inf), default=1
        Of each run. Results may depend on it in their last digits, not on ``n_jobs``.
    store : path, default=None
        Folder in which finished runs are kept; the same comparison goes on from there, whatever ended it, and more
        seeds or strategies add to it.
    progress : bool or "auto", default=False
        A live table on stderr where that is a terminal and rich is installed, else lines.
    random_state : int in [0, 2**31), default=0
        What the seeds come from.
    name : str, default="data"
        What the report calls the data.
    **params
        ``committee`` and ``subsample`` of `ActiveLearner`.

    Returns
    -------
    StrategyComparison
        ``print`` it; ``rows, curves, scores, penalty, to_frame(), plot(), report(path)``. A `DataWarning` says where
        there are fewer labels than columns and random rows may be the better choice.

    Raises
    ------
    DataError, TaskError, UnknownNameError, ParameterError
        If the data, a strategy or an argument cannot be used; nothing was run then. A strategy that fails while it
        runs is a row of the table that says why.
    LoadError, OutputError
        If the store holds something else, or cannot be written.
    ComparisonInterrupted
        On Ctrl-C; its ``result`` is over what was finished.

    Notes
    -----
    The area under a learning curve is divided by its width. Intervals of areas and of points of a curve take into
    account that seeds share rows [1]_. Differences of two strategies do not carry that over: they have the pool, the
    first rows and the rows to judge by in common, and hardly correlate between seeds (replays on fresh samples of two
    distributions: at most 0.08), so that they have plain paired t-tests, which the corrected ones would make blind. Of
    areas they are adjusted for the number of strategies; those of each round, which count wins and losses at 5 %
    [2]_ [3]_, are not.

    References
    ----------
    .. [1] Nadeau, Bengio. "Inference for the generalization error". Machine Learning 52, 2003.
    .. [2] Ash, Zhang, Krishnamurthy, Langford, Agarwal. "Deep batch active learning by diverse, uncertain gradient
       lower bounds". ICLR 2020.
    .. [3] Bahri, Jiang, Schuster, Rostamizadeh. "Is margin all you need? An extensive empirical study of active
       learning on tabular data". arXiv:2210.03822, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> result = compare_strategies(GaussianNB(), X, y, strategies=["margin", "coreset"], n_rounds=5, n_seeds=3)
    >>> result.n_labels.tolist(), result.names
    ([20, 30, 40, 50, 60, 70], ['random', 'margin', 'coreset'])
    """
    X, y = as_table(X, "compare_strategies"), _labels(y, estimator)
    check_consistent_length(X, y)
    counts = {"n_initial": n_initial, "batch_size": batch_size, "n_rounds": n_rounds}
    _check_counts({**counts, "n_seeds": n_seeds, "threads": threads}, n_jobs)
    unknown = sorted(set(params) - set(LEARNER))
    if unknown:
        raise ParameterError(
            f"compare_strategies has no parameter {unknown[0]!r}{did_you_mean(unknown[0], LEARNER)}; besides its own "
            f"it takes {' and '.join(LEARNER)} of ActiveLearner"
        )
    asked, base = _find(strategies, baseline, estimator, y)
    none = np.full_like(y[:1], None, dtype=object)
    for one in asked:  # an unknown name, or a strategy of another task, is refused before anything runs
        ActiveLearner(estimator, one.spec, unlabeled=None, **params).fit(row_range(X, slice(0, 1)), none)
    splits = _split(y, test_size, seeds_of(seed_of(random_state, "strategy"), n_seeds), estimator)
    n_pool, n_test = len(splits[0].train), len(splits[0].test)
    if n_pool < n_initial + batch_size or not n_test:
        raise DataError(
            f"compare_strategies: of {len(y)} rows {n_pool} are the pool and {n_test} judge, too few for "
            f"n_initial={n_initial} and a round of batch_size={batch_size}"
        )
    metric, scorer, written = _scorer(scoring, estimator)
    settings = StrategySettings(
        name=name,
        metric=metric,
        scorer=written,
        baseline=base,
        **counts,
        n_seeds=n_seeds,
        n_pool=n_pool,
        n_test=n_test,
        columns=int(X.shape[1]),
        classes=0 if is_regressor(estimator) else len(np.unique(y)) if y.ndim == 1 else int(y.shape[1]),
        random_state=random_state,
        estimator=python_of(estimator),
        params=params,
        versions={library: version(library) for library in LIBRARIES},
    )
    kept: MemoryStore = MemoryStore()
    if store is not None:
        identity = {
            "data": fingerprint(X, y),
            "estimator": mark_of(estimator),
            "settings": {**counts, "test_size": test_size, "random_state": random_state, "threads": threads, **params},
            "scoring": [metric, mark_of(scorer)],
            "versions": {library: settings.versions[library] for library in ("sklearnloss", "scikit-learn", "torch")},
        }
        kept = Store(Path(store), identity)
    engine = Replays(
        Pools(X, y, splits, {metric: scorer}), asked, clone(estimator), kept,
        arguments={**counts, **params}, n_jobs=n_jobs, threads=threads,
    )  # fmt: skip
    interrupted = None
    try:
        engine.run(watcher_for(progress))
    except KeyboardInterrupt as error:
        interrupted = error
    finally:
        kept.close()
    records = {one.name: engine.records(one) for one in asked}
    result = StrategyComparison(settings, [one.name for one in asked], records, finished=not engine.missing)
    if interrupted is not None:
        raise ComparisonInterrupted(engine.how_far(), result, kept.path) from interrupted
    if result.warning:
        warnings.warn(result.warning, DataWarning, stacklevel=2)
    return result


def usual_strategies(estimator: Any, y: np.ndarray) -> tuple[str, ...]:
    """Return strategies that suit a model, where the user named none.

    Parameters
    ----------
    estimator : classifier or regressor
        The model.
    y : array of shape (n,) or (n, n_labels)
        Labels.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.naive_bayes import GaussianNB
    >>> usual_strategies(GaussianNB(), np.array([0, 1]))
    ('random', 'margin', 'entropy', 'badge', 'coreset', 'typiclust')
    >>> usual_strategies(Ridge(), np.array([0.5, 1.5]))
    ('random', 'greedy_x', 'greedy_xy', 'qbc_variance')
    """
    if is_regressor(estimator):
        return "random", "greedy_x", "greedy_xy", "qbc_variance"
    if not hasattr(estimator, "predict_proba"):
        return "random", "coreset", "typiclust", "probcover"
    if y.ndim == 2:
        return "random", "max_loss", "min_confidence", "coreset"
    return "random", "margin", "entropy", "badge", "coreset", "typiclust"


# -- what is compared -------------------------------------------------------------------------------------------------


def _find(strategies: Any, baseline: Any, estimator: Any, y: np.ndarray) -> tuple[list[Asked], str]:
    """Return the strategies, chance among them, and the name of the baseline."""
    if strategies is None:
        strategies = usual_strategies(estimator, y)
    if isinstance(strategies, str | Spec) or callable(strategies):
        strategies = [strategies]
    if isinstance(strategies, Mapping):
        asked = [Asked(str(name), spec) for name, spec in strategies.items()]
    else:
        asked = [Asked(_name_of(spec), spec) for spec in strategies]
    asked = _with(Asked("random", "random"), asked)
    if isinstance(baseline, str) and baseline in {one.name for one in asked}:
        base = baseline
    else:
        wanted = Asked(_name_of(baseline), baseline)
        asked = _with(wanted, asked)
        base = next(one.name for one in asked if one.key == wanted.key)
    names = [one.name for one in asked]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"strategies holds {twice!r} twice; leave one out, or give it a name: {{name: strategy}}")
    return asked, base


def _with(one: Asked, asked: list[Asked]) -> list[Asked]:
    """Return strategies with this one first, unless it is among them."""
    return asked if one.key in {other.key for other in asked} else [one, *asked]


def _name_of(spec: Any) -> str:
    if isinstance(spec, str):
        return spec
    found = as_spec("strategy", spec)
    name = found.spec if isinstance(found.spec, str) else found.name
    params = ", ".join(f"{key}={value!r}" for key, value in found.params.items())
    return f"{name}({params})" if params else name


def _labels(y: Any, estimator: Any) -> np.ndarray:
    values: np.ndarray = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = column_or_1d(values, warn=True)
    missing = int((~is_labeled(values, None, numbers=is_regressor(estimator))).sum())
    if missing:
        raise DataError(
            f"compare_strategies replays on rows whose labels are known, but y lacks {missing} of {len(values)}; leave "
            "these rows out"
        )
    return values


def _check_counts(counts: Mapping[str, Any], n_jobs: int | None) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ParameterError(f"compare_strategies: {name} must be an int in [1, inf), got {value!r}")
    if n_jobs == 0:
        raise ParameterError("compare_strategies: n_jobs must not be 0")


def _split(y: np.ndarray, test_size: float, seeds: Sequence[int], estimator: Any) -> tuple[Split, ...]:
    if not isinstance(test_size, float) or not 0 < test_size < 1:
        raise ParameterError(f"compare_strategies: test_size must be a float in (0, 1), got {test_size!r}")
    parts = [split_pool(y, test_size, seed, classes=is_classifier(estimator)) for seed in seeds]
    return tuple(Split(i, 0, seed, *rows) for i, (seed, rows) in enumerate(zip(seeds, parts, strict=True)))


def _scorer(scoring: Any, estimator: Any) -> tuple[str, Any, str]:
    """Return the name of the score, what computes it, and what scikit-learn calls it."""
    if scoring is not None:
        name = name_of_scorer(scoring)
        return title(name), get_scorer(scoring), name if isinstance(scoring, str) else ""
    if estimator.get_params(deep=False).get("scoring") is not None:  # a search scores as it was told
        return "score", own_score, ""
    if is_regressor(estimator):
        return "R²", own_score, "r2"
    return "accuracy", own_score, "accuracy"


def own_score(estimator: Any, X: Any, y: Any) -> float:
    """Return the model's own score."""
    return float(estimator.score(X, y))
