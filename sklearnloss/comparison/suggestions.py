"""Losses that these data give a reason to try, each with the figure that is the reason.

A rule looks at the data and yields a finding only where its condition holds; what it says of a loss is what the loss's
paper claims.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from sklearnloss.comparison.probe import (
    BagProbe,
    ClassProbe,
    ClusterProbe,
    LabelProbe,
    probe_bags,
    probe_classes,
    probe_clusters,
    probe_labels,
)
from sklearnloss.comparison.tasks import describe_data, find_task, plain_target
from sklearnloss.exceptions import TaskError
from sklearnloss.registry import components
from sklearnloss.spec import Loss

__all__ = ["Suggestion", "suggest_losses"]

IMBALANCED = 3.0  # rows of the largest class over those of the smallest
VERY_IMBALANCED = 10.0
WRONG_LABELS = 0.05  # share of other labels where the model is sure, at the lower end of its interval
LOST = 0.5  # share of errors where the model is sure from which it has learnt nothing
MANY_WRONG = 0.3
OUTVOTED = 0.01  # share of rows whose label is not that of most rows with the same features
MANY_CLASSES = 20
VERY_MANY_CLASSES = 100
THOUSAND = 1000  # from which the scale of arcface is that of its paper
ROWS_PER_COLUMN = 10.0  # fewer are few
OVERCONFIDENT = 0.05  # confidence above accuracy
EASY_ROWS = 0.5  # share of rows already predicted well
SPARSE_LABELS = 0.3  # share of ones below which negatives dominate
EASY_NEGATIVES = 0.3
SEVERAL_LABELS = 1.2  # labels of a row, on average
BATCH, PER_CLASS = 128, 4  # rows of a batch of MetricEmbedder, and of each class in it
CLUSTERS = 0.05  # share of rows that have a neighbour of their class, but not the nearest class mean
BY_CHANCE = 0.05  # p-value from which bags may have been put together at random
SMALL_BAGS = 64  # rows
SEVERAL_BAGS = 128  # rows of which a batch of LLPClassifier holds two bags
DIFFERENT_BAGS = 0.25  # share of the variance of the classes that lies between bags
SMALL_CLASSES = 0.5  # share of classes with fewer rows than a batch wants of each
Z95 = 1.645  # one-sided


@dataclass(frozen=True)
class Suggestion:
    """A loss to try, and why.

    Attributes
    ----------
    loss : str
        A registered name.
    params : mapping of str to value
        Hyperparameters that differ from the defaults.
    reason : str
        A sentence with what was measured on the data.
    """

    loss: str
    params: Mapping[str, Any]
    reason: str

    @property
    def spec(self) -> Loss:
        """The loss as ``LossClassifier(loss=...)`` takes it, or `MetricEmbedder`, or `LLPClassifier`."""
        return Loss(self.loss, **self.params)

    def __str__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"{self.loss}({params}): {self.reason}" if params else f"{self.loss}: {self.reason}"


def suggest_losses(X: Any, y: Any, *, task: str | None = None, random_state: Any = 0) -> list[Suggestion]:
    """Return the losses that these data give a reason to try.

    Parameters
    ----------
    X : array, sparse matrix, pandas or polars DataFrame of shape (n, d)
        Features as they come.
    y : array of shape (n,) or (n, n_labels)
        Classes, or labels of zeros and ones; or what `bag_targets` makes.
    task : {"binary", "multiclass", "multilabel", "embedding", "llp"} or None, default=None
        None finds out from y which it is; embeddings are asked for.
    random_state : int, RandomState or None, default=0
        Draws the rows, 2,000 at most, and the folds of the linear model behind some of the reasons.

    Returns
    -------
    list of Suggestion
        The baseline first, then the others by how far their figure is beyond the threshold of its rule. Only
        losses that are registered; none where nothing speaks for it.

    Raises
    ------
    DataError
        If the target cannot be used.
    TaskError
        If ``task`` is not what y is, or several labels are to be embedded.

    Examples
    --------
    >>> X = np.sin(np.arange(180.0)).reshape(90, 2)
    >>> y = np.r_[np.zeros(85), np.ones(5)].astype(int)
    >>> [suggestion.loss for suggestion in suggest_losses(X, y)][:2]
    ['cross_entropy', 'logit_adjusted']
    >>> print(suggest_losses(X, y)[1])
    logit_adjusted: class '1' has 5.6% of the rows, 1 for 17 of '0'; for balanced accuracy all classes count alike
    """
    found = find_task(y)
    if task not in (None, found) and (task, found) not in EMBEDDED:
        raise TaskError(f"task={task!r}, but y is {found}; leave task out, or give another y")
    X = X if hasattr(X, "shape") else np.asarray(X)
    road = ROADS[task or found]
    view = road.look(describe_data(X, y), X, plain_target(y), random_state)
    return [road.baseline(view), *_merged([finding for rule in road.rules for finding in rule(view)])]


@dataclass(frozen=True)
class _View:
    """What the rules look at."""

    facts: Mapping[str, Any]
    classes: ClassProbe | None = None
    labels: LabelProbe | None = None
    clusters: ClusterProbe | None = None
    bags: BagProbe | None = None
    positive: str = ""

    @property
    def n_classes(self) -> int:
        return len(self.facts["classes"])

    @property
    def rarest(self) -> Mapping[str, Any]:
        return self.facts["classes"][-1]

    @property
    def commonest(self) -> Mapping[str, Any]:
        return self.facts["classes"][0]


@dataclass(frozen=True)
class _Finding:
    """A reason for a loss; strength is one at the threshold of the rule."""

    strength: float
    loss: str
    reason: str
    params: Mapping[str, Any] = field(default_factory=dict)


def _look_at_classes(facts: Mapping[str, Any], X: Any, y: np.ndarray, random_state: Any) -> _View:
    return _View(facts, classes=probe_classes(X, y, random_state=random_state), positive=str(np.unique(y)[1]))


def _look_at_clusters(facts: Mapping[str, Any], X: Any, y: np.ndarray, random_state: Any) -> _View:
    view = _look_at_classes(facts, X, y, random_state)
    return replace(view, clusters=probe_clusters(X, y, random_state=random_state))


def _look_at_labels(facts: Mapping[str, Any], X: Any, y: np.ndarray, random_state: Any) -> _View:
    return _View(facts, labels=probe_labels(X, y, random_state=random_state))


def _look_at_bags(facts: Mapping[str, Any], X: Any, y: np.ndarray, random_state: Any) -> _View:
    return _View(facts, bags=probe_bags(y))


def _class_baseline(view: _View) -> Suggestion:
    top = view.commonest
    reason = f"the one to beat; always answering {top['name']!r} would be right in {top['share']:.0%} of the rows"
    return Suggestion("cross_entropy", {}, reason)


def _label_baseline(view: _View) -> Suggestion:
    mean = view.facts["labels_per_row"]["mean"]
    return Suggestion("bce", {}, f"the one to beat; {view.n_classes} labels, {mean:.1f} of them per row")


def _bag_baseline(view: _View) -> Suggestion:
    bags = view.facts["bags"]
    reason = (
        f"the one to beat; the mean proportions of the {bags['count']:,} bags as the prediction for each have a "
        f"negative bag KL of {bags['mean_kl']:.4f}"
    )
    return Suggestion("proportion_ce", {}, reason)


def _embedding_baseline(view: _View) -> Suggestion:
    reason = f"the one to beat; {view.n_classes} classes"
    if view.clusters is not None:
        share = view.clusters.by_neighbour.mean()
        reason = (
            f"the one to beat; as the columns are, the nearest other row is of the class in {share:.0%} of the rows"
        )
    return Suggestion("multi_similarity", {}, reason)


def _merged(findings: list[_Finding]) -> list[Suggestion]:
    """Return one suggestion per registered loss, the strongest first, with the parameters of its strongest reason."""
    names = _registered()
    by_loss: dict[str, list[_Finding]] = {}
    for finding in sorted(findings, key=lambda f: -f.strength):
        if finding.loss in names:
            by_loss.setdefault(finding.loss, []).append(finding)
    return [
        Suggestion(names[loss], dict(own[0].params), "; ".join(finding.reason for finding in own))
        for loss, own in by_loss.items()
    ]


def _registered() -> dict[str, str]:
    """Return the losses of the core, by name, as they must be written: in full where a plugin has one of that name."""
    losses = components("loss")
    names = [component.name for component in losses]
    return {c.name: c.name if names.count(c.name) == 1 else c.full_name for c in losses if c.plugin == "core"}


def _imbalance(view: _View) -> Iterator[_Finding]:
    ratio, binary = view.facts["imbalance"], view.facts["task"] == "binary"
    if ratio < IMBALANCED:
        return
    rare, common = view.rarest, view.commonest
    strength = math.log(ratio) / math.log(IMBALANCED)
    percent = f"{rare['share']:.1%}" if rare["share"] >= 0.001 else "less than 0.1%"
    share = f"class {rare['name']!r} has {percent} of the rows"
    yield _Finding(
        strength,
        "logit_adjusted",
        f"{share}, 1 for {ratio:.0f} of {common['name']!r}; for balanced accuracy all classes count alike",
    )
    if binary:
        yield _Finding(0.99 * strength, "aucm", f"{share}; the area under the ROC curve does not depend on that")
    if ratio >= VERY_IMBALANCED:
        yield _Finding(
            0.98 * strength,
            "ldam",
            f"class {rare['name']!r} has {rare['count']:,} rows and {common['name']!r} {common['count']:,}; the rare "
            f"one must lead by a margin {ratio**0.25:.1f} times as wide",
        )
    if binary and ratio >= VERY_IMBALANCED and rare["name"] == view.positive:
        yield _Finding(
            0.97 * strength,
            "anyloss",
            f"always answering {common['name']!r} is right in {common['share']:.1%} of the rows and has an F1 of zero, "
            "which this loss raises directly",
            {"metric": "f1"},
        )


def _easy_rows(view: _View) -> Iterator[_Finding]:
    if view.classes is None or (easy := view.classes.easy_share()) < EASY_ROWS or _wrong_share(view) is not None:
        return
    measured = f"an out-of-fold linear model gives {easy:.0%} of {view.classes.rows:,} rows 0.9 or more for their class"
    strength = easy / EASY_ROWS
    if view.facts["imbalance"] >= VERY_IMBALANCED:
        yield _Finding(strength, "focal", f"{measured}; it turns away from these, to the hard ones")
    elif view.facts["imbalance"] < IMBALANCED:
        yield _Finding(strength, "encouraging", f"{measured}; it goes on to learn from these as cross entropy does not")


def _wrong_share(view: _View) -> float | None:
    """Return the share of other labels where the model is sure, if labels must be wrong there and the model is not."""
    probe = view.classes
    if probe is None or _lower_bound(int(probe.right.sum()), probe.rows) <= probe.commonest_share:
        return None  # it knows no more than which class is frequent
    wrong, surest = probe.sure_and_wrong()
    share = wrong / surest
    if view.clusters is not None and 1 - view.clusters.by_neighbour.mean() < share:
        return None  # a wrong label would spoil its neighbours too: it is the model that is wrong
    return share if _lower_bound(wrong, surest) >= WRONG_LABELS and share <= LOST else None


def _lower_bound(count: int, total: int) -> float:
    """Return the lower end of Wilson's interval, which a share is above with 95 %."""
    share, z = count / total, Z95**2 / total
    return (share + z / 2 - Z95 * math.sqrt(share * (1 - share) / total + z / (4 * total))) / (1 + z)


