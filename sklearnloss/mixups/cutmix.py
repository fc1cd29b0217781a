"""CutMix."""

from typing import Annotated

from torch import Tensor

from sklearnloss.component import mixup
from sklearnloss.constraints import Positive, Search
from sklearnloss.mixups._rows import pieced
from sklearnloss.typing import Generator, Labels


@mixup("cutmix")
def cutmix(
    X: Tensor, y: Labels, *, rng: Generator, alpha: Annotated[Positive, Search(0.2, 2, log=True)] = 1.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Put a piece of another row into each, and ask for both labels in proportion: unlike a blend, each part is real.

    Parameters
    ----------
    X : Tensor of shape (n, c, ...) or (n, d)
        Rows of a batch. Images of c channels and height times width get a box of the other; rows of a table a block of
        neighboring columns, which may go round from the last to the first.
    y : Tensor of shape (n, ...)
        Their targets.
    rng : torch.Generator
        Source of partners, size and place.
    alpha : float in (0, inf), default=1.0
        The share of a row that stays is drawn from Beta(alpha, alpha): 1 makes all sizes as likely, a small value puts
        in nearly nothing or all.

    Returns
    -------
    X : Tensor of shape (n, ...)
        The rows with their pieces.
    y_a, y_b : Tensor of shape (n, ...)
        Targets of the rows and of their partners.
    lam : Tensor of shape ()
        Share of entries that are of the rows, one for the batch.

    Raises
    ------
    TaskError
        If a row is one number.

    Notes
    -----
    .. math:: \tilde x_i = (1 - M) x_i + M x_{\pi(i)}, \qquad \lambda = 1 - \bar M

    The sides of a box have the share :math:`\sqrt{1 - \lambda}` of those of the image, and its middle is uniform; what
    lies outside is cut off, and :math:`\lambda` is the share that was left. In a table, order columns that belong
    together side by side. O(n d).

    References
    ----------
    .. [1] Yun, Han, Oh, Chun, Choe, Yoo. "CutMix: regularization strategy to train strong classifiers with localizable
       features". ICCV 2019.

    Examples
    --------
    >>> import torch
    >>> X, y = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]]), torch.tensor([0, 1])
    >>> mixed, y_a, y_b, lam = cutmix(X.float(), y, rng=torch.Generator().manual_seed(0))
    >>> torch.allclose((mixed == X).float().mean(1), torch.where(y_a == y_b, 1, lam))
    True
    """
    mixed, partner, lam = pieced(X, alpha=alpha, rng=rng, title="mixup 'cutmix'")
    return mixed, y, y[partner], lam
