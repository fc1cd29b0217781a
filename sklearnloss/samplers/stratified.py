"""Batches with the class shares of all rows."""

from collections.abc import Iterator

import numpy as np

from sklearnloss.component import sampler


@sampler("stratified")
def stratified(y: np.ndarray, *, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Deal each class evenly over the batches of an epoch, so that every batch is a small copy of the whole.

    Parameters
    ----------
    y : array of shape (n,) or (n, n_labels)
        Class of each row; of rows with several labels, each set of labels that occurs is a class.
    batch_size : int
        Upper limit of a batch.
    rng : numpy.random.Generator
        Source of the order.

    Yields
    ------
    array of int
        Row numbers of a batch, grouped by class.

    Notes
    -----
    Every row comes once an epoch. The sizes of batches differ by at most one, and so do the numbers of rows of a class:
    a class with as many rows as there are batches is in all of them.

    References
    ----------
    .. [1] Zhao, Zhang. "Accelerating minibatch stochastic gradient descent using stratified sampling". 2014.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    >>> [y[rows].tolist() for rows in stratified(y, batch_size=4, rng=np.random.default_rng(0))]
    [[0, 0, 0, 1], [0, 0, 0, 1]]
    """
    classes = np.unique(y, axis=0, return_inverse=True)[1].ravel()  # (n,)
    order = np.lexsort((rng.random(len(classes)), classes))  # (n,); class by class, in random order within
    batches = -(-len(order) // batch_size)
    for start in rng.permutation(batches):
        yield order[start::batches]
