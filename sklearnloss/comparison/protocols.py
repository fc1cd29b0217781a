"""What a comparison does for each task: the estimator, the losses that belong to it, the scores, the baseline."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sklearnloss.comparison.tasks import find_task
from sklearnloss.estimators._binding import common_role
from sklearnloss.estimators._classes import check_terms
from sklearnloss.estimators._embedding_terms import check_embedding_terms
from sklearnloss.estimators._targets import ClassTargets
from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.estimators.embedder import MetricEmbedder
from sklearnloss.estimators.llp import LLPClassifier
from sklearnloss.exceptions import MissingFactError, TaskError, UnknownNameError, did_you_mean
from sklearnloss.facts import FACTS
from sklearnloss.spec import Choice, choose_terms

__all__ = ["BETWEEN_ROWS", "PROTOCOLS", "Judged", "Protocol", "check_task", "find_protocol"]

Judged = Literal["predictions", "embeddings", "bags"]


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
    takes : frozenset of str
        What y may be, as `find_task` says it.
    judged : {"predictions", "embeddings", "bags"}
        What the scores look at: predictions of rows against their labels, embeddings among themselves, or means of
        predictions over bags against what is known of these.
    rare : str
        What is ranked by instead where the largest class has `LOPSIDED` times the rows of the smallest; empty if the
        task knows no such thing.
    batch : int
        Rows of a batch, unless an estimator is given.
    refuses : mapping of str to str
        Arguments of ``compare`` that have no meaning here, each with the reason.
    """

    task: str
    estimator: type[Any]
    families: frozenset[str]
    baseline: str
    scoring: tuple[str, ...]
    check: Callable[[Any, np.ndarray, Any, Iterable[str]], None]
    takes: frozenset[str]
    judged: Judged = "predictions"
    rare: str = ""
    batch: int = 128
    refuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> Literal["predict", "transform"]:
        """What an estimator does with the rows held out."""
        return "transform" if self.judged == "embeddings" else "predict"


LOPSIDED = 10.0
OF_BAGS = "learns from bags of rows; say which row is of which with bags=... (--bags COLUMN)"
BETWEEN_ROWS = frozenset({"distances"})  # row facts with a column for each row that was given to the fit


def check_classifier_loss(spec: Any, y: np.ndarray, estimator: LossClassifier, row_facts: Iterable[str]) -> None:
    """Refuse a loss that `LossClassifier` could not train on these classes."""
    terms = choose_terms(spec)
    for component in (choice.component for choice in terms.values()):
        if component.unit == "bag":
            raise TaskError(f"{component.title} {OF_BAGS}")
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


def check_bag_loss(spec: Any, y: np.ndarray, estimator: LLPClassifier, row_facts: Iterable[str]) -> None:
    """Refuse a loss that `LLPClassifier` could not train on bags."""
    terms = choose_terms(spec)
    for component in (choice.component for choice in terms.values()):
        if component.unit != "bag" and "y" in component.data:
            raise TaskError(
                f"{component.title} needs the label of each row; of bags only the proportions are known "
                "(sklearnloss list --task bag)"
            )
    if (role := common_role(terms, "LLPClassifier")) != "logits":
        title = next(c.component.title for c in terms.values() if c.component.role == role)
        raise TaskError(f"{title} works on {role}; LLPClassifier takes losses on logits")
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
            frozenset({"binary"}),
            rare="balanced_accuracy",
        ),
        Protocol(
            "multiclass",
            LossClassifier,
            frozenset({"multiclass", "any"}),
            "cross_entropy",
            ("accuracy", "balanced_accuracy"),
            check_classifier_loss,
            frozenset({"multiclass"}),
            rare="balanced_accuracy",
        ),
        Protocol(
            "multilabel",
            LossClassifier,
            frozenset({"multilabel", "binary", "any"}),
            "bce",
            ("f1_micro", "f1_macro", "accuracy"),
            check_classifier_loss,
            frozenset({"multilabel"}),
        ),
        Protocol(
            "embedding",
            MetricEmbedder,
            frozenset({"embedding"}),
            "multi_similarity",
            ("map_at_r", "recall_at_1"),
            check_embedder_loss,
            frozenset({"binary", "multiclass"}),
            judged="embeddings",
        ),
        Protocol(
            "llp",
            LLPClassifier,
            frozenset({"bag"}),
            "proportion_ce",
            ("bag_kl", "bag_l1", "bag_interval"),
            check_bag_loss,
            frozenset({"llp"}),
            judged="bags",
            batch=256,
            refuses={
                "times": "splits forward in time cut bags apart; keep what belongs together with groups (--group)",
                "sample_weight": "rows held out count the same in their bag; fit LLPClassifier by itself",
            },
        ),
    )
}


def check_task(task: str, *, bagged: bool) -> None:
    """Refuse a task that does not exist, or whose bags are missing.

    Parameters
    ----------
    task : str
        As in ``compare(task=...)``.
    bagged : bool
        Whether it was said which row is of which bag.

    Raises
    ------
    UnknownNameError, TaskError
    """
    if task != "auto" and task not in PROTOCOLS:
        raise UnknownNameError(f"unknown task {task!r}{did_you_mean(task, PROTOCOLS)} (auto, {', '.join(PROTOCOLS)})")
    if task != "auto" and PROTOCOLS[task].judged == "bags" and not bagged:
        raise TaskError(f"task={task!r} {OF_BAGS}")


def find_protocol(task: str, y: Any) -> Protocol:
    """Return how losses are compared on these targets.

    Parameters
    ----------
    task : str
        As in ``compare(task=...)``.
    y : array of shape (n,) or (n, n_labels)
        Labels, or what `bag_targets` makes.

    Raises
    ------
    DataError, TaskError
        If y cannot be used, or is not for the task.
    """
    found = find_task(y)
    protocol = PROTOCOLS[found if task == "auto" else task]
    if found in protocol.takes:
        return protocol
    if task == "embedding" and found == "multilabel":
        raise TaskError(
            f"task='embedding' learns from one class per row, y of shape (n,); y holds {y.shape[1]} labels per row. "
            "Compare classifiers, task='multilabel', or make a class of each set of labels"
        )
    if PROTOCOLS[found].judged == "bags":
        raise TaskError(f"task={task!r} learns from labels of rows; with bags the task is {found!r}, or leave bags out")
    raise TaskError(f"task={task!r}, but y is {found}; leave task out, or give another y")
