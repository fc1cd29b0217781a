"""SUMix, mixed labels by what a mixed row shows."""

from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import mixup
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.mixups._rows import blended, pieced
from sklearnloss.typing import Features, Generator, Labels, Layered

__all__ = ["SUMix"]


# Differences from the authors' code:
# 1. It multiplies the distances by the size of the batch, so that labels depend on it: ``scale="batch"``. Here it is
#    the root of the number of classes, the length of a vector of ones.
# 2. Shares are computed by their logarithms: exp(-128) of a batch of 128 has no quotient in float32.
# 3. The clean and the mixed rows make one pass, so that a batch norm sees both.
@mixup("sumix")
class SUMix(nn.Module):
    r"""Mix rows, then ask for each label by how much of it the network still sees in the mixed row.

    A piece of background carries nothing of its row's class; the share of the label is corrected by the distance of
    the predicted probabilities, and an additional term keeps features whose distance is small from being unsure.

    Parameters
    ----------
    embedding_dim : int
        Width of what the head sees.
    n_classes : int
        Number of classes.
    mix : {"cutmix", "mixup"}, default="cutmix"
        How rows are mixed.
    alpha : float in (0, inf), default=1.0
        The share of a row is drawn from Beta(alpha, alpha).
    weight : float in [0, inf), default=0.1
        Of the term of uncertainty.
    scale : float in [0, inf), "batch" or None, default=None
        Factor of the distances. None is the root of the number of classes, ``"batch"`` the number of rows. 0 leaves the
        shares as they were drawn.

    Raises
    ------
    TaskError
        If rows have several labels or numbers as targets, or the head has not one output per class.

    Notes
    -----
    For a row of class a with a piece of class b, the drawn share :math:`\lambda` and the probabilities p of the clean
    rows and of the mixed row, which get no gradient,

    .. math:: A = s \, \nu(\sigma(p_m - p_a^{\setminus b})), \quad B = s \, \nu(\sigma(p_m - p_b^{\setminus a})), \quad
        \lambda_a = \frac{\lambda e^{-A_a}}{\lambda e^{-A_a} + (1 - \lambda) e^{-B_b}}

    where :math:`\sigma` is softmax, :math:`\nu` divides by the Euclidean norm, and :math:`p^{\setminus b}` has zero for
    class b. With a linear map U of the features f, :math:`u = \nu(\sigma(U f))`, the added term of a row is

    .. math:: w [\lambda \mathrm{CE}(e^{-(u_a + u_m + A)}, a) + (1 - \lambda) \mathrm{CE}(e^{-(u_b + u_m + B)}, b)].

    ``weight=0, scale=0`` is the plain mixup. The pass has twice the rows. O(n k) besides.

    References
    ----------
    .. [1] Qin, Jin, Zhu, Li, Wang, Zhang, Zheng, Jiang, Gao, Wang, Su. "SUMix: mixup with semantic and uncertain
       information". ECCV 2024.

    Examples
    --------
    >>> from sklearnloss import LossClassifier, Mixup
    >>> X, y = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)).numpy(), [0, 1, 2] * 20
    >>> model = LossClassifier(mixup=Mixup("sumix", mix="mixup"), max_epochs=2, random_state=0).fit(X, y)
    >>> sorted(key for key in model.history_[0] if key.startswith("train_loss_"))
    ['train_loss_cross_entropy', 'train_loss_sumix']
    """

    def __init__(
        self,
        *,
        embedding_dim: int,
        n_classes: int,
        mix: Literal["cutmix", "mixup"] = "cutmix",
        alpha: Annotated[Positive, Search(0.2, 2, log=True)] = 1.0,
        weight: Annotated[NonNegative, Search(0.01, 1, log=True)] = 0.1,
        scale: NonNegative | Literal["batch"] | None = None,
    ) -> None:
        super().__init__()
        self.mix, self.alpha, self.weight, self.scale = mix, alpha, weight, scale
        self.n_classes = n_classes
        self.unsure = nn.Linear(embedding_dim, n_classes)

    def forward(
        self, X: Tensor, y: Labels, *, rng: Generator, module: Layered
    ) -> tuple[Features, Tensor, Tensor, Tensor, Tensor]:
        """Return features, both labels, the corrected share (n,) of the first, and the terms (n,) that are added."""
        if y.ndim != 1 or y.is_floating_point():
            raise TaskError("mixup 'sumix' is for one class a row; use 'cutmix'")
        if self.mix == "cutmix":
            mixed, partner, lam = pieced(X, alpha=self.alpha, rng=rng, title="mixup 'sumix' with mix='cutmix'")
        else:
            mixed, partner, lam = blended(X, alpha=self.alpha, rng=rng)
        features = module.backbone(torch.cat([X, mixed]))
        clean, seen = self._proba(module, features).chunk(2)  # (n, k) each
        a, b = y[:, None], y[partner][:, None]
        scale = self._scale(len(X))
        to_a = scale * _unit((seen - clean.scatter(1, b, 0.0)).softmax(1))  # (n, k)
        to_b = scale * _unit((seen - clean[partner].scatter(1, a, 0.0)).softmax(1))
        share = (torch.logit(lam) - to_a.gather(1, a) + to_b.gather(1, b)).sigmoid().squeeze(1)  # (n,)
        unsure, unsure_mixed = _unit(self.unsure(features).softmax(1)).chunk(2)
        first = F.cross_entropy(torch.exp(-(unsure + unsure_mixed + to_a)), y, reduction="none")
        second = F.cross_entropy(torch.exp(-(unsure[partner] + unsure_mixed + to_b)), y[partner], reduction="none")
        return features[len(X) :], y, y[partner], share, self.weight * (lam * first + (1 - lam) * second)

    def _scale(self, n: int) -> float:
        if self.scale is None:
            return float(self.n_classes**0.5)
        return float(n if self.scale == "batch" else self.scale)

    def _proba(self, module: Layered, features: Tensor) -> Tensor:
        """Return probabilities of the classes, (2n, k), without gradient."""
        with torch.no_grad():
            output = module.top(features)
        if output.ndim == 1:
            output = torch.stack([torch.zeros_like(output), output], 1)
        if output.shape[1] != self.n_classes:
            raise TaskError(
                f"mixup 'sumix' needs one output per class, but the head has {output.shape[1]} for {self.n_classes} "
                "classes; use 'cutmix'"
            )
        return output.softmax(1)


def _unit(rows: Tensor) -> Tensor:
    return F.normalize(rows, dim=1)
