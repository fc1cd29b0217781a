"""Ensemble of losses."""

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegativeInt
from sklearnloss.typing import Generator, Labels, PerAnchor, Scores


@loss("ensloss", task="binary", unit="anchor", link="none", gradient="surrogate", monitor=False)
class EnsembleOfLosses(nn.Module):
    r"""A new random convex, calibrated loss at every batch: no single surrogate can be overfitted.

    Such a loss is known by its derivatives alone, so these are what is drawn: as many random negative numbers as there
    are rows, the most negative one for the smallest margin.

    Parameters
    ----------
    period : int in [0, inf), default=10
        Epochs after which the shape of the distribution, ``lam``, is drawn anew from U(-1, 1); 0 keeps ``lam = 0``,
        which is a lognormal distribution.

    Notes
    -----
    With margins :math:`s_i = (2 y_i - 1) f_i`, normal :math:`e_i` and
    :math:`T_\lambda(e) = (1 + \lambda e)_+^{1/\lambda}`, which is :math:`\exp e` at :math:`\lambda = 0`, the draws
    :math:`G_i = \max(-T_\lambda(e_i), -1)` are sorted, so that

    .. math:: \ell_i = g_i s_i, \qquad g_i = \frac{G_{(\operatorname{rank} s_i)}}{\max(s_i, 1)} - 10^{-6}

    in which :math:`g_i` is a constant: the value says nothing, only the gradient :math:`g_i (2 y_i - 1)` is meant.
    Hence stop early by a score, never by the loss. Derivatives that do not fall as the margin grows make the loss
    convex, a negative one at zero makes it calibrated, and the division beyond a margin of one lets the tail fall off.

    The draws are clipped at -1 before anything else, which also catches the infinite ones of a negative ``lam``. The
    scale of the scores is arbitrary: probabilities need ``calibrate="sigmoid"``. Meant for SGD with momentum.
    O(n log n).

    References
    ----------
    .. [1] Dai. "EnsLoss: stochastic calibrated loss ensembles for preventing overfitting in classification". ICML 2025.

    Examples
    --------
    >>> scores = torch.tensor([0.5, -2.0, 3.0], requires_grad=True)
    >>> rng = torch.Generator().manual_seed(0)
    >>> EnsembleOfLosses()(scores, torch.tensor([1.0, 0.0, 1.0]), epoch=0, rng=rng).sum().backward()
    >>> scores.grad.sign()
    tensor([-1.,  1., -1.])
    """

    lam: Tensor
    round: Tensor

    def __init__(self, *, period: NonNegativeInt = 10) -> None:
        super().__init__()
        self.period = period
        self.register_buffer("lam", torch.zeros(()))
        self.register_buffer("round", torch.zeros((), dtype=torch.int64))  # periods finished when lam was drawn

    def forward(self, scores: Scores, y: Labels, *, epoch: int, rng: Generator) -> PerAnchor:
        """Draw the derivatives of a batch.

        Parameters
        ----------
        scores : Tensor of shape (n,)
            Scores; positive for the positive class.
        y : Tensor of shape (n,)
            0. or 1., of the scores' dtype.
        epoch : int
            Epochs finished.
        rng : torch.Generator
            Source of the draws.

        Returns
        -------
        Tensor of shape (n,)
            Values whose gradient is the drawn one.
        """
        if self.training and self.period:
            self._resample(epoch // self.period, rng)
        margins = (2 * y - 1) * scores  # (n,)
        noise = torch.randn(scores.shape, generator=rng, dtype=scores.dtype, device=scores.device)  # (n,)
        slopes = assign(inverse_box_cox(noise, self.lam.to(scores)), margins.detach())  # (n,)
        slopes = slopes / margins.detach().clamp(min=1.0) - 1e-6  # negative, even where the draw is zero
        return slopes * margins

    @torch.no_grad()
    def _resample(self, finished: int, rng: Generator) -> None:
        """Draw ``lam`` if a new period has begun."""
        drawn = 2 * torch.rand((), generator=rng, dtype=self.lam.dtype, device=self.lam.device) - 1
        self.lam.copy_(torch.where(self.round == finished, self.lam, drawn))
        self.round.fill_(finished)


def inverse_box_cox(noise: Tensor, lam: Tensor) -> Tensor:
    """Return ``-T_lam(noise)``, not below -1."""
    near = lam.abs() < 1e-6  # where the limit exp(noise) is exact to rounding
    power = torch.log1p((lam * noise).clamp(min=-1.0)) / torch.where(near, 1.0, lam)  # (n,); +-inf where 1 + lam e <= 0
    return -torch.where(near, noise, power).clamp(max=0.0).exp()


def assign(draws: Tensor, margins: Tensor) -> Tensor:
    """Return the draws in the order of the margins, the smallest draw for the smallest margin."""
    return torch.empty_like(draws).scatter(0, margins.argsort(), draws.sort().values)
