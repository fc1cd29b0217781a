"""What several annotators agree on: majority votes, and the model of Dawid and Skene."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sklearnloss.exceptions import DataError, ParameterError

__all__ = ["AnnotatorResult", "aggregate_annotators"]


@dataclass(frozen=True)
class AnnotatorResult:
    """Labels that several annotators amount to.

    Attributes
    ----------
    items : array of shape (n,)
        The items, sorted.
    labels : array of shape (n,)
        The most probable label of each.
    proba : array of shape (n, k)
        Probabilities of the labels; of a majority vote the shares of the votes.
    classes : array of shape (k,)
        The labels.
    annotators : array of shape (m,)
        The annotators, sorted.
    confusion : array of shape (m, k, k)
        ``confusion[a, t, l]``: how often annotator a says l where t is right, rows sum to one.
    accuracy : array of shape (m,)
        How often each annotator is right, by these labels.
    priors : array of shape (k,)
        Shares of the labels.
    n_iter : int
        Rounds of the estimation.
    converged : bool
        Whether it settled within ``max_iter``.
    """

    items: np.ndarray = field(repr=False)
    labels: np.ndarray
    proba: np.ndarray = field(repr=False)
    classes: np.ndarray
    annotators: np.ndarray = field(repr=False)
    confusion: np.ndarray = field(repr=False)
    accuracy: np.ndarray
    priors: np.ndarray
    n_iter: int = 0
    converged: bool = True


def aggregate_annotators(
    item: Any,
    annotator: Any,
    label: Any,
    *,
    method: Literal["majority", "dawid_skene"] = "dawid_skene",
    smoothing: float = 0.01,
    max_iter: int = 200,
    tol: float = 1e-6,
) -> AnnotatorResult:
    r"""Return one label for each item from the answers of several annotators.

    Parameters
    ----------
    item, annotator, label : arrays of shape (n_answers,)
        One answer a place: who said what of which item. Who answers an item twice counts twice.
    method : {"majority", "dawid_skene"}, default="dawid_skene"
        ``"majority"`` takes the most frequent label, of equally frequent ones the one that is more frequent overall.
        ``"dawid_skene"`` learns how each annotator confuses labels, and weighs the answers by that.
    smoothing : float in [0, inf), default=0.01
        Answers that each annotator is taken to have given of each label besides, so that a few answers do not make
        anybody infallible; for ``"dawid_skene"``.
    max_iter : int in [1, inf), default=200
        Rounds at most; for ``"dawid_skene"``.
    tol : float in [0, inf), default=1e-6
        Change of the probabilities at which it has settled; for ``"dawid_skene"``.

    Returns
    -------
    AnnotatorResult

    Raises
    ------
    DataError
        If the arrays differ in length, are empty, or an answer is missing.
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    With the unknown label t of an item, its prior :math:`\pi_t` and the confusion :math:`\theta_{a t l}` of annotator
    a, expectation and maximization alternate, beginning with shares of votes:

    .. math::
        p(t \mid \text{answers}) \propto \pi_t \prod_{(a, l)} \theta_{a t l}, \qquad
        \theta_{a t l} \propto s + \sum_{i \ni (a, l)} p_i(t)

    References
    ----------
    .. [1] Dawid, Skene. "Maximum likelihood estimation of observer error-rates using the EM algorithm". JRSS C 28,
       1979.

    Examples
    --------
    >>> found = aggregate_annotators([0, 0, 0, 1, 1, 1], [1, 2, 3, 1, 2, 3], ["a", "a", "b", "b", "b", "a"])
    >>> found.labels.tolist(), found.accuracy.round(2).tolist()
    (['a', 'b'], [1.0, 1.0, 0.0])
    """
    if method not in ("majority", "dawid_skene"):
        raise ParameterError(f"aggregate_annotators: method must be 'majority' or 'dawid_skene', got {method!r}")
    if smoothing < 0 or tol < 0 or max_iter < 1:
        raise ParameterError(
            "aggregate_annotators: smoothing and tol must be in [0, inf) and max_iter in [1, inf), got "
            f"smoothing={smoothing}, tol={tol}, max_iter={max_iter}"
        )
    items, i = _coded("item", item)
    annotators, a = _coded("annotator", annotator)
    classes, c = _coded("label", label)
    if not len(i) == len(a) == len(c):
        raise DataError(f"item, annotator and label must be as long as each other, got {len(i)}, {len(a)}, {len(c)}")
    votes = np.zeros((len(items), len(classes)))
    np.add.at(votes, (i, c), 1)
    proba = votes / votes.sum(axis=1, keepdims=True)
    n_iter, converged = 0, True
    if method == "dawid_skene":
        proba, n_iter, converged = _estimated(proba, (i, a, c), len(annotators), smoothing, max_iter, tol)
        best = proba.argmax(axis=1)
    else:
        best = (proba + 1e-9 * votes.mean(axis=0)).argmax(axis=1)
    confusion = _confusion(proba if method == "dawid_skene" else np.eye(len(classes))[best], (i, a, c), len(annotators))
    given = np.bincount(a, minlength=len(annotators))
    right = np.bincount(a, proba[i, c] if method == "dawid_skene" else best[i] == c, minlength=len(annotators))
    return AnnotatorResult(
        items, classes[best], proba, classes, annotators, _rows_to_one(confusion), right / given,
        proba.mean(axis=0), n_iter, converged,
    )  # fmt: skip


Answers = tuple[np.ndarray, np.ndarray, np.ndarray]


def _coded(name: str, values: Any) -> tuple[np.ndarray, np.ndarray]:
    array = np.asarray(values)
    if array.ndim != 1 or not len(array):
        raise DataError(f"aggregate_annotators: {name} must be a list with an entry for each answer, got {array.shape}")
    missing = [v is None or v != v for v in array.tolist()]
    if any(missing):
        raise DataError(
            f"aggregate_annotators: {name} is missing in {sum(missing)} of {len(array)} answers, first in answer "
            f"{missing.index(True)}; leave these answers out"
        )
    found, codes = np.unique(array, return_inverse=True)
    return found, codes


def _estimated(
    proba: np.ndarray, answers: Answers, n_annotators: int, smoothing: float, max_iter: int, tol: float
) -> tuple[np.ndarray, int, bool]:
    """Alternate between confusions and labels until these settle."""
    i, a, c = answers
    for step in range(1, max_iter + 1):
        confusion = _rows_to_one(_confusion(proba, answers, n_annotators) + smoothing)
        with np.errstate(divide="ignore"):
            logs = np.log(confusion)
            scores = np.broadcast_to(np.log(proba.mean(axis=0)), proba.shape).copy()
        np.add.at(scores, i, logs[a, :, c])
        scores -= np.max(scores, axis=1, keepdims=True)
        updated = np.exp(scores)
        updated /= updated.sum(axis=1, keepdims=True)
        change = np.abs(updated - proba).max()
        proba = updated
        if change <= tol:
            return proba, step, True
    return proba, max_iter, False


def _confusion(proba: np.ndarray, answers: Answers, n_annotators: int) -> np.ndarray:
    """Return how often each annotator says l where t is right, (m, k, k), in expectation."""
    i, a, c = answers
    k = proba.shape[1]
    counts = np.zeros((n_annotators, k, k))  # of answer, then truth
    np.add.at(counts, (a, c), proba[i])
    return counts.transpose(0, 2, 1)


def _rows_to_one(counts: np.ndarray) -> np.ndarray:
    """Return shares; of a label that an annotator never met, even ones."""
    totals = counts.sum(axis=-1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), 1 / counts.shape[-1])
