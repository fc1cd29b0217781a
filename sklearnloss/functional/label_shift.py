"""Latent label shift: classes that nobody labelled, from how their shares differ between domains, in numpy."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from sklearnloss.exceptions import DataError

__all__ = ["LatentShift", "anchored", "balanced", "discover", "factorized"]

TINY = 1e-12
WORTH = 0.01  # share by which a factorization from a random start must be better


class LatentShift(NamedTuple):
    """What was found: r domains, k classes, m clusters.

    Attributes
    ----------
    class_given_domain : array of shape (k, r)
        Share of each class in each domain; columns sum to one.
    cluster_given_class : array of shape (m, k)
        Share of each cluster in each class; columns sum to one.
    centers : array of shape (m, r)
        Clusters of domain probabilities, for domains of equal size.
    domain_share : array of shape (r,)
        Share of each domain among the rows on which its probabilities were learned.
    error : float
        Frobenius norm of what the factorization leaves.
    """

    class_given_domain: np.ndarray
    cluster_given_class: np.ndarray
    centers: np.ndarray
    domain_share: np.ndarray
    error: float

    @property
    def domain_given_class(self) -> np.ndarray:
        """Share of each domain in each class, (r, k), where domains are of equal size."""
        shares = self.class_given_domain.T
        return shares / np.maximum(shares.sum(axis=0), TINY)

    def class_proba(self, q: np.ndarray, domain: np.ndarray | None = None) -> np.ndarray:
        """Return class probabilities (n, k) from domain probabilities.

        Parameters
        ----------
        q : array of shape (n, r)
            Probability of each domain, as learned on rows with the shares ``domain_share``.
        domain : int array of shape (n,), default=None
            Domain of each row, 0..r-1; without it a row is one of the mixture of all domains.
        """
        given = self.domain_given_class
        proba = _rows_to_one(np.clip(balanced(q, self.domain_share) @ np.linalg.pinv(given).T, 0, None))
        if domain is not None:
            mixed = proba * given[domain]
            known = mixed.sum(axis=1, keepdims=True) > TINY
            return np.where(known, _rows_to_one(mixed), self.class_given_domain.T[domain])
        seen, even = self.class_given_domain @ self.domain_share, self.class_given_domain.mean(axis=1)
        return _rows_to_one(proba * (seen / np.maximum(even, TINY)))


def balanced(q: np.ndarray, domain_share: np.ndarray) -> np.ndarray:
    """Return domain probabilities (n, r) as they were if all domains were of equal size.

    Examples
    --------
    >>> balanced(np.array([[0.9, 0.1]]), np.array([0.75, 0.25])).round(4)
    array([[0.75, 0.25]])
    """
    return _rows_to_one(q / domain_share)


def factorized(
    matrix: np.ndarray, n_classes: int, *, n_init: int, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return P(cluster | class) (m, k), P(class | domain) (k, r) and the error of the best of several factorizations.

    Parameters
    ----------
    matrix : array of shape (m, r)
        P(cluster | domain); columns sum to one.
    n_classes : int
        Number of classes k.
    n_init : int
        Factorizations: one from `anchored`, the others from random starts; that of the least error is kept, and the
        first if none is better by a hundredth.
    rng : RandomState
        Source of the starts.
    """
    tried = [_improved(matrix, n_classes, start=anchored(matrix, n_classes))]
    tried += [_improved(matrix, n_classes, seed=rng.randint(2**31 - 1)) for _ in range(n_init - 1)]
    # of factorizations that leave about as little, that of anchors is the one whose classes have clusters of their own
    errors = [error - (WORTH * error + TINY**0.5 if not number else 0) for number, (*_, error) in enumerate(tried)]
    of_classes, of_domains, error = tried[int(np.argmin(errors))]
    scale = of_classes.sum(axis=0)  # (k,), nothing of a class that is not needed
    of_domains = of_domains * scale[:, None]
    of_classes = np.where(scale > TINY, of_classes / np.maximum(scale, TINY), 1 / len(matrix))
    total = of_domains.sum(axis=0)
    of_domains = np.where(total > TINY, of_domains / np.maximum(total, TINY), 1 / n_classes)
    return of_classes, of_domains, error


