"""Scores of a comparison: which a task has, what they are called, and how Python writes them."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names

from sklearnloss.bags.scorers import BagScorer, bag_interval_scorer, bag_kl_scorer, bag_l1_scorer
from sklearnloss.comparison.candidates import short_name
from sklearnloss.comparison.protocols import LOPSIDED, Judged, Protocol
from sklearnloss.estimators.embedding_scorer import EmbeddingScorer, embedding_scorer
from sklearnloss.exceptions import ParameterError, TaskError, UnknownNameError, did_you_mean
from sklearnloss.registry import components

__all__ = ["ceiling", "find_scorers", "name_of_scorer", "python_of_scorer", "row_accuracy", "title", "usual_rope"]

AMONG_THEMSELVES = "each row held out is looked for among the others held out with it"
NOT_RANKED = (
    "row accuracy looks at labels of the rows held out; no loss was trained on such labels, or is ranked by them"
)
TITLES = {
    "map_at_r": "MAP@R",
    "r_precision": "R-precision",
    "nmi": "NMI",
    "neg_eer": "negative EER",
    "neg_opis": "negative OPIS",
    "bag_kl": "negative bag KL",
    "bag_l1": "negative bag L1",
}
BAG_SCORES = {"bag_kl": bag_kl_scorer, "bag_l1": bag_l1_scorer, "bag_interval": bag_interval_scorer}
ROPE = 0.01
ROPES = {"bag_kl": 0.001}  # what proportions of one half cost that are off by 0.02
# scores of classification are one at best, or zero if they are negated
BOUNDED = frozenset(get_scorer_names()) - {"positive_likelihood_ratio"}
BEST = {"map_at_r": 1.0, "r_precision": 1.0, "nmi": 1.0, "tolerance": 1.0, "row_accuracy": 1.0} | {
    name: 0.0 for name in ("neg_eer", "neg_opis", "neg_utilization", "bag_kl", "bag_l1")
}


def find_scorers(
    scoring: Any, protocol: Protocol, y: np.ndarray
) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Choose the scores.

    Parameters
    ----------
    scoring : None, str, callable, sequence of these, or mapping of names to these
        As in ``compare(scoring=...)``.
    protocol : Protocol
        Of the task.
    y : array of shape (n,) or (n, n_labels)
        Targets.

    Returns
    -------
    scorers : dict of str to callable
        By name, the one to rank by first.
    code : tuple of str
        Each as Python; empty for what Python cannot write.
    notes : tuple of str
        What to say of the choice.

    Raises
    ------
    UnknownNameError, ParameterError, TaskError
        If there is no such score, none, two of one name, or one of predictions where there are none.
    """
    if scoring is None:
        names, notes = _usual(protocol, y)
        named: list[tuple[str, Any]] = [(name, name) for name in names]
    else:
        named, notes = _named(scoring), ()
    if not named:
        raise ParameterError(f"scoring is empty; name a scorer such as {protocol.scoring[0]!r}, or leave it out")
    find = FINDERS[protocol.judged]
    scorers: dict[str, Any] = {}
    for called, scorer in named:
        if called in scorers:
            raise ParameterError(f"scoring holds two of the name {called!r}; give them names: {{'mine': scorer, ...}}")
        scorers[called] = find(scorer)
    if any(isinstance(scorer, EmbeddingScorer) for scorer in scorers.values()):
        notes += (AMONG_THEMSELVES,)
    if row_accuracy in scorers.values():
        _check_beside(scorers, y)
        notes += (NOT_RANKED,)
    return scorers, tuple(python_of_scorer(given, scorers[called]) for called, given in named), notes


def _check_beside(scorers: Mapping[str, Any], y: np.ndarray) -> None:
    """Refuse to rank by labels of rows, or to judge by them where there are none."""
    if next(iter(scorers.values())) is row_accuracy:
        raise ParameterError(
            "row_accuracy looks at labels of rows, by which nothing is chosen; name 'bag_kl' before it"
        )
    if "label" not in (y.dtype.names or ()):
        raise ParameterError("row_accuracy needs the class of each row, and y holds what is known of bags")


def row_accuracy(estimator: Any, X: Any, y: np.ndarray) -> float:
    """Return the share of rows of bags that are given their class, where it is known.

    Parameters
    ----------
    estimator : fitted classifier
        With ``classes_``.
    X : array of shape (n, d)
        Rows.
    y : structured array of shape (n,)
        As `bag_targets` makes it, with the field ``label`` beside, the number of each row's class.
    """
    return float(np.mean(np.searchsorted(estimator.classes_, estimator.predict(X)) == y["label"]))


def usual_rope(score: str) -> float:
    """Return how close two values of a score have to be to be equivalent in practice.

    Examples
    --------
    >>> usual_rope("accuracy"), usual_rope("bag_kl")
    (0.01, 0.001)
    """
    return ROPES.get(score, ROPE)


def title(score: str) -> str:
    """Return a score as readers know it.

    Examples
    --------
    >>> title("balanced_accuracy"), title("map_at_r"), title("recall_at_5(distance='euclidean')")
    ('balanced accuracy', 'MAP@R', "recall@5(distance='euclidean')")
    """
    name, bracket, rest = score.partition("(")
    if found := re.fullmatch(r"recall_at_(\d+)", name):
        return f"recall@{found[1]}{bracket}{rest}"
    return f"{TITLES.get(name, name.replace('_', ' '))}{bracket}{rest}"


def ceiling(score: str) -> float:
    """Return the best value that a score may take; infinity if that is not known.

    Examples
    --------
    >>> ceiling("accuracy"), ceiling("neg_log_loss"), ceiling("recall_at_1"), ceiling("mine")
    (1.0, 0.0, 1.0, inf)
    """
    name = score.partition("(")[0]
    if name in BEST:
        return BEST[name]
    if name in BOUNDED:
        return 0.0 if name.startswith("neg_") else 1.0
    return 1.0 if re.fullmatch(r"recall_at_\d+", name) else math.inf


