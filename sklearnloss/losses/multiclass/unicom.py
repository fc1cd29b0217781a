"""ArcFace on random classes and random dimensions."""

import math
from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Angle, Interval, Positive, Search
from sklearnloss.functional.angles import straight_through, target_cross_entropy, true_cosines, widened
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Cosines, Features, Generator, Labels, PerAnchor, Prototypes

Share = Annotated[float, Interval(0, 1, "right")]


@loss("unicom", task="multiclass", unit="anchor", static=False)
def unicom(
    cosines: Cosines,
    y: Labels,
    *,
    features: Features,
    prototypes: Prototypes,
    rng: Generator,
    scale: Annotated[Positive, Search(4, 64, log=True)] = 16.0,
    margin: Annotated[Angle, Search(0.05, 0.6)] = 0.3,
    class_fraction: Annotated[Share, Search(0.1, 1)] = 1.0,
    dim_fraction: Annotated[Share, Search(0.25, 1)] = 0.5,
    threshold: Annotated[float, Interval(-1, 1, "both"), Search(0.3, 0.9)] | None = None,
    gradient: Literal["exact", "straight_through"] = "exact",
) -> PerAnchor:
    r"""ArcFace that sees some of the other classes, and some of the embedding's dimensions, at each step.

    Not all classes push a row at once, which helps where some of them are the same thing under two names, as clusters
    are; and every part of the embedding has to be of use by itself.

    Parameters
    ----------
    cosines : Tensor of shape (n, k)
        Cosines in all dimensions, by which prediction goes; training computes its own.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    features : Tensor of shape (n, d)
        The embeddings, of any length.
    prototypes : Tensor of shape (k, d)
        The proxies, of any length.
    rng : torch.Generator
        Source of the choices.
    scale : float in (0, inf), default=16.0
        Factor of the cosines. The paper's 64 is for a million classes; for up to a hundred, 10 to 30 suffice.
    margin : float in [0, pi), default=0.3
        Angle in radians.
    class_fraction : float in (0, 1], default=1.0
        Share of the classes that take part in a step; those that the batch holds always do. The paper's 0.1 is for a
        million classes.
    dim_fraction : float in (0, 1], default=0.5
        Share of the dimensions that take part in a step, but no less than two of them.
    threshold : float in [-1, 1] or None, default=None
        Cosine above which another class is taken to be the same thing, and counts with a cosine of zero instead; the
        authors' code suggests 0.4.
    gradient : {"exact", "straight_through"}, default="exact"
        ``"straight_through"`` takes the slope of the margin as one, as the authors' code does: the value is the same,
        but the exact gradient of the true class's cosine is sin(theta + margin) / sin(theta) times as large.

    Returns
    -------
    Tensor of shape (n,)
        One value per row.

    Notes
    -----
    Classes and dimensions are drawn once for a batch, the same for embeddings and proxies; then both are normalized in
    the dimensions that were drawn, and the loss is `arcface` over the classes that were drawn. With both shares at one
    it is `arcface`. A proxy that was not drawn has no gradient. The link is the softmax of the scaled cosines in all
    dimensions, without any margin, and so not proper. O(n k' d') for k' classes and d' dimensions.

    References
    ----------
    .. [1] An, Deng, Yang, Li, Feng, Guo, Yang, Liu. "Unicom: universal and compact representation learning for image
       retrieval". ICLR 2023.
    .. [2] An, Deng, Guo, Feng, Zhu, Yang, Liu. "Killing two birds with one stone: efficient and robust training of face
       recognition CNNs by partial FC". CVPR 2022.

    Examples
    --------
    >>> features, prototypes = torch.tensor([[2.0, 0.0, 1.0]]), torch.eye(3)
    >>> cosines = unit_rows(features) @ prototypes.T
    >>> rng = torch.Generator().manual_seed(0)
    >>> unicom(cosines, torch.tensor([0]), features=features, prototypes=prototypes, rng=rng, dim_fraction=1.0)
    tensor([0.0122])
    """
    classes, drawn = _classes(y, len(prototypes), class_fraction, rng)  # (k',), (k',)
    dims = _dims(features, dim_fraction, rng)  # (d',)
    chosen = unit_rows(prototypes[classes[:, None], dims].to(features.dtype))  # (k', d')
    cosines = (unit_rows(features[:, dims]) @ chosen.T).to(cosines.dtype)  # (n, k')
    place = (classes == y[:, None]).to(torch.int64).argmax(dim=1)  # (n,)
    true = true_cosines(cosines, place)  # (n, 1)
    target = widened(true, margin)
    if gradient == "straight_through":
        target = straight_through(target, true)
    if threshold is not None:
        cosines = torch.where(cosines.detach() > threshold, 0.0, cosines)
    return target_cross_entropy(cosines.masked_fill(~drawn, -math.inf), place, target, scale)  # (n,)


def _classes(y: Tensor, n_classes: int, fraction: float, rng: Generator) -> tuple[Tensor, Tensor]:
    """Return classes, those of the batch before random others, and how far they count."""
    wanted = math.ceil(fraction * n_classes)
    most = min(n_classes, max(wanted, len(y)))  # no batch holds more classes than rows
    order = torch.rand(n_classes, generator=rng, device=y.device)
    held = torch.zeros_like(order, dtype=torch.bool).index_fill(0, y, True)
    classes = (order + held).topk(most).indices  # (most,)
    return classes, torch.arange(most, device=y.device) < held.sum().clamp(min=wanted)


def _dims(features: Tensor, fraction: float, rng: Generator) -> Tensor:
    """Return random dimensions, in their order."""
    count = min(features.shape[1], max(2, math.ceil(fraction * features.shape[1])))
    order = torch.randperm(features.shape[1], generator=rng, device=features.device)
    return order[:count].sort().values
