"""What the pictures of embeddings share: colours that people of all kinds of sight tell apart."""

from typing import Any

__all__ = ["COLORS", "INK", "MARKERS", "RIGHT", "WRONG", "name_of"]

# ten colours chosen for their distance under the common kinds of colour blindness (Petroff, arXiv:2107.02270)
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#94a4a2", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
RIGHT, WRONG = COLORS[0], COLORS[2]
INK = "0.25"


def name_of(estimator: Any) -> str:
    """Return the name of an estimator's class; of a Pipeline that of its last step.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.pipeline import make_pipeline
    >>> name_of(make_pipeline(PCA())), name_of(PCA())
    ('PCA', 'PCA')
    """
    steps = getattr(estimator, "steps", None)
    return type(steps[-1][1] if steps else estimator).__name__
