import pytest
import torch

from sklearnloss import View
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.views.crop import crop


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def places(n=50, height=6, width=8, seed=0, **params):
    """Return which row and column of its image each pixel came from, (n, height, width) each."""
    grid = torch.arange(height * width, dtype=torch.float64).expand(n, -1).clone()
    seen = crop(grid, rng=generator(seed), image_shape=(height, width), **params).reshape(n, height, width).long()
    return seen // width, seen % width


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_view_is_a_window_with_rows_and_columns_in_order(seed):
    rows, columns = places(seed=seed, fraction=0.3)
    assert (rows == rows[:, :, :1]).all()
    assert (columns == columns[:, :1]).all()
    assert (rows.diff(dim=1) >= 0).all()
    assert (columns.diff(dim=2) >= 0).all()
    assert rows.unique().tolist() == list(range(6))  # every place comes up


@pytest.mark.parametrize("fraction", [0.3, 0.7])
def test_a_window_is_at_least_as_large_as_the_fraction(fraction):
    rows, columns = places(n=300, height=40, width=40, fraction=fraction)
    heights = (rows[:, -1, 0] - rows[:, 0, 0] + 1) / 40
    assert heights.min() >= fraction - 1 / 40
    assert heights.min() < fraction + 0.05
    assert heights.max() > 0.95
    widths = (columns[:, 0, -1] - columns[:, 0, 0] + 1) / 40
    assert (heights - widths).abs().max() < 0.06  # the sides keep their ratio


def test_the_whole_image_is_left_as_it_is():
    X = torch.randn(3, 64)
    assert torch.equal(crop(X, rng=generator(), fraction=1.0), X)


def test_channels_and_flat_rows_move_alike():
    image = torch.randn(5, 1, 4, 4)
    seen = crop(torch.cat([image, 2 * image, 3 * image], dim=1), rng=generator(), fraction=0.5)
    assert torch.equal(seen[:, 2], 3 * seen[:, 0])
    assert torch.equal(crop(image.reshape(5, 16), rng=generator(), fraction=0.5), seen[:, 0].reshape(5, 16))
    assert torch.equal(crop(image[:, 0], rng=generator(), fraction=0.5), seen[:, 0])


def test_images_differ_and_draws_follow_the_generator():
    X = torch.arange(64.0).expand(20, 64)
    seen = crop(X, rng=generator())
    assert len(seen.unique(dim=0)) > 10
    assert torch.equal(seen, crop(X, rng=generator()))
    assert not torch.equal(seen, crop(X, rng=generator(1)))


@pytest.mark.parametrize(
    ("shape", "image_shape", "message"),
    [
        ((2, 10), None, "rows of 10 numbers are no square images; give image_shape="),
        ((2, 10), (3, 4), "no images of 3 x 4"),
    ],
)
def test_rows_that_are_no_images_are_refused(shape, image_shape, message):
    with pytest.raises(DataError, match=message):
        crop(torch.zeros(shape), rng=generator(), image_shape=image_shape)


def test_a_shape_that_is_none_is_refused():
    with pytest.raises(ParameterError, match=r"image_shape must be a tuple \(an int in \[1, inf\), an int in"):
        View("crop", image_shape=(3, 0)).choose()
    assert View("crop", image_shape=(3, 4)).choose().params == {"image_shape": (3, 4)}
