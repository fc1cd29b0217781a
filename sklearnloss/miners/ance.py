"""Nearest negatives among all training rows."""

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.constraints import NonNegativeInt, PositiveInt
from sklearnloss.functional.nearest import nearest_rows
from sklearnloss.typing import Embeddings, Generator, Index, Labels


@miner("ance", static=False, status="known")
class NearestNegatives:
    """Add to each anchor negatives from among the rows nearest to it in all training data, not only in its batch.

    Every few epochs all rows are embedded and the nearest rows of other classes are looked up; between two look-ups
    the table grows stale.

    Parameters
    ----------
    refresh : int in [1, inf), default=1
        Epochs between two look-ups.
    depth : int in [1, inf), default=200
        How many of the nearest rows of other classes are drawn from.
    n_neg : int in [1, inf), default=1
        Negatives that are drawn for each anchor; they come twice where fewer are known.
    warmup_epochs : int in [0, inf), default=1
        Epochs without further negatives at the beginning, when all embeddings are alike.
    exclude_top : int in [0, inf), default=0
        How many of the very nearest are left out: with noisy labels these are often of the anchor's class.

    Notes
    -----
    With ``depth=1, n_neg=1`` the hardest negative of all comes, with a depth above the number of rows a random one.
    A look-up takes one pass over all rows through the network and O(n^2 d) time for n rows; the table holds
    ``n * depth`` numbers. Row ``i`` is row ``i`` of the embeddings of the last `refresh`.

    References
    ----------
    .. [1] Xiong et al. "Approximate nearest neighbor negative contrastive learning for dense text retrieval".
       ICLR 2021.

    Examples
    --------
    >>> embeddings, y = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.5, 1.0]]), torch.tensor([0, 0, 1, 1])
    >>> negatives = NearestNegatives(depth=1, warmup_epochs=0)
    >>> negatives.due(0)
    True
    >>> negatives.refresh(embeddings, y)
    >>> negatives.companions(torch.tensor([0, 2]), torch.tensor([0, 1]), rng=torch.Generator()).tolist()
    [[3], [1]]
    """

    def __init__(
        self,
        *,
        refresh: PositiveInt = 1,
        depth: PositiveInt = 200,
        n_neg: PositiveInt = 1,
        warmup_epochs: NonNegativeInt = 1,
        exclude_top: NonNegativeInt = 0,
    ) -> None:
        self._every, self._depth, self._n_neg = refresh, depth, n_neg
        self._warmup_epochs, self._exclude_top = warmup_epochs, exclude_top
        self._table: Tensor | None = None  # (N, depth) int32
        self._count: Tensor | None = None  # (N,) how many numbers of the table are meant
        self._y: Tensor | None = None  # (N,)

    def due(self, epoch: int) -> bool:
        """Return whether the table is to be made anew before this epoch.

        Parameters
        ----------
        epoch : int
            Epochs finished so far.
        """
        if epoch < self._warmup_epochs:
            return False
        return self._table is None or (epoch - self._warmup_epochs) % self._every == 0

    def refresh(self, embeddings: Embeddings, y: Labels) -> None:
        """Look up the nearest rows of other classes.

        Parameters
        ----------
        embeddings : Tensor of shape (N, d)
            Of all training rows, of any length.
        y : LongTensor of shape (N,)
            Class of each row.
        """
        index, count = nearest_rows(embeddings, self._exclude_top + self._depth, y=y)
        self._table = index[:, self._exclude_top :].to(torch.int32)
        self._count = (count - self._exclude_top).clamp(min=0)
        self._y = y.detach().clone()

    def companions(self, index: Index, y: Labels, *, rng: Generator) -> Tensor | None:
        """Draw further negatives for the anchors of a batch.

        Parameters
        ----------
        index : LongTensor of shape (n,)
            Row numbers of the anchors.
        y : LongTensor of shape (n,)
            Class of each; a row that had this class at the last look-up is not drawn.
        rng : torch.Generator
            Source of the draws.

        Returns
        -------
        LongTensor of shape (n, n_neg) or None
            Row numbers; None before the first look-up, and where an anchor has no negative in the table.
        """
        if self._table is None or self._count is None or self._y is None:
            return None
        table = self._table[index].long()  # (n, depth)
        meant = torch.arange(table.shape[1], device=table.device) < self._count[index, None]
        meant &= self._y[table] != y[:, None]
        count = meant.sum(1, keepdim=True)  # (n, 1)
        if not bool(count.all()):
            return None
        keys = torch.rand(table.shape, generator=rng, device=table.device).masked_fill(~meant, -1.0)
        order = keys.argsort(dim=1, descending=True)  # those that are meant come first, in random order
        place = torch.arange(self._n_neg, device=table.device) % count  # (n, n_neg)
        return table.gather(1, order.gather(1, place))
