"""Uniformity on the sphere."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Positive
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.neighbors import check_embeddings, measure, unit_rows


@metric("uniformity", greater_is_better=False)
def uniformity(embeddings: ArrayLike, *, t: Positive = 2.0) -> float:
    r"""Logarithm of the mean Gaussian potential between two rows: how evenly directions fill the sphere.

    Zero where all rows point the same way, the lower the more evenly they spread. It knows no classes; `tolerance` is
    its counterpart.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        Rows of any length; they are normalized here.
    t : float in (0, inf), default=2.0
        Sharpness of the potential.

    Returns
    -------
    float
        In [-4 t, 0].

    Raises
    ------
    DataError
        If there are fewer than two rows, or they are not finite.
    ParameterError
        If t is out of range.

    Notes
    -----
    .. math:: \log \frac{2}{n (n - 1)} \sum_{i < j} e^{-t \lVert u_i - u_j \rVert^2}

    Many random rows of d columns tend to about ``-2 t`` where d is large. A row of zeros stays where it is, in the
    middle. O(n**2 d) time.

    References
    ----------
    .. [1] Wang, Isola. "Understanding contrastive representation learning through alignment and uniformity on the
       hypersphere". ICML 2020.

    Examples
    --------
    >>> round(uniformity([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]), 4)
    -4.3963
    """
    if not 0 < t < np.inf:
        raise ParameterError(f"t must be a float in (0, inf), got {t!r}")
    measured = measure(unit_rows(check_embeddings(embeddings)), distance="euclidean")
    total, count = -np.inf, 0
    for block, _, _ in measured.pairs():
        exponents = -t * measured.unit**2 * block
        highest = exponents.max()  # a large t would leave nothing of the potentials themselves
        total = np.logaddexp(total, highest + np.log(np.exp(exponents - highest).sum()))
        count += block.size
    return float(min(total - np.log(count), 0.0))
