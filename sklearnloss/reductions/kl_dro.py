"""Distributionally robust mean over a Kullback-Leibler ball."""

from typing import Annotated

import torch
from torch import Tensor, nn

from sklearnloss.component import reduction
from sklearnloss.constraints import Fraction, Positive, Search
from sklearnloss.typing import Scalar


# The paper's bilevel method with a log-barrier is left out: this is its inner objective, of composed means.
@reduction("kl_dro", status="known")
class KLDRO(nn.Module):
    r"""Soft maximum of the values: rows weigh the more the larger their value is, smoothly.

    Parameters
    ----------
    lam : float in (0, inf), default=1.0
        Temperature, in units of the values: ``lam -> inf`` is `mean`, ``lam -> 0`` the largest value. Useful values are
        0.5 to 10 for cross entropy.
    decay : float in [0, 1), default=0.9
        Share of the normalizer of earlier batches. 0 normalizes each batch by itself, as if it were all rows, which
        favors the mean the more the smaller batches are.

    Notes
    -----
    .. math:: \lambda \log \frac{\sum_i w_i e^{v_i / \lambda}}{\sum_i w_i}

    is the largest weighted mean of the values over all distributions of the rows, less ``lam`` times their
    Kullback-Leibler divergence from the weights. Of a batch of ``n`` rows, with the running mean :math:`u` of
    :math:`e^{v / \lambda}` over batches, it gives :math:`\frac{\sum w}{n} \lambda \log u` with the gradient

    .. math:: \frac1n \sum_i w_i \frac{e^{v_i / \lambda}}{u} \nabla v_i .

    While it trains, the batch is part of :math:`u` before it is used, so a gradient is at most ``1 / (1 - decay)``
    times that of the batch alone; in evaluation each batch is taken by itself and :math:`u` stays. As `mean` does, it
    divides by the number of rows, so a batch of little weight counts for little.

    State: the logarithms of the running sums of weighted exponentials and of weights; no exponential overflows. O(n).

    References
    ----------
    .. [1] Sow, Lin, Wang, Liang. "Doubly robust instance-reweighted adversarial training". ICLR 2024.
    .. [2] Qi, Guo, Xu, Jin, Yang. "An online method for a class of distributionally robust optimization with non-convex
       objectives". NeurIPS 2021.

    Examples
    --------
    >>> KLDRO()(torch.tensor([0.0, 1.0, 2.0]), torch.ones(3))
    tensor(1.3090)
    """

    log_sum: Tensor
    log_weight: Tensor

    def __init__(self, *, lam: Annotated[Positive, Search(0.5, 10, log=True)] = 1.0, decay: Fraction = 0.9) -> None:
        super().__init__()
        self.lam, self.decay = lam, decay
        self.register_buffer("log_sum", torch.tensor(-torch.inf))
        self.register_buffer("log_weight", torch.tensor(-torch.inf))

    def forward(self, values: Tensor, weights: Tensor) -> Scalar:
        """Return the soft maximum.

        Parameters
        ----------
        values : Tensor of shape (n,)
            One value per unit.
        weights : Tensor of shape (n,)
            Not negative; a value of weight zero counts for nothing, even if it is infinite.

        Returns
        -------
        Tensor of shape ()
        """
        counts = weights > 0
        share = weights.sum() / values.numel()
        scaled = torch.where(counts, values, 0.0) / self.lam
        exponent = torch.where(counts, scaled + weights.log(), -torch.inf)
        exponent = torch.where(counts.any(), exponent, 0.0)  # of no weight: anything finite, times a share of zero
        log_sum = exponent.logsumexp(0)
        log_weight = torch.where(share > 0, weights.sum(), 1.0).log()
        if not self.training:
            return share * self.lam * (log_sum - log_weight)
        norm = self._moved(log_sum.detach(), log_weight, values.numel(), share)
        ratio = (log_sum - log_weight - norm).exp()  # the slope is that of the sum over the running normalizer
        return share * self.lam * (norm + ratio - ratio.detach())

    @torch.no_grad()
    def _moved(self, log_sum: Tensor, log_weight: Tensor, n: int, share: Tensor) -> Tensor:
        """Take the batch into both running means, and return the logarithm of their quotient."""
        decay = torch.as_tensor(self.decay, dtype=log_sum.dtype, device=log_sum.device)
        own = (1 - decay).log() - torch.log(log_sum.new_tensor(n))
        for name, new in (("log_sum", log_sum), ("log_weight", log_weight)):
            old = getattr(self, name)
            moved = torch.logaddexp(decay.log() + old, own + new.to(old.dtype))
            setattr(self, name, torch.where(share > 0, moved, old).to(old.dtype))
        quotient = self.log_sum - self.log_weight
        return torch.where(quotient.isfinite(), quotient, 0.0).to(log_sum.dtype)
