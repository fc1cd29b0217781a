"""Facts: the named values a trainer can supply, and roles: what the first argument of a loss stands for.

A component asks for a fact by naming it as a keyword. Without a default it is a **need**, with ``= None`` a **wish**.
"""

from dataclasses import dataclass
from typing import Literal

from sklearnloss.exceptions import ComponentError

__all__ = ["FACTS", "ROLES", "UNITS", "Fact", "Role", "fact", "row_facts"]

Scope = Literal["fit", "batch", "pool", "row"]


@dataclass(frozen=True)
class Fact:
    """A named value: where it comes from and what it is."""

    name: str
    scope: Scope
    about: str


@dataclass(frozen=True)
class Role:
    """What the first argument of a loss stands for, and the head that makes it."""

    name: str
    head: Literal["linear", "cosine", "hidden", "none"]
    shape: str
    link: str
    about: str


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role("logits", "linear", "(n, k)", "softmax", "one score per class"),
        Role("scores", "linear", "(n,)", "sigmoid", "one score; y in {0, 1}, the positive class is classes_[1]"),
        Role("label_logits", "linear", "(n, n_labels)", "sigmoid", "one score per label"),
        Role("cosines", "cosine", "(n, k * m)", "scaled_softmax", "cosines to the class proxies"),
        Role("thresholds", "linear", "(n, w)", "none", "scores of ordered classes"),
        Role("hidden", "hidden", "(n, d)", "softmax", "features before a head that training does not apply"),
        Role("embeddings", "none", "(n, d)", "none", "the backbone's output"),
        Role("view_a", "none", "(n, d)", "none", "embeddings of the first of two views; view_b follows"),
        Role("prediction", "linear", "(n, n_targets)", "identity", "one number per target"),
        Role("columns", "linear", "(n, n_targets, w)", "none", "several numbers per target"),
    )
}

UNITS: dict[str, str] = {
    "row": "(n,), rows independent",
    "anchor": "(n,), one per row, rows coupled",
    "pair": "(n, n)",
    "triplet": "(t,), with the fact triplets",
    "bag": "(b,)",
    "batch": "(), the whole batch at once",
}

FACTS: dict[str, Fact] = {}


def fact(name: str, *, scope: Scope, about: str) -> Fact:
    """Add a fact to the vocabulary; plugins call it beside their components.

    Parameters
    ----------
    name : str
        The keyword by which components ask for it.
    scope : {"fit", "batch", "pool", "row"}
        Where it comes from. Plugins add ``row`` facts: arrays with one row per sample, given to ``fit``.
    about : str
        One line for ``sklearnloss info``.

    Raises
    ------
    ComponentError
        If the name is no identifier, or is known with another scope.
    """
    if not name.isidentifier():
        raise ComponentError(f"fact {name!r}: a fact's name must be an identifier")
    known = FACTS.get(name)
    if known is not None and known.scope != scope:
        raise ComponentError(f"fact {name!r} is a {known.scope} fact already; it cannot be a {scope} fact too")
    FACTS.setdefault(name, Fact(name, scope, about))
    return FACTS[name]


def row_facts() -> frozenset[str]:
    """Names of the facts that users give to ``fit``, one row per sample."""
    return frozenset(f.name for f in FACTS.values() if f.scope == "row")


for _name, _about in {
    "n_samples": "rows given to fit",
    "n_classes": "number of classes, or of labels",
    "n_targets": "number of regression targets",
    "n_features": "columns of X",
    "n_groups": "number of groups",
    "embedding_dim": "width of the backbone's output",
    "priors": "(k,) weighted share of each class, or of each label's positives",
    "class_counts": "(k,) rows of each class, or positives of each label",
    "class_values": "(k,) the classes as numbers, in their order",
    "x_scale": "(d,) standard deviation of each column of X",
    "y_train": "(N,) the encoded targets of all training rows",
    "bag_proportions": "(B, k) proportions of all bags that are trained on",
    "bag_sizes": "(B,) rows of each of them",
    "generator": "a seeded torch.Generator that the component may keep",
    "batch_size": "rows of a batch, asked for by samplers",
    "buffer_size": "rows that are best mixed at once where X is read from files, asked for by samplers",
}.items():
    fact(_name, scope="fit", about=_about)

for _name, _about in {
    "y": "(n,) encoded targets",
    "X": "(n, d) the module's input",
    "features": "(n, h) the backbone's output",
    "output": "(n, ...) the head's output, detached",
    "index": "(n,) row numbers in the X given to fit",
    "block": "(n,) number of the block that a row is read with, where X is read from files; asked for by samplers",
    "epoch": "epochs finished so far",
    "step": "optimiser steps taken so far",
    "prototypes": "(k * m, h) weight of a cosine head",
    "head_weight": "(k, h) weight of the head",
    "head_bias": "(k,) bias of the head, or None",
    "module": "the network from X to the head's output: its blocks lead to what the head sees, its top from there",
    "ema": "moving average of the network",
    "sample_weight": "(n,) weights with mean one over the training rows",
    "bag": "(n,) bag of each row, 0..b-1",
    "n_bags": "number of bags in the batch",
    "bag_index": "(b,) number of each bag of the batch among all that are trained on",
    "bag_weight": "(b,) weight of each bag, with mean one over those that are trained on",
    "bag_parts": "what a bag mixup merged",
    "triplets": "(t, 3) anchor, positive, negative",
    "pairs": "what miner and memory say about the pairs of the batch, or None",
    "mixed": "what a mixup of embeddings made, or None",
    "distance": "(a, b) -> (n, m), the distance that the user chose, or None",
    "rng": "a seeded generator: torch for losses, mixups and views, numpy for samplers and strategies",
}.items():
    fact(_name, scope="batch", about=_about)

for _name, _about in {
    "X_pool": "rows that may be asked",
    "X_labeled": "rows with labels",
    "y_labeled": "their labels",
    "embeddings": "embeddings of the pool",
    "embeddings_labeled": "(m, d) embeddings of the rows with labels",
    "proba": "(n, k) probabilities of the pool, where a row has one class",
    "label_proba": "(n, n_labels) probability of each label, where a row has several",
    "committee": "(m, n, k) probabilities of the committee's members",
    "committee_prediction": "(m, n) numbers that the committee's members predict",
    "gradient_norms": "(n, k) norm of the loss's gradient by the last layer, if a row had each of the classes",
    "losses_labeled": "(m,) loss of each row with a label, by a model that did not see it",
    "estimator": "the fitted estimator",
    "n": "how many rows are wanted",
}.items():
    fact(_name, scope="pool", about=_about)

for _name, _about in {
    "teacher": "(N, k) logits of a teacher",
    "group": "(N,) group of each row, for fairness",
    "domain": "(N,) domain of each row, for shift",
    "target_proba": "(N, k) soft targets",
    "propensity": "(N,) chance that a row's label was seen",
    "observed": "(N, ...) whether a label was seen",
    "annotator": "(N,) who labelled the row",
    "noise_scale": "(N,) noise of a row's target",
    "treated": "(N,) whether a row was treated, 0 or 1",
    "exogenous": "(N, k) variables that were set from outside",
    "equations": "(N, m, d) equality constraints of each row's linear program",
    "distances": "(N, N) distances to every row of the X given to fit",
}.items():
    fact(_name, scope="row", about=_about)
