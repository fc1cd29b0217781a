"""Cross entropy with smoothed labels."""

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction
from sklearnloss.typing import Labels, Logits, PerRow


@loss("label_smoothing", task="multiclass")
def label_smoothing(logits: Logits, y: Labels, *, smoothing: Fraction = 0.1) -> PerRow:
    r"""Cross entropy against labels that leave a share to every class, so that no score has to grow without end.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    smoothing : float in [0, 1), default=0.1
        Share of the label that is spread evenly over all k classes, the true one included.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never below the entropy of the smoothed label.

    Notes
    -----
    .. math:: \ell = -(1 - \epsilon) \log p_y - \frac{\epsilon}{k} \sum_j \log p_j

    ``smoothing=0`` is cross entropy. Its minimum is at ``p_y = 1 - smoothing * (k - 1) / k`` and
    ``p_j = smoothing / k``. O(n k).

    References
    ----------
    .. [1] Szegedy, Vanhoucke, Ioffe, Shlens, Wojna. "Rethinking the inception architecture for computer vision".
       CVPR 2016.

    Examples
    --------
    >>> label_smoothing(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))
    tensor([0.3365])
    """
    log_p = torch.log_softmax(logits, dim=1)  # (n, k)
    true = log_p.gather(1, y[:, None]).squeeze(1)  # (n,)
    return -(1 - smoothing) * true - smoothing * log_p.mean(dim=1)  # (n,)
