import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.testing import assert_close

from sklearnloss import LossClassifier, Mixup
from sklearnloss.exceptions import TaskError
from sklearnloss.mixups.cutmix import cutmix


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(*shape):
    """Return rows whose entries are all the number of the row."""
    n = shape[0]
    return torch.arange(n, dtype=torch.float64).reshape(n, *[1] * (len(shape) - 1)).expand(shape).clone()


@pytest.mark.parametrize("shape", [(7, 3, 9, 6), (7, 5), (7, 2, 11), (7, 1, 4, 4, 4)])
@pytest.mark.parametrize("seed", range(8))
def test_each_entry_is_of_the_row_or_its_partner_and_the_share_is_counted(shape, seed):
    X, y = numbered(*shape), torch.arange(7)
    mixed, y_a, y_b, lam = cutmix(X, y, rng=generator(seed))
    assert torch.equal(y_a, y)
    assert sorted(y_b.tolist()) == y.tolist()
    for row, own, other in zip(mixed, y_a.tolist(), y_b.tolist(), strict=True):
        assert set(row.unique().tolist()) <= {own, other}
        if own != other:
            assert (row == own).double().mean().item() == pytest.approx(lam.item())


@pytest.mark.parametrize("seed", range(10))
def test_of_an_image_the_piece_is_a_box_over_all_channels(seed):
    X = torch.stack([torch.zeros(3, 8, 10), torch.ones(3, 8, 10)])
    mixed, _, y_b, _ = cutmix(X, torch.arange(2), rng=generator(seed))
    if y_b[0] == 0:
        return
    assert torch.equal(mixed[0, 0], mixed[0, 1])
    piece = mixed[0, 0].bool().numpy()
    rows, columns = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
    assert piece.sum() == len(rows) * len(columns)
    assert (np.diff(rows) == 1).all()
    assert (np.diff(columns) == 1).all()


@pytest.mark.parametrize("seed", range(10))
def test_of_a_table_the_piece_is_a_run_of_columns_that_may_go_round(seed):
    X = torch.stack([torch.zeros(9), torch.ones(9)])
    mixed, _, y_b, _ = cutmix(X, torch.arange(2), rng=generator(seed))
    if y_b[0] == 0:
        return
    ring = mixed[0].tolist()
    changes = sum(ring[i] != ring[i - 1] for i in range(9))
    assert changes <= 2


def test_all_columns_are_as_likely_and_shares_have_the_mean_of_a_half():
    X = torch.stack([torch.zeros(6), torch.ones(6)])
    taken, shares = torch.zeros(6), []
    for seed in range(1500):
        mixed, _, y_b, lam = cutmix(X, torch.arange(2), rng=generator(seed))
        shares.append(lam)
        taken += mixed[0] if y_b[0] == 1 else 0
    assert torch.stack(shares).mean().item() == pytest.approx(0.5, abs=0.03)
    assert (taken / taken.mean() - 1).abs().max() < 0.12


def test_a_weak_strength_takes_nearly_nothing_or_all():
    X = numbered(5, 1, 20, 20)
    for seed in range(20):
        lam = cutmix(X[:, 0, 0], torch.arange(5), rng=generator(seed), alpha=1e-4)[3]
        assert lam in (0, 1)


def test_blending_by_the_share_keeps_the_mean_of_a_linear_target():
    X = torch.randn(6, 8, generator=generator(3), dtype=torch.float64)
    flat = X.mean(1, keepdim=True).expand(6, 8)  # every column says the same
    mixed, y_a, y_b, lam = cutmix(flat, flat[:, 0], rng=generator())
    assert_close(mixed.mean(1), lam * y_a + (1 - lam) * y_b)


def test_leaves_its_inputs_and_keeps_dtype():
    X, y = numbered(4, 2, 5, 5).float(), torch.arange(4)
    before = X.clone()
    mixed, _, _, lam = cutmix(X, y, rng=generator())
    assert torch.equal(X, before)
    assert mixed.dtype == lam.dtype == torch.float32


def test_rows_of_one_number_are_refused():
    with pytest.raises(TaskError, match="a row is one number"):
        cutmix(torch.zeros(3), torch.zeros(3), rng=generator())


@pytest.mark.parametrize("mixup", ["cutmix", Mixup("cutmix", alpha=0.3)])
def test_trains_by_name(mixup):
    X, y = load_digits(return_X_y=True)
    assert LossClassifier(mixup=mixup, max_epochs=15, random_state=0).fit(X, y).score(X, y) > 0.85