def name_of_scorer(scorer: Any) -> str:
    """Return what a score is called that the user did not name.

    Examples
    --------
    >>> name_of_scorer("accuracy"), name_of_scorer(embedding_scorer("recall_at_k", k=5))
    ('accuracy', 'recall_at_5')
    >>> name_of_scorer(embedding_scorer("eer", distance="euclidean"))
    "neg_eer(distance='euclidean')"
    """
    if isinstance(scorer, str):
        return scorer
    if isinstance(scorer, BagScorer):
        return scorer.name.removesuffix("_scorer")
    if not isinstance(scorer, EmbeddingScorer):
        return str(getattr(scorer, "__name__", type(scorer).__name__))
    choice, params = scorer.metric.choose(), dict(scorer.metric.params)
    component, given = choice.component, scorer.metric.spec
    written_in_full = isinstance(given, str) and ":" in given and component.plugin != "core"
    name = component.full_name if written_in_full else component.name
    if name.endswith("_at_k"):
        name = f"{name[:-1]}{choice.all_params()['k']}"
        params.pop("k", None)
    shown = ", ".join(f"{key}={value!r}" for key, value in params.items())
    return f"{'neg_' if scorer.sign < 0 else ''}{name}{f'({shown})' if shown else ''}"


def python_of_scorer(given: Any, scorer: Any) -> str:
    """Return a score as an argument of ``cross_val_score``; an empty text for what Python cannot write.

    Examples
    --------
    >>> python_of_scorer("accuracy", get_scorer("accuracy"))
    '"accuracy"'
    >>> python_of_scorer("recall_at_5", embedding_scorer("recall_at_k", k=5))
    'embedding_scorer("recall_at_k", k=5)'
    """
    if isinstance(scorer, EmbeddingScorer):
        return repr(scorer).replace("'", '"') if isinstance(scorer.metric.spec, str) else ""
    if isinstance(scorer, BagScorer):
        return repr(scorer)
    return f'"{given}"' if isinstance(given, str) else ""


def _usual(protocol: Protocol, y: np.ndarray) -> tuple[list[str], tuple[str, ...]]:
    """Return the scores of a task where the user named none; uneven classes are ranked by what counts them alike."""
    names = [*protocol.scoring, *(["row_accuracy"] if "label" in (y.dtype.names or ()) else [])]
    ratio = _imbalance(y) if protocol.rare else 1.0
    if ratio < LOPSIDED:
        return names, ()
    note = (
        f"ranked by {title(protocol.rare)}, as the largest class has {ratio:.0f} times the rows of the smallest; "
        "scoring= chooses"
    )
    return [protocol.rare, *(n for n in names if n != protocol.rare)], (note,)


def _imbalance(y: np.ndarray) -> float:
    counts = np.unique(y, return_counts=True)[1]
    return float(counts.max() / counts.min())


def _named(scoring: Any) -> list[tuple[str, Any]]:
    if isinstance(scoring, Mapping):
        return list(scoring.items())
    given = [scoring] if isinstance(scoring, str) or callable(scoring) else list(scoring)
    return [(name_of_scorer(scorer), scorer) for scorer in given]


def _scorer(scorer: Any) -> Any:
    if isinstance(scorer, str) and scorer not in get_scorer_names():
        raise UnknownNameError(
            f"unknown scorer {scorer!r}{did_you_mean(scorer, get_scorer_names())} "
            "(sklearn.metrics.get_scorer_names() lists them)"
        )
    return get_scorer(scorer)


def _embedding_scorer(scorer: Any) -> Any:
    """Return a score of embeddings by its name: that of a metric, ``recall_at_5``, or ``neg_eer`` if less is better."""
    if not isinstance(scorer, str):
        return get_scorer(scorer)
    usual = _embedding_scores()
    if scorer in usual:
        return usual[scorer]
    if found := re.fullmatch(r"recall_at_([1-9]\d*)", scorer):
        return embedding_scorer("recall_at_k", k=int(found[1]))
    if scorer in get_scorer_names():
        raise TaskError(
            f"scoring={scorer!r} judges predictions, and an embedding makes none; name one of {', '.join(usual)}"
        )
    raise UnknownNameError(f"unknown scorer {scorer!r}{did_you_mean(scorer, usual)} ({', '.join(usual)})")


def _bag_scorer(scorer: Any) -> Any:
    """Return a score of bags by its name, such as ``bag_kl``."""
    if not isinstance(scorer, str):
        return get_scorer(scorer)
    known = BAG_SCORES | {"row_accuracy": row_accuracy}
    if (name := scorer.removesuffix("_scorer")) in known:
        return known[name]
    if scorer in get_scorer_names():
        raise TaskError(
            f"scoring={scorer!r} judges rows by their labels, and of bags only the proportions are known; name one of "
            f"{', '.join(BAG_SCORES)}"
        )
    raise UnknownNameError(f"unknown scorer {scorer!r}{did_you_mean(scorer, BAG_SCORES)} ({', '.join(BAG_SCORES)})")


def _embedding_scores() -> dict[str, EmbeddingScorer]:
    """Return the scores of embeddings that there are, by name; recall with one neighbour stands for all its kind."""
    names = [short_name(c) for c in components("metric") if c.role == "embeddings"]
    scorers = [embedding_scorer(name) for name in names]
    return {name_of_scorer(scorer): scorer for scorer in scorers}


FINDERS: dict[Judged, Callable[[Any], Any]] = {
    "predictions": _scorer,
    "embeddings": _embedding_scorer,
    "bags": _bag_scorer,
}