def anchored(matrix: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return factors (m, k) and (k, r) whose second are rows of the matrix, by successive projection.

    The rows, scaled to one, that lie farthest out are those of clusters that belong to one class, if there are such.

    Examples
    --------
    >>> matrix = np.array([[0.6, 0.2], [0.3, 0.1], [0.1, 0.7]])
    >>> anchored(matrix, 2)[0].round(4)
    array([[0. , 1. ],
           [0. , 0.5],
           [1. , 0. ]])
    """
    left = _rows_to_one(matrix)
    chosen: list[int] = []
    for _ in range(n_classes):
        length = np.square(left).sum(axis=1)
        chosen.append(int(length.argmax()))
        farthest = left[chosen[-1]]
        left = left - np.outer(left @ farthest, farthest) / max(float(length.max()), TINY)
    of_domains = matrix[chosen]
    return np.stack([nnls(of_domains.T, row)[0] for row in matrix]), of_domains


def discover(
    q: np.ndarray,
    domain: np.ndarray,
    *,
    n_classes: int,
    domain_share: np.ndarray | None = None,
    n_clusters: int | None = None,
    n_init: int = 10,
    random_state: int | np.random.RandomState | None = None,
) -> LatentShift:
    r"""Find classes whose shares differ between domains, by clusters of domain probabilities and a factorization.

    Parameters
    ----------
    q : array of shape (n, r)
        Probability of each domain for each row.
    domain : int array of shape (n,)
        Domain of each row, 0..r-1, all of them there.
    n_classes : int in [1, r]
        Number of classes k.
    domain_share : array of shape (r,), default=None
        Shares of domains where ``q`` was learned; those of ``domain`` unless given.
    n_clusters : int, default=None
        Number of clusters m; as many as domains unless given, never fewer than classes or more than distinct rows.
    n_init : int, default=10
        Starts of k-means, and of the factorization; the best is kept.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    LatentShift
        With the classes from the commonest to the rarest.

    Raises
    ------
    DataError
        If there are fewer domains than classes, or fewer distinct rows of ``q``.

    Notes
    -----
    Where p(x | y) is the same in all domains, with clusters c of q,

    .. math:: P(c \mid d) = \sum_y P(c \mid y) P(y \mid d), \qquad q(d \mid x) = \sum_y p(d \mid y) p(y \mid x)

    so a nonnegative factorization of the first finds ``P(y | d)``, and the second gives ``p(y | x)`` by a
    pseudoinverse, clipped at zero. It needs as many domains as classes, shares of full rank, and clusters that belong
    to one class; classes are found up to their order. Several factorizations may leave nothing where no domain lacks
    a class; then the shares found are one of them.

    References
    ----------
    .. [1] Roberts, Mani, Garg, Lipton. "Unsupervised learning under latent label shift". NeurIPS 2022.
    """
    r = q.shape[1]
    if r < n_classes:
        raise DataError(f"{n_classes} classes need as many domains at least, got {r}")
    rng = np.random.RandomState(random_state) if not isinstance(random_state, np.random.RandomState) else random_state
    counts = np.bincount(domain, minlength=r)
    if not counts.all():
        raise DataError(f"domain {int(counts.argmin())} has no row to count clusters in")
    share = counts / counts.sum() if domain_share is None else domain_share
    even = balanced(q, share)
    distinct = len(np.unique(even.round(9), axis=0))
    if distinct < n_classes:
        raise DataError(
            f"the domain probabilities have {distinct} distinct rows, too few for {n_classes} classes; the classifier "
            "tells no domains apart"
        )
    m = min(max(r if n_clusters is None else n_clusters, n_classes), distinct)
    clusters = KMeans(m, n_init=n_init, random_state=rng.randint(2**31 - 1)).fit(even)
    matrix = np.zeros((m, r))
    np.add.at(matrix, (clusters.labels_, domain), 1 / counts[domain])
    of_classes, of_domains, error = factorized(matrix, n_classes, n_init=n_init, rng=rng)
    order = np.argsort(-(of_domains @ (counts / counts.sum())), kind="stable")
    return LatentShift(of_domains[order], of_classes[:, order], clusters.cluster_centers_, share, error)


def _improved(
    matrix: np.ndarray, n_classes: int, *, seed: int | None = None, start: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return factors and error of a factorization from a start."""
    init = "random" if start is None else "custom"
    model = NMF(n_classes, init=init, random_state=seed, max_iter=2000, tol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the starts are compared by what they leave
        if start is None:
            of_classes = model.fit_transform(matrix)  # (m, k)
        else:
            of_classes = model.fit_transform(matrix, W=start[0].copy(), H=start[1].copy())
    return of_classes, model.components_, float(model.reconstruction_err_)


def _rows_to_one(values: np.ndarray) -> np.ndarray:
    """Return rows that sum to one; one of zeros is even."""
    total = values.sum(axis=1, keepdims=True)
    return np.where(total > TINY, values / np.maximum(total, TINY), 1 / values.shape[1])
