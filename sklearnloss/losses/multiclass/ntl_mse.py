"""Squared error of the expected class, for classes that are numbers."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.functional.class_gaps import class_gaps
from sklearnloss.typing import Labels, Logits, PerRow


@loss("ntl_mse", task="ordinal", ordered=True)
def ntl_mse(logits: Logits, y: Labels, *, class_values: Tensor | None = None, normalize: bool = True) -> PerRow:
    r"""Squared distance of the mean class, under the probabilities, from the true one.

    A term beside one that estimates probabilities, never alone:
    ``LossClassifier(Loss("cross_entropy") + 3 * Loss("ntl_mse"))``.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    class_values : Tensor of shape (k,), default=None
        Number of each class. Classes that are numbers bring them along; None, as for names with ``class_order``, is
        0..k-1.
    normalize : bool, default=True
        Whether distances are divided by the largest one between classes, so that the unit of the numbers is nothing.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative; at most 1 if normalised.

    Notes
    -----
    .. math:: \ell = \Big(\sum_j p_j v_j - v_y\Big)^2

    Only the mean counts: probability shared by the classes on both sides of the true one costs nothing, so alone it may
    leave the true class without any. `ntl_was` has no such fault. O(n k).

    References
    ----------
    .. [1] Zausinger, Pennig, Kozina, Sdahl, Sikora, Dendorfer, Kuznetsov, Hagog, Wiedemann, Chlodny, Limbach, Ketteler,
       Prein, Singh, Danziger, Born. "Regress, don't guess: a regression-like loss on number tokens for language
       models". ICML 2025.

    Examples
    --------
    >>> logits = torch.tensor([[0.1, 0.0, 0.2, 0.3, 0.4]]).log()
    >>> ntl_mse(logits, torch.tensor([2]), normalize=False)  # (2.9 - 2)**2
    tensor([0.8100])
    """
    gaps = class_gaps(logits, y, class_values, normalize=normalize)  # (n, k)
    return (torch.softmax(logits, dim=1) * gaps).sum(dim=1).square()  # (n,)
