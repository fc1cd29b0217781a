"""Large losses of labels that were not seen are rejected or corrected."""

from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import AtLeastOne, Fraction, Probability, Search
from sklearnloss.typing import FitScalar, Index, LabelLogits, LabelMatrix, PerAnchor


def boosted_sigmoid(label_logits: Tensor, *, boost: float = 1.0) -> Tensor:
    """Return the sigmoid of scores of which the positive ones are multiplied."""
    return torch.sigmoid(label_logits + (boost - 1) * F.relu(label_logits))


# 1. The authors set the values of seen labels to zero before they look for the largest, so that more places than
#    unseen labels take the seen ones as well. Here seen labels have no place at all.
# 2. ``limit`` is added: the authors train for about ten epochs, after a hundred half of all values would be gone.
@loss("large_loss", task="multilabel", unit="anchor", link=boosted_sigmoid)
class LargeLoss(nn.Module):
    r"""Binary cross entropy with unseen labels as negatives, of which the most expensive are taken for positives.

    A network learns the many true negatives first, so a missing positive stands out by its value; more and more of
    these are left out, or turned.

    Parameters
    ----------
    n_samples : int
        Rows of the training set.
    n_classes : int
        Number of labels.
    mode : {"reject", "correct_temp", "correct_perm"}, default="reject"
        Whether the largest values are left out, are those of a positive in this batch, or of a positive for good.
    fraction : float in [0, 1), default=0.005
        Share of a batch's entries that is added in each epoch but the first; for good, share of a batch's entries that
        is turned each time. The authors take 0.005, 0.002 and 0.001 for the three modes.
    limit : float in [0, 1], default=0.05
        Largest share of entries; for good, of all entries of the training set.
    boost : float in [1, inf), default=1.0
        Factor of positive scores, in training and in prediction; the authors' later work takes 5.

    Notes
    -----
    With n rows, k labels and e epochs finished, the :math:`\lceil n k \min(e\,\text{fraction}, \text{limit}) \rceil`
    largest values of unseen labels in a batch count as chosen, with all that equal the least of them. In the first
    epoch it is binary cross entropy, and so it is where all labels were seen. Seen labels are never chosen.

    Positives are seen, zeros are not. If ``observed`` is given, zeros that were seen are negatives. A batch has to hold
    enough entries for the share to say something. Not proper. O(n k log(n k)), and with ``"correct_perm"`` one bit per
    label and training row.

    References
    ----------
    .. [1] Kim, Kim, Akata, Lee. "Large loss matters in weakly supervised multi-label classification". CVPR 2022.
    .. [2] Kim, Kim, Jeong, Schmid, Akata, Lee. "Bridging the gap between model explanations in partially annotated
       multi-label classification". CVPR 2023.

    Examples
    --------
    >>> large = LargeLoss(n_samples=1, n_classes=2)
    >>> scores, y, row = torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0])
    >>> large(scores, y, index=row, epoch=0)  # the mean of -log sigmoid(-2) and -log sigmoid(1)
    tensor([1.2201])
    >>> large(scores, y, index=row, epoch=1)  # the first is left out
    tensor([0.1566])
    """

    turned: Tensor

    def __init__(
        self,
        *,
        n_samples: FitScalar,
        n_classes: FitScalar,
        mode: Literal["reject", "correct_temp", "correct_perm"] = "reject",
        fraction: Annotated[Fraction, Search(0.001, 0.02, log=True)] = 0.005,
        limit: Annotated[Probability, Search(0.01, 0.3, log=True)] = 0.05,
        boost: Annotated[AtLeastOne, Search(1, 10, log=True)] = 1.0,
    ) -> None:
        super().__init__()
        self.mode, self.fraction, self.limit, self.boost = mode, fraction, limit, boost
        if mode == "correct_perm":
            self.register_buffer("turned", torch.zeros(n_samples, n_classes, dtype=torch.bool))

    def forward(
        self, label_logits: LabelLogits, y: LabelMatrix, *, index: Index, epoch: int, observed: Tensor | None = None
    ) -> PerAnchor:
        """Return the mean over the labels of each row.

        Parameters
        ----------
        label_logits : Tensor of shape (n, n_labels)
            Scores of each label.
        y : Tensor of shape (n, n_labels)
            1. where a label is known to be there, else 0., of the scores' dtype.
        index : LongTensor of shape (n,)
            Numbers of the rows in the training set.
        epoch : int
            Epochs finished.
        observed : Tensor of shape (n, n_labels) or (n,), default=None
            Above zero where the label was seen, so that its zero is a negative. None: no zero was seen.

        Returns
        -------
        Tensor of shape (n,)
            One value per row, never negative.
        """
        z = label_logits + (self.boost - 1) * F.relu(label_logits)  # (n, n_labels)
        unseen = y <= 0
        if observed is not None:
            unseen = unseen & (observed.reshape(len(y), -1) <= 0)
        if self.mode == "correct_perm":
            before = self.turned[index, : y.shape[1]]
            y, unseen = torch.where(before & unseen, 1.0, y), unseen & ~before
        as_negative, as_positive = -F.logsigmoid(-z), -F.logsigmoid(z)
        chosen = self._chosen(as_negative.detach(), unseen, epoch)
        if self.mode == "correct_perm" and self.training:
            self.turned[index, : y.shape[1]] = before | chosen
        instead = torch.zeros_like(z) if self.mode == "reject" else as_positive
        return torch.where(chosen, instead, y * as_positive + (1 - y) * as_negative).mean(dim=1)  # (n,)

    def _chosen(self, values: Tensor, unseen: Tensor, epoch: int) -> Tensor:
        """Return which unseen entries (n, n_labels) have the largest values of the batch."""
        n = values.numel()
        if self.mode == "correct_perm":
            room = self.limit * self.turned.numel() - self.turned.sum()
            count = torch.minimum(torch.full_like(room, self.fraction * n * min(epoch, 1)).ceil(), room.floor())
        else:
            count = torch.as_tensor(min(epoch * self.fraction, self.limit) * n, device=values.device).ceil()
        ranked = torch.where(unseen, values, -torch.inf).flatten().sort(descending=True).values
        least = ranked[(count.long() - 1).clamp(0, n - 1)]
        return unseen & (values >= least) & (count > 0)
