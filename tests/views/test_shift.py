import pytest
import torch

from sklearnloss.exceptions import DataError
from sklearnloss.views.shift import shift


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def naive(image, down, right):
    height, width = image.shape
    moved = torch.zeros_like(image)
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                moved[i, j] = image[i - down, j - right]
    return moved


@pytest.mark.parametrize("pixels", [1, 2, 9])
def test_each_image_is_moved_as_a_whole_with_zeros_behind_it(pixels):
    images = 1 + torch.rand(40, 5, 7, generator=generator(3))
    moves = torch.randint(-pixels, pixels + 1, (2, 40, 1), generator=generator(1)).squeeze(2)
    seen = shift(images, rng=generator(1), pixels=pixels)
    for image, moved, down, right in zip(images, seen, *moves.tolist(), strict=True):
        assert torch.equal(moved, naive(image, down, right))


def test_all_moves_are_equally_likely():
    image = torch.zeros(9000, 5, 5)
    image[:, 2, 2] = 1
    share = shift(image, rng=generator()).mean(0)
    assert torch.allclose(share[1:4, 1:4], torch.full((3, 3), 1 / 9), atol=0.015)
    assert share.sum() == pytest.approx(1)


def test_equals_a_crop_of_the_image_with_a_margin_of_zeros():
    images = torch.rand(20, 3, 6, 6)
    moves = torch.randint(-2, 3, (2, 20, 1), generator=generator(4)).squeeze(2)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    cropped = [
        image[:, 2 - down : 8 - down, 2 - right : 8 - right]
        for image, down, right in zip(padded, *moves.tolist(), strict=True)
    ]
    assert torch.equal(shift(images, rng=generator(4), pixels=2), torch.stack(cropped))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_flat_rows_keep_their_shape_and_precision(dtype):
    X = torch.ones(4, 64, dtype=dtype)
    seen = shift(X, rng=generator(2))
    assert (seen.shape, seen.dtype) == (X.shape, dtype)
    assert torch.equal(seen, shift(X.reshape(4, 8, 8), rng=generator(2)).reshape(4, 64))


def test_rows_that_are_no_images_are_refused():
    with pytest.raises(DataError, match=r"view 'shift': rows of 10 numbers are no square images; give image_shape="):
        shift(torch.zeros(2, 10), rng=generator())
