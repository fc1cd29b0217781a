import numpy as np
import pytest

from sklearnloss.functional import top_two as module
from sklearnloss.functional.top_two import lead, top_two


@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [1, 7, 8192])
def test_are_those_of_a_sort_bit_for_bit(k, dtype, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    values = np.random.default_rng(0).integers(0, 6, size=(50, k)).astype(dtype) / 7  # with ties
    ordered = np.sort(values, axis=1)
    first, second = top_two(values)
    assert first.dtype == second.dtype == dtype
    assert np.array_equal(first, ordered[:, -1])
    assert np.array_equal(second, ordered[:, -2])
    assert np.array_equal(lead(values), ordered[:, -1] - ordered[:, -2])


def test_takes_columns_that_lie_apart_and_no_rows():
    values = np.random.default_rng(0).random((40, 6))
    assert np.array_equal(top_two(values[:, ::2])[0], values[:, ::2].max(axis=1))
    assert top_two(values[:0])[0].shape == lead(values[:0]).shape == (0,)
    assert np.array_equal(top_two(np.asfortranarray(values))[1], np.sort(values, axis=1)[:, -2])
