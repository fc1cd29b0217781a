"""Pinball loss with a rounded corner."""

from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Levels, Positive, Search
from sklearnloss.functional.columns import quantiles
from sklearnloss.typing import Columns, PerRow, Targets

NINE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@loss("huber_pinball", task="regression", outputs=lambda *, levels: len(levels), link=quantiles)
def huber_pinball(
    columns: Columns,
    y: Targets,
    *,
    levels: Levels = NINE,
    delta: Annotated[Positive, Search(0.01, 1, log=True)] = 0.1,
) -> PerRow:
    r"""Quantiles whose slope fades within ``delta`` of the target, so that small gaps do not jitter.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, w)
        A quantile for each level.
    y : Tensor of shape (n, n_targets)
        Targets.
    levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
        Levels of the quantiles.
    delta : float in (0, inf), default=0.1
        Half the width of the rounded corner, in standard deviations of y.

    Returns
    -------
    Tensor of shape (n, n_targets)
        Mean over the levels, not negative.

    Notes
    -----
    With :math:`r = y - \hat y_q` and the Huber loss H,

    .. math:: \ell_q = |q - [r < 0]| \, H_\delta(r) / \delta

    ``delta -> 0`` is ``pinball``; a large one leads to expectiles, which lie nearer the mean than quantiles.

    References
    ----------
    .. [1] Dabney, Rowland, Bellemare, Munos. "Distributional reinforcement learning with quantile regression".
       AAAI 2018.

    Examples
    --------
    >>> huber_pinball(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[2.0]]), levels=(0.1, 0.9), delta=0.5)
    tensor([[0.0750]])
    """
    q = torch.as_tensor(levels, dtype=columns.dtype, device=columns.device)  # (w,)
    gap = y[..., None] - columns  # (n, n_targets, w)
    inner = torch.clamp(gap.abs(), max=delta)
    rounded = inner * (gap.abs() - 0.5 * inner) / delta
    return (torch.where(gap < 0, 1 - q, q) * rounded).mean(-1)
