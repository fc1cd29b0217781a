"""Rare labels with missing positives."""

from typing import Annotated

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegative, NonNegativeInt, Probability, Search
from sklearnloss.functional.asymmetric import asymmetric
from sklearnloss.functional.numerics import absent_as_rarest
from sklearnloss.typing import FitScalar, LabelLogits, LabelMatrix, PerAnchor


# 1. The authors' corrector is zero before its first epoch, where another of their losses trains alone; here the same
#    formula is taken throughout, with the labels as they are until then.
# 2. The authors multiply the sum over a batch by its rows over its positives; here the mean over entries is taken, so
#    that batches weigh by their rows and not by the labels that happen to be in them.
# 3. Their third part, a teacher of three heads for frequent, rare and all labels, needs a network of its own.
@loss("comic", task="multilabel", unit="anchor", gradient="surrogate")
class Comic(nn.Module):
    r"""Focusing cross entropy per label that weighs rare labels and recalls positives that seem to be missing.

    Parameters
    ----------
    n_classes : int
        Number of labels.
    gamma_neg : float in [0, inf), default=3.0
        Focusing power of the negatives; the weight of the label is added to it. Positives are not focused.
    power : float in [0, inf), default=1/6
        Power of the weights of labels; 0 weighs all alike. The authors take 1/6 here and 1/3 where nothing is recalled.
    margin : float in [0, inf), default=1.0
        Amount by which known positives must lead, in training.
    shift : float in [0, 1), default=0.05
        Probability below which a negative counts as zero.
    threshold : float in [0, 1], default=0.7
        Probability above which a label that is not given is recalled.
    warmup : int in [0, inf), default=5
        Epochs before anything is recalled. The authors take 1, on data of many batches per epoch; after few batches
        whatever is frequent would be recalled.

    Notes
    -----
    With counts :math:`n_k` of positives, :math:`w_k = (1 - \log(n_k / \max n))^r`, scores of known positives less the
    margin, and :math:`p = \sigma(z)`,

    .. math:: \ell = -w \begin{cases} \log p & \tilde y = 1 \\
        [p - m]_+^{\gamma_- + w} \log(1 - [p - m]_+) & \tilde y = 0 \end{cases}

    in which :math:`\tilde y` is one for known positives, and after the warm-up for labels whose probability is above
    the threshold and above the mean of the label in the batch. The focusing factor is a constant without gradient.
    Recalled positives are added to the counts, which start at those of the training rows in each epoch.

    With equal counts all weights are one. Not proper. O(n n_labels).

    References
    ----------
    .. [1] Zhang, Lu, Wang, et al. "Learning in imperfect environment: multi-label classification with long-tailed
       distribution and partial labels". ICCV 2023.

    Examples
    --------
    >>> comic, counts = Comic(n_classes=2), torch.tensor([100.0, 10.0])
    >>> comic(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), class_counts=counts, epoch=0)
    tensor([0.6692])
    """

    recalled: Tensor
    epoch: Tensor

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        gamma_neg: Annotated[NonNegative, Search(0, 6)] = 3.0,
        power: Annotated[NonNegative, Search(0.1, 1)] = 1 / 6,
        margin: Annotated[NonNegative, Search(0, 3)] = 1.0,
        shift: Annotated[Fraction, Search(0, 0.2)] = 0.05,
        threshold: Annotated[Probability, Search(0.5, 0.95)] = 0.7,
        warmup: Annotated[NonNegativeInt, Search(1, 10)] = 5,
    ) -> None:
        super().__init__()
        self.gamma_neg, self.power, self.margin, self.shift = gamma_neg, power, margin, shift
        self.threshold, self.warmup = threshold, warmup
        self.register_buffer("recalled", torch.zeros(n_classes))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))  # in which they were

    def forward(self, label_logits: LabelLogits, y: LabelMatrix, *, class_counts: Tensor, epoch: int) -> PerAnchor:
        """Return the mean over the labels of each row; in training, count what is recalled.

        Parameters
        ----------
        label_logits : Tensor of shape (n, n_labels)
            Log odds of each label.
        y : Tensor of shape (n, n_labels)
            1. where a label is known to be there, else 0., of the scores' dtype.
        class_counts : Tensor of shape (n_labels,)
            Positives of each label in the training rows; of two classes, the rows of both.
        epoch : int
            Epochs finished.

        Returns
        -------
        Tensor of shape (n,)
            One value per row, never negative.
        """
        n_labels = y.shape[1]
        z = label_logits - self.margin * y  # (n, n_labels)
        positive = self._positive(z.detach(), y.sign().clamp(min=0), epoch)
        counts = class_counts[-n_labels:].to(self.recalled.dtype) + self.recalled[-n_labels:]
        counts = absent_as_rarest(counts).to(z.dtype)
        weight = (1 - torch.log(counts / counts.max())) ** self.power  # (n_labels,)
        terms = asymmetric(
            z, positive, gamma_neg=self.gamma_neg + weight, gamma_pos=0.0, shift=self.shift, detach_focal=True
        )
        return (weight * terms).mean(dim=1)  # (n,)

    def _positive(self, z: Tensor, given: Tensor, epoch: int) -> Tensor:
        """Return 1. for labels that are given or recalled, (n, n_labels); in training, count the latter."""
        p = torch.sigmoid(z)
        least = p.mean(dim=0).clamp(min=self.threshold)  # (n_labels,)
        likely = (p.sub_(least).sign_().clamp_(min=0) * (1 - given)) * (epoch >= self.warmup)
        if self.training:
            self._count(likely, epoch)
        return likely.add_(given)

    @torch.no_grad()
    def _count(self, likely: Tensor, epoch: int) -> None:
        """Add what is recalled, to nothing where an epoch begins."""
        before = torch.where(self.epoch == epoch, self.recalled, 0.0)
        new = torch.zeros_like(before)
        new[-likely.shape[1] :] = likely.sum(dim=0, dtype=before.dtype)
        self.recalled.copy_(before + new)
        self.epoch.fill_(epoch)
