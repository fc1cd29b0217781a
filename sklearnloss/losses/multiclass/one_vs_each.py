"""One-vs-each bound on cross entropy."""

import torch.nn.functional as F

from sklearnloss.component import loss
from sklearnloss.typing import Labels, Logits, PerRow


@loss("one_vs_each", task="multiclass", proper=True)
def one_vs_each(logits: Logits, y: Labels) -> PerRow:
    r"""Sum of the logistic duels of the true class against each other class.

    An upper bound on cross entropy that is a plain sum over classes, with no normalising constant. Each duel alone is
    won at the log-odds of its pair, and the softmax of the true log-probabilities wins all of them at once: so the
    bound is loose in value and still has the minimum of cross entropy.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, in [0, inf); never below cross entropy.

    Notes
    -----
    .. math:: \ell = \sum_{j \ne y} \log\left(1 + e^{z_j - z_y}\right)

    ``k = 2`` gives cross entropy, equal scores give ``(k - 1) * log(2)``. When the true class leads by much, the gap
    to cross entropy vanishes faster than the loss itself. The sum runs over all classes, without subsampling. O(n k).

    References
    ----------
    .. [1] Titsias. "One-vs-Each Approximation to Softmax for Scalable Estimation of Probabilities". NeurIPS 2016.
    .. [2] Ruiz, Titsias, Dieng, Blei. "Augment and Reduce: Stochastic Inference for Large Categorical Distributions".
       ICML 2018.

    Examples
    --------
    >>> import torch
    >>> one_vs_each(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0]))
    tensor([0.4402])
    """
    lead = logits.gather(1, y[:, None]) - logits  # (n, k)
    # logsigmoid and not softplus, which is the identity above 20: off by up to 2e-9, far above float64 rounding
    duel = -F.logsigmoid(lead)  # (n, k)
    return duel.scatter(1, y[:, None], 0.0).sum(dim=1)  # (n,); the true class fights no duel with itself
