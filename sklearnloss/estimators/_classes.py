"""What a classifier's losses need to know of its classes: whether they fit, how wide the head is, the fit facts."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sklearnloss.estimators._binding import common_role
from sklearnloss.estimators._rows import Rows
from sklearnloss.estimators._targets import ClassTargets
from sklearnloss.exceptions import TaskError
from sklearnloss.spec import Choice
from sklearnloss.training.backbone import Network

__all__ = ["check_terms", "count_outputs", "fit_facts", "label_facts"]


def check_terms(terms: Mapping[str, Choice], targets: ClassTargets, *, ordered: bool) -> str:
    """Return the role of the head, or say why a loss does not fit the task.

    Parameters
    ----------
    terms : mapping of str to Choice
        The losses.
    targets : ClassTargets
        The classes.
    ordered : bool
        Whether the user gave the classes an order.

    Raises
    ------
    TaskError
        With the loss, what it is for, what y is, and what to use.
    """
    role = common_role(terms, "LossClassifier")
    for choice in terms.values():
        title, own = choice.component.title, choice.component.role
        if own in ("prediction", "columns"):
            raise TaskError(
                f"{title} is for {choice.component.task}; LossClassifier takes multiclass, binary, multilabel. "
                "Use LossRegressor or QuantileAggregator"
            )
        if own == "scores" and targets.kind == "multiclass":
            raise TaskError(
                f"{title}: Only binary classification is supported. y has {targets.n_classes} classes; wrap it: "
                f"sklearn.multiclass.OneVsRestClassifier(LossClassifier({choice.component.name!r})), "
                "or choose a loss on logits"
            )
        if own == "label_logits" and targets.kind == "multiclass":
            raise TaskError(
                f"{title}: Only binary classification is supported. y has {targets.n_classes} classes, not several "
                "labels per row; choose a loss on logits"
            )
        if targets.kind == "multilabel" and own not in ("scores", "label_logits", ""):
            raise TaskError(
                f"{title} is for one class per row, y has {targets.n_classes} labels per row; choose a loss on "
                "scores or label_logits, such as 'bce' or 'asl'"
            )
        if choice.component.ordered and not ordered and targets.values() is None:
            raise TaskError(
                f"{title} needs classes with an order; give class_order=[lowest, ..., highest], or an ordered pandas "
                "Categorical as y"
            )
    return role


def count_outputs(role: str, terms: Mapping[str, Choice], targets: ClassTargets) -> int:
    """Return the width of the head.

    Raises
    ------
    TaskError
        If losses that share the head want different widths.
    """
    if targets.kind != "multilabel" and role in ("scores", "label_logits"):
        return 1
    (first, width), *others = [
        (choice.component.title, _width(role, choice, targets.n_classes))
        for choice in terms.values()
        if choice.component.role == role
    ]
    for title, other in others:
        if other != width:
            raise TaskError(
                f"the terms of a sum share one head: {first} wants it {width} wide, {title} {other} wide; choose terms "
                "that want the same"
            )
    return width


def _width(role: str, choice: Choice, n_classes: int) -> int:
    """Return how many outputs a loss wants: those it declares, of thresholds in all, else of each class."""
    outputs = choice.component.outputs
    if outputs is None:
        return n_classes - 1 if role == "thresholds" else n_classes
    values = choice.all_params()
    declared = outputs(**{n: values[n] for n in inspect.signature(outputs).parameters})
    return declared if role == "thresholds" else n_classes * declared


def fit_facts(
    targets: ClassTargets, rows: Rows, network: Network, *, x_scale: np.ndarray | None, generator: torch.Generator
) -> dict[str, Any]:
    """Return the facts known before the first batch.

    Parameters
    ----------
    targets : ClassTargets
        The classes.
    rows : Rows
        The rows of the fit.
    network : Network
        The network; facts take its precision.
    x_scale : array of shape (d,) or None
        Standard deviations of the columns, if a component asks for them.
    generator : torch.Generator
        For components that keep one.
    """
    assert rows.y is not None
    weights = rows.scaling_weights()
    counts = targets.counts(rows.y[rows.drawn])
    weighted = targets.counts(rows.y, weights)
    total = weighted.sum() if targets.kind != "multilabel" else (len(rows.y) if weights is None else weights.sum())
    dtype = network.dtype
    facts: dict[str, Any] = {
        "n_samples": rows.X.shape[0],
        "n_features": rows.X.shape[1],
        "n_classes": targets.n_classes,
        "embedding_dim": getattr(network.head, "in_features", None),
        "priors": torch.as_tensor(weighted / total, dtype=dtype),
        "class_counts": torch.as_tensor(counts, dtype=dtype),
        "y_train": torch.as_tensor(rows.y),
        "generator": generator,
    }
    if targets.kind != "multilabel" and (values := targets.values()) is not None:
        facts["class_values"] = torch.as_tensor(values, dtype=dtype)
    if x_scale is not None:
        facts["x_scale"] = torch.as_tensor(x_scale, dtype=dtype)
    if "group" in rows.facts:
        facts["n_groups"] = int(rows.facts["group"].max()) + 1
    return facts


def label_facts(rows: Rows, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fit facts of each label by itself: a problem of two classes."""
    n = len(rows.drawn)
    return [
        facts
        | {
            "n_classes": 2,
            "priors": torch.stack([1 - share, share]),
            "class_counts": torch.stack([n - count, count]),
            "y_train": facts["y_train"][:, j],
        }
        for j, (share, count) in enumerate(zip(facts["priors"], facts["class_counts"], strict=True))
    ]
