"""Which row belongs to which: cross entropies of tables of similarities whose diagonal is right."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

__all__ = ["pairing_entropy"]


def pairing_entropy(logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the cross entropy (n,) of picking column i in row i of a table (n, n).

    Examples
    --------
    >>> pairing_entropy(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    tensor([0.3133, 0.6931])
    """
    own = torch.arange(len(logits), device=logits.device)
    return cross_entropy(logits, own, reduction="none", label_smoothing=label_smoothing)
