"""Expected gradient length."""

import numpy as np

from sklearnloss.component import strategy

__all__ = ["egl"]


@strategy("egl", aliases=("expected_gradient_length",))
def egl(proba: np.ndarray, *, gradient_norms: np.ndarray) -> np.ndarray:
    r"""Ask first the rows that would move the model most, whatever their class turns out to be.

    Parameters
    ----------
    proba : array of shape (n, k)
        Probabilities of the classes.
    gradient_norms : array of shape (n, k)
        Norm of the loss's gradient by the last layer, if a row had each class. Of a `LossClassifier` it is that of the
        loss it is trained by, of other models that of the log loss of a linear last step.

    Returns
    -------
    array of shape (n,)
        Expected norm.

    Notes
    -----
    .. math:: u = \sum_c p_c \, \lVert \nabla_W \ell(x, c) \rVert

    Rows with a large embedding move the model more, so that it pays to scale the columns.

    References
    ----------
    .. [1] Settles, Craven, Ray. "Multiple-instance active learning". NeurIPS 2007.

    Examples
    --------
    >>> egl(np.array([[0.5, 0.5], [0.9, 0.1]]), gradient_norms=np.array([[1.0, 1.0], [0.2, 1.8]])).round(2)
    array([1.  , 0.36])
    """
    return np.einsum("ij,ij->i", proba, gradient_norms)
