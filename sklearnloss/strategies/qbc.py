"""Query by committee."""

from typing import Literal

import numpy as np
from scipy.special import entr

from sklearnloss.component import strategy

__all__ = ["qbc"]


@strategy("qbc", aliases=("query_by_committee",))
def qbc(
    committee: np.ndarray, *, disagreement: Literal["vote_entropy", "consensus_kl", "variation"] = "vote_entropy"
) -> np.ndarray:
    r"""Ask first where the members of a committee vote for different classes.

    Parameters
    ----------
    committee : array of shape (m, n, k)
        Probabilities by each member.
    disagreement : {"vote_entropy", "consensus_kl", "variation"}, default="vote_entropy"
        ``"vote_entropy"``: entropy of the shares of the votes. ``"consensus_kl"``: mean Kullback-Leibler divergence of
        the members from their mean, which is ``bald``. ``"variation"``: share of the votes against the majority.

    Returns
    -------
    array of shape (n,)
        Zero where all agree; in nats, or a share.

    References
    ----------
    .. [1] Seung, Opper, Sompolinsky. "Query by committee". COLT 1992.
    .. [2] Dagan, Engelson. "Committee-based sampling for training probabilistic classifiers". ICML 1995.
    .. [3] McCallum, Nigam. "Employing EM and pool-based active learning for text classification". ICML 1998.

    Examples
    --------
    >>> votes = np.array([[[0.9, 0.1], [0.8, 0.2]], [[0.7, 0.3], [0.1, 0.9]]])
    >>> qbc(votes).round(4)
    array([0.    , 0.6931])
    """
    if disagreement == "consensus_kl":
        mean = committee.mean(axis=0)
        spread = entr(mean).sum(axis=1) - entr(committee).sum(axis=2).mean(axis=0)
        return np.maximum(spread, 0)  # by Jensen not negative but for rounding
    winners = committee.argmax(axis=2)  # (m, n)
    shares = (winners[:, :, None] == np.arange(committee.shape[2])).mean(axis=0)  # (n, k)
    return entr(shares).sum(axis=1) if disagreement == "vote_entropy" else 1 - shares.max(axis=1)
