"""Additive cosine margin."""

from typing import Annotated

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.angles import target_cross_entropy, true_cosines
from sklearnloss.typing import Cosines, Labels, PerRow


@loss("cosface", task="multiclass")
def cosface(
    cosines: Cosines,
    y: Labels,
    *,
    scale: Annotated[Positive, Search(4, 64, log=True)] = 16.0,
    margin: Annotated[NonNegative, Search(0.05, 0.5)] = 0.35,
) -> PerRow:
    r"""Cross entropy of scaled cosines after a margin was taken off the true class's cosine.

    Parameters
    ----------
    cosines : Tensor of shape (n, k)
        Cosines between embeddings and class proxies.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    scale : float in (0, inf), default=16.0
        Factor of the cosines. The paper's 64 is for thousands of classes; for up to a hundred, 10 to 30 suffice.
    margin : float in [0, inf), default=0.35
        What the true class's cosine must lead by, as the paper has it; 0.1 to 0.4.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not below the one without margin.

    Notes
    -----
    .. math:: \ell = -\log \frac{e^{s (\cos \theta_y - m)}}{e^{s (\cos \theta_y - m)} + \sum_{j \ne y} e^{s \cos
        \theta_j}}

    ``margin=0`` is cross entropy of ``scale * cosines``. The proxies of k classes can keep a margin of at most
    ``k / (k - 1)``. The link is the softmax of the scaled cosines, without any margin, and so not proper. O(n k).

    References
    ----------
    .. [1] Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu. "CosFace: large margin cosine loss for deep face recognition".
       CVPR 2018.

    Examples
    --------
    >>> import torch
    >>> cosface(torch.tensor([[0.8, 0.1]]), torch.tensor([0]), scale=10.0)
    tensor([0.0298])
    """
    return target_cross_entropy(cosines, y, true_cosines(cosines, y) - margin, scale)  # (n,)
