"""How near the mixed vectors of each anchor are to it."""

import torch
from torch import Tensor

from sklearnloss.functional.pairs import Distance, Mixed
from sklearnloss.functional.vectors import unit_rows

__all__ = ["mixed_cosines", "mixed_distances"]


def mixed_cosines(embeddings: Tensor, mixed: Mixed) -> Tensor:
    """Return the cosines between anchors (n, d) and their mixed vectors, (n, s), in float32 at least.

    Examples
    --------
    >>> exists = torch.ones(1, 1, dtype=torch.bool)
    >>> mixed_cosines(torch.tensor([[2.0, 0.0]]), Mixed(torch.tensor([[[0.6, 0.8]]]), torch.ones(1, 1), exists))
    tensor([[0.6000]])
    """
    anchors, vectors = _unit(embeddings), _unit(mixed.embeddings)
    return torch.einsum("nd,nsd->ns", anchors, vectors)


def mixed_distances(embeddings: Tensor, mixed: Mixed, distance: Distance | None = None) -> Tensor:
    """Return the distances between anchors (n, d) and their mixed vectors, (n, s), in float32 at least.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        The anchors, of any length.
    mixed : Mixed
        Their mixed vectors.
    distance : callable or None, default=None
        Of vectors as they are; None is the Euclidean distance of unit vectors.

    Examples
    --------
    >>> exists = torch.ones(1, 1, dtype=torch.bool)
    >>> mixed_distances(torch.tensor([[2.0, 0.0]]), Mixed(torch.tensor([[[0.0, 1.0]]]), torch.ones(1, 1), exists))
    tensor([[1.4142]])
    """
    if distance is not None:
        anchors, vectors = _working(embeddings), _working(mixed.embeddings)
        return torch.cat([distance(a[None], own) for a, own in zip(anchors, vectors, strict=True)])
    squares = (_unit(embeddings)[:, None] - _unit(mixed.embeddings)).square().sum(2)
    apart = squares > torch.finfo(squares.dtype).eps ** 2  # a duplicate has no direction
    return torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)


def _working(vectors: Tensor) -> Tensor:
    return vectors.to(torch.promote_types(vectors.dtype, torch.float32))


def _unit(vectors: Tensor) -> Tensor:
    return unit_rows(_working(vectors))
