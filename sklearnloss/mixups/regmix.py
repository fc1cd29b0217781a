"""RegMix, mixup of neighbours for regression."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import mixup
from sklearnloss.constraints import NonNegative, NonNegativeInt, Positive, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.vectors import squared_distances
from sklearnloss.mixups._beta import symmetric_beta
from sklearnloss.typing import Generator, Targets


# Differences from the paper:
# 1. The number of neighbours is the same for all rows and chosen by a search, where the paper learns it for each row
#    from the loss of held-out rows.
# 2. Neighbours are those of the batch, so no index of all rows is kept.
@mixup("regmix", status="guess")
def regmix(
    X: Tensor,
    y: Targets,
    *,
    rng: Generator,
    neighbors: Annotated[NonNegativeInt, Search(1, 128, log=True)] = 16,
    alpha: Annotated[Positive, Search(0.2, 4, log=True)] = 2.0,
    y_weight: Annotated[NonNegative, Search(0, 4)] = 0.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Mix each row, and its target, with a near one: a line between far rows leaves a curved target.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Rows of a batch.
    y : Tensor of shape (n, n_targets)
        Their targets.
    rng : torch.Generator
        Source of partners and shares.
    neighbors : int in [0, inf), default=16
        Among how many nearest rows of the batch the partner is drawn. 0 leaves rows as they are, n - 1 and more mixes
        with any other row.
    alpha : float in (0, inf), default=2.0
        Shares are drawn from Beta(alpha, alpha), one for each row.
    y_weight : float in [0, inf), default=0.0
        How much a difference of targets counts beside one of rows.

    Returns
    -------
    X : Tensor of shape (n, ...)
        The mixed rows.
    y_a, y_b : Tensor of shape (n, n_targets)
        The mixed targets, twice.
    lam : Tensor of shape ()
        One.

    Raises
    ------
    TaskError
        If the targets are classes.

    Notes
    -----
    .. math:: \tilde x_i = \lambda_i x_i + (1 - \lambda_i) x_{\pi(i)}, \qquad
        \tilde y_i = \lambda_i y_i + (1 - \lambda_i) y_{\pi(i)}

    Rows are near by the mean squared difference of columns that are standardized in the batch, plus ``y_weight`` times
    that of standardized targets. Search the number of neighbours, as in
    ``GridSearchCV(LossRegressor(mixup=Mixup("regmix")), {"mixup__neighbors": [0, 4, 16, 64]})``. Larger batches have
    nearer neighbours. O(n**2 d).

    References
    ----------
    .. [1] Hwang, Whang. "RegMix: data mixing augmentation for regression". arXiv:2106.03374, 2021.

    Examples
    --------
    >>> X = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    >>> mixed, y, _, lam = regmix(X, 10 * X, rng=torch.Generator().manual_seed(0), neighbors=1)
    >>> (mixed - X).abs().max() < 0.1, torch.allclose(y, 10 * mixed), lam
    (tensor(True), True, tensor(1.))
    """
    if not y.is_floating_point():
        raise TaskError("mixup 'regmix' mixes targets that are numbers; for classes use 'mixup'")
    k, lam = min(neighbors, len(X) - 1), X.new_ones(())
    if k == 0:
        return X, y, y, lam
    apart = _apart(X) + y_weight * _apart(y)  # (n, n)
    nearest = apart.fill_diagonal_(torch.inf).topk(k, dim=1, largest=False).indices  # (n, k)
    drawn = torch.randint(k, (len(X), 1), generator=rng, device=X.device)
    partner = nearest.gather(1, drawn).squeeze(1)  # (n,)
    share = symmetric_beta(alpha, rng, device=X.device, size=(len(X),))
    y = _mixed(y, partner, share)
    return _mixed(X, partner, share), y, y, lam


def _apart(values: Tensor) -> Tensor:
    """Return mean squared differences (n, n) of columns that are standardized in the batch."""
    flat = values.detach().reshape(len(values), -1)
    spread = flat.std(dim=0, correction=0)
    scaled = flat / torch.where(spread > 0, spread, 1.0)
    return squared_distances(scaled, scaled) / scaled.shape[1]


def _mixed(values: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    lam = share.to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return torch.lerp(values[partner], values, lam)
