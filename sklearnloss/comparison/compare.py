"""Which loss suits these data? The function behind ``sklearnloss compare``."""

import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_consistent_length

from sklearnloss.bags.targets import is_bag_targets
from sklearnloss.comparison.budget import seconds_of
from sklearnloss.comparison.candidates import Candidate, find_candidates, left_out, name_of, refusal_of
from sklearnloss.comparison.code import python_of
from sklearnloss.comparison.engine import Engine, Watcher, fit_key
from sklearnloss.comparison.findings import Settings
from sklearnloss.comparison.fits import Problem
from sklearnloss.comparison.given import Target, read_target
from sklearnloss.comparison.preprocessing import make_preprocessor
from sklearnloss.comparison.progress import watcher_for
from sklearnloss.comparison.protocols import BETWEEN_ROWS, Judged, Protocol, check_task, find_protocol
from sklearnloss.comparison.result import Comparison
from sklearnloss.comparison.scoring import find_scorers, usual_rope
from sklearnloss.comparison.splitting import Plan, Split, check_retrieval, check_whole_bags, plan_splits, seed_of
from sklearnloss.comparison.store import MemoryStore, Store, fingerprint, mark_of
from sklearnloss.comparison.suggestions import suggest_losses
from sklearnloss.comparison.tables import check_rows
from sklearnloss.comparison.tasks import describe_data
from sklearnloss.exceptions import (
    ComparisonInterrupted,
    DataError,
    DataWarning,
    ParameterError,
    TaskError,
    did_you_mean,
)
from sklearnloss.facts import row_facts as known_row_facts
from sklearnloss.spec import choose_terms

__all__ = ["compare"]

STEPS = 4000  # of the optimizer that a fit gets unless an estimator is given
EPOCHS = (10, 100)  # and the epochs that they may make
PREPROCESSOR = {("sklearnloss", "make_preprocessor")}
LIBRARIES = ("sklearnloss", "scikit-learn", "torch", "skorch", "numpy")
CHECKS: dict[Judged, Callable[[Target, tuple[Split, ...]], None]] = {  # of the splits, by what scores look at
    "embeddings": check_retrieval,
    "bags": check_whole_bags,
}


