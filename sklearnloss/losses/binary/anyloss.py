"""Any score of the confusion matrix as a loss."""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import Labels, Scalar, Scores, Weights

EPS = 1e-5


@loss("anyloss", task="binary", unit="batch", sampler="stratified")
def anyloss(
    scores: Scores,
    y: Labels,
    *,
    metric: Literal["accuracy", "f1", "balanced_accuracy", "g_mean", "mcc", "youden"]
    | Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = "f1",
    beta: Annotated[Positive, Search(0.25, 4, log=True)] = 1.0,
    sharpness: Annotated[Positive, Search(2, 70, log=True)] = 10.0,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""One minus a score of the confusion matrix, whose hard decisions are replaced by steep smooth ones.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; positive for the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    metric : {"accuracy", "f1", "balanced_accuracy", "g_mean", "mcc", "youden"} or callable, default="f1"
        The score, of which more is better: a name, or ``metric(tp, fp, fn, tn) -> Tensor``.
    beta : float in (0, inf), default=1.0
        Of ``"f1"``, which becomes the F-beta score: how much more recall counts than precision.
    sharpness : float in (0, inf), default=10.0
        Steepness of the decision at probability one half. The steeper, the nearer to the score itself and the fewer
        rows give a gradient: beyond 33 in float32, or 73 in float64, a sure decision is exactly one and gives none.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows in the confusion matrix.

    Returns
    -------
    Tensor of shape ()
        One minus the score.

    Notes
    -----
    .. math:: A_i = \sigma(L(\sigma(s_i) - \tfrac12)), \quad TP = \sum_i w_i y_i A_i, \quad
        FP = \sum_i w_i (1 - y_i) A_i, \quad \dots

    ``sharpness -> inf`` gives the score of the predictions ``scores > 0``. The link is the sigmoid, whose one half is
    where decisions flip, but it estimates no probability: the loss only asks on which side a row lies.

    A score of sums over a small batch is biased, so take large batches; the ``stratified`` sampler keeps both classes
    in each. A class that is missing counts as entirely missed. Balanced accuracy, the geometric mean of recall and
    specificity, and Youden's index do not change if all rows of one class come twice. O(n).

    References
    ----------
    .. [1] Han, Moniz, Chawla. "AnyLoss: transforming classification metrics into loss functions". KDD 2024.

    Examples
    --------
    >>> scores = torch.logit(torch.tensor([0.9, 0.6, 0.2]))
    >>> anyloss(scores, torch.tensor([1.0, 0.0, 0.0]), metric="balanced_accuracy")
    tensor(0.2036)
    """
    weight = torch.ones_like(scores) if sample_weight is None else sample_weight.to(scores.dtype)
    accepted = torch.sigmoid(sharpness * (torch.sigmoid(scores) - 0.5))  # (n,)
    positive, negative = weight * y, weight * (1 - y)  # (n,); each sum apart, so that a missing class is exactly zero
    tp, fp = (positive * accepted).sum(), (negative * accepted).sum()
    fn, tn = (positive * (1 - accepted)).sum(), (negative * (1 - accepted)).sum()
    return 1 - _score(metric, beta, tp, fp, fn, tn)


def _score(metric: str | Callable[..., Tensor], beta: float, tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> Tensor:
    recall, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    match metric:
        case "accuracy":
            return _ratio(tp + tn, tp + fp + fn + tn)
        case "f1":
            return _ratio((1 + beta**2) * tp, (1 + beta**2) * tp + beta**2 * fn + fp)
        case "balanced_accuracy":
            return (recall + specificity) / 2
        case "g_mean":
            return (recall * specificity + EPS**2).sqrt()  # the root's slope stays finite at zero
        case "youden":
            return recall + specificity - 1
        case "mcc":
            rows = ((tp + fn) * (tn + fp) + EPS**2).sqrt()
            columns = ((tp + fp) * (tn + fn) + EPS**2).sqrt()
            return (tp * tn - fp * fn) / (rows * columns)
    assert callable(metric)
    return metric(tp, fp, fn, tn)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return part / whole.clamp(min=EPS)