def _wrongness(view: _View) -> tuple[float, str, float | None]:
    """Return how strongly labels look wrong (0: not at all), what was measured, and the share where a model is sure."""
    reasons = []
    strength = 0.0
    share = _wrong_share(view)
    if share is not None:
        assert view.classes is not None
        strength = share / WRONG_LABELS
        reasons.append(
            f"{share:.0%} of the {view.classes.sure_and_wrong()[1]:,} rows of which an out-of-fold linear model is "
            "surest carry another label, by mistake or by chance"
        )
    outvoted, rows = view.facts["duplicates"]["outvoted"], view.facts["rows"]
    if outvoted >= max(OUTVOTED * rows, 2):
        strength = max(strength, outvoted / rows / OUTVOTED)
        reasons.append(f"{outvoted:,} of {rows:,} rows have another label than most of those with the same features")
    return strength, " and ".join(reasons), share


def _wrong_labels(view: _View) -> Iterator[_Finding]:
    strength, measured, share = _wrongness(view)
    if not strength:
        return
    yield _Finding(
        strength,
        "gce",
        f"{measured}; it forgives a label that looks impossible",
        {"q": 0.9 if share is not None and share > MANY_WRONG else 0.7},
    )
    yield _Finding(
        0.99 * strength,
        "ldr",
        f"{measured}; a large lam does not hold a row to its hardest competitor alone, the true class of a wrong label",
        {"lam": 3.0, "margin": 4.0},
    )
    if share is None:
        return
    spread = round(min(share * view.n_classes / (view.n_classes - 1), 0.5), 2)  # what leaves others that share
    yield _Finding(
        0.98 * strength,
        "label_smoothing",
        f"{measured}; smoothed labels leave the other classes as much",
        {"smoothing": spread},
    )
    if share >= 2 * WRONG_LABELS:
        yield _Finding(0.97 * strength, "mae_proba", f"{measured}; it is bounded, so no wrong label weighs much")


