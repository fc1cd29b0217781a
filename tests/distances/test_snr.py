"""Signal-to-noise ratio: worked numbers, in loops, what it does not see, vectors without a signal."""

import statistics

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.distances.snr import snr

A, B = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[1.0, 2.0, 3.0, 6.0]])


def test_gives_the_worked_numbers_and_is_not_symmetric():
    assert snr(A, B, normalize=False).item() == pytest.approx(0.6)
    assert snr(B, A, normalize=False).item() == pytest.approx(0.214286, abs=1e-6)


@pytest.mark.parametrize("normalize", [True, False])
def test_equals_the_formula_in_plain_loops(vectors, normalize):
    a, b = vectors
    found = snr(a, b, normalize=normalize)
    for i in range(5):
        for j in range(7):
            x, y = (v / v.norm() if normalize else v for v in (a[i], b[j]))
            wanted = statistics.variance((x - y).tolist()) / statistics.variance(x.tolist())
            assert float(found[i, j]) == pytest.approx(wanted, rel=1e-5)


def test_equals_the_peer_on_unit_vectors():
    # pytorch_metric_learning.distances.SNRDistance()(A, B), 2.9.0
    assert snr(A.double(), B.double()).item() == pytest.approx(0.20129065842725324, rel=1e-6)


def test_is_zero_between_a_vector_and_itself(vectors):
    a, _ = vectors
    assert_close(snr(a, a).diagonal(), torch.zeros(5, dtype=torch.float64))


def test_does_not_see_a_common_factor(vectors):
    a, b = vectors
    assert_close(snr(7 * a, 7 * b, normalize=False), snr(a, b, normalize=False), rtol=1e-6, atol=0)


def test_does_not_see_the_mean_of_a_vector(vectors):
    a, _ = vectors
    assert snr(a, a + 5.0, normalize=False).diagonal().abs().max() < 1e-12


@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_without_a_signal_have_finite_values_and_gradients(degenerate, normalize):
    leaf = degenerate.clone().requires_grad_()
    found = snr(leaf, degenerate, normalize=normalize)
    found.sum().backward()
    assert found.isfinite().all()
    assert leaf.grad.isfinite().all()


def test_has_the_gradient_of_its_value(vectors):
    assert torch.autograd.gradcheck(snr, tuple(v.requires_grad_() for v in vectors))
