"""Equal error rate of verification."""

from typing import Literal

from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.functional.neighbors import measure
from sklearnloss.functional.verification import equal_error


@metric("eer", aliases=("equal_error_rate",), greater_is_better=False)
def eer(
    embeddings: ArrayLike,
    y: ArrayLike,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> float:
    r"""Error rate at the threshold that accepts as many pairs of different classes as it rejects of the same.

    Two rows are said to be of one class where their distance is within one threshold for all. Needs no classes that
    were trained on: it is how faces, voices and signatures are judged.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        Rows of any length.
    y : array-like of shape (n,)
        Their classes.
    gallery : array-like of shape (m, d), default=None
        What they are paired with. None pairs each two of them once.
    gallery_labels : array-like of shape (m,), default=None
        The classes of the gallery.
    distance : {"cosine", "euclidean"}, default="cosine"
        What is near. The cosine of a row of zeros is 0 to all.

    Returns
    -------
    float
        In [0, 1]; a half by chance.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, have one class, or leave nothing to accept.
    ParameterError
        If a hyperparameter is out of range.

    Notes
    -----
    With FAR, the share of pairs of different classes within a threshold, and FRR, the share of pairs of the same class
    beyond it: where the two cross, interpolated linearly between the thresholds around. Exact, ties included, in three
    passes over the pairs that keep no more than a block of them: O(n**2 d) time. All pairs of a sort count the same, so
    large classes count more.

    References
    ----------
    .. [1] Martin, Doddington, Kamm, Ordowski, Przybocki. "The DET curve in assessment of detection task performance".
       Eurospeech 1997.
    .. [2] ISO/IEC 19795-1:2021. "Biometric performance testing and reporting".

    Examples
    --------
    >>> round(eer([[0.0], [1.0], [3.0], [5.0]], ["a", "a", "b", "b"], distance="euclidean"), 4)
    0.1667
    """
    return equal_error(measure(embeddings, y, gallery, gallery_labels, distance=distance))[0]
