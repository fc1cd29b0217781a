"""Classes drawn against their frequency."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch

from sklearnloss.component import sampler
from sklearnloss.constraints import Probability, Search
from sklearnloss.functional.effective_number import effective_weights
from sklearnloss.samplers._decks import cut
from sklearnloss.samplers._shares import draw_shares, members_of


@sampler("class_balanced")
def class_balanced(
    y: np.ndarray, *, batch_size: int, rng: np.random.Generator, beta: Annotated[Probability, Search(0, 1)] = 1.0
) -> Iterator[np.ndarray]:
    r"""Draw rows by weights of their classes, so that rare classes come as often as common ones.

    Parameters
    ----------
    y : array of shape (n,) or (n, n_labels)
        Class of each row; of rows with several labels, each set of labels that occurs is a class.
    batch_size : int
        Upper limit of a batch.
    rng : numpy.random.Generator
        Source of classes and rows.
    beta : float in [0, 1], default=1.0
        How much a further row of a class repeats those before. 1 weighs rows by the inverse frequency of their class,
        so that all classes are as likely; 0 takes every row once; between, by the inverse effective number, such as
        0.99 or 0.999, common classes keep some of their lead.

    Yields
    ------
    array of int
        Row numbers of a batch, in random order.

    Notes
    -----
    .. math:: P(c) \propto n_c \frac{1 - \beta}{1 - \beta^{n_c}}

    The classes of an epoch's n slots are drawn independently; each class is dealt without replacement before it is
    shuffled again. Rows of the rarest classes come many times, and some of the commonest not at all. It trains for
    classes that are equally common: probabilities are those of such a population.

    References
    ----------
    .. [1] Cui, Jia, Lin, Song, Belongie. "Class-balanced loss based on effective number of samples". CVPR 2019.

    Examples
    --------
    >>> y = np.repeat([0, 1], [90, 10])
    >>> rows = np.concatenate(list(class_balanced(y, batch_size=20, rng=np.random.default_rng(0))))
    >>> len(rows), 40 < y[rows].sum() < 60
    (100, np.True_)
    """
    if beta == 0:
        yield from cut(rng.permutation(len(y)), batch_size)
        return
    members = members_of(y)
    counts = torch.tensor([len(rows) for rows in members], dtype=torch.float64)
    weights = 1 / counts if beta == 1 else effective_weights(counts, beta)
    shares = (counts * weights).numpy()
    yield from draw_shares(members, shares / shares.sum(), batch_size=batch_size, rng=rng)
