"""Knowledge distillation."""

from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Probability, Search
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import Labels, Logits, PerRow, Teacher


@loss("kd", task="multiclass", aliases=("kd_loss",))
def kd(
    logits: Logits,
    y: Labels,
    *,
    teacher: Teacher,
    tau: Annotated[Positive, Search(1, 16, log=True)] = 2.0,
    alpha: Probability = 0.5,
) -> PerRow:
    r"""Cross entropy together with the divergence from a teacher's softened probabilities.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    teacher : Tensor of shape (n, k)
        Raw scores of the teacher for the same rows.
    tau : float in (0, inf), default=2.0
        Temperature of both sides. A teacher trained with smoothed labels is best followed at 1, see [2]_.
    alpha : float in [0, 1], default=0.5
        Share of the teacher.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -(1 - \alpha) \log p_y + \alpha \tau^2 \sum_j t_j \log \frac{t_j}{s_j}, \qquad
        t = \operatorname{softmax}(z^T / \tau), \quad s = \operatorname{softmax}(z / \tau)

    ``alpha=0`` is cross entropy. The factor ``tau ** 2`` keeps the gradient's size; ``tau -> inf`` gives half the mean
    squared difference of the centred scores. No gradient reaches the teacher. O(n k).

    References
    ----------
    .. [1] Hinton, Vinyals, Dean. "Distilling the knowledge in a neural network". NeurIPS Deep Learning Workshop, 2014.
    .. [2] Chandrasegaran, Tran, Zhao, Cheung. "Revisiting label smoothing and knowledge distillation compatibility:
       what was missing?". ICML 2022.

    Examples
    --------
    >>> kd(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]), teacher=torch.tensor([[1.0, 0.0, 0.0]]))
    tensor([0.2471])
    """
    teacher = teacher.detach().to(logits.dtype)
    return with_slope(_formula, _written, logits, y, teacher, of="row", tau=tau, alpha=alpha)


def _formula(logits: Tensor, y: Tensor, teacher: Tensor, *, tau: Any, alpha: Any) -> Tensor:
    """Return the loss of each row in plain torch."""
    soft = torch.log_softmax(teacher / tau, dim=1)  # (n, k)
    divergence = (soft.exp() * (soft - torch.log_softmax(logits / tau, dim=1))).sum(dim=1)  # (n,)
    return (1 - alpha) * F.cross_entropy(logits, y, reduction="none") + alpha * tau**2 * divergence  # (n,)


def _written(
    logits: Tensor, y: Tensor, teacher: Tensor, values: Tensor, slopes: Tensor, *, tau: Any, alpha: Any
) -> None:
    """Write the loss of each row and its slope."""
    soft, ours = (torch.log_softmax(z / tau, dim=1) for z in (teacher, logits))  # (n, k)
    shares = soft.exp()
    torch.sum(soft.sub_(ours).mul_(shares), dim=1, out=values).mul_(alpha * tau**2)
    pull = ours.exp_().sub_(shares).mul_(alpha * tau)
    torch.log_softmax(logits, dim=1, out=slopes)
    values.sub_((1 - alpha) * slopes.gather(1, y[:, None]).squeeze(1))
    slopes.exp_().mul_(1 - alpha).add_(pull)
    slopes.scatter_add_(1, y[:, None], (alpha - 1) * torch.ones_like(values)[:, None])
