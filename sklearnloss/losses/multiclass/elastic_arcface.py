"""Additive angular margin, drawn for each row."""

from typing import Annotated

from sklearnloss.component import loss
from sklearnloss.constraints import Angle, NonNegative, Positive, Search
from sklearnloss.functional.angles import elastic_margins, target_cross_entropy, true_cosines, widened
from sklearnloss.typing import Cosines, Generator, Labels, PerAnchor


@loss("elastic_arcface", task="multiclass", unit="anchor")
def elastic_arcface(
    cosines: Cosines,
    y: Labels,
    *,
    rng: Generator,
    scale: Annotated[Positive, Search(4, 64, log=True)] = 16.0,
    margin: Annotated[Angle, Search(0.05, 0.6)] = 0.3,
    sigma: Annotated[NonNegative, Search(0.01, 0.1, log=True)] = 0.05,
    by_distance: bool = False,
) -> PerAnchor:
    r"""Cross entropy of scaled cosines after the true class's angle was widened by a random margin.

    One margin for all classes takes them to be equally wide; drawn anew at every step, it lets some be wider.

    Parameters
    ----------
    cosines : Tensor of shape (n, k)
        Cosines between embeddings and class proxies.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    rng : torch.Generator
        Source of the margins.
    scale : float in (0, inf), default=16.0
        Factor of the cosines. The paper's 64 is for thousands of classes; for up to a hundred, 8 to 30 suffice.
    margin : float in [0, pi), default=0.3
        Mean of the angle in radians. The paper's 0.5 is for thousands of classes.
    sigma : float in [0, inf), default=0.05
        Standard deviation of the margin; 0.0125 to 0.05 in the paper.
    by_distance : bool, default=False
        Whether the drawn margins are sorted, so that the row farthest from its proxy has the largest: the paper's
        ElasticFace+.

    Returns
    -------
    Tensor of shape (n,)
        One value per row.

    Notes
    -----
    With a margin :math:`m_i` for each row from the normal distribution of mean ``margin`` and deviation ``sigma``, the
    true class's cosine becomes :math:`\cos(\theta_y + m_i)`, and a straight line where the sum passes :math:`\pi`.
    ``sigma=0`` is `arcface`. A row's margin goes by the rank of its cosine in the batch; the published code takes
    the sorting order itself for ranks, which gives the margins of ``by_distance`` to the wrong rows. The link is the
    softmax of the scaled cosines, without any margin, and so not proper. O(n k + n log n).

    References
    ----------
    .. [1] Boutros, Damer, Kirchbuchner, Kuijper. "ElasticFace: elastic margin loss for deep face recognition". CVPR
       workshops 2022.

    Examples
    --------
    >>> import torch
    >>> rng = torch.Generator().manual_seed(0)
    >>> elastic_arcface(torch.tensor([[0.9, 0.1, -0.3]]), torch.tensor([0]), rng=rng, scale=4.0, sigma=0.0)
    tensor([0.0920])
    """
    true = true_cosines(cosines, y)  # (n, 1)
    margins = elastic_margins(true, rng, margin=margin, sigma=sigma, by_distance=by_distance)  # (n, 1)
    return target_cross_entropy(cosines, y, widened(true, margins), scale)  # (n,)
