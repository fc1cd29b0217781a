"""What a comparison does for each task: the estimator, the losses that belong to it, the scores, the baseline."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearnloss.estimators._classes import check_terms
from sklearnloss.estimators._targets import ClassTargets
from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.exceptions import MissingFactError
from sklearnloss.facts import FACTS
from sklearnloss.spec import choose_terms
from sklearnloss.training.criterion import missing_fact

__all__ = ["PROTOCOLS", "Protocol"]


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
        Scorers of scikit-learn; the first is ranked by.
    check : callable
        ``check(spec, y, estimator, row_facts)`` raises an error if a loss does not fit the targets, or needs a row fact
        that is not among those given.
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
    rare: str = ""


LOPSIDED = 10.0


def check_classifier_loss(spec: Any, y: np.ndarray, estimator: LossClassifier, row_facts: Iterable[str]) -> None:
    """Refuse a loss that `LossClassifier` could not train on these classes."""
    terms = choose_terms(spec)
    targets = ClassTargets.of(y, class_order=estimator.class_order)
    check_terms(terms, targets, ordered=estimator.class_order is not None)
    for component in (choice.component for choice in terms.values()):
        for name in (*component.data, *component.needs):
            if name in FACTS and FACTS[name].scope == "row" and name not in set(row_facts):
                raise MissingFactError(missing_fact(component.title, name, "compare"))


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
    )
}
