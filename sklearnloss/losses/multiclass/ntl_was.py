"""Expected distance from the true class, for classes that are numbers."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.functional.class_gaps import class_gaps
from sklearnloss.typing import Labels, Logits, PerRow


@loss("ntl_was", task="ordinal", ordered=True)
def ntl_was(logits: Logits, y: Labels, *, class_values: Tensor | None = None, normalize: bool = True) -> PerRow:
    r"""Mean distance of the class, drawn from the probabilities, from the true one: near misses cost little.

    A term beside one that estimates probabilities:
    ``LossClassifier(Loss("cross_entropy") + 3 * Loss("ntl_was"))``.

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
    .. math:: \ell = \sum_j p_j \, |v_j - v_y|

    This is the Wasserstein-1 distance of the probabilities from the label. It is zero only where all probability is on
    the true class. Alone it draws all probability to the median of the classes, so its probabilities are no estimates.
    With two classes it is ``1 - p_y``. The authors take 0.3 times it on digits 0 to 9
    without `normalize`, which is 2.7 times it here. O(n k).

    References
    ----------
    .. [1] Zausinger, Pennig, Kozina, Sdahl, Sikora, Dendorfer, Kuznetsov, Hagog, Wiedemann, Chlodny, Limbach, Ketteler,
       Prein, Singh, Danziger, Born. "Regress, don't guess: a regression-like loss on number tokens for language
       models". ICML 2025.

    Examples
    --------
    >>> logits = torch.tensor([[0.1, 0.0, 0.2, 0.3, 0.4]]).log()
    >>> ntl_was(logits, torch.tensor([2]), normalize=False)
    tensor([1.3000])
    """
    gaps = class_gaps(logits, y, class_values, normalize=normalize)  # (n, k)
    return (torch.softmax(logits, dim=1) * gaps.abs()).sum(dim=1)  # (n,)
