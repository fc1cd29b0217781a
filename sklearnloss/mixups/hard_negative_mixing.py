"""Hard negatives mixed in pairs and in lists."""

import torch

from sklearnloss.component import mixup
from sklearnloss.constraints import NonNegativeInt, Positive, PositiveInt
from sklearnloss.functional.nearest import nearest_rows
from sklearnloss.functional.pairs import Extra
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.mixups._beta import symmetric_beta
from sklearnloss.typing import Embeddings, Generator, Labels


@mixup("hard_negative_mixing", status="known")
def hard_negative_mixing(
    embeddings: Embeddings,
    y: Labels,
    *,
    rng: Generator,
    n_hard: PositiveInt = 7,
    n_mixed: NonNegativeInt = 4,
    listwise: bool = True,
    alpha: Positive = 2.0,
    tau: Positive = 0.1,
) -> Extra:
    r"""Add negatives that are mixtures of an anchor's hardest: of two, and of all by how hard each is.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Of any length; unit vectors are mixed.
    y : LongTensor of shape (n,)
        Class of each row.
    rng : torch.Generator
        Source of pairs and shares.
    n_hard : int in [1, inf), default=7
        How many of an anchor's most similar negatives are mixed.
    n_mixed : int in [0, inf), default=4
        Mixtures of two for each anchor.
    listwise : bool, default=True
        Whether a mixture of all ``n_hard`` is added as well.
    alpha : float in (0, inf), default=2.0
        The share of the first of two is drawn from Beta(alpha, alpha).
    tau : float in (0, inf), default=0.1
        Temperature of the shares of all: small, and the hardest prevails.

    Returns
    -------
    Extra
        Further negatives of each anchor, unit vectors (n, n_mixed + listwise, d); none where all rows are of one class.

    Notes
    -----
    .. math:: h = \frac{\lambda n_a + (1 - \lambda) n_b}{\|\cdot\|}, \qquad
        h = \frac{\sum_k c_k n_k}{\|\cdot\|}, \quad c = \operatorname{softmax}_k(\cos(q, n_k) / \tau)

    Gradients reach the negatives, not the shares. A further negative never lowers a softmax loss. O(n^2 d) time.

    References
    ----------
    .. [1] Zhao et al. "KaLM-Embedding-V2: superior training techniques and data inspire a versatile embedding model".
       arXiv:2506.20923.

    Examples
    --------
    >>> extra = hard_negative_mixing(torch.eye(4), torch.tensor([0, 0, 1, 1]), rng=torch.Generator().manual_seed(0))
    >>> extra.embeddings.shape
    torch.Size([4, 5, 4])
    """
    n, d = embeddings.shape
    index, count = nearest_rows(embeddings, n_hard, y=y)  # (n, k)
    if not bool(count.all()):  # one class: an anchor lacks negatives only where all do
        return Extra(embeddings.new_zeros(n, 0, d))
    unit = unit_rows(embeddings)
    hard = unit[index]  # (n, k, d)
    uniform = torch.rand(2, n, n_mixed, generator=rng, device=y.device)
    others = (count[:, None] - 1).clamp(min=1)
    first = torch.minimum((uniform[0] * count[:, None]).long(), count[:, None] - 1)  # (n, n_mixed)
    step = 1 + torch.minimum((uniform[1] * others).long(), others - 1)
    second = (first + step) % count[:, None]  # another one, if there is another
    lam = symmetric_beta(alpha, rng, device=y.device, size=(n, n_mixed, 1)).to(unit.dtype)
    rows = torch.arange(n, device=y.device)[:, None]
    mixed = [torch.lerp(hard[rows, second], hard[rows, first], lam)]
    if listwise:
        scores = torch.einsum("nd,nkd->nk", unit.detach(), hard.detach()) / tau
        meant = torch.arange(index.shape[1], device=y.device) < count[:, None]
        shares = scores.masked_fill(~meant, -torch.inf).softmax(1)
        mixed.append(torch.einsum("nk,nkd->nd", shares, hard)[:, None])
    return Extra(unit_rows(torch.cat(mixed, dim=1)))
