"""Augment and reduce: cross entropy from some of very many classes."""

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, PositiveInt, Search
from sklearnloss.functional.numerics import steady_exp
from sklearnloss.typing import FitScalar, Generator, Hidden, Index, Labels, PerRow

CAP = 20.0  # exponent from which the exponential goes on along its tangent


@loss("augment_reduce", task="multiclass", gradient="surrogate")
class AugmentReduce(nn.Module):
    r"""A bound on cross entropy that looks at a sample of the other classes, with a number for each row in their stead.

    The logarithm of a sum over all classes cannot be estimated from a part of it without bias. Its tangent at the point
    that each row remembers can.

    Parameters
    ----------
    n_samples, n_classes : int
        Rows of the training set, each of which keeps one number, and classes k.
    others : int in [1, inf), default=256
        Other classes of a step, drawn anew for each batch, the same for all of its rows. As many as there are give the
        exact sum.
    rate : float in (0, 1], default=0.5
        How far a row's number moves, at a visit, to what the sample says of it.

    Attributes
    ----------
    log_eta : Tensor of shape (n_samples,)
        Logarithm of the number of each row; it begins at ``log(k)``, that of equal scores.

    Notes
    -----
    With :math:`d_j = z_j - z_y`, a sample S of the other classes and their number :math:`k - 1`,

    .. math:: s = 1 + \frac{k - 1}{|S|} \sum_{j \in S} e^{d_j}, \qquad \ell = \log \eta + \frac{s}{\eta} - 1 \ge
        \log s, \qquad \eta \leftarrow (1 - a) \eta + a s

    For any :math:`\eta \ge 1` the expectation over S is not below cross entropy, and equal to it at
    :math:`\eta = 1 + \sum_{j \ne y} e^{d_j}`. A visit in training first moves :math:`\eta`, so that the quotient is at
    most ``1 / rate``. A sample gives the weights of other classes no gradient: O(n |S| d) instead of O(n k d), which
    pays from some thousands of classes on. Prediction takes the softmax of all.

    References
    ----------
    .. [1] Ruiz, Titsias, Dieng, Blei. "Augment and reduce: stochastic inference for large categorical distributions".
       ICML 2018.

    Examples
    --------
    >>> reduce = AugmentReduce(n_samples=1, n_classes=3, rate=1.0)
    >>> logits, rng = torch.tensor([[2.0, 0.0, 1.0]]), torch.Generator().manual_seed(0)
    >>> reduce(logits, torch.tensor([0]), head_weight=torch.eye(3), index=torch.tensor([0]), rng=rng)  # cross entropy
    tensor([0.4076])
    """

    log_eta: Tensor

    def __init__(
        self,
        *,
        n_samples: FitScalar,
        n_classes: FitScalar,
        others: Annotated[PositiveInt, Search(1, 4096, log=True)] = 256,
        rate: Annotated[float, Interval(0, 1, "right"), Search(0.05, 1)] = 0.5,
    ) -> None:
        super().__init__()
        self.others, self.rate = others, rate
        self.register_buffer("log_eta", torch.full((n_samples,), math.log(n_classes)))

    def forward(
        self,
        hidden: Hidden,
        y: Labels,
        *,
        head_weight: Tensor,
        index: Index,
        rng: Generator,
        head_bias: Tensor | None = None,
    ) -> PerRow:
        """Return one value per row (n,); in training, move the numbers of these rows.

        Parameters
        ----------
        hidden : Tensor of shape (n, d)
            What the head sees; the network does not apply it in training.
        y : LongTensor of shape (n,)
            Class of each row, in 0..k-1.
        head_weight : Tensor of shape (k, d)
            Weights of the head.
        index : LongTensor of shape (n,)
            Numbers of the rows in the training set.
        rng : torch.Generator
            Source of the samples.
        head_bias : Tensor of shape (k,), default=None
            Bias of the head.
        """
        k = len(head_weight)
        size = min(self.others + 1, k)  # one more, as the row's own class may be among them
        classes = torch.rand(k, generator=rng, device=hidden.device).topk(size).indices  # (s,)
        weight = head_weight.to(hidden.dtype)
        gaps = hidden @ weight[classes].T - (hidden * weight[y]).sum(1, keepdim=True)  # (n, s)
        if head_bias is not None:
            bias = head_bias.to(hidden.dtype)
            gaps = gaps + bias[classes] - bias[y][:, None]
        other = classes != y[:, None]  # (n, s)
        ratio = (k - 1) / other.sum(1).clamp(min=1)  # (n,)
        rest = torch.logsumexp(torch.where(other, gaps, -1e30), dim=1) + ratio.to(gaps.dtype).log()
        log_s = torch.nn.functional.softplus(rest)  # (n,)
        return self._bound(log_s, index)

    def _bound(self, log_s: Tensor, index: Tensor) -> Tensor:
        """Return the tangent at each row's number, which in training moves first."""
        kept = self.log_eta[index]
        if self.training:
            now = log_s.detach().to(kept.dtype) + math.log(self.rate)
            kept = torch.logaddexp(kept + math.log1p(-self.rate), now) if self.rate < 1 else now
            self.log_eta[index] = kept
        log_eta = kept.to(log_s.dtype)
        return log_eta + steady_exp(log_s - log_eta, CAP) - 1
