"""Query by the magnitude of a metric space."""

from typing import Annotated, Literal

import numpy as np
from sklearn.utils.multiclass import type_of_target

from sklearnloss.component import strategy
from sklearnloss.constraints import Positive, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.magnitude import Magnitude, usual_scale

__all__ = ["metric_magnitude"]


@strategy("metric_magnitude", unit="batch", status="guess", aliases=("magnitude",))
def metric_magnitude(
    embeddings: np.ndarray,
    *,
    embeddings_labeled: np.ndarray,
    y_labeled: np.ndarray | None = None,
    n: int,
    rng: np.random.Generator,
    mode: Literal["diversity", "uncertainty", "sum"] = "diversity",
    scale: Annotated[Positive | None, Search(0.01, 10, log=True)] = None,
) -> np.ndarray:
    r"""Ask the row that adds most to the magnitude of the labeled ones: the effective number of different rows.

    Parameters
    ----------
    embeddings : array of shape (n_pool, d)
        Embeddings of the pool.
    embeddings_labeled : array of shape (m, d)
        Those of the rows with labels; without any the first row is drawn at random.
    y_labeled : array of shape (m,) or None, default=None
        Their labels, for ``"uncertainty"``.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws the first row.
    mode : {"diversity", "uncertainty", "sum"}, default="diversity"
        ``"diversity"`` takes the largest increase over all labeled rows. ``"uncertainty"`` takes the smallest gap
        between the two classes whose magnitudes would increase least, which are those that the row may belong to.
        ``"sum"`` adds both, each brought to [0, 1].
    scale : float in (0, inf) or None, default=None
        Factor of distances; None is one over their median.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    With :math:`Z_{ij} = e^{-s d_{ij}}` and :math:`Z w = 1` the magnitude of a set is :math:`\sum_i w_i`, between one,
    for rows that are all alike, and their number. A row whose similarities are :math:`\zeta` adds

    .. math:: \frac{(1 - \zeta' w)^2}{1 - \zeta' Z^{-1} \zeta}

    The increases of all rows are kept up to date by a factorization that grows by a row a step: O(n_pool (m + n)^2) in
    all. Within a batch chosen rows count as labeled for ``"diversity"``; their classes are not known, so that
    ``"uncertainty"`` looks at the labels alone. The rule itself is ours; the authors use magnitude for several tasks.

    References
    ----------
    .. [1] Bunch, Dickinson, He, Eddy. "Practical applications of metric space magnitude and weighting vectors".
       arXiv:2006.14063, 2020.

    Examples
    --------
    >>> pool = np.array([[0.1], [0.5], [4.0]])
    >>> metric_magnitude(pool, embeddings_labeled=np.array([[0.0]]), n=2, rng=np.random.default_rng(0)).tolist()
    [2, 1]
    """
    if mode != "diversity" and y_labeled is not None and type_of_target(y_labeled) not in ("binary", "multiclass"):
        raise TaskError(
            f"strategy 'metric_magnitude' with mode={mode!r} looks at one class a row, the labels are "
            f"{type_of_target(y_labeled)}; use 'diversity'"
        )
    t = usual_scale(np.concatenate([embeddings_labeled, embeddings]), rng) if scale is None else scale
    doubt = np.zeros(len(embeddings))
    classes = [] if y_labeled is None else list(np.unique(y_labeled))
    if mode != "diversity" and len(classes) > 1:
        grown = [Magnitude(embeddings, embeddings_labeled[y_labeled == c], t).increase for c in classes]
        least = np.sort(np.stack(grown), axis=0)
        doubt = -(least[1] - least[0])
    if mode == "uncertainty" and len(classes) > 1:
        return np.argsort(-doubt, kind="stable")[:n]
    spread = np.ptp(doubt)
    doubt = (doubt - doubt.min()) / (spread if spread > 0 else 1)
    space = Magnitude(embeddings, embeddings_labeled, t)
    chosen: list[int] = []
    while len(chosen) < n:
        if not len(embeddings_labeled) and not chosen:
            best = int(rng.integers(len(embeddings)))
        else:
            gain = (
                space.increase / space.increase.max(initial=1e-300) + doubt if mode == "sum" else space.increase.copy()
            )
            gain[chosen] = -np.inf
            best = int(gain.argmax())
        chosen.append(best)
        space.add(best)
    return np.array(chosen)