def _many_classes(view: _View) -> Iterator[_Finding]:
    k = view.n_classes
    if k < MANY_CLASSES:
        return
    strength = math.log(k) / math.log(MANY_CLASSES)
    yield _Finding(strength, "ldr", f"{k} classes; lam says how many of the {k - 1} competitors of a class count")
    yield _Finding(0.99 * strength, "one_vs_each", f"{k} classes; {k - 1} separate duels take the place of one softmax")
    if k >= VERY_MANY_CLASSES:
        per_class = view.facts["rows"] / k
        yield _Finding(
            0.98 * strength,
            "arcface",
            f"{k} classes of {per_class:.0f} rows; each is a direction that its rows must be near, by a margin",
            {"scale": 64.0} if k >= THOUSAND else {},
        )


def _few_rows(view: _View) -> Iterator[_Finding]:
    rows, columns = view.facts["rows"], view.facts["columns"]
    if rows >= ROWS_PER_COLUMN * columns:
        return
    strength = 1 + math.log(ROWS_PER_COLUMN * columns / rows)
    measured = f"{rows:,} rows for {columns:,} columns"
    if view.facts["task"] == "binary":
        yield _Finding(strength, "ensloss", f"{measured}; where each batch has another loss, none can be overfitted")
    reason = f"{measured}; no score has to grow without end"
    yield _Finding(0.99 * strength, "label_smoothing", reason, {"smoothing": 0.1})


