"""Cross entropy over very many classes."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegative, Search
from sklearnloss.functional.chunked_head import chunked_cross_entropy, dense_cross_entropy
from sklearnloss.typing import Hidden, Labels, PerRow

LARGE = 1 << 20  # logits of a batch from which on they are made chunk by chunk
CHUNK = 1024  # classes at a time


@loss("cut_cross_entropy", task="multiclass", proper=True, static=False)
def cut_cross_entropy(
    hidden: Hidden,
    y: Labels,
    *,
    head_weight: Tensor,
    head_bias: Tensor | None = None,
    softcap: Annotated[NonNegative, Search(5, 50)] = 0.0,
    lse_weight: Annotated[NonNegative, Search(1e-5, 1e-2, log=True)] = 0.0,
    skip: Annotated[Fraction, Search(1e-9, 1e-3, log=True)] = 0.0,
) -> PerRow:
    r"""Cross entropy of a linear head that never holds the logits of all classes: for tens of thousands of them.

    Parameters
    ----------
    hidden : Tensor of shape (n, d)
        What the head sees; the network does not apply it in training.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    head_weight : Tensor of shape (k, d)
        Weights of the head.
    head_bias : Tensor of shape (k,), default=None
        Bias of the head.
    softcap : float in [0, inf), default=0.0
        Where logits level off, ``c tanh(z / c)``; zero leaves them. Prediction takes the logits as they are, in the
        same order.
    lse_weight : float in [0, inf), default=0.0
        Weight of the square of the log-sum-exp, which keeps the level of the logits near zero.
    skip : float in [0, 1), default=0.0
        1,024 classes of which no probability in the batch is above this give no gradient but that of the true classes.
        The authors' value, below which a sum does not change, is ``eps / 32``: 4e-9 in float32, 2e-4 in bfloat16.

    Returns
    -------
    Tensor of shape (n,)
        One value per row; without ``softcap`` and ``lse_weight`` those of ``cross_entropy``.

    Notes
    -----
    .. math:: \ell = \log \sum_j e^{w_j \cdot h + b_j} - (w_y \cdot h + b_y) + \lambda \Big( \log \sum_j e^{w_j \cdot h
        + b_j} \Big)^2

    In a batch of more than 2^20 logits they are made 1,024 classes at a time, in the forward and again in the backward
    pass: O(n k d) time, with one more product, and O(1024 n) memory beside the gradient of the weights. A smaller one
    takes them all at once, unless some are to be skipped.

    References
    ----------
    .. [1] Wijmans, Huval, Hertzberg, Koltun, Krähenbühl. "Cut your losses in large-vocabulary language models". ICLR
       2025.

    Examples
    --------
    >>> cut_cross_entropy(torch.tensor([[1.0, 2.0]]), torch.tensor([1]), head_weight=torch.eye(2))
    tensor([0.3133])
    """
    bias = torch.zeros_like(head_weight[:, 0]) if head_bias is None else head_bias
    weight, bias = head_weight.to(hidden.dtype), bias.to(hidden.dtype)
    if skip or len(hidden) * len(weight) > LARGE:
        values, lse = chunked_cross_entropy(hidden, weight, bias, y, chunk=CHUNK, softcap=softcap, skip=skip)
    else:
        values, lse = dense_cross_entropy(hidden, weight, bias, y, softcap)
    return values + lse_weight * lse.square()
