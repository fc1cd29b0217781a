"""Random shift of images."""

import torch
from torch import Tensor

from sklearnloss.component import view
from sklearnloss.constraints import PositiveInt
from sklearnloss.typing import Generator
from sklearnloss.views._images import ImageShape, as_images


@view("shift")
def shift(X: Tensor, *, rng: Generator, pixels: PositiveInt = 1, image_shape: ImageShape = None) -> Tensor:
    r"""Move each image by a few whole pixels, and fill with zeros what comes in.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Images of a batch, flat or not; channels stand before height and width.
    rng : torch.Generator
        Source of the moves.
    pixels : int in [1, inf), default=1
        The farthest an image moves, up or down and left or right; each move is equally likely.
    image_shape : tuple (int, int) or None, default=None
        Height and width. None takes the last two axes of X, or a square where X has rows of numbers.

    Returns
    -------
    Tensor of shape (n, ...)
        The moved images, of the shape of X.

    Raises
    ------
    DataError
        If the rows are no such images.

    Notes
    -----
    The same as a random crop of the image with a margin of ``pixels`` zeros on all sides. All channels move alike.

    References
    ----------
    .. [1] Krizhevsky, Sutskever, Hinton. "ImageNet classification with deep convolutional neural networks". NeurIPS
       2012.

    Examples
    --------
    >>> image = torch.arange(1.0, 10.0).reshape(1, 9)
    >>> shift(image, rng=torch.Generator().manual_seed(0)).reshape(3, 3).tolist()
    [[0.0, 0.0, 0.0], [2.0, 3.0, 0.0], [5.0, 6.0, 0.0]]
    """
    images = as_images(X, image_shape, view="shift")
    n, channels, height, width = images.shape
    moves = torch.randint(-pixels, pixels + 1, (2, n, 1), generator=rng, device=X.device)
    rows, columns = (
        torch.arange(length, device=X.device) - move for move, length in zip(moves, (height, width), strict=True)
    )  # (n, height), (n, width)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    image = torch.arange(n, device=X.device)[:, None, None, None]
    channel = torch.arange(channels, device=X.device)[:, None, None]
    moved = images[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
    return torch.where(inside[:, None], moved, 0).reshape(X.shape)
