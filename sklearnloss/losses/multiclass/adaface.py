"""Margin that adapts to the length of the embedding."""

from typing import Annotated

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Angle, Fraction, Positive, Search
from sklearnloss.functional.angles import target_cross_entropy, true_cosines, turned
from sklearnloss.typing import Cosines, Features, Labels, PerAnchor


# Differences from the authors' code: its running moments start at 20 and 100 and, by its default, are those of the last
# batch alone; here they start at the first batch's and follow slowly, as the paper has it. Its deviation of one row is
# no number. It keeps cosines and angles 1e-3 off their ends, for the sake of the arc cosine that is not needed here.
@loss("adaface", task="multiclass", unit="anchor", gradient="surrogate")
class AdaFace(nn.Module):
    r"""The margin goes by the length of the embedding, which tells how good a row is.

    Long embeddings, of good rows, weigh hard rows most; short ones, of rows that are hard to recognize at all, weigh
    easy rows most, and do not pull the proxy after them.

    Parameters
    ----------
    scale : float in (0, inf), default=16.0
        Factor of the cosines. The paper's 64 is for thousands of classes; for up to a hundred, 10 to 30 suffice.
    margin : float in [0, pi), default=0.4
        Margin: an angle in radians, and a cosine.
    concentration : float in (0, inf), default=0.333
        Quality of a row whose length is one standard deviation above the mean; 1 is the best quality.
    momentum : float in [0, 1), default=0.99
        What is kept at a batch of the running mean and deviation of the lengths.

    Attributes
    ----------
    mean, deviation : Tensor of shape ()
        Running moments of the lengths.
    begun : BoolTensor of shape ()
        Whether there were any.

    Notes
    -----
    With the length :math:`z_i` of an embedding, between 0.001 and 100, its running mean and deviation, and the quality
    q, the true class's cosine becomes

    .. math:: \cos(\operatorname{clip}(\theta_y - m q_i, 0, \pi)) - m (1 + q_i), \qquad
        q_i = \operatorname{clip}\Bigl(h \frac{z_i - \mu}{\sigma + 0.001}, -1, 1\Bigr)

    :math:`q = 0` is CosFace, :math:`q = -1` ArcFace, and without a margin it is cross entropy of ``scale * cosines``.
    The quality has no gradient: a row is not to become good by growing. The link is the softmax of the scaled cosines,
    without any margin, and so not proper. O(n k + n d).

    References
    ----------
    .. [1] Kim, Jain, Liu. "AdaFace: quality adaptive margin for face recognition". CVPR 2022.

    Examples
    --------
    >>> cosines, lengths = torch.tensor([[0.8, 0.1], [0.8, 0.1]]), torch.tensor([[1.0], [3.0]])
    >>> AdaFace(scale=10.0)(cosines, torch.tensor([0, 0]), features=lengths)
    tensor([0.0308, 0.0873])
    """

    mean: Tensor
    deviation: Tensor
    begun: Tensor

    def __init__(
        self,
        *,
        scale: Annotated[Positive, Search(4, 64, log=True)] = 16.0,
        margin: Annotated[Angle, Search(0.05, 0.6)] = 0.4,
        concentration: Annotated[Positive, Search(0.1, 1, log=True)] = 0.333,
        momentum: Fraction = 0.99,
    ) -> None:
        super().__init__()
        self.scale, self.margin, self.concentration, self.momentum = scale, margin, concentration, momentum
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def forward(self, cosines: Cosines, y: Labels, *, features: Features) -> PerAnchor:
        """Return the value of each row; in training, the moments follow first.

        Parameters
        ----------
        cosines : Tensor of shape (n, k)
            Cosines between embeddings and class proxies.
        y : LongTensor of shape (n,)
            Class of each row, in 0..k-1.
        features : Tensor of shape (n, d)
            The embeddings; of them only the length counts.

        Returns
        -------
        Tensor of shape (n,)
            Never negative.
        """
        quality = self._quality(features).to(cosines.dtype)  # (n, 1)
        true = true_cosines(cosines, y)  # (n, 1)
        angle = -self.margin * quality
        passed = true.detach() <= -angle.cos()  # the sum of the angles is beyond pi
        missed = true.detach() >= angle.cos()  # it is below zero
        target = torch.where((angle > 0) & passed, -1.0, torch.where((angle < 0) & missed, 1.0, turned(true, angle)))
        return target_cross_entropy(cosines, y, target - self.margin * (1 + quality), self.scale)  # (n,)

    @torch.no_grad()
    def _quality(self, features: Tensor) -> Tensor:
        lengths = features.to(self.mean.dtype).norm(dim=1, keepdim=True).clamp(0.001, 100)  # (n, 1)
        mean, deviation = lengths.mean(), lengths.std(correction=0)
        if self.training:
            kept = self.begun.to(mean.dtype) * self.momentum  # nothing at the first batch
            mean, deviation = (
                kept * old + (1 - kept) * new for old, new in ((self.mean, mean), (self.deviation, deviation))
            )
            self.mean, self.deviation, self.begun = mean, deviation, torch.ones_like(self.begun)
        else:
            mean, deviation = (
                torch.where(self.begun, old, new) for old, new in ((self.mean, mean), (self.deviation, deviation))
            )
        return (self.concentration * (lengths - mean) / (deviation + 1e-3)).clamp(-1, 1)
