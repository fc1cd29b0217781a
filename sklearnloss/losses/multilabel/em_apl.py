"""Entropy maximization with asymmetric pseudo-labels, for labels of which only some positives are known."""

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, PositiveInt, Probability, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import FitScalar, Index, LabelLogits, LabelMatrix, PerRow


# 1. The authors predict all rows anew after each epoch; here a label's probability is that of its row's last visit, so
#    that no further pass is needed.
# 2. The authors cut the number of new pseudo-labels down to an integer in each epoch; here the number so far is cut
#    down, so that labels with few rows reach their share as well.
@loss("em_apl", task="multilabel")
class EntropyMaximization(nn.Module):
    r"""Binary cross entropy of known labels; unknown ones are kept undecided, and the least probable called negative.

    A label that is not known is neither pulled up nor down near one half, and confident predictions are left alone.

    Parameters
    ----------
    n_samples : int
        Rows of the training set; each keeps what was thought of its unknown labels.
    n_classes : int
        Number of labels.
    alpha : float in [0, inf), default=0.1
        Weight of the entropy of unknown labels. The authors take 0.01 to 0.2.
    beta : float in [0, inf), default=0.2
        Weight of pseudo-labels. The authors take 0.02 to 0.9.
    fraction : float in [0, 1], default=0.9
        Share of each label's unknown entries that are negative pseudo-labels in the end; 0 is entropy maximization
        alone.
    warmup : int in [1, inf), default=4
        Epochs before the first pseudo-labels.
    spread : int in [1, inf), default=6
        Number of epochs, one after another, at whose start there are new pseudo-labels, in equal parts.

    Notes
    -----
    With :math:`p = \sigma(z)` and the entropy :math:`H(p) = -p \log p - (1 - p) \log(1 - p)`,

    .. math:: \ell = \begin{cases} -\log p & \text{known positive} \\ -\log(1 - p) & \text{known negative} \\
        -\alpha H(p) & \text{unknown} \\ -\beta\,(q \log p + (1 - q) \log(1 - p)) & \text{pseudo-label}\end{cases}

    The gradient of an unknown label is :math:`\alpha p (1 - p) z`: zero at one half and where p is sure. A pseudo-label
    keeps as its target q the probability that it had when it was chosen, as one of the lowest of its label; it is
    chosen once. Known labels never become pseudo-labels.

    Positives are known, zeros are unknown. If ``observed`` is given, zeros that were seen are negatives. Without
    entropy, pseudo-labels and seen negatives every label would be predicted for every row. The value may be negative.
    O(n n_labels), and a sort of all rows at the start of an epoch with new pseudo-labels.

    References
    ----------
    .. [1] Zhou, Chen, Wang, Chen, Heng. "Acknowledging the unknown for multi-label learning with single positive
       labels". ECCV 2022.

    Examples
    --------
    >>> em = EntropyMaximization(n_samples=1, n_classes=2)
    >>> em(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), index=torch.tensor([0]), epoch=0)  # log(2), -0.1 log(2)
    tensor([[ 0.6931, -0.0693]])
    """

    proba: Tensor
    pseudo: Tensor

    def __init__(
        self,
        *,
        n_samples: FitScalar,
        n_classes: FitScalar,
        alpha: Annotated[NonNegative, Search(0.01, 0.3, log=True)] = 0.1,
        beta: Annotated[NonNegative, Search(0.02, 1, log=True)] = 0.2,
        fraction: Annotated[Probability, Search(0, 0.95)] = 0.9,
        warmup: Annotated[PositiveInt, Search(1, 10)] = 4,
        spread: Annotated[PositiveInt, Search(1, 20)] = 6,
    ) -> None:
        super().__init__()
        self.alpha, self.beta, self.fraction, self.warmup, self.spread = alpha, beta, fraction, warmup, spread
        # -1: known, or not visited yet
        self.register_buffer("proba", torch.full((n_samples, n_classes), -1.0))
        # -1: no pseudo-label
        self.register_buffer("pseudo", torch.full((n_samples, n_classes), -1.0))
        self.rounds = 0  # of pseudo-labels; after a restart the last one comes again and finds its labels chosen

    def forward(
        self, label_logits: LabelLogits, y: LabelMatrix, *, index: Index, epoch: int, observed: Tensor | None = None
    ) -> PerRow:
        """Return one value per label; in training, keep the probabilities and choose pseudo-labels.

        Parameters
        ----------
        label_logits : Tensor of shape (n, n_labels)
            Log odds of each label.
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
        Tensor of shape (n, n_labels)
            One value per label; the row's value is their mean.
        """
        n_labels = label_logits.shape[1]
        unknown = 1 - y.sign().clamp(min=0)
        if observed is not None:
            unknown = unknown * (1 - observed.reshape(len(y), -1).to(y.dtype).sign().clamp(min=0))
        if self.training:
            rounds = min(epoch - self.warmup + 1, self.spread)
            if rounds > self.rounds:
                self.rounds = rounds
                self._choose(rounds / self.spread)
            p = torch.sigmoid(label_logits.detach()) * unknown + (unknown - 1)
            self.proba[index, :n_labels] = p.to(self.proba.dtype)
        pseudo = self.pseudo[index, :n_labels].to(label_logits.dtype)
        return with_slope(_formula, _written, label_logits, y, unknown, pseudo, alpha=self.alpha, beta=self.beta)

    @torch.no_grad()
    def _choose(self, part: float) -> None:
        """Give the least probable unknown entries of each label a pseudo-label, until this part has one."""
        has_one, known = self.pseudo >= 0, self.proba < 0  # (n_samples, n_classes)
        wanted = (self.fraction * part * (~known).sum(0) + 1e-4).floor()  # (n_classes,); 8.99999 is nine
        place = self.proba.masked_fill(has_one | known, torch.inf).argsort(dim=0).argsort(dim=0)
        new = (place < wanted - has_one.sum(0)) & ~known & ~has_one
        self.pseudo.copy_(torch.where(new, self.proba, self.pseudo))


def _formula(z: Tensor, y: Tensor, unknown: Tensor, pseudo: Tensor, *, alpha: Any, beta: Any) -> Tensor:
    """Return the loss of each label in plain torch: of every kind, ``scale * (softplus(z) - target * z)``."""
    scale, target, free = _kinds(y, unknown, pseudo, alpha, beta)
    target = target + free * torch.sigmoid(z)
    return scale * ((1 - target) * softplus(z) + target * softplus(-z))


def _written(
    z: Tensor, y: Tensor, unknown: Tensor, pseudo: Tensor, values: Tensor, slopes: Tensor, *, alpha: Any, beta: Any
) -> None:
    """Write the loss of each label and its slope."""
    scale, target, free = _kinds(y, unknown, pseudo, alpha, beta)
    p, rest = torch.sigmoid(z), torch.neg(z).sigmoid_()
    line = z.clamp(min=0).sub_(torch.addcmul(target, free, p).mul_(z))  # of the softplus, what is large
    torch.abs(z, out=values).neg_().exp_().log1p_().add_(line).mul_(scale)
    torch.mul(1 - target - free, p, out=slopes).addcmul_(target, rest, value=-1)
    slopes.sub_(free.mul_(z).mul_(p).mul_(rest)).mul_(scale)


def _kinds(y: Tensor, unknown: Tensor, pseudo: Tensor, alpha: Any, beta: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights, targets, and 1. where the probability itself is the target, without a gradient of that."""
    chosen = (pseudo + 1).sign() * unknown
    free = unknown - chosen
    scale = 1 + (beta - 1) * chosen - (alpha + 1) * free
    return scale, y * (1 - unknown) + chosen * pseudo, free
