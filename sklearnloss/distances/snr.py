"""Signal-to-noise ratio as a distance."""

from torch import Tensor

from sklearnloss.component import distance
from sklearnloss.distances._rows import prepared
from sklearnloss.functional.vectors import signal_to_noise
from sklearnloss.typing import Embeddings


@distance("snr")
def snr(a: Embeddings, b: Embeddings, *, normalize: bool = True) -> Tensor:
    r"""Variance of the difference over the variance of the anchor: noise over signal. Not symmetric.

    Parameters
    ----------
    a : Tensor of shape (n, d)
        Anchors.
    b : Tensor of shape (m, d)
        What they are compared with.
    normalize : bool, default=True
        Whether both get length one before.

    Returns
    -------
    Tensor of shape (n, m)
        Not negative.

    Notes
    -----
    .. math:: d(a, b) = \frac{\operatorname{Var}_k(a_k - b_k)}{\operatorname{Var}_k(a_k)}
                      = \frac{v_a + v_b - 2 \operatorname{Cov}(a, b)}{v_a}

    with variances over the d columns of an embedding; it is 0 from an anchor that has none to speak of. It does not
    see the mean of a vector: ``d(a, a + c)`` is 0 for any constant c, so the paper holds the means near zero by a
    term of their own. Without ``normalize`` a common factor of both cancels. By one matrix product of centred
    embeddings, O(n m d) time, and not with an (n, m, d) array.

    References
    ----------
    .. [1] Yuan, Deng, Tang, Tang, Chen. "Signal-to-noise ratio: a robust distance metric for deep metric learning".
       CVPR 2019.

    Examples
    --------
    >>> a, b = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    >>> snr(a, b, normalize=False), snr(b, a, normalize=False)
    (tensor([[0.6000]]), tensor([[0.2143]]))
    """
    return signal_to_noise(*prepared(a, b, normalize=normalize)).clamp_min(0).to(a.dtype)
