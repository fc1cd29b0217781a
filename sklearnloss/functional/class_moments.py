"""Moving means and variances of each class's rows."""

import torch
from torch import Tensor, nn

__all__ = ["ClassMoments"]


class ClassMoments(nn.Module):
    """Means and variances by class that follow the batches.

    A class that a batch holds moves by ``1 - momentum`` towards the batch's moments, and to them at its first time. The
    variances are those of the mixture of old and new rows, so they count how far the mean moved.

    Parameters
    ----------
    n_classes, dim : int
        Classes, and columns of the rows.
    momentum : float in [0, 1)
        What is kept of the old moments.

    Attributes
    ----------
    means, variances : Tensor of shape (n_classes, dim)
        Zeros and ones for a class without rows.
    seen : BoolTensor of shape (n_classes,)
        Classes that had rows.

    Examples
    --------
    >>> moments = ClassMoments(2, 1, momentum=0.5)
    >>> moments.update(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 0]))
    >>> moments.update(torch.tensor([[6.0], [6.0]]), torch.tensor([0, 0]))
    >>> moments.means[0], moments.variances[0], moments.seen
    (tensor([4.]), tensor([4.5000]), tensor([ True, False]))
    """

    means: Tensor
    variances: Tensor
    seen: Tensor

    def __init__(self, n_classes: int, dim: int, *, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("means", torch.zeros(n_classes, dim))
        self.register_buffer("variances", torch.ones(n_classes, dim))
        self.register_buffer("seen", torch.zeros(n_classes, dtype=torch.bool))

    @torch.no_grad()
    def update(self, rows: Tensor, y: Tensor, weights: Tensor | None = None) -> None:
        """Move the moments of the classes that come up.

        Parameters
        ----------
        rows : Tensor of shape (n, dim)
            Rows of the batch.
        y : LongTensor of shape (n,)
            Their classes.
        weights : Tensor of shape (n,), default=None
            Their weights.
        """
        rows = rows.to(self.means.dtype)
        weights = torch.ones_like(rows[:, 0]) if weights is None else weights.to(rows.dtype)
        total = torch.zeros_like(self.means[:, 0]).index_add(0, y, weights)  # (k,)
        share = weights / torch.where(total > 0, total, 1.0)[y]  # (n,)
        means = torch.zeros_like(self.means).index_add(0, y, share[:, None] * rows)  # (k, dim)
        spread = share[:, None] * (rows - means[y]).square()
        variances = torch.zeros_like(self.means).index_add(0, y, spread)  # (k, dim)
        step = (1 - self.momentum * self.seen.to(rows.dtype)) * (total > 0)  # (k,); all the way at the first time
        step = step[:, None]
        moved = means - self.means
        # new tensors, since the graph of this batch may hold the old ones
        self.variances = self.variances + step * (variances - self.variances + (1 - step) * moved.square())
        self.means = self.means + step * moved
        self.seen = self.seen | (total > 0)
