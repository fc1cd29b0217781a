"""What the views of images share."""

import math

from torch import Tensor

from sklearnloss.constraints import PositiveInt
from sklearnloss.exceptions import DataError

ImageShape = tuple[PositiveInt, PositiveInt] | None


def as_images(X: Tensor, image_shape: ImageShape, *, view: str) -> Tensor:
    """Return the rows as images (n, channels, height, width); without a shape, the last two axes or a square.

    Raises
    ------
    DataError
        If the rows are no such images.
    """
    numbers = math.prod(X.shape[1:])
    height, width = image_shape or _shape_of(X)
    if numbers and numbers % (height * width) == 0:
        return X.reshape(len(X), -1, height, width)
    wanted = f"images of {height} x {width}" if image_shape else "square images"
    raise DataError(
        f"view {view!r}: rows of {numbers} numbers are no {wanted}; give image_shape=(height, width), before which "
        "channels may stand"
    )


def _shape_of(X: Tensor) -> tuple[int, int]:
    if X.ndim > 2:
        return X.shape[-2], X.shape[-1]
    side = math.ceil(math.sqrt(X.shape[1]))  # whose square divides the row only if it is the row
    return side, side