def _overconfidence(view: _View) -> Iterator[_Finding]:
    if view.classes is None:
        return
    sure, right = float(view.classes.proba.max(axis=1).mean()), float(view.classes.right.mean())
    error = math.sqrt(right * (1 - right) / view.classes.rows)
    if sure - right < max(OVERCONFIDENT, Z95 * error):
        return
    yield _Finding(
        (sure - right) / OVERCONFIDENT,
        "label_smoothing",
        f"an out-of-fold linear model is {sure:.0%} sure and {right:.0%} right; no score has to grow without end",
        {"smoothing": 0.1},
    )


def _sparse_labels(view: _View) -> Iterator[_Finding]:
    ones = float(np.mean([label["share"] for label in view.facts["classes"]]))
    if view.labels is None or ones > SPARSE_LABELS or (easy := view.labels.easy_negative_share()) < EASY_NEGATIVES:
        return
    yield _Finding(
        easy / EASY_NEGATIVES,
        "asl",
        f"{1 - ones:.0%} of the labels are zeros, and an out-of-fold linear model gives {easy:.0%} of these a "
        "probability below 0.05; it ignores such easy negatives",
    )


def _several_labels(view: _View) -> Iterator[_Finding]:
    mean, k = view.facts["labels_per_row"]["mean"], view.n_classes
    if k < 3 or mean < SEVERAL_LABELS:
        return
    yield _Finding(
        mean / SEVERAL_LABELS,
        "decoupled_softmax",
        f"a row has {mean:.1f} of {k} labels on average; each is compared with the labels it does not have, so that "
        "its own do not compete",
    )


