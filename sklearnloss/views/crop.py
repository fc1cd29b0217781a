"""Random crop of images."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import view
from sklearnloss.constraints import Interval
from sklearnloss.typing import Generator
from sklearnloss.views._images import ImageShape, as_images


@view("crop")
def crop(
    X: Tensor,
    *,
    rng: Generator,
    fraction: Annotated[float, Interval(0, 1, "right")] = 0.6,
    image_shape: ImageShape = None,
) -> Tensor:
    r"""Cut a window of random size and place out of each image, and stretch it to the size of the image.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Images of a batch, flat or not; channels stand before height and width.
    rng : torch.Generator
        Source of sizes and places.
    fraction : float in (0, 1], default=0.6
        Least side of a window, as a share of the side of the image; 1 leaves images as they are.
    image_shape : tuple (int, int) or None, default=None
        Height and width. None takes the last two axes of X, or a square where X has rows of numbers.

    Returns
    -------
    Tensor of shape (n, ...)
        A window of each image, of the shape of X.

    Raises
    ------
    DataError
        If the rows are no such images.

    Notes
    -----
    A pixel is that pixel of the image whose square it falls into: no values are mixed, and all channels move alike.
    A crop of an image with a margin of zeros is ``shift``.

    References
    ----------
    .. [1] Chen, Kornblith, Norouzi, Hinton. "A simple framework for contrastive learning of visual representations".
       ICML 2020.

    Examples
    --------
    >>> image = torch.arange(16.0).reshape(1, 16)
    >>> crop(image, rng=torch.Generator().manual_seed(0), fraction=0.5).reshape(4, 4).tolist()
    [[4.0, 5.0, 5.0, 6.0], [4.0, 5.0, 5.0, 6.0], [8.0, 9.0, 9.0, 10.0], [12.0, 13.0, 13.0, 14.0]]
    """
    images = as_images(X, image_shape, view="crop")
    n, channels, height, width = images.shape
    draws = torch.rand(3, n, 1, generator=rng, device=X.device)
    side = fraction + (1 - fraction) * draws[0]  # (n, 1)
    rows, columns = (
        _pixels(side, start * (1 - side), length) for start, length in zip(draws[1:], (height, width), strict=True)
    )
    image = torch.arange(n, device=X.device)[:, None, None, None]
    channel = torch.arange(channels, device=X.device)[:, None, None]
    return images[image, channel, rows[:, None, :, None], columns[:, None, None, :]].reshape(X.shape)


def _pixels(side: Tensor, start: Tensor, length: int) -> Tensor:
    """Return which pixel of the image each pixel of the window is, (n, length)."""
    middle = (torch.arange(length, device=side.device) + 0.5) / length
    return ((start + side * middle) * length).long().clamp_(max=length - 1)
