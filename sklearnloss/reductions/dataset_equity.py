"""Weights by how common a row's group is."""

from typing import Annotated

import torch
from torch import Tensor, nn

from sklearnloss.component import reduction
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.typing import Scalar


# The paper finds the groups itself, by DBSCAN of a t-SNE of deep features; here they are given.
@reduction("dataset_equity", status="guess")
class DatasetEquity(nn.Module):
    r"""Mean in which rows of a common group weigh less, but never less than a floor.

    Parameters
    ----------
    eta : float in [0, inf), default=1.0
        Raises the floor ``eta / (1 + eta)``. ``eta -> inf`` is `mean`; with 0 the rows of a group that holds nearly all
        rows count for nothing.
    gamma : float in [0, inf), default=5.0
        How fast weights fall with the share of a group. 0 is `mean`.

    Notes
    -----
    .. math:: \frac1n \sum_i w_i v_i \frac{\eta + (1 - p_i)^\gamma}{\eta + 1}

    with the share :math:`p_i` of the group among the training rows, by weight. Shares are counted as batches come, so
    they are those of all rows from the second epoch on; before, those of the rows so far, the batch among them. A
    sampler that draws some groups more often changes the shares with them. In evaluation nothing is counted, and a
    group that was never seen has the share zero.

    Groups are classes, clusters, places, devices: ``fit(X, y, group=...)``. A negative number is no group, as
    clustering says of noise: such a row is a group of its own.

    State: the weight of each group so far. O(n log n), and each batch waits for the device.

    References
    ----------
    .. [1] Shrivastava, Zhang, Nagesh, Parchami. "DatasetEquity: are all samples created equal? In the quest for equity
       within datasets". ICCV workshops 2023.

    Examples
    --------
    >>> reduce = DatasetEquity()
    >>> reduce(torch.tensor([1.0, 1.0]), torch.ones(2), group=torch.tensor([0, 1]))  # each half of the rows
    tensor(0.5156)
    """

    def __init__(
        self,
        *,
        eta: Annotated[NonNegative, Search(0, 4)] = 1.0,
        gamma: Annotated[NonNegative, Search(0, 10)] = 5.0,
    ) -> None:
        super().__init__()
        self.eta, self.gamma = eta, gamma
        self.groups: list[float] = []  # a group's number, and its weight at the same place
        self.counted: list[float] = []
        self.total = 0.0

    def forward(self, values: Tensor, weights: Tensor, *, group: Tensor) -> Scalar:
        """Return the weighted mean.

        Parameters
        ----------
        values : Tensor of shape (n,)
            One value per unit.
        weights : Tensor of shape (n,)
            Not negative; a value of weight zero counts for nothing, even if it is infinite.
        group : Tensor of shape (n,)
            Number of each row's group; negative for none.

        Returns
        -------
        Tensor of shape ()
        """
        share = self._shares(group, weights.detach()).to(values.dtype)
        weights = weights * (self.eta + (1 - share) ** self.gamma) / (self.eta + 1)
        return torch.where(weights == 0, 0.0, values * weights).sum() / values.numel()

    def _shares(self, group: Tensor, weights: Tensor) -> Tensor:
        """Return the share of each row's group, (n,); in training the batch is counted first."""
        names, place = group.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        listed, added = names.tolist(), torch.bincount(place, weights=weights.double()).tolist()
        known = dict(zip(self.groups, self.counted, strict=True))
        if self.training:
            self.total += sum(added)
            known |= {g: known.get(g, 0.0) + w for g, w in zip(listed, added, strict=True) if g >= 0}
            self.groups, self.counted = [*known], [*known.values()]
        total = self.total or 1.0
        shares = weights.new_tensor([known.get(g, 0.0) / total for g in listed], dtype=torch.float64)[place]
        return torch.where(group < 0, weights / total, shares).clamp(max=1)
