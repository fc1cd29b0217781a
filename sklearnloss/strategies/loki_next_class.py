"""Next class to label for predictions in a metric space of labels."""

from typing import Annotated, Any

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.constraints import Constraint
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.frechet import farthest_class, frechet_choice

__all__ = ["loki_next_class"]


def _is_table(value: Any) -> bool:
    return value is None or (np.ndim(value) == 2 and np.shape(value)[0] == np.shape(value)[1])


Distances = Annotated[Any, Constraint(_is_table, "a square table of distances between all classes, or None")]
Labels = Annotated[Any, Constraint(lambda v: v is None or np.ndim(v) == 1, "a sequence of labels, or None")]


@strategy("loki_next_class", unit="pool")
def loki_next_class(
    proba: np.ndarray, *, y_labeled: np.ndarray, label_distances: Distances = None, labels: Labels = None
) -> np.ndarray:
    r"""Ask first rows that seem nearest to the class that predictions can reach least.

    With distances between classes, such as those of a tree, a model can predict classes that it never saw: those that
    lie between others (`frechet_decode`). The class to see next is the one farthest from all that can be predicted.

    Parameters
    ----------
    proba : array of shape (n, k)
        Probabilities of the classes seen so far.
    y_labeled : array of shape (m,)
        Labels so far, which say what these classes are.
    label_distances : array of shape (N, N) or None, default=None
        Distances between all classes, seen or not, symmetric; None counts as many classes as are seen, all equally far.
    labels : sequence of N labels or None, default=None
        What rows and columns of ``label_distances`` stand for; None is 0..N-1, or the classes seen so far.

    Returns
    -------
    array of shape (n,)
        Minus the squared distance that is expected between a row's class and the next one.

    Notes
    -----
    A class can be reached if some mixture of seen classes has it as Fréchet mean; here mixtures of two are tried, which
    on a tree gives the paths between seen classes. Where all can be reached, rows come first that are far from their
    own prediction.

    References
    ----------
    .. [1] Roberts, Li, Huang, Adila, Schoenberg, Liu, Pick, Ma, Sala. "Geometry-aware adaptation for pretrained
       models". NeurIPS 2023.

    Examples
    --------
    >>> path = np.abs(np.subtract.outer(np.arange(7.0), np.arange(7.0)))
    >>> proba = np.array([[0.9, 0.1], [0.1, 0.9]])  # of classes 0 and 2: the farthest that is left is 6
    >>> loki_next_class(proba, y_labeled=np.array([0, 2, 2]), label_distances=path).argmax()
    np.int64(1)
    """
    seen = np.unique(y_labeled)
    if label_distances is None:
        table, names = 1.0 - np.eye(len(seen)), seen
    else:
        table = np.asarray(label_distances, dtype=np.float64)
        names = np.arange(len(table)) if labels is None else np.asarray(labels)
    places = {name: place for place, name in enumerate(names.tolist())}
    unknown = [label for label in seen.tolist() if label not in places]
    if unknown or len(names) != len(table):
        raise ParameterError(
            f"strategy 'loki_next_class': label_distances are of {len(table)} classes and labels of {len(names)}, "
            + (f"but {unknown[0]!r} is not among them" if unknown else "which must be as many")
        )
    rows = np.array([places[label] for label in seen.tolist()])
    following = farthest_class(table, rows)
    if following is None:
        chosen = frechet_choice(proba, table[rows])
        return np.einsum("nk,nk->n", proba, table[rows][:, chosen].T ** 2)
    return -(proba @ table[rows, following] ** 2)
