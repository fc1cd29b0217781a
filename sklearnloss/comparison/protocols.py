"""What a comparison does for each task: the estimator, the losses that belong to it, the scores, the baseline."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sklearnloss.estimators._classes import check_terms
from sklearnloss.estimators._embedding_terms import check_embedding_terms
from sklearnloss.estimators._targets import ClassTargets
from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.estimators.embedder import MetricEmbedder
from sklearnloss.exceptions import MissingFactError, TaskError
from sklearnloss.facts import FACTS
from sklearnloss.spec import Choice, choose_terms

__all__ = ["BETWEEN_ROWS", "PROTOCOLS", "Protocol"]


@dataclass(frozen=True)
class Protocol:
    """How losses of one task are compared.

    Attributes
    ----------
    task : str
        As in ``compare(task=...)``.
    estimator : type
        Takes the losses.
    families : frozenset of str
        Tasks whose losses are compared where the user named none.
    baseline : str
        The loss that the others are tested against.
    scoring : tuple of str
        Scorers of scikit-learn, or of embeddings; the first is ranked by.
    check : callable
        ``check(spec, y, estimator, row_facts)`` raises an error if a loss does not fit the targets, or needs a row fact
        that is not among those given.
    method : {"predict", "transform"}
        What the scores look at.
    rare : str
        What is ranked by instead where the largest class has `LOPSIDED` times the rows of the smallest; empty if the
        task knows no such thing.
    """

    task: str
    estimator: type[Any]
    families: frozenset[str]
    baseline: str
    scoring: tuple[str, ...]
    check: Callable[[Any, np.ndarray, Any, Iterable[str]], None]
    method: Literal["predict", "transform"] = "predict"
    rare: str = ""


LOPSIDED = 10.0
BETWEEN_ROWS = frozenset({"distances"})  # row facts with a column for each row that was given to the fit


def check_classifier_loss(spec: Any, y: np.ndarray, estimator: LossClassifier, row_facts: Iterable[str]) -> None:
    """Refuse a loss that `LossClassifier` could not train on these classes."""
    terms = choose_terms(spec)
    targets = ClassTargets.of(y, class_order=estimator.class_order)
    check_terms(terms, targets, ordered=estimator.class_order is not None)
    _check_facts(terms, row_facts)


def check_embedder_loss(spec: Any, y: np.ndarray, estimator: MetricEmbedder, row_facts: Iterable[str]) -> None:
    """Refuse a loss that `MetricEmbedder` could not train on classes."""
    terms = choose_terms(spec)
    for component in (choice.component for choice in terms.values()):
        if component.task == "regression":
            raise TaskError(f"{component.title} learns from numbers; losses on embeddings are compared on classes")
    check_embedding_terms(
        terms,
        viewed=estimator.views is not None,
        distance=estimator.distance,
        miner=estimator.miner,
        memory=estimator.memory,
    )
    _check_facts(terms, row_facts)


def _check_facts(terms: Mapping[str, Choice], row_facts: Iterable[str]) -> None:
    """Refuse a loss that needs a row fact which is not given."""
    for component in (choice.component for choice in terms.values()):
        for name in (*component.data, *component.needs):
            if name in BETWEEN_ROWS:
                raise TaskError(
                    f"{component.title} needs {name!r} between all rows of a fit, which the splits of a comparison cut "
                    "apart; fit it by itself"
                )
            if name in FACTS and FACTS[name].scope == "row" and name not in set(row_facts):
                raise MissingFactError(
                    f"{component.title} needs {name!r}, an array with one row per sample: row_facts={{{name!r}: ...}}"
                )


PROTOCOLS: dict[str, Protocol] = {
    protocol.task: protocol
    for protocol in (
        Protocol(
            "binary",
            LossClassifier,
            frozenset({"binary", "multiclass", "any"}),
            "cross_entropy",
            ("accuracy", "balanced_accuracy", "roc_auc"),
            check_classifier_loss,
            rare="balanced_accuracy",
        ),
        Protocol(
            "multiclass",
            LossClassifier,
            frozenset({"multiclass", "any"}),
            "cross_entropy",
            ("accuracy", "balanced_accuracy"),
            check_classifier_loss,
            rare="balanced_accuracy",
        ),
        Protocol(
            "multilabel",
            LossClassifier,
            frozenset({"multilabel", "binary", "any"}),
            "bce",
            ("f1_micro", "f1_macro", "accuracy"),
            check_classifier_loss,
        ),
        Protocol(
            "embedding",
            MetricEmbedder,
            frozenset({"embedding"}),
            "multi_similarity",
            ("map_at_r", "recall_at_1"),
            check_embedder_loss,
            method="transform",
        ),
    )
}