def compare(
    X: Any,
    y: Any,
    *,
    losses: Any = None,
    task: str = "auto",
    estimator: Any = None,
    preprocessor: Any = "auto",
    cv: Any = 5,
    repeats: int | None = None,
    bags: Any = None,
    groups: Any = None,
    times: Any = None,
    scoring: Any = None,
    baseline: Any = None,
    rope: float | None = None,
    sample_weight: Any = None,
    row_facts: Mapping[str, Any] | None = None,
    budget: str | float | None = None,
    store: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
    threads: int = 1,
    random_state: int = 0,
    progress: bool | str | Watcher = "auto",
    name: str = "data",
    source: str | None = None,
) -> Comparison:
    """Compare losses on your data, under the same splits, seeds and budget.

    Parameters
    ----------
    X : DataFrame, array or CSR matrix of shape (n, d)
        Rows, as they are: the preprocessor fills, encodes and scales them, fitted anew on each split.
    y : array of shape (n,) or (n, k)
        Classes of any type, or several labels, zeros and ones. With ``bags``: shares of the classes (n, k) or of the
        positive class (n,), the same on all rows of a bag, columns of a DataFrame by their names; or classes of rows,
        of which each bag's proportions are taken. Or what `bag_targets` makes.
    losses : None, "suggested", "all", sequence or mapping, default=None
        None is every loss that applies, and a line below the table says which do not, and why; ``"suggested"`` what
        `suggest_losses` finds reasons for, ``"all"`` losses whose formula is a guess too. Else names, specs and
        functions: ``["cross_entropy", Loss("gce", q=0.4)]``. Or a mapping, from a loss to its grid
        ``{"gce": {"q": [0.4, 0.7]}}``, each point a row of the table, or from a name of your own to a spec.
    task : {"auto", "binary", "multiclass", "multilabel", "embedding", "llp"}, default="auto"
        ``"auto"`` is ``"llp"`` where there are bags, and else reads from y which of the first three it is.
        ``"embedding"`` compares losses that put rows of a class near each other, judged by how well the rows held out
        find each other. ``"llp"`` is learning from label proportions, judged by how near the mean predictions of bags
        held out are to what is known of them.
    estimator : estimator with a parameter ``loss``, default=None
        What is trained: `LossClassifier`, for embeddings `MetricEmbedder`, for bags `LLPClassifier`; None is the task's
        with as many epochs as make about 4,000 steps, 10 to 100. Losses of two views apply where it has ``views``, and
        those that take no pairs do not where it has a ``miner`` or a ``memory``.
    preprocessor : "auto", transformer or None, default="auto"
        ``"auto"`` is `make_preprocessor`; None leaves X as it is.
    cv : int, splitter or iterable of (train, test), default=5
        Folds, stratified by class; of whole bags by their proportions.
    repeats : int, default=None
        Each with other folds and another seed; None is 2, or 1 with ``times`` or splits of your own.
    bags : array of shape (n,), default=None
        Which bag each row is of: numbers or texts.
    groups : array of shape (n,), default=None
        Rows of a group are never on both sides of a split. For embeddings ``groups=y`` judges by classes that were not
        trained on. Of bags each lies in one group.
    times : array of shape (n,), default=None
        What the rows are ordered by; no row that a fold is judged by is earlier than one it was trained on. Not with
        bags.
    scoring : str, callable, sequence of these, or mapping of names to these, default=None
        Scorers of scikit-learn; the first ranks the losses. None is the task's: accuracy, or balanced accuracy where
        the largest class has ten times the rows of the smallest; F1 for several labels. Embeddings have scorers of
        their own, made by `embedding_scorer` or named ``"map_at_r", "recall_at_5", "neg_eer"``, ...; theirs is MAP@R,
        which tells losses apart that recall@1 does not. Bags have ``"bag_kl"``, which ranks, ``"bag_l1"`` and
        ``"bag_interval"``, the `BagScorer` of these names; and ``"row_accuracy"`` beside them where y is classes of
        rows, which nothing is chosen by.
    baseline : loss, default=None
        What the others are tested against; added if it is not among the losses. None is the task's, ``cross_entropy``,
        ``bce``, ``multi_similarity`` or ``proportion_ce``, if it is among them, else the first.
    rope : float in [0, inf), default=None
        Region of practical equivalence: scores that are closer do not matter. None is 0.01, and 0.001 of ``bag_kl``.
    sample_weight : array of shape (n,), default=None
        Weights in training. Not with bags.
    row_facts : mapping of str to array, default=None
        What a loss asks for by row: ``{"teacher": T}``; not ``distances``, which are between all rows of one fit.
    budget : str or float, default=None
        ``"10m"``, ``"1h30m"`` or seconds: no fit begins after that. The table is over the splits that all losses
        were fitted on.
    store : path, default=None
        Folder in which finished fits are kept; the same comparison goes on from there, whatever ended it.
    n_jobs : int, default=None
        Fits side by side, as in joblib.
    threads : int, default=1
        Of each fit. Results depend on it in their last digits, not on ``n_jobs``.
    random_state : int, default=0
        Repeat ``r`` has the seed ``random_state + r``, for folds, weights and batches.
    progress : bool or "auto", default="auto"
        A live table on stderr; ``"auto"`` where that is a terminal and rich is installed.
    name : str, default="data"
        What the report calls the data.
    source : str, default=None
        Python that makes ``X`` and ``y``, and ``bags`` if there are any, for the code that reproduces the best loss.

    Returns
    -------
    Comparison
        ``print`` it; ``rows, best, best_estimator(), to_frame(), plot(), report(path), to_json()``.

    Raises
    ------
    DataError, TaskError, UnknownNameError, ParameterError
        If the data, a loss or an argument cannot be used; nothing was fitted then. A loss that fails while it is
        trained is a row of the table that says why.
    LoadError, OutputError
        If the store holds something else, or cannot be written.
    ComparisonInterrupted
        On Ctrl-C; its ``result`` is over what was finished.

    Notes
    -----
    The interval and the tests take into account that the training rows of splits overlap [1]_. The probabilities of
    being worse, equivalent and better are those of the Bayesian correlated t-test [2]_. With many losses the best of
    them looks better than it is; ``p_holm`` is adjusted for their number.

    References
    ----------
    .. [1] Nadeau, Bengio. "Inference for the generalization error". Machine Learning 52, 2003.
    .. [2] Benavoli, Corani, Demšar, Zaffalon. "Time for a change: a tutorial for comparing multiple classifiers through
       Bayesian analysis". JMLR 18, 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearnloss import LLPClassifier, LossClassifier, MetricEmbedder, compare
    >>> X, y = load_iris(return_X_y=True)
    >>> result = compare(X, y, losses={"gce": {"q": [0.4, 0.7]}}, estimator=LossClassifier(max_epochs=5), cv=3)
    >>> [row.loss for row in result.rows if row.status == "ok"] == list(result.to_frame().index)
    True
    >>> embedder = MetricEmbedder(embedding_dim=4, hidden_layer_sizes=(16,), max_epochs=3)
    >>> result = compare(X, y, task="embedding", losses=["triplet", "supcon"], estimator=embedder, cv=3, repeats=1)
    >>> result.settings.scoring
    ('map_at_r', 'recall_at_1')
    >>> bags = np.random.default_rng(0).integers(15, size=150)
    >>> learner = LLPClassifier(hidden_layer_sizes=(8,), max_epochs=5)
    >>> result = compare(X, y, bags=bags, losses=["llp_ot"], estimator=learner, cv=3, repeats=1)
    >>> result.settings.scoring
    ('bag_kl', 'bag_l1', 'bag_interval', 'row_accuracy')
    """
    started = time.monotonic()
    deadline = None if budget is None else started + seconds_of(budget)
    check_task(task, bagged=bags is not None or is_bag_targets(y))
    target = read_target(y, bags)
    X, y, groups, times = _arrays(X, target.values, groups, times)
    facts = _facts(len(y), sample_weight, row_facts)
    protocol = find_protocol(task, y)
    _check_refused(protocol, times=times, sample_weight=sample_weight)
    if n_jobs == 0 or threads < 1:
        raise ParameterError(f"n_jobs must not be 0, and threads an int in [1, inf); got {n_jobs} and {threads}")
    if rope is not None and not 0 <= rope < math.inf:
        raise ParameterError(f"rope must be a float in [0, inf), got {rope!r}")
    check_rows(y, cv if isinstance(cv, int) else 2, groups=groups)
    seed = seed_of(random_state, "loss")
    plan = plan_splits(X, y, cv=cv, repeats=repeats, groups=groups, times=times, random_state=seed)
    if protocol.judged in CHECKS:
        CHECKS[protocol.judged](target, plan.splits)
    target = target.told([split.train for split in plan.splits])
    if target.names is not None:
        facts["classes"] = target.names
    model = _model(estimator, protocol, plan)
    scorers, written_scorers, notes = find_scorers(scoring, protocol, y)

    def check(spec: Any) -> None:
        protocol.check(spec, y, model, facts.keys() - {"sample_weight", "classes"})

    if isinstance(losses, str) and losses == "suggested":
        found = suggest_losses(X, y, task=protocol.task, random_state=random_state)
        suggestions = [suggestion for suggestion in found if refusal_of(suggestion.spec, check) is None]
        losses = [suggestion.spec for suggestion in suggestions]
        notes += tuple(map(str, suggestions))
    if losses is None or (isinstance(losses, str) and losses == "all"):
        notes += tuple(left_out(protocol, check))
    candidates, reference = _with_baseline(find_candidates(losses, protocol, check), baseline, protocol, check)
    _check_facts(facts.keys() - {"sample_weight", "classes"}, candidates)
    prepare, written = _preparation(preprocessor)
    template = Pipeline([("prepare", prepare), ("model", model)])
    settings = Settings(
        name=name,
        task=protocol.task,
        scoring=tuple(scorers),
        scorer=written_scorers[0],
        baseline=reference,
        rope=usual_rope(next(iter(scorers))) if rope is None else rope,
        test_share=plan.test_share,
        splits=len(plan.splits),
        repeats=plan.splits[-1].repeat + 1,
        random_state=plan.splits[0].seed,
        plan=plan.words,
        splitter=plan.code,
        source=source or f"X, y{'' if bags is None else ', bags'} = ...  # your data",
        target=target.code,
        estimator=python_of(model),
        preprocessor=written,
        imports=tuple(
            sorted(_imports(model) | (PREPROCESSOR if written == "make_preprocessor()" else _imports(prepare)))
        ),
        fit_facts=tuple(facts),
        grouped=groups is not None,
        ordered=times is not None,
        frame=hasattr(X, "iloc"),
        notes=notes,
        versions={library: version(library) for library in LIBRARIES},
    )
    data = describe_data(X, y, groups, names=target.names)
    problem = Problem(X, y, plan.splits, target.classes, facts, scorers, protocol)
    kept: MemoryStore = MemoryStore()
    if store is not None:
        kept = Store(Path(store), _identity(problem, groups, times, plan, settings, template, threads))
    engine = Engine(problem, candidates, template, kept, n_jobs=n_jobs, threads=threads, deadline=deadline)
    interrupted = None
    try:
        engine.run(watcher_for(progress))
    except KeyboardInterrupt as error:
        interrupted = error
    finally:
        kept.close()
    result = Comparison(
        settings,
        candidates,
        {c.name: engine.records(c) for c in candidates},
        data=data,
        template=template,
        finished=not engine.missing,
        given=(X, y, facts),
    )
    if interrupted is not None:
        raise ComparisonInterrupted(engine.how_far(), result, kept.path) from interrupted
    if engine.missing:
        warnings.warn(f"the budget ended the comparison {engine.how_far()}", DataWarning, stacklevel=2)
    return result


