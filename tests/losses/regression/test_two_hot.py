import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.two_hot import TwoHot

RANGE = torch.tensor([[0.0], [1.0]], dtype=torch.float64)


@pytest.mark.parametrize("y", [0.0, 0.1, 0.37, 0.5, 1.0, 7.0, -3.0])
def test_the_target_is_shared_between_the_two_nearest_centers(y):
    criterion = TwoHot(y_train=RANGE, n_bins=5)
    columns = torch.randn(1, 1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inside = min(max(y, 0.0), 1.0)
    j = min(int(inside / 0.25), 3)
    lam = (inside - 0.25 * j) / 0.25
    log_p = torch.log_softmax(columns[0, 0], 0)
    wanted = -(1 - lam) * log_p[j] - lam * log_p[j + 1]
    assert_close(criterion(columns, torch.tensor([[y]], dtype=torch.float64))[0, 0], wanted)


def test_the_best_histogram_has_its_mean_at_the_target():
    criterion = TwoHot(y_train=RANGE, n_bins=5)
    logits = torch.tensor([[[-50.0, -50.0, 0.48, 0.52, -50.0]]], dtype=torch.float64)
    logits = torch.where(logits > 0, logits.log(), logits)
    assert criterion.histogram(logits).mean() == pytest.approx(0.5 + 0.52 * 0.25)
    leaf = logits.requires_grad_()
    criterion(leaf, torch.tensor([[0.5 + 0.52 * 0.25]], dtype=torch.float64)).sum().backward()
    assert leaf.grad.abs().max() < 1e-9


def test_each_target_has_its_own_centers():
    criterion = TwoHot(y_train=torch.tensor([[0.0, -4.0], [1.0, 4.0]]), n_bins=3)
    assert criterion.centers.tolist() == [[0.0, 0.5, 1.0], [-4.0, 0.0, 4.0]]


def test_a_constant_target_has_bins_of_some_width():
    criterion = TwoHot(y_train=torch.ones(5, 1), n_bins=4)
    assert (criterion.centers.diff() > 0).all()
