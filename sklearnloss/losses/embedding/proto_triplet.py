"""Proto-triplet loss."""

from typing import Annotated, Literal

import torch
from torch.nn.functional import cross_entropy

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, PositiveInt, Search
from sklearnloss.functional.classes import place_in_class, sums_of_classes
from sklearnloss.functional.vectors import distances, squared_distances
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("proto_triplet", task="embedding", unit="anchor", sampler="episodic", static=False, status="known")
def proto_triplet(
    embeddings: Embeddings,
    y: Labels,
    *,
    n_support: PositiveInt = 1,
    margin: Annotated[NonNegative, Search(0.1, 2, log=True)] = 1.0,
    reduce: Literal["mean", "hard", "soft"] = "mean",
    tau: Positive = 1.0,
    squared: bool = True,
    weight: NonNegative = 1.0,
) -> PerAnchor:
    r"""Each query is nearer to the prototype of its class than to those of the others, by a margin.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        One vector per row; not normalized.
    y : LongTensor of shape (n,)
        Class of each row.
    n_support : int in [1, inf), default=1
        The first so many rows of each class in the batch are its support, whose mean is the prototype; the others are
        queries.
    margin : float in [0, inf), default=1.0
        Distance by which a wrong prototype must be farther away.
    reduce : {"mean", "hard", "soft"}, default="mean"
        The mean of one hinge per wrong prototype; one hinge for the nearest; or one for their soft minimum.
    tau : float in (0, inf), default=1.0
        Temperature of the soft minimum.
    squared : bool, default=True
        Whether distances are squared.
    weight : float in [0, inf), default=1.0
        Weight of the cross entropy of minus the distances, the loss of prototypical networks.

    Returns
    -------
    totals : Tensor of shape (n,)
        One value per row, never negative; 0 for support.
    valid : Tensor of shape (n,)
        1 for queries, 0 for support and where there is one class only.

    Notes
    -----
    With the distance :math:`D_{qc}` of query q to the prototype of class c,

    .. math:: \ell_q = \frac{1}{C - 1} \sum_{c \ne y_q} [D_{q y_q} - D_{qc} + m]_+
        + w \Bigl( D_{q y_q} + \log \sum_c e^{-D_{qc}} \Bigr)

    or, for the first term, :math:`[D_{q y_q} - R_q + m]_+` with R the minimum over the wrong prototypes, or
    :math:`-\tau \log \sum_{c \ne y_q} e^{-D_{qc} / \tau}`. A constant added to all embeddings changes nothing.
    O(n C d) time, O(n C) memory.

    The paper's margin form is the standard one; how it reduces over wrong prototypes is not known.

    References
    ----------
    .. [1] Mendez-Ruiz, Gonzalez-Zapata, Reyes-Amezcua, Flores-Araiza, Lopez-Tiro, Mendez-Vazquez, Ochoa-Ruiz. "SuSana
       Distancia is all you need: enforcing class separability in metric learning via two novel distance-based loss
       functions for few-shot image classification". 2023.
    .. [2] Snell, Swersky, Zemel. "Prototypical networks for few-shot learning". NeurIPS 2017.

    Examples
    --------
    >>> embeddings, y = torch.tensor([[0.0], [2.0], [1.0], [1.5]]), torch.tensor([0, 1, 0, 1])
    >>> proto_triplet(embeddings, y, weight=0.0)
    (tensor([0., 0., 1., 0.]), tensor([0., 0., 1., 1.]))
    """
    support = place_in_class(y) < n_support  # (n,)
    x = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    sums, counts, codes = sums_of_classes(x, y, support.to(x.dtype))  # every class has its first row as support
    if len(sums) == 1:
        return 0 * embeddings.sum(1), torch.zeros_like(embeddings[:, 0])
    far = (squared_distances if squared else distances)(x, sums / counts[:, None])  # (n, C)
    own = far.gather(1, codes[:, None])  # (n, 1)
    wrong = far.scatter(1, codes[:, None], torch.inf)  # (n, C)
    if reduce == "soft":
        wrong = -tau * torch.logsumexp(-wrong / tau, dim=1, keepdim=True)  # (n, 1)
    elif reduce == "hard":
        wrong = wrong.min(dim=1, keepdim=True).values
    hinges = torch.relu(own - wrong + margin).sum(1)
    hinges = hinges / (len(sums) - 1) if reduce == "mean" else hinges
    values = hinges + weight * cross_entropy(-far, codes, reduction="none")
    return torch.where(support, 0.0, values).to(embeddings.dtype), (~support).to(embeddings.dtype)