def _proxies(view: _View) -> Iterator[_Finding]:
    strength, measured, _ = _wrongness(view)
    if strength:
        reason = f"{measured}; rows are compared with a proxy of each class, which a few wrong ones do not move far"
        yield _Finding(strength, "proxy_anchor", reason)
    k, held = view.n_classes, BATCH // PER_CLASS
    if k > held:
        reason = f"{k} classes, of which a batch of {BATCH} rows holds {held}; its proxies stand for all of them"
        yield _Finding(math.log(k) / math.log(held), "proxy_anchor", reason)


def _several_clusters(view: _View) -> Iterator[_Finding]:
    if view.clusters is None:
        return
    near, mean = view.clusters.by_neighbour, view.clusters.by_mean
    gap = near.astype(float) - mean
    if gap.mean() - Z95 * gap.std() / math.sqrt(len(gap)) < CLUSTERS:
        return
    yield _Finding(
        gap.mean() / CLUSTERS,
        "soft_triple",
        f"the nearest other row is of the class in {near.mean():.0%} of {len(near):,} rows, the nearest class mean in "
        f"{mean.mean():.0%}: one center does not do for a class; it gives each several",
    )


def _small_classes(view: _View) -> Iterator[_Finding]:
    counts = [row["count"] for row in view.facts["classes"]]
    small = sum(count < PER_CLASS for count in counts) / len(counts)
    if small < SMALL_CLASSES:
        return
    yield _Finding(
        small / SMALL_CLASSES,
        "npairs",
        f"{small:.0%} of the {len(counts)} classes have fewer than {PER_CLASS} rows; it needs one pair of each",
    )


def _random_bags(view: _View) -> Iterator[_Finding]:
    assert view.bags is not None
    median = view.facts["bags"]["median"]
    if view.bags.p < BY_CHANCE or median > SMALL_BAGS:
        return
    yield _Finding(
        1 + view.bags.p,
        "easy_llp",
        f"the proportions of {len(view.bags.sizes):,} bags differ no more than if rows were put together at random "
        f"(p = {view.bags.p:.2f}); of such bags it estimates the loss of rows without bias",
        {"nonnegative": True},
    )


def _small_bags(view: _View) -> Iterator[_Finding]:
    median = view.facts["bags"]["median"]
    if median > SMALL_BAGS:
        return
    yield _Finding(
        1 + math.log(SMALL_BAGS / median),
        "em_llp",
        f"half of the bags have at most {median:g} rows, so that their counts say much of each; it asks how likely a "
        "class is for a row given these",
    )


def _different_bags(view: _View) -> Iterator[_Finding]:
    assert view.bags is not None
    if view.bags.between < DIFFERENT_BAGS or view.facts["bags"]["median"] > SEVERAL_BAGS:
        return
    yield _Finding(
        view.bags.between / DIFFERENT_BAGS,
        "llp_fc",
        f"{view.bags.between:.0%} of the variance of the classes lies between bags; it learns from which bag a row is",
    )


def _few_bags(view: _View) -> Iterator[_Finding]:
    count, columns = view.facts["bags"]["count"], view.facts["columns"]
    if count >= ROWS_PER_COLUMN * columns:
        return
    yield _Finding(
        1 + math.log(ROWS_PER_COLUMN * columns / count),
        "llp_vat",
        f"{count:,} bags for {columns:,} columns; predictions must not change much in the neighborhood of a row either",
    )


Rule = Callable[[_View], Iterator[_Finding]]


class _Road(NamedTuple):
    """How losses of a task are found: what is looked at, the baseline, and the rules."""

    look: Callable[[Mapping[str, Any], Any, np.ndarray, Any], _View]
    baseline: Callable[[_View], Suggestion]
    rules: tuple[Rule, ...]


EMBEDDED = {("embedding", "binary"), ("embedding", "multiclass")}  # asked for, and what y is
CLASSES = _Road(
    _look_at_classes,
    _class_baseline,
    (_imbalance, _easy_rows, _wrong_labels, _many_classes, _few_rows, _overconfidence),
)
ROADS: dict[str, _Road] = {
    "binary": CLASSES,
    "multiclass": CLASSES,
    "multilabel": _Road(_look_at_labels, _label_baseline, (_sparse_labels, _several_labels)),
    "embedding": _Road(_look_at_clusters, _embedding_baseline, (_proxies, _several_clusters, _small_classes)),
    "llp": _Road(_look_at_bags, _bag_baseline, (_random_bags, _small_bags, _different_bags, _few_bags)),
}
