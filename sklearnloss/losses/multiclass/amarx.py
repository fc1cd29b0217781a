"""Adaptive margin softmax."""

from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegative, NonNegativeInt, Search
from sklearnloss.functional.class_moments import ClassMoments
from sklearnloss.typing import Features, FitScalar, Labels, Logits, PerRow, Weights


@loss("amarx", task="multiclass", status="guess")
class AdaptiveMarginSoftmax(nn.Module):
    r"""Cross entropy over a Gaussian of features around each row, or around each class, in closed form.

    The wider a class is in the direction in which another one's weights differ, the larger is the margin between them.
    With ``mode="prototype"`` the classes that were seen are learnt from their moments alone, without their rows, as
    where new classes come after old ones: ``Loss("cross_entropy") + Loss("amarx", mode="prototype")``.

    Parameters
    ----------
    variance_factor : float in [0, inf), default=0.5
        Factor of the variances; 0.5 to 2.
    mode : {"sample", "prototype"}, default="sample"
        Whether each row is the mean of the Gaussian of its class; or each class that was seen is one term, at its own
        mean, all of the same weight. The second trains the head only.
    momentum : float in [0, 1), default=0.9
        What is kept at a batch of the means and variances of the classes that it holds.
    warmup : int in [0, inf), default=1
        Epochs before the margins set in.

    Attributes
    ----------
    moments : ClassMoments
        Means and variances by class, (n_classes, embedding_dim).

    Notes
    -----
    With the weights w of the head, the logits z and the variances :math:`\sigma^2` of the features of each class,

    .. math:: \ell = \log \sum_j e^{z_j - z_y + m_{yj}}, \qquad
        m_{yj} = \frac{\lambda}{2} \sum_d \sigma_{yd}^2 (w_{jd} - w_{yd})^2

    which is an upper bound of the expected cross entropy of features from a Gaussian of variance
    :math:`\lambda \sigma^2` around those of the row, or with ``mode="prototype"`` around the class's mean. A margin is
    not above 30. ``variance_factor=0`` is cross entropy. The moments have no gradient, and move in training, after the
    value. The constant one half, and that all classes are enlarged alike, are rebuilt from the paper's summary. Not
    proper. O(n k + k^2 d).

    References
    ----------
    .. [1] Yao, Chang. "Adaptive margin global classifier for exemplar-free class-incremental learning". 2024.
       arXiv:2409.13275.
    .. [2] Wang, Pan, Song, Zhang, Wu, Huang. "Implicit semantic data augmentation for deep networks". NeurIPS 2019.

    Examples
    --------
    >>> amarx = AdaptiveMarginSoftmax(n_classes=2, embedding_dim=1, warmup=0)
    >>> weight, features = torch.tensor([[-1.0], [1.0]]), torch.tensor([[0.5]])
    >>> amarx.moments.seen.fill_(True)
    tensor([True, True])
    >>> amarx(features @ weight.T, torch.tensor([1]), features=features, head_weight=weight, epoch=0)
    tensor([0.6931])
    """

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        embedding_dim: FitScalar,
        variance_factor: Annotated[NonNegative, Search(0.1, 4, log=True)] = 0.5,
        mode: Literal["sample", "prototype"] = "sample",
        momentum: Fraction = 0.9,
        warmup: NonNegativeInt = 1,
    ) -> None:
        super().__init__()
        self.variance_factor, self.mode, self.warmup = variance_factor, mode, warmup
        self.moments = ClassMoments(n_classes, embedding_dim, momentum=momentum)

    def forward(
        self,
        logits: Logits,
        y: Labels,
        *,
        features: Features,
        head_weight: Tensor,
        epoch: int,
        head_bias: Tensor | None = None,
        sample_weight: Weights | None = None,
    ) -> PerRow:
        """Return the value of each row; in training, the moments move afterwards.

        Parameters
        ----------
        logits : Tensor of shape (n, k)
            Raw scores.
        y : LongTensor of shape (n,)
            Class of each row, in 0..k-1.
        features : Tensor of shape (n, d)
            What the head sees.
        head_weight : Tensor of shape (k, d)
            Weights of the head.
        epoch : int
            Epochs finished.
        head_bias : Tensor of shape (k,), default=None
            Bias of the head.
        sample_weight : Tensor of shape (n,), default=None
            Weights of the rows in the moments.

        Returns
        -------
        Tensor of shape (n,)
            Never negative; with ``mode="prototype"`` the same value for each row, the mean over the classes.
        """
        margins = self._margins(head_weight) * (epoch >= self.warmup)  # (k, k)
        if self.mode == "sample":
            values = F.cross_entropy(logits + margins.to(logits.dtype)[y], y, reduction="none")  # (n,)
        else:
            values = self._of_classes(head_weight, head_bias, margins).to(logits.dtype).expand(len(y))  # (n,)
        if self.training:
            self.moments.update(features.detach(), y, sample_weight)
        return values

    def _margins(self, weight: Tensor) -> Tensor:
        """Return the margin between each class and each other (k, k); zero for a class without rows."""
        variances = (self.moments.variances + 1e-6) * self.moments.seen[:, None]
        w = weight.to(variances.dtype)
        w = w - w.mean(0)  # only differences count
        square = variances @ w.square().T - 2 * (variances * w) @ w.T + (variances * w.square()).sum(1, keepdim=True)
        margins = (self.variance_factor / 2 * square).clamp(0, 30)
        return margins * (1 - torch.eye(len(w), dtype=w.dtype, device=w.device))

    def _of_classes(self, weight: Tensor, bias: Tensor | None, margins: Tensor) -> Tensor:
        """Return the mean over the classes that were seen of the value at their means."""
        logits = self.moments.means @ weight.to(margins.dtype).T  # (k, k)
        logits = logits if bias is None else logits + bias.to(margins.dtype)
        classes = torch.arange(len(weight), device=weight.device)
        values = F.cross_entropy(logits + margins, classes, reduction="none")  # (k,)
        seen = self.moments.seen.to(values.dtype)
        return (seen * values).sum() / seen.sum().clamp(min=1)