def _arrays(
    X: Any, y: np.ndarray, groups: Any, times: Any
) -> tuple[Any, np.ndarray, np.ndarray | None, np.ndarray | None]:
    X = X if hasattr(X, "shape") else np.asarray(X)
    if len(X.shape) != 2:
        raise DataError(f"X must be a table (n, d), got shape {X.shape}; put texts into columns of their own")
    X = X.tocsr() if hasattr(X, "tocsr") else X
    names = list(getattr(X, "columns", ()))
    if twice := sorted({str(name) for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []:
        raise DataError(f"X has the column {twice[0]!r} more than once; each needs a name of its own")
    groups, times = (None if values is None else np.asarray(values) for values in (groups, times))
    check_consistent_length(X, y, groups, times)
    if times is not None and times.dtype.kind in "fmM" and (missing := int((times != times).sum())):
        raise DataError(f"times is missing in {missing} of {len(times)} rows; fill them, or leave these rows out")
    return X, y, groups, times


def _facts(n: int, sample_weight: Any, row_facts: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    facts = {name: np.asarray(values) for name, values in (row_facts or {}).items()}
    if sample_weight is not None:
        facts["sample_weight"] = np.asarray(sample_weight)
    if between := sorted(facts.keys() & BETWEEN_ROWS):
        raise DataError(
            f"row_facts holds {between[0]!r}, which are between all rows of a fit; the splits of a comparison cut them "
            "apart, leave them out"
        )
    for name, values in facts.items():
        if values.ndim == 0 or len(values) != n:
            raise DataError(f"{name} must have one row per row of X, {n}, got shape {values.shape}")
    return facts


def _check_facts(names: Set[str], candidates: Sequence[Candidate]) -> None:
    """Refuse a row fact that is no fact, and that no loss names."""
    terms = [choice.component for c in candidates for choice in choose_terms(c.spec).values()]
    known = known_row_facts().union(*({*t.data, *t.needs, *t.wishes} for t in terms))
    if strange := sorted(names - known):
        raise DataError(f"row_facts holds {strange[0]!r}, which no loss asks for{did_you_mean(strange[0], known)}")


def _check_refused(protocol: Protocol, **given: Any) -> None:
    """Refuse arguments that have no meaning for a task."""
    for name, reason in protocol.refuses.items():
        if given[name] is not None:
            raise DataError(f"{name} has no place in task={protocol.task!r}: {reason}")


def _model(estimator: Any, protocol: Protocol, plan: Plan) -> Any:
    """Return the unfitted estimator, its loss still to be set."""
    if estimator is None:
        steps = math.ceil(min(len(s.train) for s in plan.splits) / protocol.batch)
        return protocol.estimator(max_epochs=int(np.clip(math.ceil(STEPS / steps), *EPOCHS)))
    if not isinstance(estimator, protocol.estimator):
        raise TaskError(
            f"estimator must be a {protocol.estimator.__name__} for the task {protocol.task}, got "
            f"{type(estimator).__name__}"
        )
    model = clone(estimator)
    if model.checkpoint is not None or model.warm_start:
        raise ParameterError("estimator must leave checkpoint and warm_start off: each fit of a comparison begins anew")
    return model


def _with_baseline(
    candidates: list[Candidate], baseline: Any, protocol: Protocol, check: Callable[[Any], None]
) -> tuple[list[Candidate], str]:
    """Return the losses, the baseline first, and its name."""
    names = [c.name for c in candidates]
    if baseline is None:
        wanted = protocol.baseline if protocol.baseline in names else names[0]
    else:
        wanted = baseline if baseline in names else name_of(baseline)
    if wanted not in names:
        check(baseline)
        candidates = [Candidate(wanted, baseline), *candidates]
    return sorted(candidates, key=lambda c: c.name != wanted), wanted


def _preparation(preprocessor: Any) -> tuple[Any, str]:
    """Return the first step of the pipeline, and how Python writes it."""
    if preprocessor is None:
        return FunctionTransformer(), "FunctionTransformer()"
    if isinstance(preprocessor, str):
        if preprocessor != "auto":
            raise ParameterError(f"preprocessor must be 'auto', a transformer or None, got {preprocessor!r}")
        return make_preprocessor(), "make_preprocessor()"
    return clone(preprocessor), python_of(preprocessor)


def _imports(estimator: Any) -> set[tuple[str, str]]:
    """Return public module and name of an estimator's class, and of those among its parameters."""
    parts = [estimator, *(value for value in estimator.get_params().values() if hasattr(value, "get_params"))]
    classes = {type(part) for part in parts}
    return {(cls.__module__.partition("._")[0], cls.__name__) for cls in classes if cls.__module__ != "__main__"}


def _identity(
    problem: Problem,
    groups: np.ndarray | None,
    times: np.ndarray | None,
    plan: Plan,
    settings: Settings,
    template: Pipeline,
    threads: int,
) -> dict[str, Any]:
    """Return what decides the result of a fit besides its loss."""
    facts = [item for name in sorted(problem.fit_facts) for item in (name, problem.fit_facts[name])]
    return {
        "data": fingerprint(problem.X, problem.y, groups, times, *facts),
        "splits": plan.identity,
        "scoring": [[name, mark_of(scorer)] for name, scorer in problem.scorers.items()],
        "estimator": fit_key(template["model"], template["model"].loss),
        "preprocessor": mark_of(template["prepare"]),
        "threads": threads,
        "versions": {name: settings.versions[name] for name in ("sklearnloss", "scikit-learn", "torch")},
    }
