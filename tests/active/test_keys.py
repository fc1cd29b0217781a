import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sklearnloss.active import keys as module
from sklearnloss.active.keys import row_keys


def test_rows_have_one_key_exactly_where_they_are_equal():
    X = np.random.default_rng(0).integers(0, 3, size=(300, 4)).astype(float)
    groups = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    keys = np.unique(row_keys(X), return_inverse=True)[1]
    assert len(np.unique(keys)) == len(np.unique(groups))
    assert len(np.unique(np.stack([groups, keys], axis=1), axis=0)) == len(np.unique(groups))


def test_columns_are_told_apart():
    assert len(set(row_keys(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [2.0, 2.0]])).tolist())) == 4


def test_zeros_of_both_signs_and_missing_values_are_equal():
    keys = row_keys(np.array([[0.0, np.nan], [-0.0, -np.nan]]))
    assert keys[0] == keys[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_the_same_numbers_have_the_same_key_in_any_form(dtype, tmp_path, monkeypatch):
    X = np.random.default_rng(0).integers(0, 5, size=(50, 3))
    plain = row_keys(X.astype(float))
    monkeypatch.setattr(module, "CHUNK", 8)
    np.save(tmp_path / "X.npy", X.astype(dtype))
    assert np.array_equal(row_keys(np.load(tmp_path / "X.npy", mmap_mode="r")), plain)
    assert np.array_equal(row_keys(pd.DataFrame(X.astype(dtype))), plain)
    assert np.array_equal(row_keys(X.tolist()), plain)


def test_texts_have_keys_too():
    frame = pd.DataFrame({"a": ["x", "y", "x"], "b": [1, 1, 1]})
    keys = row_keys(frame)
    assert keys[0] == keys[2] != keys[1]
    assert np.array_equal(row_keys(frame.to_numpy()), keys)


def test_a_sparse_row_is_known_by_what_it_stores():
    dense = np.array([[0, 2, 0], [0, 2, 0], [2, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=float)
    X = sparse.csr_array(dense)
    explicit = X.copy()
    explicit.data[0] = 0.0
    keys, changed = row_keys(X), row_keys(explicit)
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == keys[4]
    assert changed[0] == keys[3]  # a stored zero is none


def test_rows_of_several_axes_are_flat():
    images = np.random.default_rng(0).random((6, 4, 4))
    assert np.array_equal(row_keys(images), row_keys(images.reshape(6, 16)))
