"""Normalised logistic loss."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction
from sklearnloss.typing import Labels, PerAnchor, Scores, Weights

SMALLEST = 1e-6  # mean error below which the factor grows no further, so that it stays at a million


# 1. The paper looks at all rows at each step. Here the mean error is a moving average over batches.
@loss("normalized_logistic", task="binary", unit="anchor", gradient="surrogate", aliases=("normalized_lr",))
class NormalizedLogistic(nn.Module):
    r"""Logistic loss divided by the mean error, so that a few wrong rows among many right ones keep the full pull.

    Parameters
    ----------
    momentum : float in [0, 1), default=0.9
        How much of the mean error is kept from the batches before. 0 is the paper's, for batches of all rows. In small
        batches with plain gradient descent take 0.99, or short steps: the gradient does not shrink as errors vanish.

    Notes
    -----
    With margins :math:`m_i = (2 y_i - 1) s_i`,

    .. math:: \ell_i = \beta \log(1 + e^{-m_i}), \qquad \beta = \frac{1}{\operatorname{mean}_i \sigma(-m_i)}

    where no gradient flows through :math:`\beta`, at most a million. Scores of zero give :math:`\beta = 2`. The
    gradient of a linear model is never longer than the longest row; as the scores grow it becomes the mean over the
    rows that are misclassified, so long steps are a perceptron. On separable rows the number of steps no longer grows
    with the number of rows. Its value may rise while errors fall: stop by a score.

    For batches of all rows the best scores are those of logistic loss. Smaller ones divide by an error that their own
    labels move, which draws probabilities of a rare class down a little, so the loss is not proper. O(n).

    References
    ----------
    .. [1] Tyurin. "From logistic regression to the perceptron algorithm: exploring gradient descent with large step
       sizes". AAAI 2025.

    Examples
    --------
    >>> scores = torch.zeros(4)
    >>> NormalizedLogistic(momentum=0.0)(scores, torch.tensor([1.0, 0.0, 0.0, 1.0]))  # 2 * log(2)
    tensor([1.3863, 1.3863, 1.3863, 1.3863])
    """

    error: Tensor

    def __init__(self, *, momentum: Fraction = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("error", torch.full((), 0.5))  # that of scores of zero

    def forward(self, scores: Scores, y: Labels, *, sample_weight: Weights | None = None) -> PerAnchor:
        """Return one value per row (n,); in training, move the mean error.

        Parameters
        ----------
        scores : Tensor of shape (n,)
            Log odds of the positive class.
        y : Tensor of shape (n,)
            0. or 1., of the scores' dtype.
        sample_weight : Tensor of shape (n,), default=None
            Weights of the rows in the mean error.
        """
        margins = (2 * y - 1) * scores  # (n,)
        if self.training:
            self._visit(margins, sample_weight)
        return -F.logsigmoid(margins) / self.error.to(scores.dtype).clamp(min=SMALLEST)  # (n,)

    @torch.no_grad()
    def _visit(self, margins: Tensor, weight: Tensor | None) -> None:
        """Move the mean error by that of a batch."""
        errors = torch.sigmoid(-margins).to(self.error.dtype)  # (n,)
        weight = torch.ones_like(errors) if weight is None else weight.to(errors.dtype)
        share = (weight * errors).sum() / weight.sum()
        self.error.copy_(self.momentum * self.error + (1 - self.momentum) * share)
