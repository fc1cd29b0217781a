"""Differences between classes that are numbers."""

import torch
from torch import Tensor

__all__ = ["class_gaps"]


def class_gaps(logits: Tensor, y: Tensor, class_values: Tensor | None, *, normalize: bool) -> Tensor:
    """Return the number of each class less that of the true one (n, k), of the scores' dtype.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Scores.
    y : LongTensor of shape (n,)
        Class of each row.
    class_values : Tensor of shape (k,) or None
        Number of each class; None is 0..k-1.
    normalize : bool
        Whether they are divided by the largest difference.

    Examples
    --------
    >>> class_gaps(torch.zeros(1, 3), torch.tensor([1]), torch.tensor([0.0, 10.0, 40.0]), normalize=True)
    tensor([[-0.2500,  0.0000,  0.7500]])
    """
    if class_values is None:
        class_values = torch.arange(logits.shape[1], device=logits.device)
    values = class_values.to(logits.dtype)
    if normalize:
        values = (values - values.min()) / (values.max() - values.min())  # classes are different, and two or more
    return values - values[y][:, None]  # (n, k)
