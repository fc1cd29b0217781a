"""Small groups first more often, then as often as they are."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.constraints import AtLeastOne, NonNegativeInt, Search
from sklearnloss.samplers._shares import draw_tempered


# Differences from the paper:
# 1. The switch is a number of epochs, since a sampler does not know how many there will be.
# 2. An epoch of the second phase takes every row once, where the paper draws with replacement.
@sampler("cooldown")
def cooldown(
    y: np.ndarray,
    *,
    batch_size: int,
    rng: np.random.Generator,
    epoch: int,
    group: np.ndarray | None = None,
    tau: Annotated[AtLeastOne, Search(1, 20, log=True)] = 5.0,
    switch: Annotated[NonNegativeInt, Search(0, 100)] = 50,
) -> Iterator[np.ndarray]:
    """Draw small groups often at first, so that they are learned early, and every row once later, against overfitting.

    Parameters
    ----------
    y : array of shape (n,) or (n, n_labels)
        Class of each row, the groups where no others are given.
    batch_size : int
        Upper limit of a batch.
    rng : numpy.random.Generator
        Source of groups and rows.
    epoch : int
        Epochs finished so far.
    group : array of shape (n,), optional
        Group of each row: ``fit(X, y, group=...)``.
    tau : float in [1, inf), default=5.0
        Temperature of the first phase, see `temperature_sampler`.
    switch : int in [0, inf), default=50
        Epochs of the first phase; take half of ``max_epochs``. 0 is `shuffle` throughout.

    Yields
    ------
    array of int
        Row numbers of a batch, in random order.

    Notes
    -----
    Probabilities end up those of the rows as they are, unlike with a balanced sampler. The other way round, small
    groups last, was worse than either phase alone.

    References
    ----------
    .. [1] Li, Xu, Tan, Murray, Khashabi. "Upsample or upweight? Balanced training on heavily imbalanced datasets".
       NAACL 2025.

    Examples
    --------
    >>> y = np.repeat([0, 1], [90, 10])
    >>> for epoch in (0, 50):
    ...     rows = np.concatenate(list(cooldown(y, batch_size=20, rng=np.random.default_rng(0), epoch=epoch)))
    ...     print(y[rows].sum() > 30, y[rows].sum() == 10)
    True False
    False True
    """
    now = tau if epoch < switch else 1.0
    yield from draw_tempered(y if group is None else group, now, batch_size=batch_size, rng=rng)
