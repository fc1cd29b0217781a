"""Groups drawn by a power of their size."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.constraints import AtLeastOne, Search
from sklearnloss.samplers._shares import draw_tempered


@sampler("temperature_sampler")
def temperature_sampler(
    y: np.ndarray,
    *,
    batch_size: int,
    rng: np.random.Generator,
    group: np.ndarray | None = None,
    tau: Annotated[AtLeastOne, Search(1, 20, log=True)] = 5.0,
) -> Iterator[np.ndarray]:
    r"""Draw small groups more often than their size says, without making all groups equal.

    Parameters
    ----------
    y : array of shape (n,) or (n, n_labels)
        Class of each row, the groups where no others are given.
    batch_size : int
        Upper limit of a batch.
    rng : numpy.random.Generator
        Source of groups and rows.
    group : array of shape (n,), optional
        Group of each row, such as its language or place: ``fit(X, y, group=...)``.
    tau : float in [1, inf), default=5.0
        Temperature. 1 takes every row once; ``tau -> inf`` makes all groups as likely, as `class_balanced` does.

    Yields
    ------
    array of int
        Row numbers of a batch, in random order.

    Notes
    -----
    .. math:: p_g \propto N_g^{1 / \tau}

    The mean gradient is that of a loss whose rows are weighed by :math:`p_g N / N_g`, but with less noise: a row comes
    often instead of counting much. The groups of an epoch's n slots are drawn independently; each group is dealt
    without replacement before it is shuffled again. A large ``tau`` learns small groups by heart; `cooldown` ends with
    ``tau=1``.

    References
    ----------
    .. [1] Li, Xu, Tan, Murray, Khashabi. "Upsample or upweight? Balanced training on heavily imbalanced datasets".
       NAACL 2025.

    Examples
    --------
    >>> y = np.repeat([0, 1], [90, 10])  # shares of 0.61 and 0.39
    >>> rows = np.concatenate(list(temperature_sampler(y, batch_size=20, rng=np.random.default_rng(0))))
    >>> len(rows), 30 < y[rows].sum() < 50
    (100, np.True_)
    """
    yield from draw_tempered(y if group is None else group, tau, batch_size=batch_size, rng=rng)
